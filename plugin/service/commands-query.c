/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QUERY: the auditors' questions, which are recorded like everything else. */

#include "team-common.h"
#include "str.h"
#include "strnum.h"
#include "record.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "journal.h"
#include "client.h"
#include "commands.h"
#include "query.h"
#include "record-json.h"
#include "service.h"
#include "session.h"
#include "state.h"

#define QUERY_LIMIT_DEFAULT "1000"
#define QUERY_PARAMS_MAX 3

struct client_query {
	struct client *client;
	uint64_t id, rows;
	struct query *query;
	/* until it's over: the record, complete but for how it ended */
	struct team_record *record;
};

static void client_query_free(struct client_query *cquery)
{
	team_record_free(&cquery->record);
	client_request_end(cquery->client);
	i_free(cquery);
}

static void query_written(const char *error, void *context)
{
	struct client_query *cquery = context;

	if (error == NULL) {
		client_send_ok(cquery->client, cquery->id,
			       t_strdup_printf("%"PRIu64, cquery->rows));
	} else {
		client_send_no(cquery->client, cquery->id, TEAM_CODE_JOURNAL,
			       error);
	}
	client_query_free(cquery);
}

/* Journals that the query took place. Who breaks it off has seen its rows, so
   that's recorded as well. */
static void query_journal(struct client_query *cquery, const char *error,
			  journal_callback_t *callback)
{
	struct journal *journal = cquery->client->service->journal;
	struct journal_entry entry;

	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_RECORDS;
	entry.at = journal_now(journal);
	entry.count = 1;
	service_record_set(cquery->record, "outcome",
			   error == NULL ? "ok" : "failed");
	service_record_set(cquery->record, "d.rows",
			   t_strdup_printf("%"PRIu64, cquery->rows));
	if (error != NULL)
		service_record_set(cquery->record, "d.error", error);
	entry.records = service_record_finish(&cquery->record);
	(void)journal_stage(journal, &entry, FALSE, callback, cquery);
}

static void query_columns(void *context, const char *const *names)
{
	struct client_query *cquery = context;
	unsigned int count = str_array_length(names);
	const char **fields = t_new(const char *, count + 2);

	fields[0] = "columns";
	memcpy(fields + 1, names, count * sizeof(*names));
	client_send_data(cquery->client, cquery->id, fields);
}

static bool query_row(void *context, const char *const *values)
{
	struct client_query *cquery = context;
	unsigned int count = str_array_length(values);
	const char **fields = t_new(const char *, count + 2);

	fields[0] = "row";
	memcpy(fields + 1, values, count * sizeof(*values));
	client_send_data(cquery->client, cquery->id, fields);
	cquery->rows++;
	return !client_output_is_full(cquery->client);
}

static void query_done(void *context, const char *error, enum pg_action action)
{
	struct client_query *cquery = context;

	cquery->client->query = NULL;
	if (error == NULL) {
		query_journal(cquery, NULL, query_written);
		return;
	}
	query_journal(cquery, error, NULL);
	client_send_pg_error(cquery->client, cquery->id, action, error);
	client_query_free(cquery);
}

static void query_filter(const char *const *fields, const char **filter_r,
			 const char **limit_r)
{
	string_t *json = t_str_new(128);
	const char *p;

	str_append_c(json, '{');
	for (; *fields != NULL; fields++) {
		p = strchr(*fields, '=');
		if (strncmp(*fields, "limit=", 6) == 0) {
			*limit_r = p + 1;
			continue;
		}
		if (str_len(json) > 1)
			str_append_c(json, ',');
		json_append_string(json, t_strdup_until(*fields, p));
		str_append_c(json, ':');
		json_append_string(json, p + 1);
	}
	str_append_c(json, '}');
	*filter_r = str_c(json);
}

/* Takes the values of exactly these keys, in this order. */
static bool query_values(const char *const *fields, const char *const *keys,
			 const char **params_r)
{
	unsigned int i;
	size_t len;

	for (i = 0; keys[i] != NULL; i++) {
		len = strlen(keys[i]);
		if (fields[i] == NULL ||
		    strncmp(fields[i], keys[i], len) != 0 ||
		    fields[i][len] != '=')
			return FALSE;
		params_r[i] = fields[i] + len + 1;
	}
	return fields[i] == NULL;
}

/* Finds the statement and its parameters. Returns their number, or -1 with an
   error. */
