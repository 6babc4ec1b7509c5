/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Staging, writing and syncing, and what happens when that fails. */

/* fallocate() */
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE
#endif
#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "ioloop.h"
#include "randgen.h"
#include "str.h"
#include "unichar.h"
#include "journal-frame.h"
#include "journal-gap.h"
#include "journal-private.h"

#include <fcntl.h>
#include <unistd.h>

/* Kept free for the ends of what has been begun. */
#define JOURNAL_ROOM (256*1024)
/* more than that, not to ask every time */
#define JOURNAL_ROOM_AHEAD (64*1024)
#define JOURNAL_SYNC_MSECS 1000

/* ---- room ---- */

int journal_reserve(struct journal *journal, size_t size)
{
	uint64_t end = journal->offset + journal->stage->used + size +
		JOURNAL_ROOM;

	if (end <= journal->reserved)
		return 0;
	end += JOURNAL_ROOM_AHEAD;
	if (fallocate(journal->fd, FALLOC_FL_KEEP_SIZE, (off_t)journal->offset,
		      (off_t)(end - journal->offset)) < 0) {
		if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR)
			return -1;
		/* then it can't be known before */
	}
	journal->reserved = end;
	return 0;
}

static bool journal_has_room(struct journal *journal, size_t size)
{
	if (journal->fail_room)
		return FALSE;
	if (journal_reserve(journal, size) == 0)
		return TRUE;
	journal_fail(journal, journal_failed("fallocate",
		journal_last_segment(journal)->path));
	journal->fail_room = TRUE;
	return FALSE;
}

const char *journal_check_room(struct journal *journal, size_t size)
{
	/* its end is at least as long */
	if (journal_has_room(journal, size * 2))
		return NULL;
	journal->fail_count++;
	return journal->fail_error;
}

/* ---- staging and writing ---- */

/* What the records' salts are derived from. */
static const char *journal_new_salt(void)
{
	unsigned char salt[TEAM_SALT_SIZE];
	char *hex = t_malloc_no0(TEAM_SALT_SIZE * 2 + 1);

	random_fill(salt, sizeof(salt));
	team_hex_encode(salt, sizeof(salt), hex);
	return hex;
}

/* PostgreSQL takes UTF-8 only, and the tree is to have what the log has. */
static const char *journal_valid_text(const char *text)
{
	string_t *valid;

	valid = t_str_new(64);
	return uni_utf8_get_valid_data((const unsigned char *)text,
				       strlen(text), valid) ?
		text : str_c(valid);
}

static uint64_t
journal_stage_op(struct journal *journal, const struct journal_entry *_entry,
		 bool sync, journal_callback_t *callback, void *context)
{
	struct journal_entry entry = *_entry;
	struct journal_op *op;

	if (entry.type == JOURNAL_ENTRY_RECORDS) {
		if (journal->finish != NULL)
			journal->finish(&entry, journal->finish_context);
		entry.first_seq = journal->staged_next_seq;
		journal->staged_next_seq += entry.count;
		entry.records = journal_valid_text(entry.records);
		entry.salt = journal_new_salt();
	}
	op = array_append_space(&journal->ops);
	op->pos = journal->stage->used;
	op->sync = sync;
	op->callback = callback;
	op->context = context;
	journal_segment_append(journal->stage,
			       journal->offset + op->pos, &entry);
	op->size = journal->stage->used - op->pos;
	if (journal->to_flush == NULL) {
		journal->to_flush = timeout_add_short(0, journal_flush,
						      journal);
	}
	return journal->staged_next_seq - 1;
}

/* Called before the first entry of a round is staged, since frames depend on
   where they stand. */
static void journal_stage_begin(struct journal *journal)
{
	const char *error;

	if (journal->need_rotate && journal_rotate(journal, &error) < 0)
		journal->stage_error = i_strdup(error);
	if (journal->fail_since != 0 && !journal->fail_room) {
		const char *record = journal_gap_record(journal_now(journal),
			journal_fail_details(journal));
		const struct journal_entry entry = {
			.type = JOURNAL_ENTRY_RECORDS,
			.at = journal_now(journal),
			.count = 1, .records = record
		};

		journal_stage_op(journal, &entry, TRUE, NULL, NULL);
	}
}

uint64_t journal_stage(struct journal *journal,
		       const struct journal_entry *entry, bool sync,
		       journal_callback_t *callback, void *context)
{
	uint64_t seq;

	T_BEGIN {
		if (array_count(&journal->ops) == 0)
			journal_stage_begin(journal);
		seq = journal_stage_op(journal, entry, sync, callback,
				       context);
	} T_END;
	return seq;
}

void journal_stage_gap(struct journal *journal, const char *const *details)
{
	uint64_t at = journal_now(journal);
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .at = at, .count = 1,
	};

	if (details == NULL) {
		/* only the one about failing */
		i_assert(array_count(&journal->ops) == 0);
		journal_stage_begin(journal);
		return;
	}
	entry.records = journal_gap_record(at, details);
	(void)journal_stage(journal, &entry, TRUE, NULL, NULL);
}

