/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_LEDGER_H
#define TEAM_LEDGER_H

/* What the journal knows about clients: which of their requests are done, and
   which intents are open. It changes only by entries of the journal, so that
   reading the journal again gives the same. */

#include "journal-entry.h"

struct ledger_intent {
	struct ledger_intent *prev, *next;

	uint64_t txn;
	uint64_t id;
	/* microseconds since the epoch */
	uint64_t at;
	/* canonical form */
	char *record;
	/* a gap record was written since the client was away too long */
	bool given_up;
};

struct ledger_id_range {
	uint64_t first, last;
};

struct ledger_client {
	char *id;
	/* ascending; ids below the first one are done too if forgot is set */
	ARRAY(struct ledger_id_range) done;
	/* in the order of their PREPAREs */
	struct ledger_intent *intents, *intents_tail;
	/* of their records, in bytes */
	size_t intents_size;
	/* when the client was seen last; 0 while it is connected */
	time_t last_seen;
	/* its spool is to be read later, and has what is done as well: nothing
	   is forgotten until then */
	bool spool_left;
	bool forgot;
};

struct ledger;

typedef void ledger_client_callback_t(struct ledger_client *client,
				      void *context);
typedef void ledger_snapshot_callback_t(const struct journal_entry *entry,
					void *context);

struct ledger *ledger_init(void);
void ledger_deinit(struct ledger **ledger);
void ledger_clear(struct ledger *ledger);

/* Carries out what the entry says about clients. */
void ledger_apply(struct ledger *ledger, const struct journal_entry *entry);
/* Gives the entries that lead to the current state when they are applied to
   an empty ledger. Clients that were seen last before the time and have no
   intents are left out. */
void ledger_snapshot(struct ledger *ledger, time_t seen_since,
		     ledger_snapshot_callback_t *callback, void *context);

/* Returns the client or NULL. */
struct ledger_client *ledger_find(struct ledger *ledger, const char *client_id);
/* Returns the client, new if need be. */
struct ledger_client *ledger_get(struct ledger *ledger, const char *client_id);
bool ledger_client_is_done(const struct ledger_client *client, uint64_t id);
/* Notes that a request which isn't journalled needs no memory of its own. */
void ledger_client_skip(struct ledger_client *client, uint64_t id);
/* Returns the transaction's first intent or NULL. */
struct ledger_intent *
ledger_client_find_txn(const struct ledger_client *client, uint64_t txn);
/* Returns its next one or NULL. */
struct ledger_intent *ledger_intent_next(const struct ledger_intent *intent);

/* Calls back for every client; the callback may cause entries to be
   applied. */
void ledger_foreach(struct ledger *ledger, ledger_client_callback_t *callback,
		    void *context);
/* Forgets clients that were seen last before the time, with their intents
   that have been given up. Those with others stay. */
void ledger_expire(struct ledger *ledger, time_t seen_since);
unsigned int ledger_intents_count(struct ledger *ledger);

#endif
