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
/* Rows that are asked for at once, when there may be many. */
#define QUERY_PAGE_ROWS 5000

enum query_pages {
	QUERY_PAGES_NONE,
	/* the second parameter goes on behind a record's number, the third is
	   the page's size */
	QUERY_PAGES_RECORDS,
	/* the first parameter is a filter whose "after" goes on behind a
	   record, the second the page's size, the third how many rows of that
	   record were seen */
	QUERY_PAGES_SEARCH
};

struct query_statement {
	const char *sql, *params[QUERY_PARAMS_MAX];
	unsigned int params_count;
	enum query_pages pages;
	/* rows in all, 0 = all that there are */
	uint64_t limit;
};

struct client_query {
	struct client *client;
	uint64_t id, rows;
	struct query *query;
	enum query_pages pages;
	uint64_t limit;
	/* of this page */
	unsigned int page_rows, page_size;
	/* where at, seq and node stand, what the last row has there, and how
	   many of the last rows had the same */
	int position_columns[3];
	char *position[3];
	uint64_t position_rows;
	/* QUERY_PAGES_SEARCH: the filter, its closing brace missing */
	char *filter;
	/* until it's over: the record, complete but for how it ended; NULL if
	   it isn't recorded */
	struct team_record *record;
};

static void client_query_free(struct client_query *cquery)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(cquery->position); i++)
		i_free(cquery->position[i]);
	i_free(cquery->filter);
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
	if (cquery->record == NULL) {
		if (callback != NULL)
			callback(NULL, cquery);
		return;
	}
	service_record_set(cquery->record, "outcome",
			   error == NULL ? "ok" : "failed");
	service_record_set(cquery->record, "d.rows",
			   t_strdup_printf("%"PRIu64, cquery->rows));
	if (error != NULL)
		service_record_set(cquery->record, "d.error", error);
	service_record_journal(cquery->client->service, &cquery->record,
			       callback, cquery);
}

static void query_columns(void *context, const char *const *names)
{
	static const char *const position[] = { "at", "seq", "node" };
	struct client_query *cquery = context;
	unsigned int i, j, count = str_array_length(names);
	const char **fields = t_new(const char *, count + 2);

	for (i = 0; i < N_ELEMENTS(position); i++) {
		for (j = 0; j < count; j++) {
			if (strcmp(names[j], position[i]) == 0)
				cquery->position_columns[i] = j;
		}
	}
	fields[0] = "columns";
	memcpy(fields + 1, names, count * sizeof(*names));
	client_send_data(cquery->client, cquery->id, fields);
}

static void query_note_position(struct client_query *cquery,
				const char *const *values)
{
	const char *value;
	unsigned int i;

	if (cquery->pages == QUERY_PAGES_NONE)
		return;
	cquery->position_rows++;
	for (i = 0; i < N_ELEMENTS(cquery->position); i++) {
		value = values[cquery->position_columns[i]];
		if (null_strcmp(cquery->position[i], value) == 0)
			continue;
		i_free(cquery->position[i]);
		cquery->position[i] = i_strdup(value);
		cquery->position_rows = 1;
	}
}

