/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The wall clock gives the records their times. When it is set, the log says
   so: its times then tell neither what came when nor what time passed. And
   nothing waits longer for it. */

#include "team-common.h"
#include "array.h"
#include "ioloop-private.h"
#include "priorityq.h"
#include "strnum.h"
#include "time-util.h"
#include "team-settings.h"
#include "journal.h"
#include "journal-gap.h"
#include "clock.h"
#include "service.h"

#include <fcntl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_CHECK_SECS 1
/* NTP lets a clock that is a little wrong go faster or slower, far less than
   this in a second. */
#define CLOCK_JUMP_USECS 1000000
/* Less than this needn't be noted. */
#define CLOCK_NOTE_USECS 100000

/* In the journal's folder: "<boot> <offset>". Of another boot it says nothing,
   so it needn't be on the disk. */
#define CLOCK_FILE_NAME "clock"
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_SIZE 36
#define CLOCK_NOTE_SIZE (BOOT_ID_SIZE + 1 + 20 + 1)

static struct journal *clock_journal;
static struct io *io_clock;
static int64_t clock_offset, clock_noted;
static int clock_fd = -1, clock_timer_fd = -1;
static char clock_boot_id[BOOT_ID_SIZE + 1];

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

static void clock_jumped(int64_t usecs, const char *at_least, const char *when)
{
	uint64_t now = (uint64_t)clock_usecs(CLOCK_REALTIME);
	const char *seconds = t_strdup_printf("%"PRId64,
		((usecs < 0 ? -usecs : usecs) + 500000) / 1000000);
	const char *reason = t_strdup_printf("the clock was set %s by %s%s "
		"seconds%s", usecs < 0 ? "back" : "forward", at_least, seconds,
		when);
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

static bool clock_is_jump(int64_t usecs)
{
	return usecs >= CLOCK_JUMP_USECS || usecs <= -CLOCK_JUMP_USECS;
}

/* ---- while the service was down ---- */

static void clock_note(void)
{
	char buf[CLOCK_NOTE_SIZE + 1];

	if (clock_fd < 0 || clock_boot_id[0] == '\0')
		return;
	(void)i_snprintf(buf, sizeof(buf), "%s %020"PRId64"\n", clock_boot_id,
			 clock_offset);
	if (pwrite(clock_fd, buf, CLOCK_NOTE_SIZE, 0) < 0) {
		i_error("write("CLOCK_FILE_NAME") failed: %m: if the clock is "
			"set while the service is down, the log won't say so");
		i_close_fd(&clock_fd);
	}
	clock_noted = clock_offset;
}

/* Returns FALSE if nothing was noted since the machine was started. */
static bool clock_read_note(int64_t *offset_r)
{
	char buf[CLOCK_NOTE_SIZE];

	if (clock_boot_id[0] == '\0' ||
	    pread(clock_fd, buf, sizeof(buf), 0) != sizeof(buf) ||
	    buf[BOOT_ID_SIZE] != ' ' || buf[sizeof(buf) - 1] != '\n' ||
	    memcmp(buf, clock_boot_id, BOOT_ID_SIZE) != 0)
		return FALSE;
	buf[sizeof(buf) - 1] = '\0';
	return str_to_int64(buf + BOOT_ID_SIZE + 1, offset_r) == 0;
}

static void clock_read_boot_id(void)
{
	int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, clock_boot_id, BOOT_ID_SIZE) != BOOT_ID_SIZE)
		clock_boot_id[0] = '\0';
	i_close_fd(&fd);
}

/* What the clock did while nobody looked. Of another boot only the times of
   the journal's records are left to compare with. */
static void clock_compare(void)
{
	uint64_t last_at = journal_recovered_at(clock_journal);
	int64_t noted, usecs;

	if (clock_read_note(&noted)) {
		usecs = clock_offset - noted;
		if (clock_is_jump(usecs)) {
			clock_jumped(usecs, "", " while the service was down");
		}
		return;
	}
	usecs = clock_usecs(CLOCK_REALTIME) - (int64_t)last_at;
	if (usecs < 0 && clock_is_jump(usecs)) {
		clock_jumped(usecs, "at least ",
			     " while the service was down");
	}
}

/* ---- while it runs ---- */

static void clock_check(void)
{
	int64_t offset = clock_get_offset();
	int64_t usecs = offset - clock_offset;

	clock_offset = offset;
	if (clock_is_jump(usecs))
		clock_jumped(usecs, "", "");
	usecs = offset - clock_noted;
	if (usecs >= CLOCK_NOTE_USECS || usecs <= -CLOCK_NOTE_USECS)
		clock_note();
}

/* Timeouts run by the wall clock. The ioloop moves them when that was set back,
   unless it was between two of its own looks: then they would wait as long as
   the clock was set back by. */
static void clock_mend_timeouts(void)
{
	struct priorityq *queue = current_ioloop->timeouts;
	struct priorityq_item *const *items = priorityq_items(queue);
	unsigned int i, count = priorityq_count(queue);
	ARRAY(struct timeout *) late;
	struct timeout *to;
	struct timeval now;

	t_array_init(&late, 8);
	i_gettimeofday(&now);
	for (i = 0; i < count; i++) {
		to = (struct timeout *)items[i];
		if (!to->one_shot &&
		    timeval_diff_msecs(&to->next_run, &now) >
		    (long long)to->msecs + CLOCK_CHECK_SECS * 1000)
			array_push_back(&late, &to);
	}
	array_foreach_elem(&late, to)
		timeout_reset(to);
}

static void clock_look(void *context ATTR_UNUSED)
{
	uint64_t times;

	if (read(clock_timer_fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
		i_fatal("read(timerfd) failed: %m");
	clock_check();
	T_BEGIN {
		clock_mend_timeouts();
	} T_END;
}

/* By a clock that nobody can set. */
static void clock_begin_looking(void)
{
	const struct timespec interval = { .tv_sec = CLOCK_CHECK_SECS };
	const struct itimerspec timer = {
		.it_interval = interval, .it_value = interval
	};

	clock_timer_fd = timerfd_create(CLOCK_MONOTONIC,
					TFD_NONBLOCK | TFD_CLOEXEC);
	if (clock_timer_fd < 0 ||
	    timerfd_settime(clock_timer_fd, 0, &timer, NULL) < 0)
		i_fatal("timerfd failed: %m");
	io_clock = io_add(clock_timer_fd, IO_READ, clock_look, NULL);
}

void clock_init(const struct team_service *service)
{
	const char *path = t_strdup_printf("%s/"CLOCK_FILE_NAME,
					   service->set->team_journal_dir);

	clock_journal = service->journal;
	clock_offset = clock_get_offset();
	clock_read_boot_id();
	clock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (clock_fd < 0)
		i_error("open(%s) failed: %m", path);
	clock_compare();
	clock_note();
	clock_begin_looking();
}

void clock_deinit(void)
{
	io_remove(&io_clock);
	i_close_fd(&clock_timer_fd);
	i_close_fd(&clock_fd);
}
