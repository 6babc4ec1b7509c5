/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making and keeping up a connection, sending requests, taking answers. */

#include "team-common.h"
#include "ioloop.h"
#include "llist.h"
#include "pg-conn-private.h"

#include <fcntl.h>
#include <unistd.h>

#define PG_BACKOFF_MIN_MSECS 100
#define PG_BACKOFF_MAX_MSECS 5000
/* for each host of the connection string */
#define PG_CONNECT_TIMEOUT_MSECS 10000
/* how long requests wait for a connection that is being made */
#define PG_WAITING_MSECS 2000
/* the same error isn't logged more often */
#define PG_ERROR_LOG_SECS 300

static struct pg_conn *pg_conns;

static void pg_conn_connect(struct pg_conn *conn);
static void pg_conn_input(struct pg_conn *conn);
static void pg_conn_connect_poll(struct pg_conn *conn);

/* ---- descriptors ---- */

static void pg_conn_unwatch(struct pg_conn *conn)
{
	io_remove(&conn->io_read);
	io_remove(&conn->io_write);
	i_close_fd(&conn->fd);
}

static int pg_conn_dup_fd(struct pg_conn *conn)
{
	i_assert(conn->fd == -1);
	conn->fd = fcntl(PQsocket(conn->pg), F_DUPFD_CLOEXEC, 0);
	return conn->fd < 0 ? -1 : 0;
}

static void pg_conn_output(struct pg_conn *conn)
{
	int ret = PQflush(conn->pg);

	if (ret > 0) {
		if (conn->io_write == NULL) {
			conn->io_write = io_add(conn->fd, IO_WRITE,
						pg_conn_output, conn);
		}
	} else {
		/* errors show when reading */
		io_remove(&conn->io_write);
	}
}

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

/* Fails the requests of a list, not those that the callbacks add. */
static void pg_requests_fail(struct pg_conn *conn, struct pg_request **head,
			     struct pg_request **tail, const char *error,
			     bool sent)
{
	struct pg_request *req = *head, *next;

	*head = *tail = NULL;
	for (; req != NULL; req = next) {
		next = req->next;
		req->prev = req->next = NULL;
		pg_request_fail(conn, req, error, sent);
	}
}

static void pg_conn_fail_waiting(struct pg_conn *conn)
{
	const char *error = t_strdup(conn->last_error != NULL ?
		conn->last_error : "PostgreSQL takes too long to answer");

	timeout_remove(&conn->to_waiting);
	timeout_remove(&conn->to_fail);
	pg_requests_fail(conn, &conn->waiting, &conn->waiting_tail, error,
			 FALSE);
}

/* ---- connecting ---- */

static void pg_conn_close(struct pg_conn *conn)
{
	pg_conn_unwatch(conn);
	timeout_remove(&conn->to_connect);
	timeout_remove(&conn->to_request);
	if (conn->pg != NULL)
		PQfinish(conn->pg);
	conn->pg = NULL;
	conn->send_failed = FALSE;
}

static void pg_conn_log_error(struct pg_conn *conn, const char *error)
{
	if (conn->last_error != NULL && strcmp(conn->last_error, error) == 0 &&
	    ioloop_time < conn->error_logged + PG_ERROR_LOG_SECS)
		return;
	i_error("PostgreSQL (%s): %s", conn->name, error);
	conn->error_logged = ioloop_time;
}

/* The connection, or the attempt to make one, failed: try again later. */
static void pg_conn_failed(struct pg_conn *conn, const char *_error)
{
	const char *error = t_strdup(_error);
	bool was_ready = conn->state == PG_STATE_READY;

	pg_conn_close(conn);
	conn->state = PG_STATE_WAITING;
	if (conn->away_since == 0)
		conn->away_since = ioloop_time;
	pg_conn_log_error(conn, error);
	i_free(conn->last_error);
	conn->last_error = i_strdup(error);
	if (was_ready) {
		/* it may be only this connection */
		conn->backoff_msecs = 0;
	} else {
		conn->hopeless = TRUE;
		conn->backoff_msecs = I_MIN(I_MAX(conn->backoff_msecs * 2,
						  PG_BACKOFF_MIN_MSECS),
					    PG_BACKOFF_MAX_MSECS);
	}
	conn->to_connect = timeout_add_short(conn->backoff_msecs,
					     pg_conn_connect, conn);
	pg_requests_fail(conn, &conn->sent, &conn->sent_tail, error, TRUE);
	if (conn->hopeless)
		pg_conn_fail_waiting(conn);
	if (was_ready && conn->callbacks.lost != NULL)
		conn->callbacks.lost(conn->context);
}

