/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_UIDSET_H
#define TEAM_UIDSET_H

/* A set of IMAP UIDs (1..2^32-1) as ascending ranges, its text form in IMAP
   ("1:4,7") and in PostgreSQL's multiranges ("{[1,4],[7,7]}"). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct team_uid_range {
	/* both inclusive */
	uint32_t first, last;
};

struct team_uidset {
	struct team_uid_range *ranges;
	size_t count, alloc;
};

/* Parses an IMAP sequence-set without '*': ascending and without overlaps.
   Ranges that touch are joined. Returns 0, or -1 with an error (a constant
   string); then the set is empty. *set_r needn't be initialized; free it with
   team_uidset_free(). */
int team_uidset_parse(const char *text, struct team_uidset *set_r,
		      const char **error_r);
/* The same for PostgreSQL's text form of an int8multirange. */
int team_uidset_parse_multirange(const char *text, struct team_uidset *set_r,
				 const char **error_r);
void team_uidset_free(struct team_uidset *set);

/* Adds a range. It must not begin below the last range's begin. */
void team_uidset_add(struct team_uidset *set, uint32_t first, uint32_t last);
bool team_uidset_contains(const struct team_uidset *set, uint32_t uid);
/* Number of UIDs in the set. */
uint64_t team_uidset_size(const struct team_uidset *set);

/* Returns the IMAP form of the ranges from *pos on, at most max_size bytes
   with the NUL (but at least one range), and moves *pos behind them. "" if
   there are none. The caller frees it. */
char *team_uidset_format_part(const struct team_uidset *set, size_t *pos,
			      size_t max_size);
/* Returns the whole set's IMAP form. The caller frees it. */
char *team_uidset_format(const struct team_uidset *set);
/* Returns the set as int8multirange with inclusive bounds. The caller frees
   it. */
char *team_uidset_format_multirange(const struct team_uidset *set);

#endif
