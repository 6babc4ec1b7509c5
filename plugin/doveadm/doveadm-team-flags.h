/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DOVEADM_TEAM_FLAGS_H
#define DOVEADM_TEAM_FLAGS_H

/* Private flags in files of JSON Lines, one line for some messages of one
   mailbox that have one flag for one colleague. */

#include <stdio.h>

#include "uidset.h"

struct doveadm_cmd_context;

struct flags_line {
	/* in the file, for who reads it */
	unsigned int number;
	char *colleague, *mailbox, *guid, *flag;
	uint32_t uidvalidity;
	struct team_uidset uids;
};

/* Reads a line, which must have no LF at its end. Returns 0, or -1 with what is
   wrong with it (from the data stack); then the line is empty. Free it with
   flags_line_clear(). */
int flags_line_parse(const char *text, struct flags_line *line_r,
		     const char **error_r);
void flags_line_clear(struct flags_line *line);
/* Is it about the same flag of the same colleague in the same mailbox? */
bool flags_line_equals(const struct flags_line *l1,
		       const struct flags_line *l2);
/* Takes UIDs out of the line. */
void flags_line_subtract(struct flags_line *line,
			 const struct team_uidset *uids);
/* Writes it with a LF. */
void flags_line_write(const struct flags_line *line, FILE *file);

/* doveadm team flags import --input */
void doveadm_team_flags_import_file(struct doveadm_cmd_context *cctx,
				    const char *path);

#endif
