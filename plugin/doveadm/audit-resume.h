/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AUDIT_RESUME_H
#define AUDIT_RESUME_H

/* Going on with a file that an export was writing. */

#include "audit-format.h"

/* Finds the last complete record, cuts off what follows it and goes to the end.
   Returns 0 with its number, 0 if there is none; or -1, with the error logged
   and the exit code set, if the file isn't an export of the node in this
   format. empty_r: not even what stands before the first record is there. */
int audit_resume(FILE *file, const char *path, enum audit_format format,
		 const char *node, uint64_t *seq_r, bool *empty_r);

#endif
