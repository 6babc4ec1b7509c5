/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening, staging, writing and syncing of the journal. */

/* F_OFD_SETLK */
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE
#endif
#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "ioloop.h"
#include "str.h"
#include "strnum.h"
#include "time-util.h"
#include "journal-frame.h"
#include "journal-gap.h"
#include "journal-private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_LOCK_NAME "lock"
#define JOURNAL_HINT_NAME "shipped"
#define JOURNAL_LOCK_POLL_MSECS 50
#define JOURNAL_SYNC_MSECS 1000
#define JOURNAL_PROBE_MSECS 1000
#define JOURNAL_HINT_SIZE 21

static struct journal_segment *journal_last_segment(struct journal *journal)
{
	return array_idx_modifiable(&journal->segments,
				    array_count(&journal->segments) - 1);
}

uint64_t journal_now(struct journal *journal)
{
	struct timeval tv;
	uint64_t now;

	i_gettimeofday(&tv);
	now = (uint64_t)tv.tv_sec * 1000000 + tv.tv_usec;
	if (now < journal->last_at)
		now = journal->last_at;
	journal->last_at = now;
	return now;
}

const char *journal_get_node(struct journal *journal)
{
	return journal->node;
}

void journal_set_commit_callback(struct journal *journal,
				 journal_commit_callback_t *callback,
				 void *context)
{
	journal->commit_callback = callback;
	journal->commit_context = context;
}

/* ---- opening ---- */

