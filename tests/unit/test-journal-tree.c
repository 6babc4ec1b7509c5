/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree grows with the journal and is the same after every way to end. */

#include "team-common.h"
#include "buffer.h"
#include "test-unit.h"
#include "test-journal-common.h"

static struct test_journal tj;

static void setup(void)
{
	i_zero(&tj);
	test_dir_init();
	/* a new segment for every few records */
	tj.set.segment_size = 1024;
	test_open(&tj);
}

static void teardown(void)
{
	if (tj.journal != NULL)
		test_close(&tj);
	test_dir_deinit();
}

static struct team_hash current_root(void)
{
	struct team_hash root;

	ck_assert(journal_get_tree(tj.journal)->active);
	team_tree_root(&journal_get_tree(tj.journal)->tree, &root);
	return root;
}

/* The tree of what the journal holds from the number on. */
static struct team_hash read_root(uint64_t first_seq)
{
	struct journal_reader *reader;
	struct journal_entry entry;
	struct team_tree tree;
	struct team_hash root, hash;
	struct journal_leaf leaf;
	unsigned char salt[TEAM_SALT_SIZE];
	const char *error, *const *records;
	unsigned int i;

	team_tree_init(&tree);
	reader = journal_reader_init(tj.journal, first_seq - 1);
	while (journal_reader_next(reader, &entry, &error) > 0) {
		records = t_strsplit(entry.records, "\n");
		for (i = 0; records[i] != NULL; i++) {
			if (entry.first_seq + i < first_seq)
				continue;
			ck_assert(journal_entry_record_salt(&entry, i, salt));
			journal_record_leaf(records[i], salt, &hash);
			team_tree_append(&tree, &hash);
			/* kept since it was written, or computed */
			ck_assert(journal_entry_leaf(tj.journal, &entry, i,
						     records[i], &leaf));
			ck_assert(team_hash_equals(&leaf.hash, &hash));
			ck_assert_mem_eq(leaf.salt, salt, sizeof(salt));
		}
	}
	journal_reader_deinit(&reader);
	team_tree_root(&tree, &root);
	return root;
}

static void assert_tree(uint64_t first_seq, uint64_t size)
{
	struct team_hash root = current_root(), read = read_root(first_seq);

	ck_assert_uint_eq(journal_get_tree(tj.journal)->first_seq, first_seq);
	ck_assert_uint_eq(journal_get_tree(tj.journal)->tree.size, size);
	ck_assert(team_hash_equals(&root, &read));
}

static void fill(unsigned int first, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		test_event(&tj, TEST_CLIENT, first + i,
			   t_strdup_printf("r%u", first + i));
		if (i % 3 == 2)
			journal_flush(tj.journal);
	}
	journal_flush(tj.journal);
}

START_TEST(test_grows)
{
	struct team_hash before, after;
	uint64_t began = journal_get_tree(tj.journal)->began;

	fill(1, 40);
	assert_tree(1, 40);
	before = current_root();
	/* staged is nothing yet */
	test_event(&tj, TEST_CLIENT, 90, "staged");
	after = current_root();
	ck_assert(team_hash_equals(&before, &after));
	test_kill(&tj);
	test_open(&tj);
	after = current_root();
	ck_assert(team_hash_equals(&before, &after));
	ck_assert_uint_eq(journal_get_tree(tj.journal)->began, began);
	fill(41, 5);
	test_prepare(&tj, TEST_CLIENT, 100, 100, "p");
	test_commit(&tj, TEST_CLIENT, 101, 100, 3, "c");
	journal_flush(tj.journal);
	assert_tree(1, 48);
	test_reopen(&tj);
	assert_tree(1, 48);
}
END_TEST

START_TEST(test_shipped_segments_go)
{
	struct team_hash before, after;

	fill(1, 60);
	before = current_root();
	journal_set_shipped(tj.journal, 60);
	ck_assert_uint_gt(journal_first_seq(tj.journal), 1);
	test_reopen(&tj);
	after = current_root();
	ck_assert(team_hash_equals(&before, &after));
	ck_assert_uint_eq(journal_get_tree(tj.journal)->tree.size, 60);
	ck_assert_uint_eq(journal_get_tree(tj.journal)->first_seq, 1);
}
END_TEST

START_TEST(test_torn)
{
	const char *path;
	buffer_t *buf;

	tj.set.segment_size = 0;
	test_reopen(&tj);
	fill(1, 6);
	test_kill(&tj);
	path = test_segment();
	buf = test_read_file(path);
	test_write_file(path, buf->data, buf->used - 10);
	test_open(&tj);
	assert_tree(1, 5);
	fill(50, 2);
	assert_tree(1, 7);
}
END_TEST

/* A damaged journal begins a tree that has what is left to be checked. */
START_TEST(test_damaged)
{
	uint64_t began = journal_get_tree(tj.journal)->began;
	unsigned char *data;
	const char *path;
	buffer_t *buf;
	size_t i;

	tj.set.segment_size = 0;
	test_reopen(&tj);
	fill(1, 12);
	test_kill(&tj);
	path = test_segment();
	buf = test_read_file(path);
	data = buffer_get_modifiable_data(buf, NULL);
	for (i = buf->used / 2; i < buf->used / 2 + 8; i++)
		data[i] ^= 0x55;
	test_write_file(path, data, buf->used);
	test_open(&tj);
	journal_flush(tj.journal);
	ck_assert_uint_gt(journal_get_tree(tj.journal)->began, began);
	fill(60, 3);
	assert_tree(journal_get_tree(tj.journal)->first_seq,
		    journal_get_tree(tj.journal)->tree.size);
	ck_assert_uint_ge(journal_get_tree(tj.journal)->tree.size, 3);
	began = journal_get_tree(tj.journal)->began;
	test_reopen(&tj);
	ck_assert_uint_eq(journal_get_tree(tj.journal)->began, began);
	assert_tree(journal_get_tree(tj.journal)->first_seq,
		    journal_get_tree(tj.journal)->tree.size);
}
END_TEST

START_TEST(test_restart)
{
	uint64_t began = journal_get_tree(tj.journal)->began;

	fill(1, 20);
	ck_assert_int_eq(journal_tree_restart(tj.journal, 8), 0);
	assert_tree(8, 13);
	ck_assert_uint_gt(journal_get_tree(tj.journal)->began, began);
	fill(21, 5);
	assert_tree(8, 18);
	test_kill(&tj);
	test_open(&tj);
	assert_tree(8, 18);
	ck_assert_int_eq(journal_tree_restart(tj.journal, 26), 0);
	fill(30, 2);
	assert_tree(26, 2);
}
END_TEST

/* What isn't UTF-8 is made so before it counts. */
START_TEST(test_utf8)
{
	test_event(&tj, TEST_CLIENT, 1, "a\xff" "b");
	journal_flush(tj.journal);
	ck_assert_str_eq(test_records(&tj), "1 a\xef\xbf\xbd" "b;");
	assert_tree(1, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal's tree");
	TCase *tc = tcase_create("journal's tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_grows);
	tcase_add_test(tc, test_shipped_segments_go);
	tcase_add_test(tc, test_torn);
	tcase_add_test(tc, test_damaged);
	tcase_add_test(tc, test_restart);
	tcase_add_test(tc, test_utf8);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
