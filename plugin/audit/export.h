/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_EXPORT_H
#define TEAM_EXPORT_H

/* A record of the log with all that its leaf is made of: as it comes from the
   database, and as a line of JSON in exports. */

#include "leaf.h"

#include <stdio.h>

struct team_export {
	char *node;
	uint64_t seq;
	/* as it was journalled, without what was erased */
	struct team_record *record;
	struct team_opening opening;
	bool have_opening;
	/* as the database has it */
	bool have_leaf;
	struct team_hash leaf;
	/* NULL, or why the record isn't what was journalled */
	char *replaced;
};

/* Columns of the database; NULL if it is NULL or unknown. */
typedef const char *team_export_column_t(const char *name, void *context);

/* Return 0, or -1 with an error that the caller frees. */
int team_export_from_row(struct team_export *export_r,
			 team_export_column_t *column, void *context,
			 char **error_r);
int team_export_from_json(struct team_export *export_r, const char *line,
			  char **error_r);
void team_export_clear(struct team_export *exp);
/* Writes the line. */
void team_export_write_json(const struct team_export *exp, FILE *file);

/* Used by both: adds the field of the row or line. */
int team_export_set(struct team_export *exp, const char *key,
		    const char *value, char **error_r);
/* Reads {"salts":{...},"erased":{...}}. */
int team_export_set_opened(struct team_export *exp, const char *json);

#endif
