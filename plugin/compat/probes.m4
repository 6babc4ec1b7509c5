dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl What differs between Dovecot's versions, found out by compiling, since the
dnl version's number doesn't tell: distributions change functions in updates,
dnl and builds from git call themselves 0.0.0.

dnl TEAM_PROBE(WHAT, DESCRIPTION, INCLUDES, NEW, OLD)
dnl Defines WHAT if NEW compiles. If it doesn't, OLD has to: a probe in which
dnl nothing compiles (a missing header, a wrong include folder, a version that
dnl nobody has seen yet) must not pass for the older version.
AC_DEFUN([TEAM_PROBE], [
  AC_CACHE_CHECK([whether Dovecot has $2], [team_cv_$1], [
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include "lib.h"
$3]], [[$4]])], [team_cv_$1=yes], [
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#include "lib.h"
$3]], [[$5]])], [team_cv_$1=no], [team_cv_$1=unknown])
    ])
  ])
  AS_CASE([$team_cv_$1],
    [yes], [AC_DEFINE([$1], [1], [Dovecot has $2])],
    [unknown], [AC_MSG_ERROR([Dovecot has neither $2 nor what was there before: see config.log])])
])

AC_DEFUN([TEAM_COMPAT_PROBES], [
  team_save_CPPFLAGS=$CPPFLAGS
  team_save_CFLAGS=$CFLAGS
  CPPFLAGS="$CPPFLAGS -DHAVE_CONFIG_H -D_GNU_SOURCE $LIBDOVECOT_INCLUDE"
  CFLAGS="-std=gnu11 -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion"

  TEAM_PROBE([HAVE_SETTINGS_GET], [settings_get()], [
#include "settings-parser.h"
#include "master-service.h"
#include "master-service-settings.h"
], [
	struct setting_parser_info info = { .name = "x", .pool_offset1 = 1 };
	const char *error;
	(void)info;
	return master_service_settings_read_simple(NULL, &error);
], [
	struct setting_parser_info info = { .module_name = "x", .parent_offset = 1 };
	const char *error;
	(void)info;
	return master_service_settings_read_simple(NULL, NULL, &error);
])

  TEAM_PROBE([HAVE_SET_STR_NOVARS], [strings without variables], [
#include "settings-parser.h"
], [enum setting_type type = SET_STR_NOVARS; (void)type;],
   [enum setting_type type = SET_STR_VARS; (void)type;])

  TEAM_PROBE([HAVE_MAIL_INDEX_PRIVATE_PATH], [mail_index_private_path], [
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
], [struct mailbox_list *list = NULL; return list->mail_set->mail_index_private_path != NULL;],
   [struct mailbox_list *list = NULL; return list->set.index_pvt_dir != NULL;])

  TEAM_PROBE([HAVE_SEARCH_NEXT_MATCH_MAIL], [search_next_match_mail()], [
#include "mail-storage-private.h"
], [struct mailbox_vfuncs v = { .search_next_match_mail = NULL }; (void)v;],
   [struct mailbox_vfuncs v = { .search_next_update_seq = NULL }; (void)v;])

  TEAM_PROBE([HAVE_STR_BEGINS_WITH], [str_begins_with()], [],
    [return str_begins_with("ab", "a");],
    [return str_begins("ab", "a");])

  TEAM_PROBE([HAVE_END_CLIENT_TLS_SECURED], [end_client_tls_secured], [
#include "mail-user.h"
], [struct mail_user *user = NULL; return user->conn.end_client_tls_secured;],
   [struct mail_user *user = NULL; return user->conn.ssl_secured;])

  TEAM_PROBE([HAVE_ACL_BACKEND_VFUNCS_POINTER], [functions of ACL backends behind a pointer], [
#include "acl-api-private.h"
], [struct acl_backend *backend = NULL; return backend->v->object_update == NULL;],
   [struct acl_backend *backend = NULL; return backend->v.object_update == NULL;])

  TEAM_PROBE([HAVE_DOVEADM_MAIL_PARSED], [mail commands of doveadm that are initialized without arguments], [
#include "doveadm-mail.h"
], [
	struct doveadm_mail_cmd_context *ctx = NULL;
	ctx->v.init(ctx);
], [
	struct doveadm_mail_cmd_context *ctx = NULL;
	const char *const *args = NULL;
	ctx->v.init(ctx, args);
])

  TEAM_PROBE([HAVE_FIND_NAMESPACE_OF_COMMAND], [client_find_namespace_full() of a command], [
#include "imap-common.h"
#include "imap-commands.h"
], [
	struct client_command_context *cmd = NULL;
	const char *name = "", *error;
	return client_find_namespace_full(cmd, &name, &error) != NULL;
], [
	struct client *client = NULL;
	const char *name = "", *error;
	return client_find_namespace_full(client, &name, &error) != NULL;
])

  TEAM_PROBE([HAVE_IMAP_STATE_RESULT], [enum imap_state_result], [
#include "imap-common.h"
#include "imap-state.h"
], [
	struct client *client = NULL;
	const char *error;
	size_t skip;
	return client->v.state_import(client, TRUE, NULL, 0, &skip, &error) ==
		IMAP_STATE_OK;
], [
	struct client *client = NULL;
	const char *error;
	ssize_t ret = client->v.state_import(client, TRUE, NULL, 0, &error);
	return ret == 0;
])

  CPPFLAGS=$team_save_CPPFLAGS
  CFLAGS=$team_save_CFLAGS
])
