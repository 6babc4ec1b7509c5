/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply guard on Dovecot's submission service: between the client's last
   byte and the relay's first one. The mail is where Dovecot has put it, in
   memory or in a temporary file, and stays there. */

#include "team-common.h"
#include "submission-common.h"
#include "istream.h"
#include "module-context.h"
#include "str.h"
#include "str-sanitize.h"
#include "mail-user.h"
#include "mail/team-plugin.h"
#include "submission-team-headers.h"
#include "submission-team-plugin.h"

#define SUBMISSION_TEAM_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, submission_team_module)

/* Characters of a Message-ID in the log */
#define MESSAGE_ID_SIZE_MAX 1000

struct submission_team_client {
	union submission_module_context module_ctx;
};


static MODULE_CONTEXT_DEFINE_INIT(submission_team_module,
				  &submission_module_register);

const char *submission_team_plugin_version = DOVECOT_ABI_VERSION;
const char *submission_team_plugin_dependencies[] = { "team", NULL };

static struct module *submission_team_module_obj;
static submission_client_created_func_t *next_hook_client_created;

/* The relay has answered. */
static void
submission_team_replied(struct smtp_server_cmd_ctx *cmd,
			struct team_outgoing *mail)
{
	if (!smtp_server_command_replied_success(cmd->cmd))
		return;
	T_BEGIN {
		team_outgoing_sent(mail);
	} T_END;
}

/* Returns FALSE if the mail was refused. */
static bool
submission_team_check(struct client *client, struct smtp_server_cmd_ctx *cmd,
		      struct istream *data_input)
{
	struct submission_team_headers headers;
	struct team_outgoing *mail;
	const char *text;

	submission_team_headers_read(data_input, &headers);
	mail = team_outgoing_init(client->user, cmd->pool,
		headers.in_reply_to, headers.references,
		headers.message_id == NULL ? NULL :
		str_sanitize(t_str_trim(headers.message_id, " \t\r\n"),
			     MESSAGE_ID_SIZE_MAX));
	if (mail == NULL)
		return TRUE;
	text = team_outgoing_check(mail);
	if (text != NULL) {
		smtp_server_reply(cmd, 550, "5.7.1", "%s", text);
		return FALSE;
	}
	smtp_server_command_add_hook(cmd->cmd, SMTP_SERVER_COMMAND_HOOK_REPLIED,
				     submission_team_replied, mail);
	return TRUE;
}

static int
submission_team_cmd_data(struct client *client, struct smtp_server_cmd_ctx *cmd,
			 struct smtp_server_transaction *trans,
			 struct istream *data_input, uoff_t data_size)
{
	struct submission_team_client *tc =
		SUBMISSION_TEAM_CONTEXT_REQUIRE(client);
	bool ok = TRUE;

	if (team_user_is_active(client->user)) T_BEGIN {
		ok = submission_team_check(client, cmd, data_input);
	} T_END;
	if (!ok)
		return -1;
	i_stream_seek(data_input, 0);
	return tc->module_ctx.super.cmd_data(client, cmd, trans, data_input,
					     data_size);
}

static void submission_team_client_created(struct client **_client)
{
	struct client *client = *_client;
	struct submission_team_client *tc;

	if (mail_user_is_plugin_loaded(client->user,
				       submission_team_module_obj)) {
		tc = p_new(client->pool, struct submission_team_client, 1);
		tc->module_ctx.super = client->v;
		client->v.cmd_data = submission_team_cmd_data;
		MODULE_CONTEXT_SET(client, submission_team_module, tc);
	}
	if (next_hook_client_created != NULL)
		next_hook_client_created(_client);
}

void submission_team_plugin_init(struct module *module)
{
	submission_team_module_obj = module;
	next_hook_client_created =
		submission_client_created_hook_set(
			submission_team_client_created);
}

void submission_team_plugin_deinit(void)
{
	submission_client_created_hook_set(next_hook_client_created);
}
