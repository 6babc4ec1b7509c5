/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an IMAP client is told: refused messages with their true flags and a
   NO, and never a tagged answer before what was done stands in the journal. */

#include "team-common.h"
#include "compat-imap.h"
#include "array.h"
#include "str.h"
#include "imap-arg.h"
#include "imap-commands.h"
#include "imap-util.h"
#include "mail-storage.h"
#include "mail-storage-private.h"
#include "mail/team-plugin.h"
#include "imap-team-plugin.h"

/* A client's name and version in the log */
#define CLIENT_NAME_MAX 200

struct imap_team_module imap_team_module =
	MODULE_CONTEXT_INIT(&imap_module_register);

const char *imap_team_plugin_version = DOVECOT_ABI_VERSION;
const char *imap_team_plugin_dependencies[] = { "team", NULL };

static struct module *imap_team_module_obj;
static imap_client_created_func_t *next_hook_client_created;
static command_func_t *next_cmd_id, *next_cmd_select, *next_cmd_examine;

/*
 * The truth about messages that were left as they were
 */

static void
imap_team_send_flags(struct client *client, struct mail *mail)
{
	ARRAY_TYPE(keywords) names;
	const char *const *keywords;
	string_t *str = t_str_new(128);

	t_array_init(&names, 16);
	keywords = client_get_keyword_names(client, &names,
					    mail_get_keyword_indexes(mail));
	str_printfa(str, "* %u FETCH (UID %u FLAGS (", mail->seq, mail->uid);
	imap_write_flags(str, mail_get_flags(mail), keywords);
	str_append(str, "))");
	client_send_line(client, str_c(str));
}

static void
imap_team_send_truth(struct client *client,
		     const ARRAY_TYPE(team_refusal) *refusals)
{
	struct mailbox *box = client->mailbox;
	struct mailbox_transaction_context *trans;
	const struct team_refusal *refusal;
	struct mailbox_status status;
	struct mail *mail;
	const char *guid = box == NULL ? NULL : team_mailbox_guid(box);
	uint32_t uid;

	if (box == NULL)
		return;
	mailbox_get_open_status(box, STATUS_UIDVALIDITY, &status);
	trans = mailbox_transaction_begin(box, 0, "team");
	mail = mail_alloc(trans, MAIL_FETCH_FLAGS, NULL);
	array_foreach(refusals, refusal) {
		uid = guid == NULL ? refusal->virtual_uid :
			refusal->uidvalidity == status.uidvalidity &&
			strcmp(refusal->guid, guid) == 0 ? refusal->uid : 0;
		if (uid != 0 && mail_set_uid(mail, uid) &&
		    !mail->expunged) T_BEGIN {
			imap_team_send_flags(client, mail);
		} T_END;
	}
	mail_free(&mail);
	mailbox_transaction_rollback(&trans);
}

static const char *
imap_team_refusal_reply(const char *cmd_name, const char *data,
			const ARRAY_TYPE(team_refusal) *refusals)
{
	const struct team_refusal *refusal;
	const char *text = team_refusals_text(refusals);
	const char *code = "UNAVAILABLE";

	if (text == NULL || !str_begins_with(data, "OK"))
		return data;
	if (strcmp(cmd_name, "CLOSE") == 0) {
		/* the mailbox is closed whatever we say */
		return t_strdup_printf("OK Closed, but some messages stay: %s.",
				       text);
	}
	array_foreach(refusals, refusal) {
		if (!refusal->correction && refusal->holder != NULL)
			code = "INUSE";
	}
	return t_strdup_printf("NO [%s] %s.", code, text);
}

/*
 * Commands
 */

/* The record goes out while the mailbox is still being looked at, so that it
   needn't be waited for in the end. */
static bool
imap_team_select(struct client_command_context *cmd, command_func_t *next)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT(cmd->client);
	const struct imap_arg *args;
	const char *name, *error;
	bool ret;

	if (tc == NULL || !tc->active)
		return next(cmd);
	if (!client_read_args(cmd, 0, 0, &args))
		return FALSE;
	if (imap_arg_get_astring(args, &name) &&
	    compat_find_namespace(cmd, &name, &error) != NULL)
		team_user_selects(cmd->client->user, name);
	ret = next(cmd);
	team_user_selects(cmd->client->user, NULL);
	return ret;
}

static bool cmd_select_team(struct client_command_context *cmd)
{
	return imap_team_select(cmd, next_cmd_select);
}

static bool cmd_examine_team(struct client_command_context *cmd)
{
	return imap_team_select(cmd, next_cmd_examine);
}

/* Before a tagged answer: in IDLE clients lose it. */
static void imap_team_send_alerts(struct client *client)
{
	const char *const *alerts = team_user_take_alerts(client->user);

	for (; alerts != NULL && *alerts != NULL; alerts++) {
		client_send_line(client, t_strconcat("* OK [ALERT] ", *alerts,
						     NULL));
	}
}

static bool imap_team_selects(const char *cmd_name)
{
	return strcmp(cmd_name, "SELECT") == 0 ||
		strcmp(cmd_name, "EXAMINE") == 0;
}

