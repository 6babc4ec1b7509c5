/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a connection and keeping it up. */

#include "team-common.h"
#include "ioloop.h"
#include "llist.h"
#include "pg-conn-private.h"

#include <fcntl.h>
#include <unistd.h>

#define PG_BACKOFF_MIN_MSECS 100
#define PG_BACKOFF_MAX_MSECS 5000
/* a connection that didn't last that long isn't made anew at once */
#define PG_STABLE_SECS 5
/* for each host of the connection string */
#define PG_CONNECT_TIMEOUT_MSECS 10000
/* the same error isn't logged more often */
#define PG_ERROR_LOG_SECS 300

static struct pg_conn *pg_conns;

static void pg_conn_connect(struct pg_conn *conn);
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

void pg_conn_output(struct pg_conn *conn)
{
	int ret = PQflush(conn->pg);

	if (ret > 0) {
		if (conn->io_write == NULL) {
			conn->io_write = io_add(conn->fd, IO_WRITE,
						pg_conn_output_more, conn);
		}
	} else {
		/* errors show when reading */
		io_remove(&conn->io_write);
	}
}

void pg_conn_output_more(struct pg_conn *conn)
{
	if (conn->io_write == NULL)
		return;
	pg_conn_output(conn);
	if (pg_conn_is_flushed(conn) && conn->callbacks.flushed != NULL)
		conn->callbacks.flushed(conn->context);
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
static void
pg_conn_fail(struct pg_conn *conn, const char *_error, bool misfit)
{
	const char *error = t_strdup(_error);
	bool was_ready = conn->state == PG_STATE_READY;

	pg_conn_close(conn);
	conn->misfit = misfit;
	conn->state = PG_STATE_WAITING;
	if (conn->away_since == 0)
		conn->away_since = ioloop_time;
	pg_conn_log_error(conn, error);
	i_free(conn->last_error);
	conn->last_error = i_strdup(error);
	/* when it was lost, it may be only this connection */
	if (!was_ready)
		conn->hopeless = TRUE;
	if (was_ready && conn->ready_at + PG_STABLE_SECS <= ioloop_time)
		conn->backoff_msecs = 0;
	else {
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

void pg_conn_failed(struct pg_conn *conn, const char *error)
{
	pg_conn_fail(conn, error, FALSE);
}

void pg_conn_failed_schema(struct pg_conn *conn, const char *error)
{
	pg_conn_fail(conn, error, TRUE);
}

static void pg_conn_connect_timeout(struct pg_conn *conn)
{
	timeout_remove(&conn->to_connect);
	pg_conn_failed(conn, "connecting takes too long");
}

static unsigned int pg_conn_hosts_count(struct pg_conn *conn)
{
	const char *host;
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

/* ---- use ---- */

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

void pg_conn_ready(struct pg_conn *conn)
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
	conn->misfit = FALSE;
	conn->away_since = 0;
	conn->ready_at = ioloop_time;
	i_free(conn->last_error);
	conn->callbacks.ready(conn->context, conn->node_id, conn->hwm);
	while (conn->waiting != NULL && conn->state == PG_STATE_READY) {
		req = conn->waiting;
		DLLIST2_REMOVE(&conn->waiting, &conn->waiting_tail, req);
		pg_conn_send(conn, req);
	}
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

bool pg_conn_is_flushed(const struct pg_conn *conn)
{
	return conn->state == PG_STATE_READY && conn->io_write == NULL;
}

bool pg_conn_is_hopeful(const struct pg_conn *conn)
{
	return !conn->hopeless;
}

bool pg_conn_is_misfit(const struct pg_conn *conn)
{
	return conn->misfit;
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
