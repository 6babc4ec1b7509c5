/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_PRIVATE_H
#define TEAM_JOURNAL_PRIVATE_H

/* For the files that make up the journal. */

#include "journal-tree.h"
#include "journal.h"
#include "journal-segment.h"

#define JOURNAL_SEGMENT_SIZE_DEFAULT (8*1024*1024)
/* Clients without open intents are left out of snapshots when they were seen
   last that long ago. */
#define JOURNAL_CLIENT_KEEP_SECS (60*60)

struct journal_op {
	/* in the staging buffer */
	size_t pos, size;
	bool sync;
	journal_callback_t *callback;
	void *context;
};

ARRAY_DEFINE_TYPE(journal_op, struct journal_op);

struct journal {
	char *dir, *node;
	enum journal_fsync fsync;
	uint64_t segment_size;
	struct ledger *ledger;
	journal_commit_callback_t *commit_callback;
	void *commit_context;
	journal_finish_t *finish;
	void *finish_context;

	int lock_fd;
	/* of the last segment */
	int fd;
	/* at least one as soon as it is open */
	ARRAY_TYPE(journal_segment) segments;
	/* size of what counts in the last segment */
	uint64_t offset;
	/* up to where the disk's space is kept for the last segment */
	uint64_t reserved;
	/* number of the next record */
	uint64_t next_seq;
	uint64_t shipped_seq;
	int64_t base;
	bool base_known;
	uint64_t last_at, recovered_at;
	/* grows when a segment's file is replaced */
	unsigned int generation;
	int hint_fd;

	struct journal_tree tree;

	buffer_t *stage;
	ARRAY_TYPE(journal_op) ops;
	uint64_t staged_next_seq;
	/* why what is staged can't be written */
	char *stage_error;

	struct timeout *to_flush, *to_sync, *to_probe;
	/* there is something written that may not be on the disk */
	bool unsynced;
	/* the segment's file can't be trusted any more */
	bool need_rotate;
	/* since when nothing can be written; 0 = it can */
	uint64_t fail_since;
	char *fail_error;
	unsigned int fail_count;
	/* remembers these for the next process, -1 if nothing does */
	int note_fd;
	/* it was logged */
	bool fail_told;
	journal_writable_t *writable_callback;
	/* what room is left is for what has been begun */
	bool fail_room;
};

/* Recovery: reads all segments, mends them, fills in segments, offset,
   next_seq, base, node, fd and the ledger. gaps: texts of what was found, to
   be appended as gap records. */
int journal_recover(struct journal *journal, ARRAY_TYPE(const_string) *gaps,
		    const char **error_r);
/* The one that is written to. */
struct journal_segment *journal_last_segment(struct journal *journal);
/* Begins a new segment. Returns 0, or -1 with an error and the old one still
   in use. */
int journal_rotate(struct journal *journal, const char **error_r);

/* Keeps the disk's space for that much more. Returns 0 or -1 with errno. */
int journal_reserve(struct journal *journal, size_t size);

/* journal-failure.c */

void journal_note_open(struct journal *journal, const char *path);
/* What an earlier process, or an attempt to open, noted. */
void journal_note_read(struct journal *journal);
/* Nothing can be written: notes it. */
void journal_note(struct journal *journal, const char *error);
/* The same, and it is logged, and tried again until it can. */
void journal_fail(struct journal *journal, const char *error);
void journal_recovered(struct journal *journal);
/* What the gap record says of it. */
const char *const *journal_fail_details(struct journal *journal);

#endif