static int query_params(const struct team_request *req, const char **sql_r,
			const char *params_r[QUERY_PARAMS_MAX],
			const char **error_r)
{
	static const char *const notes_keys[] = { "node", "after", NULL };
	static const char *const export_keys[] = {
		"node", "after", "limit", NULL
	};
	static const char *const flags_keys[] = {
		"colleague", "mailbox", NULL
	};
	const char *const *fields = req->fields;
	unsigned int limit;

	params_r[1] = QUERY_LIMIT_DEFAULT;
	if (strcmp(req->name, "audit-search") == 0) {
		*sql_r = "SELECT * FROM team.audit_search($1, $2)";
		query_filter(fields, &params_r[0], &params_r[1]);
		if (str_to_uint(params_r[1], &limit) < 0 || limit > INT_MAX) {
			*error_r = "invalid limit";
			return -1;
		}
		return 2;
	}
	if (strcmp(req->name, "audit-show") == 0 && fields[0] != NULL &&
	    strncmp(fields[0], "message_id=", 11) == 0 && fields[1] == NULL) {
		*sql_r = "SELECT * FROM team.audit_show($1)";
		params_r[0] = fields[0] + 11;
		return 1;
	}
	if (strcmp(req->name, "claims") == 0 &&
	    (fields[0] == NULL ||
	     (strncmp(fields[0], "mailbox=", 8) == 0 && fields[1] == NULL))) {
		*sql_r = "SELECT * FROM team.claims($1)";
		params_r[0] = fields[0] == NULL ? NULL : fields[0] + 8;
		return 1;
	}
	if (strcmp(req->name, "audit-nodes") == 0 && fields[0] == NULL) {
		*sql_r = "SELECT * FROM team.export_nodes()";
		return 0;
	}
	if (strcmp(req->name, "audit-notes") == 0 &&
	    query_values(fields, notes_keys, params_r)) {
		*sql_r = "SELECT * FROM team.export_notes($1, $2)";
		return 2;
	}
	if (strcmp(req->name, "audit-export") == 0 &&
	    query_values(fields, export_keys, params_r)) {
		*sql_r = "SELECT * FROM team.export_records($1, $2, $3)";
		return 3;
	}
	if (strcmp(req->name, "audit-leaves") == 0 &&
	    query_values(fields, notes_keys, params_r)) {
		*sql_r = "SELECT * FROM team.export_leaves($1, $2)";
		return 2;
	}
	if (strcmp(req->name, "flags") == 0 &&
	    query_values(fields, flags_keys, params_r)) {
		*sql_r = "SELECT * FROM team.flags($1, $2)";
		return 2;
	}
	if (strcmp(req->name, "flags-mailboxes") == 0 && fields[0] == NULL) {
		*sql_r = "SELECT * FROM team.flags_mailboxes()";
		return 0;
	}
	*error_r = "unknown query, or its arguments are wrong";
	return -1;
}

static const struct query_callbacks query_callbacks = {
	.columns = query_columns,
	.row = query_row,
	.done = query_done,
};

void command_query(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct client_query *cquery;
	const char *sql, *error, *params[QUERY_PARAMS_MAX];
	int count;

	if (client->query != NULL) {
		client_send_no(client, req->id, TEAM_CODE_INVALID,
			       "another query is running");
		return;
	}
	count = query_params(req, &sql, params, &error);
	if (count < 0) {
		client_send_no(client, req->id, TEAM_CODE_INVALID, error);
		return;
	}
	cquery = i_new(struct client_query, 1);
	cquery->client = client;
	cquery->id = req->id;
	cquery->record = service_record_new(client->service, "query", "ok",
					    session);
	service_record_set(cquery->record, "d.query", t_strconcat(req->name,
		req->fields[0] == NULL ? "" : " ",
		t_strarray_join(req->fields, " "), NULL));
	client_request_begin(client);
	client->query = cquery;
	cquery->query = query_init(client->service->set->team_database, sql,
				   params, count, &query_callbacks, cquery);
}

void command_query_abort(struct client *client)
{
	struct client_query *cquery = client->query;

	client->query = NULL;
	query_deinit(&cquery->query);
	query_journal(cquery, "the client broke it off", NULL);
	client_query_free(cquery);
}

void command_query_continue(struct client *client)
{
	query_continue(client->query->query);
}
