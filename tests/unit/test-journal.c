/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Appending, reading back, segments, deduplication over a restart. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "journal-frame.h"
#include "test-unit.h"
#include "test-journal-common.h"

#include <sys/wait.h>
#include <unistd.h>

static struct test_journal tj;

static void setup(void)
{
	i_zero(&tj);
	test_dir_init();
	test_open(&tj);
}

static void teardown(void)
{
	if (tj.journal != NULL)
		test_close(&tj);
	test_dir_deinit();
}

START_TEST(test_append)
{
	test_event(&tj, TEST_CLIENT, 1, "one");
	test_event(&tj, NULL, 0, "two");
	/* nothing counts before it is written */
	ck_assert_uint_eq(tj.ok_count, 0);
	ck_assert_str_eq(test_records(&tj), "");
	ck_assert(!test_is_done(&tj, TEST_CLIENT, 1));
	journal_flush(tj.journal);
	ck_assert_uint_eq(tj.ok_count, 2);
	ck_assert_str_eq(test_records(&tj), "1 one;2 two;");
	ck_assert(test_is_done(&tj, TEST_CLIENT, 1));
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;2 two;");
	test_event(&tj, TEST_CLIENT, 2, "three");
	journal_flush(tj.journal);
	ck_assert_str_eq(test_records(&tj), "1 one;2 two;3 three;");
}
END_TEST

START_TEST(test_staged_is_lost)
{
	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	test_event(&tj, TEST_CLIENT, 2, "two");
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;");
	ck_assert(!test_is_done(&tj, TEST_CLIENT, 2));
}
END_TEST

START_TEST(test_dedup)
{
	test_event(&tj, TEST_CLIENT, 3, "a");
	test_prepare(&tj, TEST_CLIENT, 5, 5, "b");
	test_commit(&tj, TEST_CLIENT, 6, 5, 1, "b");
	test_event(&tj, TEST_CLIENT2, 4, "c");
	journal_flush(tj.journal);
	test_reopen(&tj);
	ck_assert(test_is_done(&tj, TEST_CLIENT, 3));
	ck_assert(!test_is_done(&tj, TEST_CLIENT, 4));
	ck_assert(test_is_done(&tj, TEST_CLIENT, 5));
	ck_assert(test_is_done(&tj, TEST_CLIENT, 6));
	ck_assert(!test_is_done(&tj, TEST_CLIENT, 7));
	ck_assert(test_is_done(&tj, TEST_CLIENT2, 4));
	ck_assert(!test_is_done(&tj, TEST_CLIENT2, 3));
}
END_TEST

START_TEST(test_intents)
{
	struct ledger_client *client;
	struct ledger_intent *intent;

	test_prepare(&tj, TEST_CLIENT, 1, 1, "one");
	test_prepare(&tj, TEST_CLIENT, 2, 1, "two");
	test_prepare(&tj, TEST_CLIENT, 3, 3, "other");
	journal_flush(tj.journal);
	test_reopen(&tj);
	client = ledger_find(tj.ledger, TEST_CLIENT);
	intent = ledger_client_find_txn(client, 1);
	ck_assert_ptr_nonnull(intent);
	ck_assert_uint_eq(intent->id, 1);
	intent = ledger_intent_next(intent);
	ck_assert_uint_eq(intent->id, 2);
	ck_assert_ptr_null(ledger_intent_next(intent));
	test_commit(&tj, TEST_CLIENT, 4, 1, 2, "done");
	journal_flush(tj.journal);
	test_reopen(&tj);
	client = ledger_find(tj.ledger, TEST_CLIENT);
	ck_assert_ptr_null(ledger_client_find_txn(client, 1));
	ck_assert_ptr_nonnull(ledger_client_find_txn(client, 3));
	ck_assert_str_eq(test_records(&tj), "1 done0;2 done1;");
	ck_assert_uint_eq(ledger_intents_count(tj.ledger), 1);
}
END_TEST

static void test_shrink_segments(void)
{
	test_close(&tj);
	tj.set.segment_size = 2000;
	test_open(&tj);
}

START_TEST(test_segments)
{
	unsigned int i;
	struct journal_status status;

	test_shrink_segments();
	test_prepare(&tj, TEST_CLIENT, 1, 1, "open");
	for (i = 2; i <= 200; i++) {
		test_event(&tj, TEST_CLIENT, i, t_strdup_printf("%u", i));
		journal_flush(tj.journal);
	}
	journal_get_status(tj.journal, &status);
	ck_assert_uint_gt(status.segments, 5);
	ck_assert_uint_eq(status.last_seq, 199);
	ck_assert_uint_eq(test_files(JOURNAL_SEGMENT_SUFFIX), status.segments);

	/* the shipped ones go, what they knew stays */
	journal_set_shipped(tj.journal, 150);
	journal_get_status(tj.journal, &status);
	ck_assert_uint_eq(test_files(JOURNAL_SEGMENT_SUFFIX), status.segments);
	ck_assert_uint_gt(journal_first_seq(tj.journal), 100);
	ck_assert_uint_le(journal_first_seq(tj.journal), 151);
	journal_set_shipped(tj.journal, 199);
	test_reopen(&tj);
	journal_get_status(tj.journal, &status);
	ck_assert_uint_eq(status.last_seq, 199);
	ck_assert_uint_eq(status.shipped_seq, 199);
	for (i = 1; i <= 200; i++)
		ck_assert(test_is_done(&tj, TEST_CLIENT, i));
	ck_assert(!test_is_done(&tj, TEST_CLIENT, 201));
	ck_assert_uint_eq(ledger_intents_count(tj.ledger), 1);
	test_commit(&tj, TEST_CLIENT, 201, 1, 1, "late");
	journal_flush(tj.journal);
	ck_assert_uint_eq(ledger_intents_count(tj.ledger), 0);
}
END_TEST

