/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_GAP_H
#define TEAM_JOURNAL_GAP_H

/* Gap records: the log saying what it doesn't know. */

/* Returns a gap record in canonical form, from the data stack. details:
   "key=value" strings, NULL-terminated. */
const char *journal_gap_record(uint64_t at, const char *const *details);
/* Returns the time in ISO 8601 (UTC, seconds), from the data stack. */
const char *journal_time_text(uint64_t usecs);

#endif
