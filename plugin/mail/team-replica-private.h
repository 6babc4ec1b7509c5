/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_REPLICA_PRIVATE_H
#define TEAM_REPLICA_PRIVATE_H

/* What the service answers to SYNC, shared by team-state.c, which asks, and
   team-replica.c, which brings it into the private index. */

struct team_state_flag {
	/* or a keyword */
	enum mail_flags flag;
	const char *keyword;
	uint32_t first_uid, last_uid;
	ARRAY_TYPE(seq_range) uids;
	/* messages that are to be left alone; may be missing */
	ARRAY_TYPE(seq_range) skip;
};

ARRAY_DEFINE_TYPE(team_state_flag, struct team_state_flag);

/* Stands in the private index's header. */
struct team_generations_header {
	struct team_generations gens;
	/* of the claims that the shared index was to show */
	uint32_t claims_sum;
	uint32_t unused;
};

struct team_state {
	pool_t pool;
	uint64_t cursor, rev;
	/* what the private index's header says, and what comes with the
	   answer */
	struct team_generations_header old_gens, gens;
	/* where the private index's log ended before the service was asked */
	uint32_t log_seq;
	uoff_t log_offset;
	/* the private index has been a replica before */
	bool replica;
	/* and its cursor holds */
	bool current;
	ARRAY_TYPE(team_state_flag) flags;
};

/* TRUE if what this process knows of the private index needs no refreshing: the
   service knows of no change since. */
bool team_replica_holds(struct team_mailbox *tbox);
/* Notes the private index's state: cursor and where its log ends. */
void team_replica_begin(struct team_mailbox *tbox, struct team_state *state);
/* Brings the state into the private index. Returns 1, 0 if something stands
   against it now, -1 if it can't be done; then it is asked for again. */
int team_replica_bring(struct team_mailbox *tbox, struct team_state *state,
		       ARRAY_TYPE(seq_range) *changed_uids);
/* The same if there is nothing to bring. */
void team_replica_bring_nothing(struct team_mailbox *tbox,
				const struct team_state *state);
/* TRUE if both are about the same flag or keyword. */
bool team_state_flag_equals(const struct team_state_flag *f1,
			    const struct team_state_flag *f2);
/* Asks for all that PostgreSQL knows. Returns NULL with the reason if it can't
   be had. */
struct team_state *
team_state_get_all(struct team_mailbox *tbox, const char **error_r);
struct team_state *team_state_new(void);
void team_state_free(struct team_state **state);
/* The state has to be asked for again, soon. */
void team_state_retry(struct team_mailbox *tbox);

/* team-generations.c */
/* What the open private index's header says. */
void team_generations_read(struct team_mailbox *tbox,
			   struct team_generations_header *hdr_r);
/* TRUE if the service's answer could bring nothing new to a replica with this
   header. */
bool team_generations_hold(struct team_mailbox *tbox,
			   const struct team_generations_header *hdr);
/* The service is there, and hears of other nodes' changes. */
bool team_generations_are_known(struct team_mailbox *tbox);
/* The colleague's private flags were changed elsewhere since the session saw
   them, or may have been. */
bool team_generations_flags_changed(struct team_mailbox *tbox);
void team_generations_write(struct team_mailbox *tbox,
			    struct mail_index_transaction *trans,
			    const struct team_generations_header *hdr);
/* The same in a transaction of its own. Returns 0 or -1. */
int team_generations_update(struct team_mailbox *tbox,
			    const struct team_generations_header *hdr);

#endif