static void
imap_team_send_tagline(struct client_command_context *cmd, const char *data)
{
	struct client *client = cmd->client;
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);
	ARRAY_TYPE(team_refusal) refusals;
	const char *name = cmd->name == NULL ? "" : cmd->name;
	bool recorded;

	if (!tc->active) {
		tc->module_ctx.super.send_tagline(cmd, data);
		return;
	}
	t_array_init(&refusals, 8);
	recorded = imap_team_outcome_take(cmd, &refusals);
	if (array_count(&refusals) > 0) {
		imap_team_send_truth(client, &refusals);
		data = imap_team_refusal_reply(name, data, &refusals);
	} else if (!recorded) T_BEGIN {
		imap_team_command_failed(cmd, data);
		tc->failures = team_user_failures(client->user);
	} T_END;
	T_BEGIN {
		imap_team_send_permanent(client, imap_team_selects(name) &&
					 str_begins_with(data, "OK"));
	} T_END;
	imap_team_send_alerts(client);
	if (imap_team_selects(name))
		team_user_selected(client->user, client->mailbox);
	(void)team_user_flush(client->user);
	tc->module_ctx.super.send_tagline(cmd, data);
}

static const char *imap_team_client_name(const struct imap_arg *args)
{
	const struct imap_arg *list;
	const char *key, *value, *name = NULL, *version = NULL;

	if (!imap_arg_get_list(args, &list))
		return NULL;
	for (; !IMAP_ARG_IS_EOL(list) && !IMAP_ARG_IS_EOL(&list[1]); list += 2) {
		if (!imap_arg_get_astring(&list[0], &key) ||
		    !imap_arg_get_astring(&list[1], &value))
			continue;
		if (strcasecmp(key, "name") == 0)
			name = value;
		else if (strcasecmp(key, "version") == 0)
			version = value;
	}
	if (name == NULL)
		return NULL;
	return t_strndup(version == NULL ? name :
			 t_strconcat(name, " ", version, NULL),
			 CLIENT_NAME_MAX);
}

void imap_team_client_set_name(struct client *client, const char *name)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);

	tc->name = p_strdup(client->pool, name);
	team_user_set_client_name(client->user, name);
}

static bool cmd_id_team(struct client_command_context *cmd)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT(cmd->client);
	const struct imap_arg *args;
	const char *name;

	if (tc != NULL && tc->active) {
		if (!client_read_args(cmd, 0, 0, &args))
			return FALSE;
		name = imap_team_client_name(args);
		if (name != NULL)
			imap_team_client_set_name(cmd->client, name);
	}
	return next_cmd_id(cmd);
}

static void imap_team_client_destroy(struct client *client, const char *reason)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);

	if (tc->active && !client->hibernated)
		team_user_event(client->user, "logout", "ok");
	imap_team_outcomes_deinit(tc);
	if (tc->active)
		team_user_leaves(client->user);
	tc->module_ctx.super.destroy(client, reason);
}

/* Namespaces are known only now. */
static void imap_team_client_init(struct client *client)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(client);

	tc->module_ctx.super.init(client);
	if (!team_user_is_active(client->user))
		return;
	tc->active = TRUE;
	team_user_defer_refusals(client->user);
	if (!client->user->session_restored)
		team_user_event(client->user, "login", "ok");
}

static void imap_team_client_created(struct client **_client)
{
	struct client *client = *_client;
	struct imap_team_client *tc;

	if (mail_user_is_plugin_loaded(client->user, imap_team_module_obj)) {
		tc = p_new(client->pool, struct imap_team_client, 1);
		imap_team_outcomes_init(tc);
		tc->module_ctx.super = client->v;
		client->v.init = imap_team_client_init;
		client->v.destroy = imap_team_client_destroy;
		client->v.send_tagline = imap_team_send_tagline;
		imap_team_permanent_hooks(client);
		imap_team_hibernate_hooks(client);
		MODULE_CONTEXT_SET(client, imap_team_module, tc);
	}
	if (next_hook_client_created != NULL)
		next_hook_client_created(_client);
}

static void
imap_team_wrap(const char *name, command_func_t *func, command_func_t **next_r)
{
	const struct command *cmd = command_find(name);
	enum command_flags flags = cmd->flags;

	*next_r = cmd->func;
	command_unregister(name);
	command_register(name, func, flags);
}

void imap_team_plugin_init(struct module *module)
{
	imap_team_module_obj = module;
	next_hook_client_created =
		imap_client_created_hook_set(imap_team_client_created);

	imap_team_outcome_hooks_add();
	imap_team_wrap("ID", cmd_id_team, &next_cmd_id);
	imap_team_wrap("SELECT", cmd_select_team, &next_cmd_select);
	imap_team_wrap("EXAMINE", cmd_examine_team, &next_cmd_examine);
}

void imap_team_plugin_deinit(void)
{
	imap_client_created_hook_set(next_hook_client_created);
	imap_team_outcome_hooks_remove();
	command_unregister("ID");
	command_unregister("SELECT");
	command_unregister("EXAMINE");
}
