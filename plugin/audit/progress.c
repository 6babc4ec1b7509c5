/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Showing how far it is. */

#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_RECORDS 4096
#define PROGRESS_WIDTH 30
#define PROGRESS_FIRST_SECS 0.5

void team_progress_init(struct team_progress *progress, uint64_t total)
{
	memset(progress, 0, sizeof(*progress));
	progress->total = total;
	progress->tty = isatty(STDERR_FILENO) == 1;
	clock_gettime(CLOCK_MONOTONIC, &progress->start);
}

static void progress_show(struct team_progress *progress)
{
	char bar[PROGRESS_WIDTH + 1];
	struct timespec now;
	double secs, part;

	clock_gettime(CLOCK_MONOTONIC, &now);
	secs = (double)(now.tv_sec - progress->start.tv_sec) +
		(double)(now.tv_nsec - progress->start.tv_nsec) / 1e9;
	if (secs < PROGRESS_FIRST_SECS)
		return;
	fputc('\r', stderr);
	if (progress->total > 0) {
		/* the log may grow meanwhile */
		part = progress->done >= progress->total ? 1 :
			(double)progress->done / (double)progress->total;
		memset(bar, '.', PROGRESS_WIDTH);
		memset(bar, '#', (size_t)(part * PROGRESS_WIDTH));
		bar[PROGRESS_WIDTH] = '\0';
		fprintf(stderr, "[%s] %3.0f%%  ", bar, part * 100);
	}
	fprintf(stderr, "%"PRIu64" records, %.0f a second",
		progress->records, (double)progress->records / secs);
	progress->shown = true;
}

void team_progress_add(struct team_progress *progress, uint64_t amount)
{
	progress->done += amount;
	if (++progress->records % PROGRESS_RECORDS == 0 && progress->tty)
		progress_show(progress);
}

void team_progress_deinit(struct team_progress *progress)
{
	if (!progress->shown)
		return;
	progress_show(progress);
	fputc('\n', stderr);
}
