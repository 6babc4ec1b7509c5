/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PG_CONN_H
#define TEAM_PG_CONN_H

/* An asynchronous connection to PostgreSQL on the ioloop: made and kept up by
   itself, statements prepared by name when it is made, requests sent in
   pipeline mode without waiting for earlier answers. Every request is a
   transaction of its own. */

#include "pg-error.h"

#include <libpq-fe.h>

struct pg_conn;

struct pg_statement {
	const char *name;
	const char *sql;
};

struct pg_answer {
	/* NULL if it failed; freed after the callback */
	PGresult *result;
	/* NULL, or why it failed */
	const char *error;
	enum pg_action action;
	/* the connection was lost with the request under way: nobody knows
	   whether it was carried out */
	bool unknown;
};
typedef void pg_callback_t(const struct pg_answer *answer, void *context);

struct pg_conn_callbacks {
	/* The connection can be used; what team.hello said. */
	void (*ready)(void *context, int node_id, int64_t hwm);
	/* It is gone; requests have been answered with errors. */
	void (*lost)(void *context);
	/* All that couldn't be sent at once has been. */
	void (*flushed)(void *context);
	/* A notification came. */
	void (*notified)(void *context, const char *payload);
};

struct pg_conn_settings {
	/* for log messages and application_name */
	const char *name;
	const char *conninfo;
	const char *node;
	/* ends with a NULL name */
	const struct pg_statement *statements;
	/* channel to LISTEN to, or NULL */
	const char *channel;
	/* how long the server may take for a request */
	unsigned int timeout_msecs;
};

/* Begins to connect. */
struct pg_conn *pg_conn_init(const struct pg_conn_settings *set,
			     const struct pg_conn_callbacks *callbacks,
			     void *context);
/* Unanswered requests get an error. */
void pg_conn_deinit(struct pg_conn **conn);

/* Sends a prepared statement with text parameters (NULL = NULL). The callback
   is always called exactly once, never before this returns. While the
   connection is being made for the first time or after it was lost just now,
   the request waits for it a moment; when the server is away, it fails at
   once. */
void pg_conn_request(struct pg_conn *conn, const char *statement,
		     const char *const *params, unsigned int params_count,
		     pg_callback_t *callback, void *context);

/* The same with parameters in binary form, on a connection that is ready. */
void pg_conn_request_binary(struct pg_conn *conn, const char *statement,
			    const char *const *params, const int *sizes,
			    unsigned int params_count,
			    pg_callback_t *callback, void *context);

bool pg_conn_is_ready(const struct pg_conn *conn);
/* Is it ready, and all that was requested sent? */
bool pg_conn_is_flushed(const struct pg_conn *conn);
/* Is there any use in sending a request: ready, or just about to be? */
bool pg_conn_is_hopeful(const struct pg_conn *conn);
/* Why the database's schema isn't this program's, and what to do, or NULL if it
   is or nobody knows. From the data stack. */
const char *pg_conn_schema_misfit(const struct pg_conn *conn);
/* Is PostgreSQL there, but with a schema that this program can't use? Then the
   last error says which, and what to do. */
bool pg_conn_is_misfit(const struct pg_conn *conn);
/* Drops the connection and makes a new one. */
void pg_conn_reconnect(struct pg_conn *conn, const char *reason);
/* Requests without an answer. */
unsigned int pg_conn_pending(const struct pg_conn *conn);
/* The last error, or NULL; and since when the server is away, 0 if it isn't. */
const char *pg_conn_last_error(const struct pg_conn *conn);
time_t pg_conn_away_since(const struct pg_conn *conn);
/* What team.hello said; 0 before it did. */
int pg_conn_node_id(const struct pg_conn *conn);
/* The version of the database's schema, and what to do if it isn't this
   program's; "" before it is known. From the data stack. */
const char *pg_conn_schema(const struct pg_conn *conn);

/* Number values of a result. Returns 0 or -1. */
int pg_get_int64(const PGresult *result, int row, int column, int64_t *num_r);
int pg_get_uid(const PGresult *result, int row, int column, uint32_t *uid_r);

/* Why it is no connection string, or NULL if it is one. */
const char *pg_conninfo_error(const char *conninfo);
/* Does the connection string itself hold a password? */
bool pg_conninfo_has_password(const char *conninfo);
/* Begins to connect with the settings that all connections have. */
PGconn *pg_connect_start(const char *conninfo, const char *name);
/* The message without line feeds, from the data stack. */
const char *pg_error_text(const char *message);

#endif
