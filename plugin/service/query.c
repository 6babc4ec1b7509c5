/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connecting for one query, and passing its rows on. */

#include "team-common.h"
#include "ioloop.h"
#include "pg-conn.h"
#include "query.h"

#include <fcntl.h>
#include <unistd.h>

/* How long nothing may happen. */
#define QUERY_TIMEOUT_MSECS 60000
#define QUERY_SET_SQL "SET statement_timeout = 55000"

enum query_state {
	QUERY_STATE_CONNECTING,
	/* SET was sent */
	QUERY_STATE_SETUP,
	QUERY_STATE_ROWS
};

struct query {
	PGconn *pg;
	enum query_state state;
	/* a duplicate of libpq's, which closes its own at will */
	int fd;
	struct io *io;
	struct timeout *to;

	char *sql, **params;
	unsigned int params_count;
	bool columns_sent, paused;
	/* take the whole answer before its rows are passed on */
	bool whole;
	PGresult *result;
	int next_row;

	struct query_callbacks callbacks;
	void *context;
};

static void query_connect_poll(struct query *query);
static void query_input(struct query *query);

static void query_unwatch(struct query *query)
{
	io_remove(&query->io);
	i_close_fd(&query->fd);
}

static int query_watch(struct query *query, enum io_condition condition,
		       void (*callback)(struct query *))
{
	query_unwatch(query);
	query->fd = fcntl(PQsocket(query->pg), F_DUPFD_CLOEXEC, 0);
	if (query->fd < 0)
		return -1;
	query->io = io_add(query->fd, condition, *callback, query);
	return 0;
}

static void query_free(struct query *query)
{
	unsigned int i;

	query_unwatch(query);
	timeout_remove(&query->to);
	PQclear(query->result);
	if (query->pg != NULL)
		PQfinish(query->pg);
	for (i = 0; i < query->params_count; i++)
		i_free(query->params[i]);
	i_free(query->params);
	i_free(query->sql);
	i_free(query);
}

static void query_done(struct query *query, const char *error,
		       const char *sqlstate)
{
	error = t_strdup(error);
	query->callbacks.done(query->context, error,
			      pg_error_action(sqlstate));
	query_free(query);
}

static void query_failed(struct query *query)
{
	query_done(query, pg_error_text(PQerrorMessage(query->pg)), NULL);
}

static void query_timeout(struct query *query)
{
	query_done(query, "no answer within a minute", NULL);
}

static void query_connected(struct query *query)
{
	query->state = QUERY_STATE_SETUP;
	if (query_watch(query, IO_READ, query_input) < 0 ||
	    PQsendQuery(query->pg, QUERY_SET_SQL) == 0)
		query_failed(query);
}

static void query_connect_poll(struct query *query)
{
	enum io_condition condition = IO_READ;

	query_unwatch(query);
	switch (PQconnectPoll(query->pg)) {
	case PGRES_POLLING_OK:
		query_connected(query);
		return;
	case PGRES_POLLING_READING:
		break;
	case PGRES_POLLING_WRITING:
		condition = IO_WRITE;
		break;
	default:
		query_failed(query);
		return;
	}
	if (query_watch(query, condition,
			query_connect_poll) < 0)
		query_failed(query);
}

static int query_send(struct query *query)
{
	query->state = QUERY_STATE_ROWS;
	return PQsendQueryParams(query->pg, query->sql, query->params_count,
				 NULL, (const char *const *)query->params,
				 NULL, NULL, 0) == 0 ||
		(!query->whole && PQsetSingleRowMode(query->pg) == 0) ? -1 : 0;
}

static void query_columns(struct query *query, const PGresult *result)
{
	int i, count = PQnfields(result);
	const char **names;

	if (query->columns_sent)
		return;
	query->columns_sent = TRUE;
	names = t_new(const char *, count + 1);
	for (i = 0; i < count; i++)
		names[i] = PQfname(result, i);
	query->callbacks.columns(query->context, names);
}

