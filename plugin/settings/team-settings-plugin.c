/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings module: makes doveconf know the settings, and the service, which
   stays off until the admin gives it an executable. */

#include "team-common.h"
#include "buffer.h"
#include "service-settings.h"
#include "compat-settings.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "team-settings-plugin.h"

const char *team_settings_version = DOVECOT_ABI_VERSION;

#ifdef HAVE_SETTINGS_GET

const struct setting_parser_info *team_settings_set_infos[] = {
	&team_setting_parser_info,
	&team_mail_setting_parser_info,
	NULL
};

const struct setting_keyvalue team_settings_service_settings_defaults[] = {
	{ "unix_listener", TEAM_SOCKET_NAME" "TEAM_ADMIN_SOCKET_NAME },

	{ "unix_listener/"TEAM_SOCKET_NAME"/path", TEAM_SOCKET_NAME },
	{ "unix_listener/"TEAM_SOCKET_NAME"/mode", "0" },

	{ "unix_listener/"TEAM_ADMIN_SOCKET_NAME"/path",
	  TEAM_ADMIN_SOCKET_NAME },
	{ "unix_listener/"TEAM_ADMIN_SOCKET_NAME"/mode", "0" },

	{ NULL, NULL }
};

#else

const struct setting_parser_info *team_settings_set_roots[] = {
	&team_setting_parser_info,
	NULL
};

static struct file_listener_settings team_unix_listeners_array[] = {
	{ .path = TEAM_SOCKET_NAME, .mode = 0, .user = "", .group = "" },
	{ .path = TEAM_ADMIN_SOCKET_NAME, .mode = 0, .user = "", .group = "" },
};
static struct file_listener_settings *team_unix_listeners[] = {
	&team_unix_listeners_array[0],
	&team_unix_listeners_array[1],
};
static buffer_t team_unix_listeners_buf = {
	{ { team_unix_listeners, sizeof(team_unix_listeners) } }
};

#endif

struct service_settings team_settings_service_settings = {
	.name = "team",
	.protocol = "",
	.type = "",
	/* Dovecot leaves out a service without one: installing this module
	   changes nothing until the admin names it */
	.executable = "",
#ifdef HAVE_SETTINGS_GET
	.user = "$SET:default_internal_user",
	.extra_groups = ARRAY_INIT,
#else
	.user = "$default_internal_user",
	.extra_groups = "",
#endif
	.group = "",
	.privileged_group = "",
	.chroot = "",

	.drop_priv_before_exec = FALSE,

	/* what the journal holds is shipped after a restart without waiting for
	   a client */
	.process_min_avail = 1,
	.process_limit = 1,
	.client_limit = 10000,
	/* it ships what the journal holds without any client, too */
#ifdef HAVE_SETTINGS_GET
	.restart_request_count = SET_UINT_UNLIMITED,
	.idle_kill_interval = SET_TIME_INFINITE,
#else
	.service_count = 0,
	.idle_kill = UINT_MAX,
#endif
	/* it serves all of the node's mail processes */
	.vsz_limit = 1024*1024*1024,

#ifdef HAVE_SETTINGS_GET
	.unix_listeners = ARRAY_INIT,
#else
	.unix_listeners = { { &team_unix_listeners_buf,
			      sizeof(team_unix_listeners[0]) } },
#endif
	.fifo_listeners = ARRAY_INIT,
	.inet_listeners = ARRAY_INIT,
};

void team_settings_init(struct module *module ATTR_UNUSED)
{
}

void team_settings_deinit(void)
{
}
