/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_GENERATIONS_H
#define TEAM_SERVICE_GENERATIONS_H

/* Writes the file of team-generations.h. */

#include "team-generations.h"

struct team_record;

/* Makes the file in the directory and locks it. Returns 0, or -1 with errno
   set: then the functions below do nothing, and replicas ask every time. */
int generations_init(const char *dir);
void generations_deinit(void);

/* The journal can be written, and has room for what is begun; or not any
   more. */
void generations_journal(bool writable);
/* Changes on other nodes are heard from now on; or not any more. */
void generations_hear(bool heard);
/* The database was set back: what replicas have says nothing any more. */
void generations_forget(void);
/* The database's history, as TEAM_REV_HISTORY() has it: forgets if it is another
   one than before. */
void generations_history(int64_t history);
/* Something was changed. To be called before anybody can be told that it was.
   colleague may be NULL with TEAM_GENERATION_BOX. */
void generations_changed(enum team_generation kind, const char *guid,
			 uint32_t uidvalidity, const char *colleague);
/* The same for a record that is about to be journalled. before is the intent
   that it comes from, or NULL. */
void generations_record(const struct team_record *record,
			const struct team_record *before);
/* The counter of what the record's colleague changed on this node in its
   mailbox, or 0. */
uint64_t generations_record_own(const struct team_record *record);
/* What a replica has that is brought up now; the epoch is 0 if nobody knows. */
void generations_get(const char *guid, uint32_t uidvalidity,
		     const char *colleague, struct team_generations *gens_r);

#endif
