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

struct team_state {
	pool_t pool;
	uint64_t cursor, rev;
	/* where the private index's log ended before the service was asked */
	uint32_t log_seq;
	uoff_t log_offset;
	/* the private index has been a replica before */
	bool replica;
	/* and its cursor holds */
	bool current;
	ARRAY(struct team_state_flag) flags;
};

/* Notes the private index's state: cursor and where its log ends. */
void team_replica_begin(struct team_mailbox *tbox, struct team_state *state);
/* Brings the state into the private index. Returns 1, 0 if something stands
   against it now, -1 if it can't be done; then it is asked for again. */
int team_replica_bring(struct team_mailbox *tbox, struct team_state *state,
		       ARRAY_TYPE(seq_range) *changed_uids);
void team_state_free(struct team_state **state);
/* The state has to be asked for again, soon. */
void team_state_retry(struct team_mailbox *tbox);

#endif
