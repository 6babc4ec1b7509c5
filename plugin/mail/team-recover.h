/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECOVER_H
#define TEAM_RECOVER_H

/* Messages keep their GUIDs when their mailbox gets another UIDVALIDITY. */

#include "team-storage-private.h"

/* The mailbox is being closed: tells the service GUIDs of messages that have
   private flags or claims, or sees to it that they are told later. */
void team_mailbox_tell_guids(struct team_mailbox *tbox);
/* Looks for flags and claims that the messages had under another UIDVALIDITY.
   Returns TRUE if there were some: the service has them now. */
bool team_mailbox_recover(struct team_mailbox *tbox);

/* team-replica-sync.c */
/* Fills the private index outside of a sync, as for a session that knows
   nothing yet. */
void team_replica_fill(struct team_mailbox *tbox);

#endif
