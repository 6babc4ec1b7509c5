/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing the journal, its segments, its positions. */

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
#define JOURNAL_HINT_SIZE 21

struct journal_segment *journal_last_segment(struct journal *journal)
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

uint64_t journal_recovered_at(struct journal *journal)
{
	return journal->recovered_at;
}

void journal_clock_set(struct journal *journal)
{
	journal->last_at = 0;
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

void journal_set_writable_callback(struct journal *journal,
				   journal_writable_t *callback)
{
	journal->writable_callback = callback;
	callback(journal->fail_since == 0);
}

void journal_set_finish(struct journal *journal, journal_finish_t *finish,
			void *context)
{
	journal->finish = finish;
	journal->finish_context = context;
}

/* ---- opening ---- */

/* Returns 1, 0 with an error if nothing can be written there, -1 with another
   error. */
static int journal_lock(struct journal *journal, unsigned int wait_msecs,
			const char **error_r)
{
	const char *path = t_strdup_printf("%s/"JOURNAL_LOCK_NAME,
					   journal->dir);
	struct flock fl;
	unsigned int waited = 0;

	journal->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (journal->lock_fd < 0) {
		*error_r = journal_failed("open", path);
		return 0;
	}
	for (;;) {
		i_zero(&fl);
		fl.l_type = F_WRLCK;
		fl.l_whence = SEEK_SET;
		/* of the open file and not of the process, which could lose it
		   by closing another descriptor of the file */
		if (fcntl(journal->lock_fd, F_OFD_SETLK, &fl) == 0)
			return 1;
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
	i_close_fd(&journal->note_fd);
	/* last, since it ends the lock */
	i_close_fd(&journal->lock_fd);
	i_free(journal->tree.leaves);
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

/* Begins a tree if there was none, or if the journal was damaged and what is
   left of it doesn't continue it. */
static void journal_continue_tree(struct journal *journal)
{
	struct journal_entry entry;

	if (journal->tree.active &&
	    journal->tree.first_seq + journal->tree.tree.size ==
	    journal->next_seq)
		return;
	journal_tree_begin(journal, journal->next_seq);
	journal_tree_entry(journal, &entry);
	(void)journal_stage(journal, &entry, TRUE, NULL, NULL);
}

/* Records what an earlier process, or an attempt to open, couldn't. */
static void journal_take_up_note(struct journal *journal)
{
	/* a tree begins before its first record */
	journal_flush(journal);
	if (journal->fail_since != 0)
		return;
	journal_note_read(journal);
	if (journal->fail_since != 0)
		journal_stage_gap(journal, NULL);
	else
		journal->fail_count = 0;
}

int journal_open(const struct journal_settings *set, struct ledger *ledger,
		 unsigned int wait_msecs, struct journal **journal_r,
		 const char **error_r)
{
	struct journal *journal = i_new(struct journal, 1);
	ARRAY_TYPE(const_string) gaps;
	int ret;

	journal->dir = i_strdup(set->dir);
	journal->node = i_strdup(set->node);
	journal->fsync = set->fsync;
	journal->segment_size = set->segment_size != 0 ? set->segment_size :
		JOURNAL_SEGMENT_SIZE_DEFAULT;
	journal->ledger = ledger;
	journal->lock_fd = journal->fd = journal->hint_fd = -1;
	journal->note_fd = -1;
	t_array_init(&gaps, 4);

	journal_note_open(journal, set->note_path);
	journal->fail_count = set->refused;
	ret = journal_lock(journal, wait_msecs, error_r);
	if (ret > 0 && journal_recover(journal, &gaps, error_r) < 0)
		ret = -1;
	if (ret <= 0) {
		if (ret == 0)
			journal_note(journal, *error_r);
		journal_free(journal);
		return ret;
	}
	journal->staged_next_seq = journal->next_seq;
	journal->stage = buffer_create_dynamic(default_pool, 1024*16);
	i_array_init(&journal->ops, 64);
	/* the last run may have left something to the next timer */
	journal->unsynced = TRUE;
	(void)journal_sync(journal);
	journal_read_hint(journal);
	journal_tree_keep_leaves(journal);
	journal_continue_tree(journal);
	journal_stage_found_gaps(journal, &gaps);
	journal_take_up_note(journal);
	*journal_r = journal;
	return 1;
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

	/* what was reserved isn't needed any more */
	if (journal->fd != -1 && ftruncate(journal->fd, journal->offset) < 0)
		i_warning("ftruncate(journal) failed: %m");
	journal->reserved = 0;
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
	struct journal_entry tree_entry;
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
	if (journal->tree.active) {
		journal_tree_entry(journal, &tree_entry);
		journal_segment_append(buf, buf->used, &tree_entry);
	}
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

void journal_begin_segment(struct journal *journal)
{
	if (journal_sync(journal) == 0)
		journal->need_rotate = TRUE;
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
