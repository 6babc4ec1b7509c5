/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_STATE_H
#define TEAM_STATE_H

/* The connection for requests, and what is kept of the state in PostgreSQL:
   the claims, kept up by notifications. */

#include "journal.h"
#include "pg-conn.h"
#include "uidset.h"

struct team_service;
struct box;
struct session;
struct state;
struct team_record;

struct state *state_init(struct team_service *service);
void state_deinit(struct state **state);

/* What sync_claims says besides claims; gone has to be freed. */
struct state_claims {
	/* these are all claims, otherwise those that were changed */
	bool all;
	int64_t cursor;
	struct team_uidset gone;
};

/* The cursor for PostgreSQL out of what a client was given ("0" if it holds no
   more), and what a client is given. */
const char *state_claims_cursor(struct state *state, const char *known);
const char *state_claims_known(struct state *state, int64_t cursor);
/* Brings what is known of the mailbox's claims up to the rows of sync_claims,
   which was asked for what changed since the cursor asked. Returns 0 or -1 if
   they aren't what is expected. */
int state_set_claims(struct state *state, struct box *box,
		     const char *asked, const PGresult *result,
		     struct state_claims *claims_r);
/* A claim is known to be gone or there; its lapse is expected. */
void state_claim_set(struct state *state, struct box *box, uint32_t uid,
		     const char *holder, int64_t since, int64_t until);
void state_claim_remove(struct state *state, struct box *box, uint32_t uid);

/* The mailbox's claims were changed: tells those who have it, and will open
   it. */
void state_claims_changed(struct box *box);

/* A record that the service makes by itself. The session may be NULL. Sets
   at. */
struct team_record *
service_record_new(struct team_service *service, const char *action,
		   const char *outcome, const struct session *session);
/* Sets a key; a value that isn't valid is left out, with an error in the
   log. */
void service_record_set(struct team_record *record, const char *key,
			const char *value);
/* Frees the record and returns its text, from the data stack. */
const char *service_record_finish(struct team_record **record);
/* Frees the record and stages it. The callback may be NULL. */
void service_record_journal(struct team_service *service,
			    struct team_record **record,
			    journal_callback_t *callback, void *context);

#endif
