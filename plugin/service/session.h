/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SESSION_H
#define TEAM_SESSION_H

/* Sessions of clients, what they watch, and pushes to them. */

struct client;
struct box;
struct boxes;
struct team_record;

enum push_what {
	PUSH_FLAGS = 0x01,
	PUSH_CLAIMS = 0x02,
	PUSH_CHANGED = 0x04
};

/* Messages that the session is changing, in PostgreSQL */
struct session_guard {
	int64_t id;
	char *guid;
	uint32_t uidvalidity;
};

struct session {
	struct session *prev, *next;
	struct client *client;
	uint64_t sid;
	/* colleague, user, session, service, ip, tls, client: "key=value", in
	   that order; NULL where nothing is known */
	char *fields[7];
	/* of the first one; "" if not given */
	const char *colleague;
	/* created when there is one */
	ARRAY(struct session_guard) guards;
	/* linked by session_next */
	struct watch *watches;
	unsigned int watches_count;
};

struct watch {
	/* of the same mailbox */
	struct watch *prev, *next;
	struct watch *session_prev, *session_next;
	struct session *session;
	struct box *box;
	/* seconds since the epoch */
	int64_t since;
	/* not sent yet */
	enum push_what pending;
};

/* Returns the client's session or NULL. */
struct session *session_find(struct session *sessions, uint64_t sid);
/* Creates a session, linking it to the list. */
struct session *session_create(struct session **sessions,
			       struct client *client, uint64_t sid);
/* Takes over what SESSION says. Returns 0, or -1 with an error and nothing
   changed. */
int session_update(struct session *session, const char *const *fields,
		   const char **error_r);
void session_free(struct session **sessions, struct session *session);
/* Sets the session's keys in the record. */
void session_fill_record(const struct session *session,
			 struct team_record *record);
/* Returns a value that SESSION gave, or NULL. */
const char *session_get(const struct session *session, const char *key);

/* Returns FALSE if it watches too many already. */
bool session_watch(struct session *session, struct boxes *boxes,
		   const char *guid, uint32_t uidvalidity);
void session_unwatch(struct session *session, struct boxes *boxes,
		     const char *guid, uint32_t uidvalidity);

/* Notes a push for all sessions that watch the mailbox (may be NULL) except
   one (may be NULL), or only for the colleague's (if not NULL). */
void box_push(struct box *box, enum push_what what,
	      const struct session *except, const char *colleague);

#endif
