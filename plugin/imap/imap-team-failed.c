/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that were answered with NO before they came to the mail plugin: the
   mailbox can't be opened, there is no right for it, ... */

#include "team-common.h"
#include "imap-common.h"
#include "array.h"
#include "str.h"
#include "imap-commands.h"
#include "imap-utf7.h"
#include "mail-namespace.h"
#include "mail-storage.h"
#include "mail/team-plugin.h"
#include "imap-team-plugin.h"

#include <ctype.h>

/* An error's text in the log */
#define ERROR_TEXT_MAX 500

enum failed_about {
	/* the command names the mailbox first */
	ABOUT_NAMED,
	/* messages of the selected mailbox, which the command names first */
	ABOUT_SELECTED,
	/* these, and the mailbox where they go next */
	ABOUT_BOTH,
	/* all messages of the selected mailbox that are marked */
	ABOUT_MARKED
};

static const struct failed_command {
	const char *name, *action;
	enum failed_about about;
} failed_commands[] = {
	{ "SELECT", "open", ABOUT_NAMED },
	{ "EXAMINE", "open", ABOUT_NAMED },
	{ "CREATE", "create", ABOUT_NAMED },
	{ "DELETE", "delete", ABOUT_NAMED },
	{ "RENAME", "rename", ABOUT_NAMED },
	{ "APPEND", "append", ABOUT_NAMED },
	{ "SETACL", "acl", ABOUT_NAMED },
	{ "DELETEACL", "acl", ABOUT_NAMED },
	{ "FETCH", "fetch", ABOUT_SELECTED },
	{ "STORE", "flag", ABOUT_SELECTED },
	{ "UID EXPUNGE", "expunge", ABOUT_SELECTED },
	{ "EXPUNGE", "expunge", ABOUT_MARKED },
	{ "CLOSE", "expunge", ABOUT_MARKED },
	{ "COPY", "copy", ABOUT_BOTH },
	{ "MOVE", "move", ABOUT_BOTH },
};

static const struct failed_command *failed_command_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(failed_commands); i++) {
		if (strcmp(failed_commands[i].name, name) == 0)
			return &failed_commands[i];
	}
	return str_begins_with(name, "UID ") ?
		failed_command_find(name + 4) : NULL;
}

/* Takes the next argument, an astring, off the command's arguments. Returns
   NULL if it isn't there. */
static const char *next_arg(const char **args)
{
	const char *p = *args;
	string_t *arg = t_str_new(64);
	size_t size = 0;

	while (*p == ' ')
		p++;
	if (*p == '"') {
		for (p++; *p != '"' && *p != '\0'; p++) {
			if (*p == '\\' && p[1] != '\0')
				p++;
			str_append_c(arg, *p);
		}
		*args = *p == '"' ? p + 1 : p;
		return str_c(arg);
	}
	if (*p == '{') {
		for (p++; i_isdigit(*p) && size < 10000; p++)
			size = size * 10 + (*p - '0');
		p = strchr(p, '\n');
		if (p == NULL)
			return NULL;
		p++;
		size = I_MIN(size, strlen(p));
		*args = p + size;
		return t_strndup(p, size);
	}
	size = strcspn(p, " \r\n");
	*args = p + size;
	return size == 0 ? NULL : t_strndup(p, size);
}

static const char *arg_to_vname(const char *arg)
{
	string_t *name = t_str_new(64);

	if (arg == NULL)
		return NULL;
	/* a client may have enabled UTF-8 */
	return imap_utf7_to_utf8(arg, name) < 0 ? arg : str_c(name);
}

static void fields_add(ARRAY_TYPE(const_string) *fields, const char *key,
		       const char *value)
{
	const char *field;

	if (value == NULL || *value == '\0')
		return;
	field = t_strconcat(key, "=", value, NULL);
	array_push_back(fields, &field);
}

/* Returns FALSE if no mailbox of the team is concerned. */
static bool
failed_add_mailboxes(struct client *client, enum failed_about about,
		     const char *args, ARRAY_TYPE(const_string) *fields)
{
	struct mailbox *box = client->mailbox;
	bool selected = box != NULL && team_mailbox_guid(box) != NULL;
	const char *vname = NULL;

	if (about == ABOUT_SELECTED || about == ABOUT_BOTH)
		fields_add(fields, "d.messages", next_arg(&args));
	if (about == ABOUT_NAMED || about == ABOUT_BOTH)
		vname = arg_to_vname(next_arg(&args));
	if (about == ABOUT_NAMED)
		selected = FALSE;
	if (!selected && (vname == NULL ||
			  !team_user_is_team_name(client->user, vname)))
		return FALSE;
	if (vname != NULL)
		fields_add(fields, "name", vname);
	if (selected)
		team_mailbox_add_fields(box, about == ABOUT_BOTH, fields);
	return TRUE;
}

void imap_team_command_failed(struct client_command_context *cmd,
			      const char *data)
{
	const struct failed_command *command;
	ARRAY_TYPE(const_string) fields;

	/* what can't be recorded isn't done, and the reason stands in the log
	   when it's over */
	if (!str_begins_with(data, "NO") ||
	    str_begins_with(data, "NO [UNAVAILABLE]"))
		return;
	command = failed_command_find(cmd->name == NULL ? "" : cmd->name);
	if (command == NULL)
		return;
	t_array_init(&fields, 16);
	fields_add(&fields, "action", command->action);
	fields_add(&fields, "outcome",
		   str_begins_with(data, "NO [NOPERM]") ? "refused" : "failed");
	if (!failed_add_mailboxes(cmd->client, command->about,
				  cmd->args == NULL ? "" : cmd->args, &fields))
		return;
	fields_add(&fields, "d.command", cmd->name);
	fields_add(&fields, "d.error",
		   t_strndup(data + 2 + (data[2] == ' ' ? 1 : 0),
			     ERROR_TEXT_MAX));
	team_user_record_failed(cmd->client->user, &fields);
}