START_TEST(test_reader_follows)
{
	struct journal_reader *reader;
	struct journal_entry entry;
	const char *error;
	unsigned int i;

	test_shrink_segments();
	reader = journal_reader_init(tj.journal, 0);
	ck_assert_int_eq(journal_reader_next(reader, &entry, &error), 0);
	for (i = 1; i <= 200; i++) {
		test_event(&tj, TEST_CLIENT, i, t_strdup_printf("%u", i));
		ck_assert_int_eq(journal_reader_next(reader, &entry, &error),
				 0);
		journal_flush(tj.journal);
		ck_assert_int_eq(journal_reader_next(reader, &entry, &error),
				 1);
		ck_assert_uint_eq(entry.first_seq, i);
		if (i % 7 == 0)
			journal_set_shipped(tj.journal, i);
	}
	ck_assert_int_eq(journal_reader_next(reader, &entry, &error), 0);
	journal_reader_deinit(&reader);
	/* in the middle */
	reader = journal_reader_init(tj.journal, 197);
	ck_assert_int_eq(journal_reader_next(reader, &entry, &error), 1);
	ck_assert_uint_eq(entry.first_seq, 198);
	journal_reader_deinit(&reader);
}
END_TEST

START_TEST(test_replaced_segment)
{
	struct journal_reader *reader;
	struct journal_entry entry;
	const char *error;
	unsigned int i;

	/* intents alone fill segments: these have no records, and the same
	   first number */
	test_shrink_segments();
	reader = journal_reader_init(tj.journal, 0);
	ck_assert_int_eq(journal_reader_next(reader, &entry, &error), 0);
	for (i = 1; i <= 100; i++) {
		struct journal_entry abort_entry = {
			.type = JOURNAL_ENTRY_ABORT, .client_id = TEST_CLIENT,
			.id = 2*i, .txn = 2*i - 1,
		};
		test_prepare(&tj, TEST_CLIENT, 2*i - 1, 2*i - 1, "x");
		journal_flush(tj.journal);
		journal_stage(tj.journal, &abort_entry, FALSE, NULL, NULL);
		journal_flush(tj.journal);
	}
	(void)test_segment();
	ck_assert_uint_gt(tj.journal->generation, 3);
	test_event(&tj, TEST_CLIENT, 201, "first");
	journal_flush(tj.journal);
	ck_assert_int_eq(journal_reader_next(reader, &entry, &error), 1);
	ck_assert_uint_eq(entry.first_seq, 1);
	journal_reader_deinit(&reader);
	test_reopen(&tj);
	ck_assert(test_is_done(&tj, TEST_CLIENT, 1));
	ck_assert(test_is_done(&tj, TEST_CLIENT, 201));
	ck_assert_uint_eq(ledger_intents_count(tj.ledger), 0);
}
END_TEST

START_TEST(test_base)
{
	struct journal_status status;

	journal_get_status(tj.journal, &status);
	ck_assert(!status.base_known);
	ck_assert_int_eq(journal_set_base(tj.journal, -7), 0);
	test_reopen(&tj);
	journal_get_status(tj.journal, &status);
	ck_assert(status.base_known);
	ck_assert_int_eq(status.base, -7);
}
END_TEST

START_TEST(test_node_is_kept)
{
	test_close(&tj);
	tj.set.node = NULL;
	test_open(&tj);
	ck_assert_str_eq(journal_get_node(tj.journal), "testnode");
}
END_TEST

START_TEST(test_two_writers)
{
	struct test_journal other;
	const char *error = "";
	pid_t pid;
	int status;

	i_zero(&other);
	ck_assert_int_eq(test_try_open(&other, &error), -1);
	ck_assert_msg(strstr(error, "another team service") != NULL, "%s",
		      error);
	/* and in another process */
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(test_try_open(&other, &error) < 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* neither took it away */
	ck_assert_int_eq(test_try_open(&other, &error), -1);
	test_close(&tj);
	test_open(&other);
	test_close(&other);
}
END_TEST

START_TEST(test_frames)
{
	buffer_t *buf = t_buffer_create(256);
	struct journal_frame frame;
	size_t i;

	journal_frame_append(buf, 1000, 'R', "payload", 7);
	journal_frame_append(buf, 1000 + buf->used, 'P', "", 0);
	ck_assert_int_eq(journal_frame_parse(buf->data, buf->used, 1000,
					     &frame), JOURNAL_FRAME_OK);
	ck_assert_uint_eq(frame.size, 7);
	ck_assert_uint_eq(frame.type, 'R');
	/* it counts only where it was written */
	ck_assert_int_eq(journal_frame_parse(buf->data, buf->used, 1001,
					     &frame), JOURNAL_FRAME_BAD);
	for (i = 0; i < JOURNAL_FRAME_HEADER_SIZE + 7; i++) {
		ck_assert_int_eq(journal_frame_parse(buf->data, i, 1000,
						     &frame),
				 JOURNAL_FRAME_SHORT);
	}
	ck_assert_uint_eq(journal_frame_find(buf->data, buf->used, 1000, 1),
			  JOURNAL_FRAME_HEADER_SIZE + 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal");
	TCase *tc = tcase_create("journal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_append);
	tcase_add_test(tc, test_staged_is_lost);
	tcase_add_test(tc, test_dedup);
	tcase_add_test(tc, test_intents);
	tcase_add_test(tc, test_segments);
	tcase_add_test(tc, test_reader_follows);
	tcase_add_test(tc, test_replaced_segment);
	tcase_add_test(tc, test_base);
	tcase_add_test(tc, test_node_is_kept);
	tcase_add_test(tc, test_two_writers);
	tcase_add_test(tc, test_frames);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
