/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLIENT_H
#define TEAM_CLIENT_H

/* The connection from a plugin to the team service: one for a process, made
   when it is first needed, made again whenever it is lost. The protocol is
   described in team-protocol.h. Nothing here ever fails because the service
   is away: requests return -1 with an error when their time is up. */

struct team_client;
struct team_session;

struct team_session_info {
	/* who did it; never NULL */
	const char *colleague;
	/* whose mail it is */
	const char *user;
	/* Dovecot's session id, or NULL */
	const char *session_id;
	/* imap, lmtp, pop3, doveadm, ... */
	const char *service;
	/* address in text form, or NULL */
	const char *ip;
	/* the client's name from IMAP ID, or NULL */
	const char *client_name;
	bool tls;
};

struct team_answer {
	/* TEAM_CODE_* if the answer was NO, otherwise NULL */
	const char *code;
	/* arguments of the OK, or the text of the NO as args[0] */
	const char *const *args;
	/* data lines, each a NULL-terminated list of fields without the id */
	ARRAY(const char *const *) data;
};

/* A push for the session: guid and what (flags, claims, changed). Called from
   the ioloop, never from within a request. */
typedef void team_push_callback_t(void *context, const char *guid,
				  uint32_t uidvalidity, const char *what);
/* Called for each data line of a streamed request, in order. args without the
   id. Return FALSE to stop: the connection is closed then. */
typedef bool team_data_callback_t(void *context, const char *const *args);

/* Returns the process's client for the socket. All users of one path share
   it. socket_path: as in Dovecot's settings, relative to base_dir or
   absolute. timeout_msecs: how long a request may take in all, reconnecting
   included. */
struct team_client *team_client_get(const char *base_dir,
				    const char *socket_path,
				    unsigned int timeout_msecs);
/* Drops the reference; the last one closes the connection after waiting at
   most the timeout for unanswered events. */
void team_client_unref(struct team_client **client);

/* Declares a session. The strings are copied. */
struct team_session *
team_session_init(struct team_client *client,
		  const struct team_session_info *info,
		  team_push_callback_t *callback, void *context);
/* Changes what is known about the session (the client's name comes late). */
void team_session_update(struct team_session *session,
			 const struct team_session_info *info);
void team_session_deinit(struct team_session **session);

/* Sends an event and returns at once; it is kept and sent again until the
   service has acknowledged it. fields: "key=value" strings, unescaped. */
void team_client_event(struct team_session *session,
		       const char *const *fields);
/* The same for what has no effect but its record. If it can be written to the
   spool, it stands in the journal by that, and the service is told of it a few
   milliseconds later. */
void team_client_note(struct team_session *session, const char *const *fields);
/* Waits until all events sent so far stand in the journal. Returns 0, or -1
   if the service didn't answer in time or refused (they are kept and sent
   again later unless they were refused). */
int team_client_flush(struct team_session *session, const char **error_r);

enum team_prepare_flags {
	/* the intent may be left in the spool, and *own set to 0 */
	TEAM_PREPARE_AHEAD = 0x01,
	/* the service must be able to know of it before what is done is seen */
	TEAM_PREPARE_SEND = 0x02
};

/* Journals the intent to do what the records say, in one transaction. Returns
   the transaction's id (never 0), or 0 if it can't be journalled and nothing
   must be changed. *own is the foretold generation of an intent that is left in
   the spool, 0 if there is none, and set to what the last PREPARE was answered
   with, 0 if nothing; own may be NULL. error_r is for the log. */
uint64_t team_client_prepare(struct team_session *session,
			     const char *const *const *records,
			     unsigned int records_count,
			     enum team_prepare_flags flags, uint64_t *own,
			     const char **error_r);
/* The transaction's intents were carried out. Waits for the answer. Returns 0
   or -1; then it is sent again later. fields may be NULL. */
int team_client_commit(struct team_session *session, uint64_t txn,
		       const char *const *fields, const char **error_r);
/* The same without waiting: team_client_flush() does, unless it stands in the
   spool. */
void team_client_commit_later(struct team_session *session, uint64_t txn);
/* They were not. With fields they are recorded, without they are dropped.
   Doesn't wait. */
void team_client_abort(struct team_session *session, uint64_t txn,
		       const char *const *fields);

/* Sends a state or admin request and waits for its answer. args: the fields
   after <id> <sid>, unescaped. Returns 0 with the answer (which may be a NO)
   allocated from the pool, -1 if there was none in time. */
int team_client_request(struct team_session *session, pool_t pool,
			const char *cmd, const char *const *args,
			struct team_answer *answer_r, const char **error_r);
/* The same for answers of any length: data lines go to the callback. The time
   limit holds for the first line and between two lines. */
int team_client_request_stream(struct team_session *session, pool_t pool,
			       const char *cmd, const char *const *args,
			       team_data_callback_t *callback, void *context,
			       struct team_answer *answer_r,
			       const char **error_r);
/* Sends WATCH or UNWATCH: no waiting, repeated after a reconnect. */
void team_session_watch(struct team_session *session, const char *guid,
			uint32_t uidvalidity, bool watch);
/* Sends RENEW: no waiting, and lost if the service is away. */
void team_session_renew(struct team_session *session, const char *guid,
			uint32_t uidvalidity, const char *uids);

#endif
