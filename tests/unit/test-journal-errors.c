/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A journal that can't be written: nothing is acknowledged, nothing is left
   half written, and it goes on with a gap record when it can again. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "test-unit.h"
#include "test-journal-common.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_journal tj;

static void setup(void)
{
	i_zero(&tj);
	signal(SIGXFSZ, SIG_IGN);
	test_dir_init();
	test_open(&tj);
}

static unsigned int logged_errors;

static void ATTR_FORMAT(2, 0)
count_error(const struct failure_context *ctx ATTR_UNUSED,
	    const char *format ATTR_UNUSED, va_list args ATTR_UNUSED)
{
	logged_errors++;
}

/* Flushes while files can't get larger than that. Not for longer, and without
   logging: the test's own output may be a file. */
static void flush_limited(rlim_t size)
{
	struct rlimit old, limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = size;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		ck_abort_msg("setrlimit() failed");
	i_set_error_handler(count_error);
	journal_flush(tj.journal);
	i_set_error_handler(default_error_handler);
	if (setrlimit(RLIMIT_FSIZE, &old) < 0)
		ck_abort_msg("setrlimit() failed");
}

static void teardown(void)
{
	if (tj.journal != NULL)
		test_close(&tj);
	test_dir_deinit();
}

START_TEST(test_disk_full)
{
	uint64_t offset;
	struct journal_status status;

	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	offset = tj.journal->offset;

	test_event(&tj, TEST_CLIENT, 2, "two");
	test_event(&tj, TEST_CLIENT, 3, "three");
	/* so that a part fits */
	flush_limited(offset + 20 + _i * 60);
	ck_assert_uint_eq(tj.ok_count, 1);
	ck_assert_uint_eq(tj.error_count, 2);
	ck_assert_uint_eq(logged_errors, 1);
	ck_assert_uint_eq(test_read_file(test_segment())->used, offset);
	ck_assert_str_eq(test_records(&tj), "1 one;");
	ck_assert(!test_is_done(&tj, TEST_CLIENT, 2));
	journal_get_status(tj.journal, &status);
	ck_assert_ptr_nonnull(status.error);
	ck_assert_uint_eq(status.last_seq, 1);

	/* still */
	test_event(&tj, TEST_CLIENT, 2, "two");
	flush_limited(offset + 20);
	ck_assert_uint_eq(tj.error_count, 3);
	/* once is enough */
	ck_assert_uint_eq(logged_errors, 1);
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;");
}
END_TEST

static bool told_writable;

static void set_writable(bool writable)
{
	told_writable = writable;
}

START_TEST(test_recovers)
{
	struct journal_status status;

	told_writable = FALSE;
	journal_set_writable_callback(tj.journal, set_writable);
	ck_assert(told_writable);
	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	test_event(&tj, TEST_CLIENT, 2, "two");
	flush_limited(tj.journal->offset + 10);
	ck_assert_uint_eq(tj.error_count, 1);
	ck_assert(!told_writable);
	test_event(&tj, TEST_CLIENT, 2, "two");
	journal_flush(tj.journal);
	ck_assert(told_writable);
	ck_assert_uint_eq(tj.ok_count, 2);
	ck_assert_str_eq(test_records(&tj), "1 one;2 gap;3 two;");
	journal_get_status(tj.journal, &status);
	ck_assert_ptr_null(status.error);
	test_event(&tj, TEST_CLIENT, 3, "three");
	journal_flush(tj.journal);
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;2 gap;3 two;4 three;");
}
END_TEST

/* A failed sync: the file isn't trusted any more, and nothing of the round
   counts. A pipe can be written but not synced. */
START_TEST(test_sync_fails)
{
	int fds[2], fd;

	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	ck_assert_int_eq(pipe(fds), 0);
	fd = tj.journal->fd;
	tj.journal->fd = fds[1];
	tj.journal->unsynced = TRUE;
	ck_assert_int_eq(journal_sync(tj.journal), -1);
	tj.journal->fd = fd;
	close(fds[0]);
	close(fds[1]);
	test_event(&tj, TEST_CLIENT, 2, "two");
	journal_flush(tj.journal);
	ck_assert_uint_eq(tj.ok_count, 2);
	ck_assert_uint_eq(array_count(&tj.journal->segments), 2);
	ck_assert_str_eq(test_records(&tj), "1 one;2 gap;3 two;");
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;2 gap;3 two;");
}
END_TEST

