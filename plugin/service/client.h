/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_CLIENT_H
#define TEAM_SERVICE_CLIENT_H

/* Connections of clients: mail processes and administrators. */

#include "connection.h"
#include "peer.h"

struct team_service;
struct session;
struct ledger_client;
struct team_request;
struct master_service_connection;

struct client {
	struct connection conn;
	struct client *push_prev, *push_next;
	struct team_service *service;
	int refcount;
	struct peer peer;

	/* NULL until HELLO */
	char *id;
	pid_t pid;
	/* the socket allows administrators' commands */
	bool admin;
	bool closed;
	bool push_pending;
	/* when the last push was sent, and how long the next one waits */
	struct timeval push_last;
	unsigned int push_interval_msecs;
	bool halted;
	bool has_spool;
	/* output is held back until the ioloop's round is over */
	struct timeout *to_uncork;

	struct session *sessions;
	unsigned int sessions_count;
	/* journalled requests whose outcome isn't known yet */
	unsigned int staged_count;
	uint64_t staged_max_id;
	/* requests that aren't answered yet */
	unsigned int pending_count;
	/* the first transaction that was refused since there is no journal; none
	   from there on is in it */
	uint64_t refused_txn;
	/* the administrators' query that is running, or NULL */
	struct client_query *query;
};

void clients_init(struct team_service *service);
void clients_deinit(void);
unsigned int clients_count(void);
/* Those that are connected, in no order. NULL after the last. */
struct client *clients_first(void);
struct client *client_next(const struct client *client);

/* Carries out a client's request. Returns -1 with an error if the connection
   has to be closed. */
int client_handle(struct client *client, const struct team_request *req,
		  const char **error_r);
bool client_id_is_valid(const char *id);

void client_create(struct master_service_connection *conn);
void client_ref(struct client *client);
void client_unref(struct client **client);

/* Every request that isn't answered at once is announced, so that a client
   which sends more than it takes is made to wait. */
void client_request_begin(struct client *client);
void client_request_end(struct client *client);

/* READY, and the spool's descriptor if it isn't -1, which is closed. */
void client_send_ready(struct client *client, int spool_fd);
/* OK <id> [args]; args is NULL or text with escaped fields. */
void client_send_ok(struct client *client, uint64_t id, const char *args);
void client_send_no(struct client *client, uint64_t id, const char *code,
		    const char *text);
/* The answer to any request as long as the journal can't be opened. */
void client_send_failing(struct client *client, const struct team_request *req);
/* D <id> <fields>; fields are escaped here. */
void client_send_data(struct client *client, uint64_t id,
		      const char *const *fields);
/* Tells the session of something that its colleague must see. */
void client_push_notice(struct session *session, const char *guid,
			uint32_t uidvalidity, int64_t id, const char *text);
/* Notes that a session has a push to be sent: at once, or if there was one just
   now, in a while that grows with the number of sessions that are told. */
void client_push_later(struct client *client, unsigned int others);
/* Sends what is noted, if there is something. */
void client_push_now(struct client *client);
/* Drops what is noted. */
void client_push_remove(struct client *client);
void client_pushes_deinit(void);
/* Is there so much output waiting that more should wait? */
bool client_output_is_full(struct client *client);

#endif