static void pg_conn_connect_timeout(struct pg_conn *conn)
{
	timeout_remove(&conn->to_connect);
	pg_conn_failed(conn, "connecting takes too long");
}

static unsigned int pg_conn_hosts_count(struct pg_conn *conn)
{
	const char *host = PQhost(conn->pg);
	PQconninfoOption *options = PQconninfo(conn->pg), *opt;
	unsigned int count = 1;

	for (opt = options; opt != NULL && opt->keyword != NULL; opt++) {
		if (strcmp(opt->keyword, "host") != 0 || opt->val == NULL)
			continue;
		for (host = opt->val; *host != '\0'; host++) {
			if (*host == ',')
				count++;
		}
	}
	PQconninfoFree(options);
	return count;
}

static void pg_conn_connect(struct pg_conn *conn)
{
	timeout_remove(&conn->to_connect);
	conn->state = PG_STATE_CONNECTING;
	conn->pg = pg_connect_start(conn->conninfo, conn->name);
	if (PQstatus(conn->pg) == CONNECTION_BAD) {
		pg_conn_failed(conn, pg_error_text(PQerrorMessage(conn->pg)));
		return;
	}
	conn->to_connect = timeout_add(PG_CONNECT_TIMEOUT_MSECS *
				       pg_conn_hosts_count(conn),
				       pg_conn_connect_timeout, conn);
	if (pg_conn_dup_fd(conn) < 0) {
		pg_conn_failed(conn, t_strdup_printf("fcntl() failed: %m"));
		return;
	}
	conn->io_write = io_add(conn->fd, IO_WRITE, pg_conn_connect_poll,
				conn);
}

static void pg_conn_connected(struct pg_conn *conn)
{
	const char *error;

	conn->state = PG_STATE_SETUP;
	if (pg_conn_dup_fd(conn) < 0) {
		pg_conn_failed(conn, t_strdup_printf("fcntl() failed: %m"));
		return;
	}
	conn->io_read = io_add(conn->fd, IO_READ, pg_conn_input, conn);
	if (pg_conn_setup_send(conn, &error) < 0) {
		pg_conn_failed(conn, error);
		return;
	}
	pg_conn_output(conn);
}

