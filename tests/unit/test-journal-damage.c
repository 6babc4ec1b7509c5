/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recovery: torn tails, damage in the middle, lost segments. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "str.h"
#include "journal-frame.h"
#include "test-unit.h"
#include "test-journal-common.h"

#include <stdio.h>
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

/* Whatever of the last frame reached the disk, the ones before it stand, and
   it's as if it had never been written. */
START_TEST(test_torn_tail)
{
	const buffer_t *before, *after;
	size_t size;

	test_event(&tj, TEST_CLIENT, 1, "one");
	test_prepare(&tj, TEST_CLIENT, 2, 2, "two");
	test_prepare(&tj, TEST_CLIENT, 3, 2, "three");
	journal_flush(tj.journal);
	before = test_read_file(test_segment());
	test_commit(&tj, TEST_CLIENT, 4, 2, 2, "done");
	journal_flush(tj.journal);
	test_close(&tj);
	after = test_read_file(test_segment());

	for (size = before->used; size < after->used; size++) T_BEGIN {
		test_write_file(test_segment(), after->data, size);
		test_open(&tj);
		ck_assert_str_eq(test_records(&tj), "1 one;");
		/* a batch of records is there as a whole or not at all */
		ck_assert(!test_is_done(&tj, TEST_CLIENT, 4));
		ck_assert_uint_eq(ledger_intents_count(tj.ledger), 2);
		ck_assert_uint_eq(tj.journal->offset, before->used);
		ck_assert_uint_eq(test_read_file(test_segment())->used,
				  before->used);
		/* and it goes on */
		test_commit(&tj, TEST_CLIENT, 4, 2, 2, "again");
		journal_flush(tj.journal);
		test_reopen(&tj);
		ck_assert_str_eq(test_records(&tj),
				 "1 one;2 again0;3 again1;");
		ck_assert_uint_eq(ledger_intents_count(tj.ledger), 0);
		test_kill(&tj);
	} T_END;
	ck_assert_uint_eq(test_files(JOURNAL_DAMAGED_SUFFIX), 0);
	test_write_file(test_segment(), after->data, after->used);
	test_open(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;2 done0;3 done1;");
}
END_TEST

static size_t five_events(size_t *third_pos_r, size_t *fourth_pos_r)
{
	static const char *const names[] = {
		"one", "two", "three", "four", "five"
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(names); i++) {
		if (i == 2)
			*third_pos_r = tj.journal->offset;
		else if (i == 3)
			*fourth_pos_r = tj.journal->offset;
		test_event(&tj, TEST_CLIENT, i + 1, names[i]);
		journal_flush(tj.journal);
	}
	return tj.journal->offset;
}

/* A changed byte anywhere in a frame costs this frame and no other; its number
   is taken by a gap record, and the file is kept. */
START_TEST(test_damaged_middle)
{
	const buffer_t *good;
	unsigned char *copy;
	size_t first, end, i;

	five_events(&first, &end);
	test_close(&tj);
	good = test_read_file(test_segment());
	copy = t_malloc_no0(good->used);
	for (i = first; i < end; i++) T_BEGIN {
		memcpy(copy, good->data, good->used);
		copy[i] ^= 0x55;
		test_write_file(test_segment(), copy, good->used);
		test_open(&tj);
		ck_assert_str_eq(test_records(&tj),
				 "1 one;2 two;3 gap;4 four;5 five;");
		ck_assert_uint_eq(test_files(JOURNAL_DAMAGED_SUFFIX), 1);
		test_event(&tj, TEST_CLIENT, 6, "six");
		journal_flush(tj.journal);
		test_reopen(&tj);
		ck_assert_str_eq(test_records(&tj),
				 "1 one;2 two;3 gap;4 four;5 five;6 six;");
		ck_assert(test_is_done(&tj, TEST_CLIENT, 5));
		test_kill(&tj);
		ck_assert_int_eq(unlink(t_strconcat(test_segment(),
					JOURNAL_DAMAGED_SUFFIX, NULL)), 0);
	} T_END;
	test_open(&tj);
}
END_TEST

/* The same where the file begins. */
START_TEST(test_damaged_header)
{
	const buffer_t *good;
	unsigned char *copy;
	size_t header = tj.journal->offset, first, end, i;

	five_events(&first, &end);
	test_close(&tj);
	good = test_read_file(test_segment());
	copy = t_malloc_no0(good->used);
	for (i = 0; i < header; i++) T_BEGIN {
		memcpy(copy, good->data, good->used);
		copy[i] ^= 0x55;
		test_write_file(test_segment(), copy, good->used);
		test_open(&tj);
		ck_assert_str_eq(test_records(&tj), "1 one;2 two;3 three;"
				 "4 four;5 five;6 gap;");
		ck_assert_str_eq(journal_get_node(tj.journal), "testnode");
		test_kill(&tj);
		ck_assert_int_eq(unlink(t_strconcat(test_segment(),
					JOURNAL_DAMAGED_SUFFIX, NULL)), 0);
	} T_END;
	test_open(&tj);
}
END_TEST

/* The last frame is there in full length but damaged: it may have been
   acknowledged, so it isn't passed over in silence. */
START_TEST(test_damaged_tail)
{
	buffer_t *data;
	size_t first, end;

	five_events(&first, &end);
	test_close(&tj);
	data = test_read_file(test_segment());
	((unsigned char *)buffer_get_modifiable_data(data, NULL))
		[data->used - 1] ^= 1;
	test_write_file(test_segment(), data->data, data->used);
	test_open(&tj);
	ck_assert_str_eq(test_records(&tj),
			 "1 one;2 two;3 three;4 four;5 gap;");
	ck_assert_uint_eq(test_files(JOURNAL_DAMAGED_SUFFIX), 1);
}
END_TEST

/* What a payload contains can't be taken for a frame. */
START_TEST(test_frame_in_payload)
{
	buffer_t *fake = t_buffer_create(256), *data;
	size_t pos;

	pos = tj.journal->offset + JOURNAL_FRAME_HEADER_SIZE + 100;
	journal_frame_append(fake, pos, 'R', "-\t0\t0\t9\t1\t1\t0\nfake", 18);
	/* a C string can't even hold it */
	ck_assert_ptr_nonnull(memchr(fake->data, '\0',
				     JOURNAL_FRAME_HEADER_SIZE));
	test_event(&tj, TEST_CLIENT, 1, t_strndup(fake->data, fake->used));
	test_event(&tj, TEST_CLIENT, 2, "two");
	journal_flush(tj.journal);
	test_close(&tj);
	data = test_read_file(test_segment());
	((unsigned char *)buffer_get_modifiable_data(data, NULL))
		[pos - 100 + 3] ^= 1;
	test_write_file(test_segment(), data->data, data->used);
	test_open(&tj);
	ck_assert_str_eq(test_records(&tj), "1 gap;2 two;");
}
END_TEST

static const char *segment_path(unsigned int idx)
{
	const struct journal_segment *segment;

	segment = array_idx(&tj.journal->segments, idx);
	return t_strdup(segment->path);
}

static void fill_segments(void)
{
	unsigned int i;

	test_close(&tj);
	tj.set.segment_size = 1000;
	test_open(&tj);
	for (i = 1; i <= 40; i++) {
		test_event(&tj, TEST_CLIENT, i, t_strdup_printf("%u", i));
		journal_flush(tj.journal);
	}
	ck_assert_uint_gt(array_count(&tj.journal->segments), 3);
}

static void assert_numbers(unsigned int gap_first, unsigned int gap_last,
			   unsigned int last)
{
	string_t *expected = t_str_new(256);
	unsigned int i;

	for (i = 1; i <= last; i++) {
		if (i >= gap_first && i <= gap_last)
			str_printfa(expected, "%u gap;", i);
		else
			str_printfa(expected, "%u %u;", i, i);
	}
	ck_assert_str_eq(test_records(&tj), str_c(expected));
}

START_TEST(test_lost_segment)
{
	const struct journal_segment *segments;
	uint64_t first, last;
	const char *path;

	fill_segments();
	segments = array_front(&tj.journal->segments);
	first = segments[1].first_seq;
	last = segments[2].first_seq - 1;
	path = segment_path(1);
	test_kill(&tj);
	ck_assert_int_eq(unlink(path), 0);
	test_open(&tj);
	assert_numbers(first, last, 40);
	test_reopen(&tj);
	assert_numbers(first, last, 40);
	/* the snapshots know what had been done */
	ck_assert(test_is_done(&tj, TEST_CLIENT, first));
}
END_TEST

START_TEST(test_truncated_segment)
{
	const struct journal_segment *segments;
	const buffer_t *data;
	uint64_t last;
	const char *path;

	fill_segments();
	segments = array_front(&tj.journal->segments);
	last = segments[2].first_seq - 1;
	path = segment_path(1);
	test_kill(&tj);
	data = test_read_file(path);
	test_write_file(path, data->data, data->used - 5);
	test_open(&tj);
	assert_numbers(last, last, 40);
	test_reopen(&tj);
	assert_numbers(last, last, 40);
}
END_TEST

START_TEST(test_leftovers)
{
	const char *tmp;

	test_event(&tj, TEST_CLIENT, 1, "one");
	journal_flush(tj.journal);
	tmp = t_strdup_printf("%s/00000000000000000002.journal.tmp", test_dir);
	test_write_file(tmp, "xx", 2);
	test_write_file(t_strdup_printf("%s/notes.txt", test_dir), "xx", 2);
	test_reopen(&tj);
	ck_assert_str_eq(test_records(&tj), "1 one;");
	ck_assert_int_eq(access(tmp, F_OK), -1);
	ck_assert_uint_eq(test_files("notes.txt"), 1);
}
END_TEST

START_TEST(test_other_version)
{
	buffer_t *buf = t_buffer_create(256);
	const char *error = "";

	test_close(&tj);
	buffer_append(buf, JOURNAL_SEGMENT_MAGIC, JOURNAL_SEGMENT_MAGIC_SIZE);
	journal_frame_append(buf, buf->used, 'S', "2\t1\tx\t1\t-", 9);
	test_write_file(test_segment(), buf->data, buf->used);
	/* not damage: nothing may be touched */
	ck_assert_int_eq(test_try_open(&tj, &error), -1);
	tj.journal = NULL;
	ck_assert_msg(strstr(error, "version 2") != NULL, "%s", error);
	ck_assert_uint_eq(test_read_file(test_segment())->used, buf->used);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal damage");
	TCase *tc = tcase_create("damage");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_torn_tail);
	tcase_add_test(tc, test_damaged_middle);
	tcase_add_test(tc, test_damaged_header);
	tcase_add_test(tc, test_damaged_tail);
	tcase_add_test(tc, test_frame_in_payload);
	tcase_add_test(tc, test_lost_segment);
	tcase_add_test(tc, test_truncated_segment);
	tcase_add_test(tc, test_leftovers);
	tcase_add_test(tc, test_other_version);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
