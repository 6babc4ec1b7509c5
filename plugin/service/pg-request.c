/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending requests, taking answers and notifications. */

#include "team-common.h"
#include "ioloop.h"
#include "llist.h"
#include "strnum.h"
#include "pg-conn-private.h"

/* how long requests wait for a connection that is being made */
#define PG_WAITING_MSECS 2000

/* ---- requests' ends ---- */

static void pg_request_free(struct pg_request *req)
{
	if (req->result != NULL)
		PQclear(req->result);
	i_free(req->error);
	pool_unref(&req->pool);
}

static void pg_request_finish(struct pg_conn *conn, struct pg_request *req)
{
	struct pg_answer answer;

	conn->requests_count--;
	i_zero(&answer);
	if (req->error == NULL && req->result != NULL)
		answer.result = req->result;
	else {
		answer.error = req->error != NULL ? req->error :
			"no result came";
		answer.action = req->action;
		answer.unknown = req->unknown;
	}
	T_BEGIN {
		req->callback(&answer, req->context);
	} T_END;
	pg_request_free(req);
}

static void pg_request_fail(struct pg_conn *conn, struct pg_request *req,
			    const char *error, bool sent)
{
	/* unless the server said no before the connection went */
	req->unknown = sent && req->error == NULL;
	i_free(req->error);
	req->error = i_strdup(error);
	req->action = PG_ACTION_RECONNECT;
	pg_request_finish(conn, req);
}

void pg_requests_fail(struct pg_conn *conn, struct pg_request **head,
		      struct pg_request **tail, const char *error, bool sent)
{
	struct pg_request *req = *head, *next;

	*head = *tail = NULL;
	for (; req != NULL; req = next) {
		next = req->next;
		req->prev = req->next = NULL;
		pg_request_fail(conn, req, error, sent);
	}
}

void pg_conn_fail_waiting(struct pg_conn *conn)
{
	const char *error = t_strdup(conn->last_error != NULL ?
		conn->last_error : "PostgreSQL takes too long to answer");

	timeout_remove(&conn->to_waiting);
	timeout_remove(&conn->to_fail);
	pg_requests_fail(conn, &conn->waiting, &conn->waiting_tail, error,
			 FALSE);
}

/* ---- sending ---- */

static void pg_conn_request_timeout(struct pg_conn *conn)
{
	timeout_remove(&conn->to_request);
	pg_conn_failed(conn, t_strdup_printf("no answer within %u seconds",
					     conn->timeout_msecs / 1000));
}

static void pg_conn_update_timeout(struct pg_conn *conn)
{
	timeout_remove(&conn->to_request);
	if (conn->sent != NULL && conn->pg != NULL) {
		conn->to_request = timeout_add(conn->timeout_msecs,
					       pg_conn_request_timeout, conn);
	}
}

void pg_conn_send(struct pg_conn *conn, struct pg_request *req)
{
	int *formats = NULL;
	unsigned int i;
	bool ok;

	if (req->sizes != NULL) {
		formats = t_new(int, req->params_count);
		for (i = 0; i < req->params_count; i++)
			formats[i] = 1;
	}
	ok = PQsendQueryPrepared(conn->pg, req->statement, req->params_count,
				 req->params, req->sizes, formats, 0) != 0 &&
		PQpipelineSync(conn->pg) != 0;
	DLLIST2_APPEND(&conn->sent, &conn->sent_tail, req);
	if (conn->to_request == NULL)
		pg_conn_update_timeout(conn);
	if (ok)
		pg_conn_output(conn);
	else {
		/* fails from the ioloop: the caller doesn't expect it yet */
		conn->send_failed = TRUE;
		io_set_pending(conn->io_read);
	}
}

static struct pg_request *
pg_request_new(struct pg_conn *conn, const char *statement,
	       unsigned int params_count, pg_callback_t *callback,
	       void *context)
{
	struct pg_request *req;
	pool_t pool;

	pool = pool_alloconly_create("pg request", 512);
	req = p_new(pool, struct pg_request, 1);
	req->pool = pool;
	req->callback = callback;
	req->context = context;
	req->statement = statement;
	req->params_count = params_count;
	req->params = p_new(pool, const char *, params_count + 1);
	conn->requests_count++;
	return req;
}

void pg_conn_request_binary(struct pg_conn *conn, const char *statement,
			    const char *const *params, const int *sizes,
			    unsigned int params_count,
			    pg_callback_t *callback, void *context)
{
	struct pg_request *req;

	i_assert(conn->state == PG_STATE_READY);
	req = pg_request_new(conn, statement, params_count, callback, context);
	memcpy(req->params, params, sizeof(*params) * params_count);
	req->sizes = sizes;
	pg_conn_send(conn, req);
	req->params = NULL;
	req->sizes = NULL;
}