static void query_row(struct query *query)
{
	int i, count = PQnfields(query->result);
	const char **values = t_new(const char *, count + 1);

	for (i = 0; i < count; i++)
		values[i] = PQgetvalue(query->result, query->next_row, i);
	query->next_row++;
	if (!query->callbacks.row(query->context, values))
		query->paused = TRUE;
}

static void query_rows(struct query *query)
{
	while (!query->paused && query->next_row < PQntuples(query->result)) {
		T_BEGIN {
			query_row(query);
		} T_END;
	}
	if (!query->paused) {
		PQclear(query->result);
		query->result = NULL;
	}
}

/* Returns FALSE if the query is over. Keeps the result if it has rows. */
static bool query_result(struct query *query, PGresult *result)
{
	const char *error, *sqlstate;

	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
		PQclear(result);
		return TRUE;
	case PGRES_SINGLE_TUPLE:
	case PGRES_TUPLES_OK:
		query_columns(query, result);
		query->result = result;
		query->next_row = 0;
		return TRUE;
	default:
		error = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		query_done(query, error != NULL ? error :
			   pg_error_text(PQresultErrorMessage(result)),
			   sqlstate);
		PQclear(result);
		return FALSE;
	}
}

static void query_results(struct query *query)
{
	PGresult *result;
	bool more;

	for (;;) {
		if (query->result != NULL)
			query_rows(query);
		if (query->paused || PQisBusy(query->pg) != 0)
			break;
		result = PQgetResult(query->pg);
		if (result == NULL && query->state == QUERY_STATE_SETUP) {
			if (query_send(query) < 0) {
				query_failed(query);
				return;
			}
			continue;
		}
		if (result == NULL && query->callbacks.more != NULL &&
		    query->callbacks.more(query->context, query->params)) {
			if (query_send(query) < 0) {
				query_failed(query);
				return;
			}
			continue;
		}
		if (result == NULL) {
			query_done(query, NULL, NULL);
			return;
		}
		T_BEGIN {
			more = query_result(query, result);
		} T_END;
		if (!more)
			return;
	}
	if (query->paused) {
		io_remove(&query->io);
		timeout_remove(&query->to);
	}
}

static void query_input(struct query *query)
{
	if (query->to != NULL)
		timeout_reset(query->to);
	if (PQconsumeInput(query->pg) == 0) {
		query_failed(query);
		return;
	}
	query_results(query);
}

void query_continue(struct query *query)
{
	if (!query->paused)
		return;
	query->paused = FALSE;
	query->to = timeout_add(QUERY_TIMEOUT_MSECS, query_timeout, query);
	if (query->io == NULL &&
	    query_watch(query, IO_READ, query_input) < 0) {
		query_failed(query);
		return;
	}
	/* libpq may have rows already */
	io_set_pending(query->io);
}

struct query *query_init(const char *conninfo, const char *sql,
			 const char *const *params, unsigned int params_count,
			 bool whole, const struct query_callbacks *callbacks,
			 void *context)
{
	struct query *query = i_new(struct query, 1);
	unsigned int i;

	query->fd = -1;
	query->sql = i_strdup(sql);
	query->params = i_new(char *, params_count + 1);
	query->params_count = params_count;
	for (i = 0; i < params_count; i++)
		query->params[i] = i_strdup(params[i]);
	query->whole = whole;
	query->callbacks = *callbacks;
	query->context = context;
	query->pg = pg_connect_start(conninfo, "team-audit");
	query->to = timeout_add(QUERY_TIMEOUT_MSECS, query_timeout, query);
	if (PQstatus(query->pg) == CONNECTION_BAD ||
	    query_watch(query, IO_WRITE,
			query_connect_poll) < 0) {
		/* not from here: the caller doesn't expect it yet */
		timeout_remove(&query->to);
		query->to = timeout_add_short(0, query_failed, query);
	}
	return query;
}

void query_deinit(struct query **_query)
{
	struct query *query = *_query;

	*_query = NULL;
	query_free(query);
}
