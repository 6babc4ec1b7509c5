/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the columns of the database back to the record that was journalled. */

#include "export.h"
#include "json.h"
#include "uidset.h"

#include <stdlib.h>
#include <string.h>

/* team.short(): longer names stand in detail */
#define NAME_SHORT_MARK "..."

struct row_context {
	struct team_export *exp;
	team_export_column_t *column;
	void *context;
	char **error_r;
	/* UIDs in IMAP's form, or NULL */
	char *uids;
	/* of detail */
	char *long_name, *record_text, *reason, *invalid;
};

static int row_fail(struct row_context *row, const char *error)
{
	if (*row->error_r == NULL) {
		*row->error_r = strdup(error);
		if (*row->error_r == NULL)
			abort();
	}
	return -1;
}

static char *dup_text(const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		abort();
	return copy;
}

static int set_uids(struct row_context *row, const char *key,
		    const char *multirange)
{
	struct team_uidset set;
	const char *error;
	char *text;
	int ret;

	if (team_uidset_parse_multirange(multirange, &set, &error) < 0)
		return row_fail(row, error);
	text = team_uidset_format(&set);
	team_uidset_free(&set);
	ret = team_export_set(row->exp, key, text, row->error_r);
	if (strcmp(key, "uids") == 0)
		row->uids = text;
	else
		free(text);
	return ret;
}

/* Flags that were changed on all messages alike. */
static int set_private_alike(struct row_context *row, const char *column,
			     const char *prefix)
{
	const char *flags = row->column(column, row->context);
	char key[1024];
	size_t len;

	for (; flags != NULL && *flags != '\0'; flags += len) {
		flags += strspn(flags, " ");
		len = strcspn(flags, " ");
		if (len == 0)
			break;
		if (len > sizeof(key) - 3 || row->uids == NULL)
			return row_fail(row, "private flags without messages");
		memcpy(key, prefix, 2);
		memcpy(key + 2, flags, len);
		key[len + 2] = '\0';
		if (team_export_set(row->exp, key, row->uids,
				    row->error_r) < 0)
			return -1;
	}
	return 0;
}

struct private_change {
	char *flag, *uids;
	bool added;
};

static int private_member(const char *key, enum team_json_type type,
			  const char *value, void *context)
{
	struct private_change *change = context;

	(void)type;
	if (strcmp(key, "flag") == 0 && change->flag == NULL)
		change->flag = dup_text(value);
	else if (strcmp(key, "uids") == 0 && change->uids == NULL)
		change->uids = dup_text(value);
	else if (strcmp(key, "added") == 0)
		change->added = strcmp(value, "true") == 0;
	return 0;
}

static int private_item(const char *key, enum team_json_type type,
			const char *value, void *context)
{
	struct private_change change = { .flag = NULL };
	struct row_context *row = context;
	char *name = NULL;
	int ret = -1;

	(void)key;
	if (type == TEAM_JSON_OBJECT &&
	    team_json_object(value, private_member, &change) == 0 &&
	    change.flag != NULL && change.uids != NULL &&
	    asprintf(&name, "p%c%s", change.added ? '+' : '-',
		     change.flag) >= 0)
		ret = set_uids(row, name, change.uids);
	free(name);
	free(change.flag);
	free(change.uids);
	return ret;
}

static int detail_member(const char *key, enum team_json_type type,
			 const char *value, void *context)
{
	struct row_context *row = context;
	char *name;
	int ret;

	if (type != TEAM_JSON_STRING)
		return row_fail(row, "detail isn't text");
	if (strcmp(key, "colleague") == 0 && row->long_name == NULL)
		row->long_name = dup_text(value);
	else if (strcmp(key, "record") == 0 && row->record_text == NULL)
		row->record_text = dup_text(value);
	else if (strcmp(key, "reason") == 0 && row->reason == NULL)
		row->reason = dup_text(value);
	else if (strcmp(key, "invalid") == 0 && row->invalid == NULL)
		row->invalid = dup_text(value);
	if (asprintf(&name, "d.%s", key) < 0)
		abort();
	ret = team_export_set(row->exp, name, value, row->error_r);
	free(name);
	return ret;
}

