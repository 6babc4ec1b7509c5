/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CHECKPOINT_FILE_H
#define TEAM_CHECKPOINT_FILE_H

/* The file that signed notes are appended to, an empty line behind each, and
   how far it was sent to PostgreSQL. */

#include "checkpoint.h"

struct checkpoint_file;

int checkpoint_file_open(const char *dir, struct checkpoint_file **file_r,
			 const char **error_r);
void checkpoint_file_close(struct checkpoint_file **file);
/* Returns 0, or -1 with an error; then nothing was appended. */
int checkpoint_file_append(struct checkpoint_file *file, const char *note,
			   const char **error_r);
/* Finds the last checkpoint of the origin. Returns 1, 0 if there is none, -1
   with an error. */
int checkpoint_file_last(struct checkpoint_file *file, const char *origin,
			 struct team_statement *statement_r,
			 const char **error_r);
/* The next note that wasn't sent, from the data stack; NULL if there is none. */
const char *checkpoint_file_next(struct checkpoint_file *file);
/* It was sent. */
void checkpoint_file_sent(struct checkpoint_file *file);
bool checkpoint_file_is_sent(const struct checkpoint_file *file);

#endif
