/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PG_CONN_PRIVATE_H
#define TEAM_PG_CONN_PRIVATE_H

/* For the files that make up the connection. */

#include "pg-conn.h"

enum pg_state {
	PG_STATE_WAITING,
	PG_STATE_CONNECTING,
	PG_STATE_SETUP,
	PG_STATE_READY
};

struct pg_request {
	struct pg_request *prev, *next;

	pg_callback_t *callback;
	void *context;
	PGresult *result;
	char *error;
	enum pg_action action;
	bool unknown;

	/* while it waits for the connection */
	pool_t pool;
	const char *statement;
	const char **params;
	unsigned int params_count;
	/* of parameters in binary form; NULL: they are text */
	const int *sizes;
};

struct pg_conn {
	struct pg_conn *prev, *next;
	char *name, *conninfo, *node, *channel;
	const struct pg_statement *statements;
	unsigned int timeout_msecs;
	struct pg_conn_callbacks callbacks;
	void *context;

	enum pg_state state;
	PGconn *pg;
	/* a duplicate of libpq's descriptor, as libpq closes its own at will */
	int fd;
	struct io *io_read, *io_write;
	struct timeout *to_connect, *to_request, *to_waiting, *to_fail;
	unsigned int backoff_msecs;

	/* sent and not answered, in order */
	struct pg_request *sent, *sent_tail;
	/* to be sent when the connection is ready */
	struct pg_request *waiting, *waiting_tail;
	unsigned int requests_count;

	/* answers to come to what sets the connection up */
	unsigned int setup_left;
	int node_id;
	int64_t hwm;
	/* the last migration applied in the database, 0: not known yet */
	int schema;

	char *last_error;
	time_t away_since, ready_at, error_logged;
	/* the last attempt to connect failed */
	bool hopeless;
	/* it did, but with a schema that this program can't use */
	bool misfit;
	/* libpq couldn't take a request */
	bool send_failed;
};

/* Sends what a new connection needs. Returns 0 or -1 with an error. */
int pg_conn_setup_send(struct pg_conn *conn, const char **error_r);
/* Handles an answer to that. Returns 1 if it was the last one, 0 if there are
   more to come, -1 with an error; misfit_r: it's the schema's. */
int pg_conn_setup_result(struct pg_conn *conn, PGresult *result,
			 const char **error_r, bool *misfit_r);

/* Something may be sent. */
void pg_conn_output(struct pg_conn *conn);
/* What couldn't be sent before may be sent now. */
void pg_conn_output_more(struct pg_conn *conn);
/* There is something to read. */
void pg_conn_input(struct pg_conn *conn);
/* The connection, or the attempt to make one, failed: tries again later.
   Requests that were sent get the error. */
void pg_conn_failed(struct pg_conn *conn, const char *error);
/* The same if PostgreSQL is there, but its schema isn't what this needs. */
void pg_conn_failed_schema(struct pg_conn *conn, const char *error);
/* It is set up. */
void pg_conn_ready(struct pg_conn *conn);

/* Sends a request on a connection that is ready. */
void pg_conn_send(struct pg_conn *conn, struct pg_request *req);
/* Fails the requests of a list, not those that their callbacks add. sent: they
   may have been carried out. */
void pg_requests_fail(struct pg_conn *conn, struct pg_request **head,
		      struct pg_request **tail, const char *error, bool sent);
/* Fails those that wait for the connection. */
void pg_conn_fail_waiting(struct pg_conn *conn);

#endif
