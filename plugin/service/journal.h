/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_H
#define TEAM_JOURNAL_H

/* The node's journal: what a client was told to be done stands here. Entries
   are staged, and written together with one write and at most one fdatasync
   when the ioloop's round is over. Only then do they take effect (in the
   ledger) and their callbacks tell the outcome: a failed write changes
   nothing.

   Records are numbered from 1 in the journal. The log's numbers are these plus
   the base, which is settled when PostgreSQL first answers. */

#include "journal-entry.h"
#include "ledger.h"

struct journal;

enum journal_fsync {
	/* before the answer for what mustn't get lost, otherwise within 1 s */
	JOURNAL_FSYNC_OPTIMIZED,
	JOURNAL_FSYNC_ALWAYS,
	JOURNAL_FSYNC_NEVER
};

struct journal_settings {
	const char *dir;
	/* the name to give a new journal */
	const char *node;
	enum journal_fsync fsync;
	/* NULL, or an existing file on another disk, which tells the next
	   process what it has to record if this one can't write */
	const char *note_path;
	/* requests that were refused since the last attempt to open */
	unsigned int refused;
	/* a new segment is begun when one has got larger; 0 = default */
	uint64_t segment_size;
};

struct journal_status {
	unsigned int segments;
	uint64_t bytes;
	/* the last record's number in the journal */
	uint64_t last_seq;
	/* the number up to which PostgreSQL is known to have it */
	uint64_t shipped_seq;
	bool base_known;
	int64_t base;
	/* NULL, or why nothing can be written */
	const char *error;
	/* microseconds since the epoch; 0 if there is no error */
	uint64_t error_since;
};

/* error is NULL if the entry stands in the journal. */
typedef void journal_callback_t(const char *error, void *context);
typedef void journal_commit_callback_t(void *context);

/* Opens the journal, waiting up to wait_msecs for another process to let go of
   it, and recovers what a crash or a broken disk left. Fills the ledger.
   Returns 1, 0 with an error if nothing can be written there, which may be tried
   again, or -1 with another error. */
int journal_open(const struct journal_settings *set, struct ledger *ledger,
		 unsigned int wait_msecs, struct journal **journal_r,
		 const char **error_r);
/* Flushes, syncs and closes. */
void journal_close(struct journal **journal);
/* Called after every write that brought records. */
void journal_set_commit_callback(struct journal *journal,
				 journal_commit_callback_t *callback,
				 void *context);

/* Called whenever it can't be written any more, or can again. */
typedef void journal_writable_t(bool writable);
void journal_set_writable_callback(struct journal *journal,
				   journal_writable_t *callback);

/* Called for RECORDS entries before they are numbered: they may get other
   records, and another number of them. */
typedef void journal_finish_t(struct journal_entry *entry, void *context);
void journal_set_finish(struct journal *journal, journal_finish_t *finish,
			void *context);

/* Microseconds since the epoch, never going backwards. */
uint64_t journal_now(struct journal *journal);
/* The time of the last record that was there when it was opened, or of the last
   segment; 0 if there was none. */
uint64_t journal_recovered_at(struct journal *journal);
/* Somebody set the clock, which the caller records: follow it, also back. */
void journal_clock_set(struct journal *journal);
/* The name that the journal's records are numbered under. */
const char *journal_get_node(struct journal *journal);

/* Stages an entry; it gets its number here. sync: it must be on the disk before
   it counts, as far as the settings demand it. The callback (which may be
   NULL) is called from journal_flush(). Returns the number of the entry's last
   record, or the last one before it. */
uint64_t journal_stage(struct journal *journal,
		       const struct journal_entry *entry, bool sync,
		       journal_callback_t *callback, void *context);
/* To be asked before something is begun whose end has to be journalled as well:
   is there room on the disk for an entry of about that size and what follows
   it? Returns NULL, or why not. */
const char *journal_check_room(struct journal *journal, size_t size);
/* Stages a gap record. */
void journal_stage_gap(struct journal *journal, const char *const *details);
/* Writes what is staged and calls the callbacks. */
void journal_flush(struct journal *journal);
/* The same if it needn't be synced: only then is it worth to wait for what
   others may be about to stage. */
void journal_flush_quick(struct journal *journal);
/* Syncs what was written. Returns 0 or -1 (logged). */
int journal_sync(struct journal *journal);

/* Lets the next record begin a new segment, so that the old one goes as soon as
   it is shipped. */
void journal_begin_segment(struct journal *journal);

/* Settles the base. Returns 0, or -1 if it can't be written. */
int journal_set_base(struct journal *journal, int64_t base);
/* Records up to seq have been shipped: segments may go. */
void journal_set_shipped(struct journal *journal, uint64_t seq);
/* The number of the oldest record that is still there, or of the next one. */
uint64_t journal_first_seq(struct journal *journal);
void journal_get_status(struct journal *journal,
			struct journal_status *status_r);

struct journal_reader;

/* Reads RECORDS entries in order, those that end above after_seq. */
struct journal_reader *journal_reader_init(struct journal *journal,
					   uint64_t after_seq);
void journal_reader_deinit(struct journal_reader **reader);
/* Returns 1 and an entry (from the data stack), 0 if there is none yet, -1 with
   an error if the journal can't be read. */
int journal_reader_next(struct journal_reader *reader,
			struct journal_entry *entry_r, const char **error_r);

#endif
