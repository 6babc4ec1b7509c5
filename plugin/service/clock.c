/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wall clock gives the records their times. When it is set, the log says
   so: its times then tell neither what came when nor what time passed. */

#include "team-common.h"
#include "ioloop.h"
#include "journal.h"
#include "journal-gap.h"
#include "clock.h"

#include <time.h>

#define CLOCK_CHECK_MSECS 1000
/* NTP lets a clock that is a little wrong go faster or slower, far less than
   this in a second. */
#define CLOCK_JUMP_USECS 1000000

static struct journal *clock_journal;
static struct timeout *to_clock;
static int64_t clock_offset;

static int64_t clock_usecs(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		i_fatal("clock_gettime() failed: %m");
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* How far the wall clock is ahead of one that nobody can set and that goes on
   while the machine sleeps. */
static int64_t clock_get_offset(void)
{
	return clock_usecs(CLOCK_REALTIME) - clock_usecs(CLOCK_BOOTTIME);
}

static void clock_jumped(int64_t usecs)
{
	uint64_t now = (uint64_t)clock_usecs(CLOCK_REALTIME);
	const char *seconds = t_strdup_printf("%"PRId64,
		((usecs < 0 ? -usecs : usecs) + 500000) / 1000000);
	const char *reason = t_strdup_printf("the clock was set %s by %s "
		"seconds", usecs < 0 ? "back" : "forward", seconds);
	const char *const details[] = {
		t_strconcat("d.reason=", reason, NULL),
		t_strconcat("d.from=", journal_time_text(now - usecs), NULL),
		t_strconcat("d.to=", journal_time_text(now), NULL), NULL
	};

	i_warning("%s, from %s to %s: the times of records before and after "
		  "can't be compared", reason, details[1] + 7, details[2] + 5);
	journal_clock_set(clock_journal);
	journal_stage_gap(clock_journal, details);
}

static void clock_check(void *context ATTR_UNUSED)
{
	int64_t offset = clock_get_offset();
	int64_t usecs = offset - clock_offset;

	clock_offset = offset;
	if (usecs >= CLOCK_JUMP_USECS || usecs <= -CLOCK_JUMP_USECS)
		clock_jumped(usecs);
}

void clock_init(struct journal *journal)
{
	clock_journal = journal;
	clock_offset = clock_get_offset();
	to_clock = timeout_add(CLOCK_CHECK_MSECS, clock_check, NULL);
}

void clock_deinit(void)
{
	timeout_remove(&to_clock);
}
