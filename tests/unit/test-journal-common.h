/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_JOURNAL_COMMON_H
#define TEST_JOURNAL_COMMON_H

#include "journal.h"
#include "journal-private.h"

#define TEST_CLIENT "0123456789abcdef0123456789abcdef"
#define TEST_CLIENT2 "fedcba9876543210fedcba9876543210"

struct test_journal {
	struct journal *journal;
	struct ledger *ledger;
	struct journal_settings set;
	/* outcomes of what was staged */
	unsigned int ok_count, error_count;
};

/* A new empty directory, removed by test_dir_deinit(). */
extern const char *test_dir;
void test_dir_init(void);
void test_dir_deinit(void);

void test_open(struct test_journal *tj);
/* Returns what journal_open() does. */
int test_try_open(struct test_journal *tj, const char **error_r);
void test_close(struct test_journal *tj);
/* Ends like a process that was killed: nothing is written any more. */
void test_kill(struct test_journal *tj);
void test_reopen(struct test_journal *tj);

/* Stage, without flushing. name is what tells records apart. */
void test_event(struct test_journal *tj, const char *client, uint64_t id,
		const char *name);
void test_prepare(struct test_journal *tj, const char *client, uint64_t id,
		  uint64_t txn, const char *name);
/* Resolves with count records. */
void test_commit(struct test_journal *tj, const char *client, uint64_t id,
		 uint64_t txn, unsigned int count, const char *name);

/* The journal's records, e.g. "1 one;2 two;3 gap;". */
const char *test_records(struct test_journal *tj);
bool test_is_done(struct test_journal *tj, const char *client, uint64_t id);

/* The only segment's path; fails if there are several. */
const char *test_segment(void);
/* The number of files with the suffix. */
unsigned int test_files(const char *suffix);
buffer_t *test_read_file(const char *path);
void test_write_file(const char *path, const void *data, size_t size);

#endif
