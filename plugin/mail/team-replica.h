/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_REPLICA_H
#define TEAM_REPLICA_H

/* The private index as a replica of what PostgreSQL knows, as the mail plugin's
   other files use it. */

#include "seq-range-array.h"

struct mail_index_transaction;
struct mailbox;
struct mailbox_sync_context;
struct team_mailbox;

/* team-state.c, team-replica.c */
/* Asks which messages the log knows. */
void team_state_ask_known(struct team_mailbox *tbox);
/* The colleague's clients find private changes by the shared MODSEQ. Returns 0
   or -1. */
int team_replica_update_modseqs(struct team_mailbox *tbox,
				const ARRAY_TYPE(seq_range) *uids);
/* Before the native sync: asks the service for what is new and applies the
   shared part. After it: applies the private part. */
struct team_state;
struct team_state *team_replica_fetch(struct team_mailbox *tbox);
void team_replica_apply(struct team_mailbox *tbox, struct team_state **state,
			struct mailbox_sync_context *sync_ctx);
/* Empties a private index that is of a folder which had the same name before.
   */
void team_replica_empty_old(struct team_mailbox *tbox);
/* Keeps the private index's log short. */
void team_replica_trim_log(struct team_mailbox *tbox);

/* team-replica-lost.c */
/* Opens the private index: in memory if its files can't be used. */
void team_replica_open(struct team_mailbox *tbox);
bool team_replica_is_in_memory(struct mailbox *box);
/* Why it is there, for the log. */
const char *team_replica_memory_reason(struct mailbox *box);
/* Opens the private index anew if it has gone or is broken, and fills it. Not
   while more than so many transactions may look at it. */
void team_replica_check(struct team_mailbox *tbox,
			unsigned int transactions);
/* Writes the private part of what was changed: if that can't be done, it comes
   from PostgreSQL. */
void team_replica_commit(struct team_mailbox *tbox,
			 struct mail_index_transaction **trans);
/* The private index isn't what it should be: all of it is asked for. */
void team_replica_distrust(struct team_mailbox *tbox);

#endif
