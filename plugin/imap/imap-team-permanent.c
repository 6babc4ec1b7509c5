/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PERMANENTFLAGS where not all keywords are permanent alike. Dovecot lists all
   of them or none. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "imap-util.h"
#include "mail-storage.h"
#include "imap-commands.h"
#include "imap-sync-private.h"
#include "imap-team-plugin.h"

static void
imap_team_send_permanent_line(struct client *client,
			      const struct mailbox_status *status,
			      const ARRAY_TYPE(const_string) *names)
{
	string_t *str = t_str_new(128);

	str_append(str, "* OK [PERMANENTFLAGS (");
	imap_write_flags(str, status->permanent_flags, array_front(names));
	if (status->allow_new_keywords) {
		if (str_data(str)[str_len(str) - 1] != '(')
			str_append_c(str, ' ');
		str_append(str, "\\*");
	}
	str_append(str, ")] Flags permitted.");
	client_send_line(client, str_c(str));
}

void imap_team_send_permanent(struct client *client, bool selected)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);
	struct mailbox_status status;
	ARRAY_TYPE(const_string) names;

	if (client->mailbox == NULL ||
	    !team_mailbox_is_team(client->mailbox) ||
	    (!selected && client->keywords.announce_count == tc->announced))
		return;
	tc->announced = client->keywords.announce_count;
	t_array_init(&names, 8);
	if (team_mailbox_permanent_keywords(client->mailbox, &status, &names)) {
		array_append_zero(&names);
		imap_team_send_permanent_line(client, &status, &names);
	}
}

static int imap_team_sync_notify_more(struct imap_sync_context *ctx)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(ctx->client);

	if (tc->active) T_BEGIN {
		imap_team_send_permanent(ctx->client, FALSE);
	} T_END;
	return tc->module_ctx.super.sync_notify_more(ctx);
}

void imap_team_permanent_hooks(struct client *client)
{
	client->v.sync_notify_more = imap_team_sync_notify_more;
}
