/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PROGRESS_H
#define TEAM_PROGRESS_H

/* A bar on standard error for what takes long. Nothing is shown if that isn't
   a terminal, or it's over soon. */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct team_progress {
	uint64_t records;
	/* in records or bytes; total is 0 if it isn't known */
	uint64_t done, total;
	struct timespec start;
	bool tty, shown;
};

void team_progress_init(struct team_progress *progress, uint64_t total);
/* One more record, which is that much of the total. */
void team_progress_add(struct team_progress *progress, uint64_t amount);
/* Ends the line. */
void team_progress_deinit(struct team_progress *progress);

#endif