void pg_conn_request(struct pg_conn *conn, const char *statement,
		     const char *const *params, unsigned int params_count,
		     pg_callback_t *callback, void *context)
{
	struct pg_request *req;
	unsigned int i;

	req = pg_request_new(conn, statement, params_count, callback, context);
	if (conn->state == PG_STATE_READY) {
		for (i = 0; i < params_count; i++)
			req->params[i] = params[i];
		pg_conn_send(conn, req);
		req->params = NULL;
		return;
	}
	for (i = 0; i < params_count; i++)
		req->params[i] = p_strdup(req->pool, params[i]);
	DLLIST2_APPEND(&conn->waiting, &conn->waiting_tail, req);
	if (conn->hopeless) {
		if (conn->to_fail == NULL) {
			conn->to_fail = timeout_add_short(0,
				pg_conn_fail_waiting, conn);
		}
	} else if (conn->to_waiting == NULL) {
		conn->to_waiting = timeout_add(PG_WAITING_MSECS,
					       pg_conn_fail_waiting, conn);
	}
}

/* ---- answers ---- */

static void pg_request_result(struct pg_request *req, PGresult *result,
			      const char *sqlstate)
{
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		if (req->result != NULL)
			PQclear(req->result);
		req->result = result;
		return;
	default:
		break;
	}
	i_free(req->error);
	req->error = i_strdup(pg_error_text(PQresultErrorMessage(result)));
	req->action = pg_error_action(sqlstate);
	PQclear(result);
}

/* libpq itself made the error: the connection is gone, or there was no memory
   for what came. Its answers may not fit the requests any more. */
static bool pg_result_is_broken(const PGresult *result, const char **sqlstate_r)
{
	*sqlstate_r = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	return PQresultStatus(result) == PGRES_FATAL_ERROR &&
		*sqlstate_r == NULL;
}

/* Takes one result. Returns FALSE if the connection is gone. */
static bool pg_conn_result(struct pg_conn *conn, PGresult *result)
{
	struct pg_request *req = conn->sent;
	enum pg_action action;
	const char *error, *sqlstate;
	bool misfit;
	int ret;

	if (conn->state == PG_STATE_SETUP) {
		ret = pg_conn_setup_result(conn, result, &error, &misfit);
		if (ret < 0 && misfit)
			pg_conn_failed_schema(conn, error);
		else if (ret < 0)
			pg_conn_failed(conn, error);
		else if (ret > 0)
			pg_conn_ready(conn);
		PQclear(result);
		return ret >= 0 && conn->pg != NULL;
	}
	if (req == NULL) {
		PQclear(result);
		return TRUE;
	}
	if (pg_result_is_broken(result, &sqlstate)) {
		error = pg_error_text(PQresultErrorMessage(result));
		PQclear(result);
		pg_conn_failed(conn, *error != '\0' ? error :
			       "libpq lost a result");
		return FALSE;
	}
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		pg_request_result(req, result, sqlstate);
		return TRUE;
	}
	PQclear(result);
	DLLIST2_REMOVE(&conn->sent, &conn->sent_tail, req);
	pg_conn_update_timeout(conn);
	action = req->error == NULL ? PG_ACTION_GIVE_UP : req->action;
	error = t_strdup(req->error);
	pg_request_finish(conn, req);
	if (action == PG_ACTION_RECONNECT && conn->state == PG_STATE_READY) {
		pg_conn_failed(conn, error);
		return FALSE;
	}
	return conn->pg != NULL;
}

static void pg_conn_results(struct pg_conn *conn)
{
	PGresult *result;
	unsigned int nulls = 0;

	while (conn->pg != NULL &&
	       (conn->sent != NULL || conn->state == PG_STATE_SETUP) &&
	       PQisBusy(conn->pg) == 0) {
		result = PQgetResult(conn->pg);
		if (result == NULL) {
			/* one stands between two requests, more come when
			   libpq expects nothing */
			if (nulls++ > 0)
				break;
			continue;
		}
		nulls = 0;
		if (!pg_conn_result(conn, result))
			return;
	}
}

static void pg_conn_notifications(struct pg_conn *conn)
{
	PGnotify *notify;

	while (conn->pg != NULL && (notify = PQnotifies(conn->pg)) != NULL) {
		if (conn->callbacks.notified != NULL) T_BEGIN {
			conn->callbacks.notified(conn->context, notify->extra);
		} T_END;
		PQfreemem(notify);
	}
}

void pg_conn_input(struct pg_conn *conn)
{
	bool ok = PQconsumeInput(conn->pg) != 0;
	PGconn *pg = conn->pg;

	/* what was there before an error still counts */
	T_BEGIN {
		pg_conn_results(conn);
	} T_END;
	if (conn->pg != pg)
		return;
	pg_conn_notifications(conn);
	if (conn->pg != pg)
		return;
	if (!ok || conn->send_failed ||
	    PQstatus(conn->pg) == CONNECTION_BAD) T_BEGIN {
		pg_conn_failed(conn, pg_error_text(PQerrorMessage(conn->pg)));
	} T_END; else
		pg_conn_output_more(conn);
}

/* ---- results ---- */

int pg_get_int64(const PGresult *result, int row, int column, int64_t *num_r)
{
	intmax_t num;

	if (str_to_intmax(PQgetvalue(result, row, column), &num) < 0)
		return -1;
	*num_r = num;
	return 0;
}

int pg_get_uid(const PGresult *result, int row, int column, uint32_t *uid_r)
{
	return str_to_uint32(PQgetvalue(result, row, column), uid_r) < 0 ||
		*uid_r == 0 ? -1 : 0;
}
