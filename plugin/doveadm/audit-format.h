/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AUDIT_FORMAT_H
#define AUDIT_FORMAT_H

/* The formats of exports. */

#include "export.h"

enum audit_format {
	/* all that a check needs */
	AUDIT_FORMAT_JSONL,
	AUDIT_FORMAT_CSV,
	/* JSON Lines with the field names of the Elastic Common Schema */
	AUDIT_FORMAT_ECS
};

/* Returns 0, or -1 if there is no such format. */
int audit_format_parse(const char *name, enum audit_format *format_r);
/* What stands before the first record. */
void audit_format_header(enum audit_format format, FILE *file);
void audit_format_record(enum audit_format format,
			 const struct team_export *exp, FILE *file);

#endif
