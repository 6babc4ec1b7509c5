/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLAIM_REQUEST_H
#define TEAM_CLAIM_REQUEST_H

/* A CLAIM on its way: the journal gets to know that it is asked, PostgreSQL
   decides, the journal gets to know what it said, then comes the answer. */

#include "pg-conn.h"
#include "protocol.h"
#include "uidset.h"

struct box;
struct client;
struct session;

/* Messages with the same outcome. */
struct claim_group {
	const char *state, *holder;
	int64_t since, until;
	struct team_uidset uids;
};

struct claim_request {
	struct claim_request *prev, *next;
	pool_t pool;
	struct client *client;
	uint64_t id, sid;
	const char *guid, *colleague, *session, *mids, *to;
	uint32_t uidvalidity;
	enum team_claim_op op;
	/* an administrator is told about every message */
	bool admin;
	/* what the administrator calls the mailbox */
	const char *mailbox;
	struct team_uidset uids;
	/* the service's intent */
	uint64_t txn;

	/* the answer */
	int64_t until;
	/* messages that this request took, to be given back if that can't be
	   journalled, and those that the colleague had before */
	struct team_uidset granted, renewed;
	ARRAY(struct claim_group) groups;
	/* how often it has been asked */
	unsigned int attempts;
	struct timeout *to_retry;
};

/* Returns NULL if it has been answered. */
struct claim_request *
claim_request_new(struct client *client, struct session *session,
		  const struct team_request *req);
void claim_request_free(struct claim_request **creq);

/* Journals the intent; then PostgreSQL is asked. */
void claim_request_prepare(struct claim_request *creq);
/* Asks PostgreSQL about this request alone. */
void claim_request_send(struct claim_request *creq);
/* What PostgreSQL said about a message. */
void claim_request_row(struct claim_request *creq, struct box *box,
		       uint32_t uid, const char *state, const char *holder,
		       int64_t since, int64_t until);
/* PostgreSQL has said all, or why it says nothing: answers. */
void claim_request_finish(struct claim_request *creq);
void claim_request_fail(struct claim_request *creq,
			const struct pg_answer *answer);

/* Is there one that has this intent? */
bool claim_request_is_under_way(uint64_t txn);
/* Those that wait in this process are given up. */
void claim_requests_deinit(void);

/* claim-record.c */
/* Journals that it is asked. */
void claim_journal_intent(struct claim_request *creq,
			  void (*callback)(const char *error, void *context));
/* Nothing came of it. */
void claim_journal_drop(struct claim_request *creq);
/* Journals what PostgreSQL said. */
void claim_journal_outcome(struct claim_request *creq,
			   void (*callback)(const char *error, void *context));

/* claim-lost.c */
/* Returns an intent of the same action on (at least) these messages of which
   nobody knows what became, or 0. */
uint64_t claim_lost_find(const struct claim_request *creq, const char *action,
			 const struct team_uidset *uids);

/* claim-many.c */
/* A row of team.claim_many: its set is granted, what is left of the request's
   has to be asked for by itself. Returns 0 or -1 if it isn't what is
   expected. */
int claim_many_granted(struct claim_request *creq, struct box *box,
		       const PGresult *result);

/* claim-batch.c */
/* Can it go with others? */
bool claim_batch_takes(const struct claim_request *creq);
/* Asks PostgreSQL together with what else is asked meanwhile. */
void claim_batch_add(struct claim_request *creq);
void claim_batch_deinit(void);

#endif
