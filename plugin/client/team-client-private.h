/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLIENT_PRIVATE_H
#define TEAM_CLIENT_PRIVATE_H

/* What the files of the client share: the connection below, the requests on
   it, and the process's clients and sessions. */

#include "team-client.h"
#include "team-client-io.h"

/* Between two attempts to connect within one request */
#define CONNECT_RETRY_MSECS 50
/* So long the service may go on to watch a mailbox that was closed: most often
   the same one is opened again, or another one, which is told along. */
#define UNWATCH_MSECS 300
/* After a request's time was up, later ones wait only this long until the
   service answers again: a session must not hang at every command. */
#define AWAY_TIMEOUT_MSECS 100
/* So long what stands in the spool may wait for more to be sent with it: every
   time the service is woken for it costs more than it does itself. */
#define SPOOLED_MSECS 5
/* What is kept for a service that is away; more than that is counted and
   reported as a gap. */
#define KEPT_BYTES_MAX (8*1024*1024)

enum request_state {
	/* somebody waits for the answer */
	REQUEST_WAITING,
	/* nobody waits; kept until the service has acknowledged it */
	REQUEST_KEPT,
	REQUEST_ANSWERED,
};

/* An intent that is longer isn't left in the spool. */
#define SPOOLED_INTENT_MAX 4096
/* Nor is one while the service hasn't answered to something for so long: what
   only the spool has isn't on the disk yet. */
#define SPOOLED_INTENT_MSECS 1000

struct team_request {
	struct team_request *prev, *next;
	uint64_t id, txn;
	unsigned int sid;
	enum request_state state;
	struct timeval created;
	/* it stands in the spool */
	bool spooled;
	char *line;
	size_t line_len;

	pool_t pool;
	struct team_answer *answer;
	team_data_callback_t *callback;
	void *context;
	/* the caller has got data lines */
	bool delivered;
	/* it wants no more, or can't have it */
	bool stopped;
	/* says how something ended that was prepared: it isn't refused for good */
	bool ends;
	/* the journal couldn't be written: to be sent again */
	bool refused;
	/* it was so before, and may have been sent again since */
	bool late;
};

struct team_watch {
	char *guid;
	uint32_t uidvalidity;
	/* not wanted any more, which the service isn't told yet */
	bool ending;
};

struct team_push {
	unsigned int sid;
	char *guid, *what;
	uint32_t uidvalidity;
};

struct team_session {
	struct team_session *prev, *next;
	struct team_client *client;
	unsigned int sid;
	char *line;
	/* the spool's when the line was written to it */
	unsigned int spool_generation;
	/* the service took something of it on this connection */
	bool accepted;
	ARRAY(struct team_watch) watches;
	team_push_callback_t *callback;
	void *context;
};

struct team_client {
	struct team_client *prev, *next;
	int refcount;

	struct team_client_io conn;
	struct io *io;
	struct timeout *to, *to_unwatch;
	unsigned int to_msecs, timeout_msecs;
	char client_id[TEAM_CLIENT_ID_LEN + 1];
	char *base_dir;
	uint64_t last_id;
	unsigned int last_sid;

	struct team_session *sessions;
	struct team_request *requests_head, *requests_tail;
	ARRAY(struct team_push) pushes;
	size_t kept_bytes;
	unsigned int lost_count;

	/* -1 if the service gave none */
	int spool_fd;
	/* it gave it on the last connection, and didn't say READY on another */
	bool spool_is_old;
	size_t spool_size;
	/* rises when it is begun anew */
	unsigned int spool_generation;

	/* all that waits to be sent stands in the spool */
	bool spooled;
	bool away;
	/* a request is being waited for: pushes are delivered later */
	bool waiting;
};

/* team-client-connection.c */
void team_client_send_line(struct team_client *client, const char *line);
/* Connects unless it is, and says anew what the service must know. Returns 0,
   or -1 if nobody listens. */
int team_client_connect(struct team_client *client);
void team_client_disconnect(struct team_client *client);
/* Reads and handles what there is, waiting at most msecs for it. Returns 1 if
   lines were handled, 0 if not, -1 if the connection is gone. */
int team_client_pump(struct team_client *client, unsigned int msecs);
/* What the journal couldn't be written for: is there any, and sending it
   again. */
bool team_client_has_refused(struct team_client *client);
bool team_client_has_late(struct team_client *client);
void team_client_send_refused(struct team_client *client);
/* One step towards an answer: connects, or reads. Returns 1 after progress, 0
   if there was none, -1 once the time is up. */
int team_client_step(struct team_client *client, struct timeval *deadline);
void team_client_deadline(struct team_client *client,
			  struct timeval *deadline_r);

/* team-client-request.c */
void team_request_unlink(struct team_client *client,
			 struct team_request *request);
void team_request_free(struct team_client *client,
		       struct team_request **request);

/* team-client-spool.c */
/* Takes over the file that the service gave. */
void team_spool_open(struct team_client *client, int fd);
/* Nothing may be written to it after a HELLO was answered. */
void team_spool_close(struct team_client *client);
/* Writes the request, and its session's line if need be. Returns FALSE if it
   can't be. */
bool team_spool_add(struct team_session *session, struct team_request *request);
/* The same for an intent, if the service is there and will journal it. */
bool team_spool_add_intent(struct team_session *session,
			   struct team_request *request);

/* team-client.c */
/* Has the ioloop come back for what is left to do. */
void team_client_schedule(struct team_client *client);
void team_client_input(struct team_client *client);
void team_session_send_watch(struct team_session *session, const char *cmd,
			     const char *guid, uint32_t uidvalidity);

#endif