/* A new segment can't be created: the old one goes on. */
START_TEST(test_rotate_fails)
{
	unsigned int i;

	test_close(&tj);
	tj.set.segment_size = 500;
	test_open(&tj);
	for (i = 1; i <= 2; i++) {
		test_event(&tj, TEST_CLIENT, i, t_strdup_printf("%u", i));
		journal_flush(tj.journal);
	}
	/* the name is taken by a directory */
	ck_assert_int_eq(mkdir(t_strdup_printf("%s/%020u.journal.tmp",
			       test_dir, 5), 0700), 0);
	for (; i <= 8; i++) {
		test_event(&tj, TEST_CLIENT, i, t_strdup_printf("%u", i));
		journal_flush(tj.journal);
	}
	ck_assert_uint_eq(tj.error_count, 0);
	ck_assert_int_eq(rmdir(t_strdup_printf("%s/%020u.journal.tmp",
			       test_dir, 5)), 0);
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 1;2 2;3 3;4 4;5 5;6 6;7 7;8 8;");
}
END_TEST

/* What an administrator has to do depends on the error. */
START_TEST(test_advice)
{
	static const struct {
		int error;
		const char *advice;
	} tests[] = {
		{ EROFS, "mount it writable again" },
		{ ENOSPC, "make room" },
		{ EDQUOT, "make room" },
		{ EACCES, "belong" },
		{ EPERM, "belong" },
		{ EIO, NULL },
	};
	const char *text;

	errno = tests[_i].error;
	text = journal_failed("write", "/journal/1");
	ck_assert_msg(strstr(text, strerror(tests[_i].error)) != NULL, "%s", text);
	if (tests[_i].advice == NULL)
		ck_assert_msg(strchr(text, '(') == strrchr(text, '('), "%s", text);
	else
		ck_assert_msg(strstr(text, tests[_i].advice) != NULL, "%s", text);
}
END_TEST

/* A path for the note, which isn't on the journal's disk. */
static const char *note_init(void)
{
	const char *path = t_strconcat(test_dir, ".note", NULL);

	test_write_file(path, "", 0);
	tj.set.note_path = path;
	return path;
}

static void note_check(const char *path, const char *records)
{
	ck_assert_str_eq(test_records(&tj), records);
	ck_assert_uint_eq(test_read_file(path)->used, 0);
	/* once */
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), records);
	ck_assert_int_eq(unlink(path), 0);
}

/* The process ends while it can't write: the next one records it. */
START_TEST(test_ends_meanwhile)
{
	const char *path = note_init();
	uint64_t since;

	test_reopen(&tj);
	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	test_event(&tj, TEST_CLIENT, 2, "two");
	flush_limited(tj.journal->offset + 10);
	ck_assert_uint_eq(tj.error_count, 1);
	since = tj.journal->fail_since;
	ck_assert_uint_ne(since, 0);
	test_kill(&tj);
	ck_assert_msg(strstr(t_strndup(test_read_file(path)->data,
				       test_read_file(path)->used),
			     dec2str(since)) != NULL, "not noted");
	test_open(&tj);
	note_check(path, "1 one;2 gap;");
}
END_TEST

/* It can't be opened: what was refused until it can is recorded. */
START_TEST(test_opened_later)
{
	const char *lock = t_strconcat(test_dir, "/lock", NULL);
	const char *path = note_init(), *error, *note;

	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	test_close(&tj);
	ck_assert_int_eq(unlink(lock), 0);
	ck_assert_int_eq(mkdir(lock, 0700), 0);
	ck_assert_int_eq(test_try_open(&tj, &error), 0);
	tj.set.refused = 3;
	ck_assert_int_eq(test_try_open(&tj, &error), 0);
	note = t_strndup(test_read_file(path)->data,
			 test_read_file(path)->used);
	ck_assert_msg(strstr(note, " 3 open(") != NULL, "%s", note);
	ck_assert_int_eq(rmdir(lock), 0);
	test_open(&tj);
	note_check(path, "1 one;2 gap;");
}
END_TEST

START_TEST(test_no_directory)
{
	const char *error = "", *dir = test_dir;
	struct test_journal other;

	i_zero(&other);
	test_dir = "/nonexistent/team";
	ck_assert_int_eq(test_try_open(&other, &error), 0);
	ck_assert_msg(strstr(error, "/nonexistent/team") != NULL, "%s", error);
	test_dir = dir;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal errors");
	TCase *tc = tcase_create("errors");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_disk_full, 0, 4);
	tcase_add_test(tc, test_recovers);
	tcase_add_test(tc, test_sync_fails);
	tcase_add_test(tc, test_rotate_fails);
	tcase_add_loop_test(tc, test_advice, 0, 6);
	tcase_add_test(tc, test_ends_meanwhile);
	tcase_add_test(tc, test_opened_later);
	tcase_add_test(tc, test_no_directory);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
