/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Showing how far it is. */

#include "team-common.h"
#include "audit-progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_RECORDS 4096
#define PROGRESS_WIDTH 30
#define PROGRESS_FIRST_SECS 0.5

void audit_progress_init(struct audit_progress *progress, uint64_t total)
{
	i_zero(progress);
	progress->total = total;
	progress->tty = isatty(STDERR_FILENO) == 1;
	clock_gettime(CLOCK_MONOTONIC, &progress->start);
}

static void progress_show(struct audit_progress *progress)
{
	char bar[PROGRESS_WIDTH + 1];
	uint64_t total = I_MAX(progress->total, progress->done);
	unsigned int filled;
	struct timespec now;
	double secs;

	clock_gettime(CLOCK_MONOTONIC, &now);
	secs = (double)(now.tv_sec - progress->start.tv_sec) +
		(double)(now.tv_nsec - progress->start.tv_nsec) / 1e9;
	if (total == 0 || secs < PROGRESS_FIRST_SECS)
		return;
	filled = progress->done * PROGRESS_WIDTH / total;
	memset(bar, '.', PROGRESS_WIDTH);
	memset(bar, '#', filled);
	bar[PROGRESS_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %3u%%  %"PRIu64" records, %.0f a second", bar,
		(unsigned int)(progress->done * 100 / total), progress->done,
		(double)progress->done / secs);
	progress->shown = TRUE;
}

void audit_progress_add(struct audit_progress *progress)
{
	progress->done++;
	if (progress->tty && progress->done % PROGRESS_RECORDS == 0)
		progress_show(progress);
}

void audit_progress_deinit(struct audit_progress *progress)
{
	if (!progress->shown)
		return;
	progress_show(progress);
	fputc('\n', stderr);
}
