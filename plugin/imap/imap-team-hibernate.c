/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session that imap-hibernate keeps is the same one when it is woken. */

#include "team-common.h"
#include "compat-imap.h"
#include "buffer.h"
#include "mail/team-plugin.h"
#include "imap-team-plugin.h"

/* What begins our part of the state */
#define STATE_NAME "team-client="

static int
imap_team_state_export(struct client *client, bool internal, buffer_t *dest,
		       const char **error_r)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);

	if (internal && tc->active &&
	    team_user_claims_until_logout(client->user)) {
		/* if its client went away then, nobody would notice */
		*error_r = "Claims last until the session ends";
		return 0;
	}
	/* Dovecot's own part goes to the end */
	if (tc->active && tc->name != NULL) {
		buffer_append(dest, STATE_NAME, strlen(STATE_NAME));
		buffer_append(dest, tc->name, strlen(tc->name) + 1);
	}
	return tc->module_ctx.super.state_export(client, internal, dest,
						 error_r);
}

static ssize_t
imap_team_state_take(struct client *client, const unsigned char *data,
		     size_t size, const char **error_r)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);
	size_t start = strlen(STATE_NAME);
	const unsigned char *end;

	if (size < start || memcmp(data, STATE_NAME, start) != 0)
		return 0;
	end = memchr(data + start, '\0', size - start);
	if (end == NULL) {
		*error_r = "team: The client's name has no end";
		return -1;
	}
	if (tc->active)
		imap_team_client_set_name(client, (const char *)data + start);
	return end + 1 - data;
}

static struct imap_client_vfuncs *imap_team_super(struct client *client)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);

	return &tc->module_ctx.super;
}

COMPAT_STATE_IMPORT(imap_team_state_import, imap_team_state_take,
		    imap_team_super)

void imap_team_hibernate_hooks(struct client *client)
{
	client->v.state_export = imap_team_state_export;
	client->v.state_import = imap_team_state_import;
}