int journal_sync(struct journal *journal)
{
	const char *error;

	timeout_remove(&journal->to_sync);
	if (!journal->unsynced)
		return 0;
	if (journal->fsync != JOURNAL_FSYNC_NEVER &&
	    fdatasync(journal->fd) < 0) {
		error = journal_failed("fdatasync",
			journal_last_segment(journal)->path);
		/* the kernel may have dropped what it couldn't write and
		   call the next attempt a success */
		journal->need_rotate = TRUE;
		journal_fail(journal, error);
		return -1;
	}
	journal->unsynced = FALSE;
	return 0;
}

static void journal_sync_timeout(struct journal *journal)
{
	(void)journal_sync(journal);
}

/* Writes what is staged. Returns NULL, or the error. */
static const char *journal_write_stage(struct journal *journal, bool sync)
{
	const char *path = journal_last_segment(journal)->path;
	const char *error = NULL;

	if (journal->stage_error != NULL)
		return t_strdup(journal->stage_error);
	if (journal_pwrite_full(journal->fd, journal->stage->data,
				journal->stage->used, journal->offset) < 0)
		error = journal_failed("write", path);
	else if (sync && fdatasync(journal->fd) < 0) {
		error = journal_failed("fdatasync", path);
		journal->need_rotate = TRUE;
	}
	/* cutting gives back what was reserved */
	if (error != NULL)
		journal->reserved = 0;
	if (error != NULL && ftruncate(journal->fd, journal->offset) < 0) {
		i_error("ftruncate(%s) failed: %m", path);
		/* don't append behind what isn't valid */
		journal->need_rotate = TRUE;
	}
	return error;
}

static void journal_written(struct journal *journal, size_t size, bool sync)
{
	journal->offset += size;
	journal_last_segment(journal)->size = journal->offset;
	journal->next_seq = journal->staged_next_seq;
	journal->unsynced = !sync;
	if (sync)
		timeout_remove(&journal->to_sync);
	else if (journal->to_sync == NULL &&
		 journal->fsync != JOURNAL_FSYNC_NEVER) {
		journal->to_sync = timeout_add(JOURNAL_SYNC_MSECS,
					       journal_sync_timeout, journal);
	}
	if (journal->fail_since != 0 && !journal->fail_room)
		journal_recovered(journal);
	/* what comes next may have been left in a spool already */
	(void)journal_has_room(journal, 0);
}

static void journal_apply_op(struct journal *journal, const buffer_t *stage,
			     const struct journal_op *op)
{
	const unsigned char *data = stage->data;
	struct journal_entry entry;
	const char *error;

	data += op->pos;
	if (journal_entry_decode(data[2], data + JOURNAL_FRAME_HEADER_SIZE,
				 op->size - JOURNAL_FRAME_HEADER_SIZE,
				 &entry, &error) < 0)
		i_panic("journal: can't read what was just written: %s", error);
	if (entry.type == JOURNAL_ENTRY_RECORDS)
		journal_tree_append(journal, &entry);
	ledger_apply(journal->ledger, &entry);
}

static bool journal_wants_sync(struct journal *journal)
{
	const struct journal_op *op;

	if (journal->fsync != JOURNAL_FSYNC_OPTIMIZED)
		return journal->fsync == JOURNAL_FSYNC_ALWAYS;
	array_foreach(&journal->ops, op) {
		if (op->sync)
			return TRUE;
	}
	return FALSE;
}

static void journal_flush_real(struct journal *journal)
{
	ARRAY_TYPE(journal_op) ops = journal->ops;
	uint64_t old_seq = journal->next_seq;
	const struct journal_op *op;
	bool sync = journal_wants_sync(journal);
	const char *error, *rotate_error;
	buffer_t *stage = journal->stage;

	error = journal_write_stage(journal, sync);
	i_free(journal->stage_error);
	/* callbacks may stage again */
	i_array_init(&journal->ops, 64);
	journal->stage = buffer_create_dynamic(default_pool, 1024*16);
	if (error != NULL) {
		journal->staged_next_seq = journal->next_seq;
		journal_fail(journal, error);
	} else {
		journal_written(journal, stage->used, sync);
		array_foreach(&ops, op) T_BEGIN {
			journal_apply_op(journal, stage, op);
		} T_END;
		if (journal->offset > journal->segment_size &&
		    journal_rotate(journal, &rotate_error) < 0) {
			/* the old one does as well */
			i_error("journal: %s", rotate_error);
			journal->segment_size = journal->offset * 2;
		}
	}
	array_foreach(&ops, op) {
		if (op->callback == NULL)
			continue;
		if (error != NULL)
			journal->fail_count++;
		op->callback(error, op->context);
	}
	array_free(&ops);
	buffer_free(&stage);
	if (journal->next_seq != old_seq && journal->commit_callback != NULL)
		journal->commit_callback(journal->commit_context);
}

void journal_flush(struct journal *journal)
{
	timeout_remove(&journal->to_flush);
	if (array_count(&journal->ops) == 0)
		return;
	T_BEGIN {
		journal_flush_real(journal);
	} T_END;
}

void journal_flush_quick(struct journal *journal)
{
	if (!journal_wants_sync(journal))
		journal_flush(journal);
}