static bool query_row(void *context, const char *const *values)
{
	struct client_query *cquery = context;
	unsigned int count = str_array_length(values);
	const char **fields = t_new(const char *, count + 2);

	/* all records of a message come at once */
	if (cquery->limit != 0 && cquery->rows == cquery->limit)
		return TRUE;
	cquery->page_rows++;
	query_note_position(cquery, values);
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

static unsigned int query_page_size(const struct client_query *cquery)
{
	return cquery->limit == 0 ? QUERY_PAGE_ROWS :
		I_MIN(cquery->limit - cquery->rows, QUERY_PAGE_ROWS);
}

/* The parameter that is the page's size. */
static unsigned int query_size_param(enum query_pages pages)
{
	return pages == QUERY_PAGES_SEARCH ? 1 : 2;
}

static void query_set_param(char **param, const char *value)
{
	i_free(*param);
	*param = i_strdup(value);
}

static bool query_more(void *context, char **params)
{
	struct client_query *cquery = context;
	string_t *after;

	if (cquery->pages == QUERY_PAGES_NONE ||
	    cquery->page_rows < cquery->page_size ||
	    (cquery->limit != 0 && cquery->rows == cquery->limit))
		return FALSE;
	if (cquery->pages == QUERY_PAGES_RECORDS) {
		query_set_param(&params[1], cquery->position[1]);
	} else {
		after = t_str_new(256);
		str_append(after, cquery->filter);
		if (str_len(after) > 1)
			str_append_c(after, ',');
		str_append(after, "\"after\":");
		json_append_string(after, t_strdup_printf("%s|%s|%s",
			cquery->position[0], cquery->position[1],
			cquery->position[2]));
		str_append_c(after, '}');
		query_set_param(&params[0], str_c(after));
		query_set_param(&params[2], t_strdup_printf("%"PRIu64,
			cquery->position_rows));
	}
	cquery->page_rows = 0;
	cquery->page_size = query_page_size(cquery);
	query_set_param(&params[query_size_param(cquery->pages)],
			t_strdup_printf("%u", cquery->page_size));
	return TRUE;
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

/* Statements that take the values of certain keys, in their order. */
static const struct {
	const char *name, *sql, *keys[QUERY_PARAMS_MAX + 1];
} plain_queries[] = {
	{ "audit-show", "SELECT * FROM team.audit_show($1)",
	  { "message_id", NULL } },
	{ "claims", "SELECT * FROM team.claims(NULL)", { NULL } },
	{ "claims", "SELECT * FROM team.claims($1)", { "mailbox", NULL } },
	{ "audit-nodes", "SELECT * FROM team.export_nodes()", { NULL } },
	{ "audit-notes", "SELECT * FROM team.export_notes($1, $2)",
	  { "node", "after", NULL } },
	{ "audit-leaves", "SELECT * FROM team.export_leaves($1, $2)",
	  { "node", "after", NULL } },
	{ "audit-export", "SELECT * FROM team.export_records($1, $2, $3)",
	  { "node", "after", "limit", NULL } },
	{ "flags", "SELECT * FROM team.flags($1, $2)",
	  { "colleague", "mailbox", NULL } },
	{ "flags-mailboxes", "SELECT * FROM team.flags_mailboxes()", { NULL } },
};

static int query_limit(const char *value, struct query_statement *statement,
		       const char **error_r)
{
	if (str_to_uint64(value, &statement->limit) < 0) {
		*error_r = "invalid limit";
		return -1;
	}
	return 0;
}

static int query_statement_init(const struct team_request *req,
				struct query_statement *statement,
				const char **error_r)
{
	const char *limit = QUERY_LIMIT_DEFAULT;
	unsigned int i;

	i_zero(statement);
	if (strcmp(req->name, "audit-search") == 0) {
		statement->sql = "SELECT * FROM team.audit_page($1, $2, $3)";
		statement->params_count = 3;
		statement->params[2] = "0";
		statement->pages = QUERY_PAGES_SEARCH;
		query_filter(req->fields, &statement->params[0], &limit);
		return query_limit(limit, statement, error_r);
	}
	for (i = 0; i < N_ELEMENTS(plain_queries); i++) {
		if (strcmp(req->name, plain_queries[i].name) != 0 ||
		    !query_values(req->fields, plain_queries[i].keys,
				  statement->params))
			continue;
		statement->sql = plain_queries[i].sql;
		statement->params_count =
			str_array_length(plain_queries[i].keys);
		if (strcmp(req->name, "audit-export") != 0)
			return 0;
		statement->pages = QUERY_PAGES_RECORDS;
		return query_limit(statement->params[2], statement, error_r);
	}
	*error_r = "unknown query, or its arguments are wrong";
	return -1;
}

/* What tells nothing about anybody needn't be recorded. */
static bool query_is_recorded(const char *name)
{
	static const char *const others[] = {
		"audit-nodes", "audit-notes", "audit-leaves", NULL
	};

	return !str_array_find(others, name);
}

static const struct query_callbacks query_callbacks = {
	.columns = query_columns,
	.row = query_row,
	.more = query_more,
	.done = query_done,
};

static struct client_query *
client_query_new(struct client *client, struct session *session,
		 const struct team_request *req,
		 const struct query_statement *statement)
{
	struct client_query *cquery = i_new(struct client_query, 1);
	const char *filter = statement->params[0];

	cquery->client = client;
	cquery->id = req->id;
	cquery->pages = statement->pages;
	cquery->limit = statement->limit;
	if (cquery->pages == QUERY_PAGES_SEARCH)
		cquery->filter = i_strndup(filter, strlen(filter) - 1);
	if (query_is_recorded(req->name)) {
		cquery->record = service_record_new(client->service, "query",
						    "ok", session);
		service_record_set(cquery->record, "d.query", t_strconcat(
			req->name, req->fields[0] == NULL ? "" : " ",
			t_strarray_join(req->fields, " "), NULL));
	}
	return cquery;
}

void command_query(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct query_statement statement;
	struct client_query *cquery;
	const char *error;

	if (client->query != NULL) {
		client_send_no(client, req->id, TEAM_CODE_INVALID,
			       "another query is running");
		return;
	}
	if (query_statement_init(req, &statement, &error) < 0) {
		client_send_no(client, req->id, TEAM_CODE_INVALID, error);
		return;
	}
	cquery = client_query_new(client, session, req, &statement);
	if (cquery->pages != QUERY_PAGES_NONE) {
		cquery->page_size = query_page_size(cquery);
		statement.params[query_size_param(cquery->pages)] =
			t_strdup_printf("%u", cquery->page_size);
	}
	client_request_begin(client);
	client->query = cquery;
	cquery->query = query_init(client->service->set->team_database,
				   statement.sql, statement.params,
				   statement.params_count,
				   cquery->pages != QUERY_PAGES_NONE,
				   &query_callbacks, cquery);
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