/* The colleague's name may be one that was too long for an index. */
static int set_colleague(struct row_context *row)
{
	const char *name = row->column("colleague", row->context);

	if (name == NULL)
		return 0;
	if (row->long_name != NULL && strlen(row->long_name) > 1024 &&
	    strstr(name, NAME_SHORT_MARK) != NULL) {
		if (team_export_set(row->exp, "d.colleague", "",
				    row->error_r) < 0)
			return -1;
		name = row->long_name;
	}
	return team_export_set(row->exp, "colleague", name, row->error_r);
}

/* A record that PostgreSQL didn't take stands in a gap record as text. */
static int set_original(struct row_context *row)
{
	struct team_record *record;
	const char *error;

	if (row->reason == NULL ||
	    (strcmp(row->reason, "refused by PostgreSQL") != 0 &&
	     strcmp(row->reason, "record can't be read") != 0) ||
	    strcmp(team_record_get(row->exp->record, "action"), "gap") != 0)
		return 0;
	row->exp->replaced = dup_text(row->reason);
	if (row->record_text == NULL)
		return 0;
	record = team_record_parse(row->record_text, strlen(row->record_text),
				   &error);
	if (record == NULL)
		return 0;
	team_record_free(&row->exp->record);
	row->exp->record = record;
	free(row->exp->replaced);
	row->exp->replaced = NULL;
	return 0;
}

static int set_columns(struct row_context *row)
{
	static const char *const columns[] = {
		"node", "seq", "at", "action", "outcome", "user", "session",
		"service", "ip", "tls", "client", "mailbox", "uidvalidity",
		"name", "mids", "add", "remove", "from", "fromvalidity",
		"fromname", "salt", "leaf"
	};
	const char *value;
	size_t i;

	for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		value = row->column(columns[i], row->context);
		if (value != NULL && *value != '\0' &&
		    team_export_set(row->exp, columns[i], value,
				    row->error_r) < 0)
			return -1;
	}
	if ((value = row->column("uids", row->context)) != NULL &&
	    *value != '\0' && set_uids(row, "uids", value) < 0)
		return -1;
	if ((value = row->column("fromuids", row->context)) != NULL &&
	    *value != '\0' && set_uids(row, "fromuids", value) < 0)
		return -1;
	if (set_private_alike(row, "private_added", "p+") < 0 ||
	    set_private_alike(row, "private_removed", "p-") < 0)
		return -1;
	if ((value = row->column("private", row->context)) != NULL &&
	    *value != '\0' && team_json_array(value, private_item, row) < 0)
		return row_fail(row, "private isn't valid");
	if ((value = row->column("detail", row->context)) != NULL &&
	    *value != '\0' && team_json_object(value, detail_member, row) < 0)
		return row_fail(row, "detail isn't valid");
	if ((value = row->column("opened", row->context)) != NULL &&
	    *value != '\0' && team_export_set_opened(row->exp, value) < 0)
		return row_fail(row, "opened isn't valid");
	return set_colleague(row);
}

int team_export_from_row(struct team_export *export_r,
			 team_export_column_t *column, void *context,
			 char **error_r)
{
	struct row_context row = {
		.exp = export_r, .column = column, .context = context,
		.error_r = error_r,
	};
	int ret;

	*error_r = NULL;
	memset(export_r, 0, sizeof(*export_r));
	export_r->record = team_record_new();
	ret = set_columns(&row);
	if (ret == 0 && (export_r->node == NULL || export_r->seq == 0 ||
			 team_record_get(export_r->record, "action") == NULL))
		ret = row_fail(&row, "it lacks node, number or action");
	if (ret == 0)
		ret = set_original(&row);
	free(row.uids);
	free(row.long_name);
	free(row.record_text);
	free(row.reason);
	free(row.invalid);
	if (ret < 0 && export_r->seq == 0)
		team_export_clear(export_r);
	return ret;
}
