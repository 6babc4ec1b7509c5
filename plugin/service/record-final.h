/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_FINAL_H
#define TEAM_RECORD_FINAL_H

/* How records go into the log, and come out of the journal again.

   Where nobody logged in, the colleague is who acted instead: "lmtp", "lda",
   "sieve", or "doveadm:" and the login of who ran it. The user stays whose
   mail, and whose private flags, they are.

   With team_audit_reading=no nothing is told about reading. What a record says
   about \Seen, and the whole of one that says nothing else, becomes a record of
   the action "private": all that it says is the detail "effect", a record in
   canonical form. As a detail it is in the leaf as a salted hash only, so that
   PostgreSQL, after it has carried out the effect, forgets it and the salt. */

struct journal_entry;
struct team_record;

/* Is the record complete, and may a client have it recorded? Returns 0, or -1 with an error. */
int record_final_check(const struct team_record *record, const char **error_r);

/* The canonical form, from the data stack. */
const char *record_text(const struct team_record *record);
/* For journal_set_finish(). context: const bool *, is reading recorded? */
void record_final_entry(struct journal_entry *entry, void *context);
/* The record as PostgreSQL is to have it: of a private one also what it does.
   Returns the text itself, or one from the data stack. */
const char *record_final_open(const char *text);
/* Does the record say nothing but its time to whoever reads the log? */
bool record_final_is_private(const char *text);

#endif
