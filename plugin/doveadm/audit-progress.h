/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AUDIT_PROGRESS_H
#define AUDIT_PROGRESS_H

/* A bar on standard error for what takes long. Nothing is shown if that isn't
   a terminal, or it's over soon. */

struct audit_progress {
	uint64_t done, total;
	struct timespec start;
	bool tty, shown;
};

/* total: how many records there are. */
void audit_progress_init(struct audit_progress *progress, uint64_t total);
/* One more is done. */
void audit_progress_add(struct audit_progress *progress);
/* Ends the line. */
void audit_progress_deinit(struct audit_progress *progress);

#endif
