/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the journal's tests share. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "ioloop.h"
#include "record.h"
#include "str.h"
#include "test-unit.h"
#include "test-journal-common.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

const char *test_dir;
static char test_dir_buf[256];

void test_dir_init(void)
{
	const char *tmp = getenv("TMPDIR");

	i_snprintf(test_dir_buf, sizeof(test_dir_buf), "%s/team-test.XXXXXX",
		   tmp == NULL ? P_tmpdir : tmp);
	test_dir = mkdtemp(test_dir_buf);
	ck_assert_ptr_nonnull(test_dir);
}

static void foreach_file(void (*callback)(const char *path, void *context),
			 void *context)
{
	DIR *dir = opendir(test_dir);
	struct dirent *d;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] != '.') {
			callback(t_strdup_printf("%s/%s", test_dir,
						 d->d_name), context);
		}
	}
	closedir(dir);
}

static void unlink_file(const char *path, void *context ATTR_UNUSED)
{
	ck_assert_int_eq(unlink(path), 0);
}

void test_dir_deinit(void)
{
	foreach_file(unlink_file, NULL);
	ck_assert_int_eq(rmdir(test_dir), 0);
}

int test_try_open(struct test_journal *tj, const char **error_r)
{
	int ret;

	tj->set.dir = test_dir;
	tj->set.node = "testnode";
	tj->ledger = ledger_init();
	ret = journal_open(&tj->set, tj->ledger, 0, &tj->journal, error_r);
	if (ret <= 0) {
		*error_r = t_strdup(*error_r);
		ledger_deinit(&tj->ledger);
		return ret;
	}
	journal_flush(tj->journal);
	return 1;
}

void test_open(struct test_journal *tj)
{
	const char *error = "";

	ck_assert_msg(test_try_open(tj, &error) > 0, "%s", error);
}

void test_close(struct test_journal *tj)
{
	journal_close(&tj->journal);
	ledger_deinit(&tj->ledger);
}

void test_kill(struct test_journal *tj)
{
	struct journal *journal = tj->journal;

	/* what is staged is lost; the rest of closing writes only the hint */
	array_clear(&journal->ops);
	buffer_set_used_size(journal->stage, 0);
	journal->unsynced = FALSE;
	test_close(tj);
}

void test_reopen(struct test_journal *tj)
{
	test_kill(tj);
	test_open(tj);
}

static void staged(const char *error, void *context)
{
	struct test_journal *tj = context;

	if (error == NULL)
		tj->ok_count++;
	else
		tj->error_count++;
}

static const char *record(const char *name)
{
	return t_strdup_printf("at=%"PRIu64"\taction=append\toutcome=ok\t"
			       "name=%s", (uint64_t)1700000000000000, name);
}

void test_event(struct test_journal *tj, const char *client, uint64_t id,
		const char *name)
{
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .client_id = client, .id = id,
		.at = 1700000000000000, .count = 1, .records = record(name),
	};

	(void)journal_stage(tj->journal, &entry, TRUE, staged, tj);
}

void test_prepare(struct test_journal *tj, const char *client, uint64_t id,
		  uint64_t txn, const char *name)
{
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_PREPARE, .client_id = client, .id = id,
		.txn = txn, .at = 1700000000000000, .records = record(name),
	};

	(void)journal_stage(tj->journal, &entry, TRUE, staged, tj);
}

void test_commit(struct test_journal *tj, const char *client, uint64_t id,
		 uint64_t txn, unsigned int count, const char *name)
{
	string_t *records = t_str_new(256);
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .client_id = client, .id = id,
		.txn = txn, .at = 1700000000000000, .count = count,
		.resolves = JOURNAL_RESOLVES_DONE,
	};
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (i > 0)
			str_append_c(records, '\n');
		str_append(records, record(t_strdup_printf("%s%u", name, i)));
	}
	entry.records = str_c(records);
	(void)journal_stage(tj->journal, &entry, TRUE, staged, tj);
}

static void append_record(string_t *dest, uint64_t seq, const char *text)
{
	struct team_record *rec;
	const char *error, *name;

	rec = team_record_parse(text, strlen(text), &error);
	ck_assert_msg(rec != NULL, "%s: %s", text, error);
	name = team_record_get(rec, "name");
	str_printfa(dest, "%"PRIu64" %s;", seq,
		    name != NULL ? name : team_record_get(rec, "action"));
	team_record_free(&rec);
}

const char *test_records(struct test_journal *tj)
{
	struct journal_reader *reader = journal_reader_init(tj->journal, 0);
	string_t *str = t_str_new(1024);
	const char *const *records, *error = "";
	struct journal_entry entry;
	uint64_t seq;
	int ret;

	while ((ret = journal_reader_next(reader, &entry, &error)) > 0) {
		seq = entry.first_seq;
		for (records = t_strsplit(entry.records, "\n");
		     *records != NULL; records++)
			append_record(str, seq++, *records);
	}
	ck_assert_msg(ret == 0, "%s", error);
	journal_reader_deinit(&reader);
	return str_c(str);
}

bool test_is_done(struct test_journal *tj, const char *client_id, uint64_t id)
{
	struct ledger_client *client = ledger_find(tj->ledger, client_id);

	return client != NULL && ledger_client_is_done(client, id);
}

struct find_file {
	const char *suffix, *path;
	unsigned int count;
};

static void find_file(const char *path, void *context)
{
	struct find_file *find = context;
	size_t len = strlen(path), suffix_len = strlen(find->suffix);

	if (len < suffix_len ||
	    strcmp(path + len - suffix_len, find->suffix) != 0)
		return;
	find->path = path;
	find->count++;
}

const char *test_segment(void)
{
	struct find_file find = { .suffix = JOURNAL_SEGMENT_SUFFIX };

	foreach_file(find_file, &find);
	ck_assert_uint_eq(find.count, 1);
	return find.path;
}

unsigned int test_files(const char *suffix)
{
	struct find_file find = { .suffix = suffix };

	foreach_file(find_file, &find);
	return find.count;
}

buffer_t *test_read_file(const char *path)
{
	buffer_t *buf = t_buffer_create(1024);
	char data[4096];
	ssize_t ret;
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	while ((ret = read(fd, data, sizeof(data))) > 0)
		buffer_append(buf, data, ret);
	close(fd);
	return buf;
}

void test_write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), size);
	close(fd);
}