static int journal_lock(struct journal *journal, unsigned int wait_msecs,
			const char **error_r)
{
	const char *path = t_strdup_printf("%s/"JOURNAL_LOCK_NAME,
					   journal->dir);
	struct flock fl;
	unsigned int waited = 0;

	journal->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (journal->lock_fd < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	for (;;) {
		i_zero(&fl);
		fl.l_type = F_WRLCK;
		fl.l_whence = SEEK_SET;
		/* of the open file and not of the process, which could lose it
		   by closing another descriptor of the file */
		if (fcntl(journal->lock_fd, F_OFD_SETLK, &fl) == 0)
			return 0;
		if ((errno != EAGAIN && errno != EACCES) ||
		    waited >= wait_msecs)
			break;
		usleep(JOURNAL_LOCK_POLL_MSECS * 1000);
		waited += JOURNAL_LOCK_POLL_MSECS;
	}
	*error_r = errno == EAGAIN || errno == EACCES ?
		t_strdup_printf("%s is locked: another team service uses this "
				"journal", path) :
		t_strdup_printf("fcntl(%s) failed: %m", path);
	return -1;
}

static void journal_read_hint(struct journal *journal)
{
	const char *path = t_strdup_printf("%s/"JOURNAL_HINT_NAME,
					   journal->dir);
	char buf[JOURNAL_HINT_SIZE];
	uint64_t seq;

	journal->hint_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (journal->hint_fd < 0) {
		i_warning("open(%s) failed: %m", path);
		return;
	}
	if (pread(journal->hint_fd, buf, sizeof(buf), 0) != sizeof(buf) ||
	    buf[sizeof(buf)-1] != '\n')
		return;
	buf[sizeof(buf)-1] = '\0';
	if (str_to_uint64(buf, &seq) == 0 && seq < journal->next_seq)
		journal->shipped_seq = seq;
}

static void journal_write_hint(struct journal *journal)
{
	char buf[JOURNAL_HINT_SIZE + 1];

	if (journal->hint_fd < 0)
		return;
	(void)i_snprintf(buf, sizeof(buf), "%020"PRIu64"\n",
			 journal->shipped_seq);
	/* only a hint: nothing depends on it */
	if (pwrite(journal->hint_fd, buf, JOURNAL_HINT_SIZE, 0) < 0)
		i_close_fd(&journal->hint_fd);
}

static void journal_free(struct journal *journal)
{
	timeout_remove(&journal->to_flush);
	timeout_remove(&journal->to_sync);
	timeout_remove(&journal->to_probe);
	if (array_is_created(&journal->segments))
		journal_segments_free(&journal->segments);
	if (array_is_created(&journal->ops))
		array_free(&journal->ops);
	buffer_free(&journal->stage);
	i_close_fd(&journal->fd);
	i_close_fd(&journal->hint_fd);
	/* last, since it ends the lock */
	i_close_fd(&journal->lock_fd);
	i_free(journal->stage_error);
	i_free(journal->fail_error);
	i_free(journal->node);
	i_free(journal->dir);
	i_free(journal);
}

static void journal_stage_found_gaps(struct journal *journal,
				     const ARRAY_TYPE(const_string) *gaps)
{
	const char *text;

	array_foreach_elem(gaps, text) {
		const char *const details[] = {
			"d.reason=journal damaged",
			t_strconcat("d.text=", text, NULL), NULL
		};
		journal_stage_gap(journal, details);
	}
}

int journal_open(const struct journal_settings *set, struct ledger *ledger,
		 unsigned int wait_msecs, struct journal **journal_r,
		 const char **error_r)
{
	struct journal *journal = i_new(struct journal, 1);
	ARRAY_TYPE(const_string) gaps;

	journal->dir = i_strdup(set->dir);
	journal->node = i_strdup(set->node);
	journal->fsync = set->fsync;
	journal->segment_size = set->segment_size != 0 ? set->segment_size :
		JOURNAL_SEGMENT_SIZE_DEFAULT;
	journal->ledger = ledger;
	journal->lock_fd = journal->fd = journal->hint_fd = -1;
	t_array_init(&gaps, 4);

	if (journal_lock(journal, wait_msecs, error_r) < 0 ||
	    journal_recover(journal, &gaps, error_r) < 0) {
		journal_free(journal);
		return -1;
	}
	journal->staged_next_seq = journal->next_seq;
	journal->stage = buffer_create_dynamic(default_pool, 1024*16);
	i_array_init(&journal->ops, 64);
	/* the last run may have left something to the next timer */
	journal->unsynced = TRUE;
	(void)journal_sync(journal);
	journal_read_hint(journal);
	journal_stage_found_gaps(journal, &gaps);
	*journal_r = journal;
	return 0;
}

void journal_close(struct journal **_journal)
{
	struct journal *journal = *_journal;

	*_journal = NULL;
	journal_flush(journal);
	(void)journal_sync(journal);
	journal_write_hint(journal);
	journal_free(journal);
}

/* ---- segments ---- */

static void snapshot_entry(const struct journal_entry *entry, void *context)
{
	buffer_t *dest = context;

	journal_segment_append(dest, dest->used, entry);
}

/* Makes the just written file the last segment. */
static void
journal_use_segment(struct journal *journal, int fd, uint64_t size)
{
	struct journal_segment *segment;

	i_close_fd(&journal->fd);
	journal->fd = fd;
	journal->offset = size;
	if (array_count(&journal->segments) > 0) {
		segment = journal_last_segment(journal);
		if (segment->first_seq == journal->next_seq) {
			/* it had no records: replaced by the snapshot */
			segment->size = size;
			journal->generation++;
			return;
		}
	}
	segment = array_append_space(&journal->segments);
	segment->path = i_strdup(journal_segment_path(journal->dir,
						      journal->next_seq));
	segment->first_seq = journal->next_seq;
	segment->size = size;
}

static void journal_drop_shipped(struct journal *journal)
{
	struct journal_segment *segments;
	unsigned int count;

	segments = array_get_modifiable(&journal->segments, &count);
	while (count > 1 &&
	       segments[1].first_seq <= journal->shipped_seq + 1) {
		i_unlink_if_exists(segments[0].path);
		i_free(segments[0].path);
		array_delete(&journal->segments, 0, 1);
		segments = array_get_modifiable(&journal->segments, &count);
	}
}

int journal_rotate(struct journal *journal, const char **error_r)
{
	buffer_t *buf;
	time_t seen_since = time(NULL) - JOURNAL_CLIENT_KEEP_SECS;
	uint64_t size;
	int fd;

	if (journal->unsynced && journal->fsync != JOURNAL_FSYNC_NEVER &&
	    !journal->need_rotate && fdatasync(journal->fd) < 0) {
		*error_r = t_strdup_printf("fdatasync(%s) failed: %m",
			journal_last_segment(journal)->path);
		return -1;
	}
	buf = buffer_create_dynamic(default_pool, 1024*64);
	journal_segment_begin(buf, journal->next_seq, journal->node,
			      journal_now(journal), journal->base_known,
			      journal->base);
	ledger_snapshot(journal->ledger, seen_since, snapshot_entry, buf);
	fd = journal_segment_write(journal->dir, journal->next_seq, buf,
				   error_r);
	size = buf->used;
	buffer_free(&buf);
	if (fd < 0)
		return -1;
	journal_use_segment(journal, fd, size);
	journal->unsynced = FALSE;
	journal->need_rotate = FALSE;
	timeout_remove(&journal->to_sync);
	journal_drop_shipped(journal);
	return 0;
}

/* ---- failing ---- */

static void journal_probe(struct journal *journal)
{
	timeout_remove(&journal->to_probe);
	if (journal->fail_since != 0 && array_count(&journal->ops) == 0)
		journal_stage_gap(journal, NULL);
}

static void journal_fail(struct journal *journal, const char *error)
{
	if (journal->fail_since == 0) {
		journal->fail_since = journal_now(journal);
		i_error("journal: %s: changes are refused until it can be "
			"written again", error);
	}
	i_free(journal->fail_error);
	journal->fail_error = i_strdup(error);
	if (journal->to_probe == NULL) {
		journal->to_probe = timeout_add(JOURNAL_PROBE_MSECS,
						journal_probe, journal);
	}
}

static void journal_recovered(struct journal *journal)
{
	i_info("journal: can be written again, %u requests were refused",
	       journal->fail_count);
	journal->fail_since = 0;
	journal->fail_count = 0;
	i_free(journal->fail_error);
	timeout_remove(&journal->to_probe);
}

static const char *const *journal_fail_details(struct journal *journal)
{
	const char **details = t_new(const char *, 6);

	details[0] = "d.reason=journal failed";
	details[1] = t_strconcat("d.error=", journal->fail_error, NULL);
	details[2] = t_strconcat("d.from=",
		journal_time_text(journal->fail_since), NULL);
	details[3] = t_strconcat("d.to=",
		journal_time_text(journal_now(journal)), NULL);
	details[4] = t_strdup_printf("d.refused=%u", journal->fail_count);
	return details;
}

/* ---- staging and writing ---- */

static uint64_t
journal_stage_op(struct journal *journal, const struct journal_entry *_entry,
		 bool sync, journal_callback_t *callback, void *context)
{
	struct journal_entry entry = *_entry;
	struct journal_op *op;

	if (entry.type == JOURNAL_ENTRY_RECORDS) {
		entry.first_seq = journal->staged_next_seq;
		journal->staged_next_seq += entry.count;
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
	if (journal->fail_since != 0) {
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
		error = t_strdup_printf("fdatasync(%s) failed: %m",
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
		error = t_strdup_printf("write(%s) failed: %m", path);
	else if (sync && fdatasync(journal->fd) < 0) {
		error = t_strdup_printf("fdatasync(%s) failed: %m", path);
		journal->need_rotate = TRUE;
	}
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
	if (journal->fail_since != 0)
		journal_recovered(journal);
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

/* ---- positions ---- */

int journal_set_base(struct journal *journal, int64_t base)
{
	const struct journal_entry entry = {
		.type = JOURNAL_ENTRY_BASE, .at = journal_now(journal),
		.base = base, .base_known = TRUE,
	};

	journal_flush(journal);
	if (journal->fail_since != 0)
		return -1;
	journal_stage(journal, &entry, TRUE, NULL, NULL);
	journal_flush(journal);
	if (journal->fail_since != 0)
		return -1;
	journal->base = base;
	journal->base_known = TRUE;
	return 0;
}

void journal_set_shipped(struct journal *journal, uint64_t seq)
{
	journal->shipped_seq = seq;
	journal_drop_shipped(journal);
	journal_write_hint(journal);
}

uint64_t journal_first_seq(struct journal *journal)
{
	const struct journal_segment *segment;

	segment = array_idx(&journal->segments, 0);
	return segment->first_seq;
}

void journal_get_status(struct journal *journal,
			struct journal_status *status_r)
{
	const struct journal_segment *segment;

	i_zero(status_r);
	status_r->segments = array_count(&journal->segments);
	array_foreach(&journal->segments, segment)
		status_r->bytes += segment->size;
	status_r->last_seq = journal->next_seq - 1;
	status_r->shipped_seq = journal->shipped_seq;
	status_r->base_known = journal->base_known;
	status_r->base = journal->base;
	status_r->error = journal->fail_error;
	status_r->error_since = journal->fail_since;
}
