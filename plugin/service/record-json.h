/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_JSON_H
#define TEAM_RECORD_JSON_H

#include "leaf.h"

/* Records as team.ingest takes them. */

/* Appends the record (canonical form without seq) as a JSON object with the
   log's number. Bytes that aren't UTF-8 become U+FFFD. Returns 0, or -1 with
   an error if the record can't be read; then nothing was appended. */
int record_json_append(string_t *dest, int64_t seq, const char *record,
		       const char **error_r);
/* Appends a string, quoted. */
void json_append_string(string_t *dest, const char *text);


/* Adds what proves that the record is in the tree to the object that was
   appended last. */
void record_json_append_proof(string_t *dest, const unsigned char *salt,
			      const struct team_hash *leaf);

#endif