static void pg_conn_connect_poll(struct pg_conn *conn)
{
	PostgresPollingStatusType status;

	/* libpq may go on with another socket */
	pg_conn_unwatch(conn);
	status = PQconnectPoll(conn->pg);
	switch (status) {
	case PGRES_POLLING_OK:
		pg_conn_connected(conn);
		return;
	case PGRES_POLLING_READING:
	case PGRES_POLLING_WRITING:
		break;
	default:
		pg_conn_failed(conn, pg_error_text(PQerrorMessage(conn->pg)));
		return;
	}
	if (pg_conn_dup_fd(conn) < 0) {
		pg_conn_failed(conn, t_strdup_printf("fcntl() failed: %m"));
		return;
	}
	if (status == PGRES_POLLING_READING)
		conn->io_read = io_add(conn->fd, IO_READ,
				       pg_conn_connect_poll, conn);
	else
		conn->io_write = io_add(conn->fd, IO_WRITE,
					pg_conn_connect_poll, conn);
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

static void pg_conn_send(struct pg_conn *conn, struct pg_request *req)
{
	bool ok;

	ok = PQsendQueryPrepared(conn->pg, req->statement, req->params_count,
				 req->params, NULL, NULL, 0) != 0 &&
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

void pg_conn_request(struct pg_conn *conn, const char *statement,
		     const char *const *params, unsigned int params_count,
		     pg_callback_t *callback, void *context)
{
	struct pg_request *req;
	unsigned int i;
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
	if (conn->state == PG_STATE_READY) {
		for (i = 0; i < params_count; i++)
			req->params[i] = params[i];
		pg_conn_send(conn, req);
		req->params = NULL;
		return;
	}
	for (i = 0; i < params_count; i++)
		req->params[i] = p_strdup(pool, params[i]);
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

/* The server is there: others needn't wait for their next attempt. */
static void pg_conn_wake_others(struct pg_conn *conn)
{
	struct pg_conn *other;

	for (other = pg_conns; other != NULL; other = other->next) {
		if (other != conn && other->state == PG_STATE_WAITING &&
		    other->to_connect != NULL) {
			timeout_remove(&other->to_connect);
			other->to_connect = timeout_add_short(0,
				pg_conn_connect, other);
		}
	}
}

static void pg_conn_ready(struct pg_conn *conn)
{
	struct pg_request *req;

	timeout_remove(&conn->to_connect);
	timeout_remove(&conn->to_waiting);
	timeout_remove(&conn->to_fail);
	conn->state = PG_STATE_READY;
	if (conn->hopeless) {
		pg_conn_wake_others(conn);
		i_info("PostgreSQL (%s): reachable again after %ld seconds",
		       conn->name, (long)(ioloop_time - conn->away_since));
	}
	conn->hopeless = FALSE;
	conn->away_since = 0;
	conn->backoff_msecs = 0;
	i_free(conn->last_error);
	conn->callbacks.ready(conn->context, conn->node_id, conn->hwm);
	while (conn->waiting != NULL && conn->state == PG_STATE_READY) {
		req = conn->waiting;
		DLLIST2_REMOVE(&conn->waiting, &conn->waiting_tail, req);
		pg_conn_send(conn, req);
	}
}

static void pg_request_result(struct pg_request *req, PGresult *result)
{
	const char *sqlstate;

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
	sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	i_free(req->error);
	req->error = i_strdup(pg_error_text(PQresultErrorMessage(result)));
	req->action = pg_error_action(sqlstate);
	PQclear(result);
}

/* Takes one result. Returns FALSE if the connection is gone. */
static bool pg_conn_result(struct pg_conn *conn, PGresult *result)
{
	struct pg_request *req = conn->sent;
	enum pg_action action;
	const char *error;
	int ret;

	if (conn->state == PG_STATE_SETUP) {
		ret = pg_conn_setup_result(conn, result, &error);
		if (ret < 0)
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
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		pg_request_result(req, result);
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

static void pg_conn_input(struct pg_conn *conn)
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
		pg_conn_output(conn);
}

/* ---- life ---- */

struct pg_conn *pg_conn_init(const struct pg_conn_settings *set,
			     const struct pg_conn_callbacks *callbacks,
			     void *context)
{
	struct pg_conn *conn = i_new(struct pg_conn, 1);

	conn->name = i_strdup(set->name);
	conn->conninfo = i_strdup(set->conninfo);
	conn->node = i_strdup(set->node);
	conn->channel = i_strdup(set->channel);
	conn->statements = set->statements;
	conn->timeout_msecs = set->timeout_msecs;
	conn->callbacks = *callbacks;
	conn->context = context;
	conn->fd = -1;
	conn->to_connect = timeout_add_short(0, pg_conn_connect, conn);
	DLLIST_PREPEND(&pg_conns, conn);
	return conn;
}

void pg_conn_deinit(struct pg_conn **_conn)
{
	struct pg_conn *conn = *_conn;

	*_conn = NULL;
	DLLIST_REMOVE(&pg_conns, conn);
	conn->hopeless = TRUE;
	pg_conn_close(conn);
	conn->state = PG_STATE_WAITING;
	pg_requests_fail(conn, &conn->sent, &conn->sent_tail,
			 "the service is shutting down", TRUE);
	pg_conn_fail_waiting(conn);
	timeout_remove(&conn->to_fail);
	timeout_remove(&conn->to_waiting);
	i_free(conn->last_error);
	i_free(conn->name);
	i_free(conn->conninfo);
	i_free(conn->node);
	i_free(conn->channel);
	i_free(conn);
}

bool pg_conn_is_ready(const struct pg_conn *conn)
{
	return conn->state == PG_STATE_READY;
}

bool pg_conn_is_hopeful(const struct pg_conn *conn)
{
	return !conn->hopeless;
}

void pg_conn_reconnect(struct pg_conn *conn, const char *reason)
{
	if (conn->state == PG_STATE_READY)
		pg_conn_failed(conn, reason);
}

unsigned int pg_conn_pending(const struct pg_conn *conn)
{
	return conn->requests_count;
}

const char *pg_conn_last_error(const struct pg_conn *conn)
{
	return conn->last_error;
}

time_t pg_conn_away_since(const struct pg_conn *conn)
{
	return conn->away_since;
}

int pg_conn_node_id(const struct pg_conn *conn)
{
	return conn->node_id;
}
