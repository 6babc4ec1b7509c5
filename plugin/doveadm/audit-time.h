/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_AUDIT_TIME_H
#define TEAM_AUDIT_TIME_H

/* Reads a point in time as people write it on a command line:
     2026-11-23  2026-11-23 14:00  2026-11-23T14:00:05  (local time)
     ... with Z or an offset such as +01:00 behind the time of day
     today  yesterday  yesterday 14:00  14:00           (local time)
     now  1h  90 min  2 days  1 week ago                (before now)
   A date alone is its first second. Returns 0, or -1 with error_r saying what
   is wrong (allocated from the data stack). */
int team_time_parse(const char *str, time_t now, time_t *time_r,
		    const char **error_r);

/* The time in the form in which it is sent to the service: UTC, to the
   second, as PostgreSQL reads it. Allocated from the data stack. */
const char *team_time_to_wire(time_t time);

#endif
