/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_SEGMENT_H
#define TEAM_JOURNAL_SEGMENT_H

/* Segment files: <first number, 20 digits>.journal. They begin with a magic
   string and a SEGMENT entry, then the ledger's snapshot. A new segment
   appears in the directory only when all this stands in it. */

#include "journal-entry.h"

#define JOURNAL_SEGMENT_MAGIC "TEAMJNL\n"
#define JOURNAL_SEGMENT_MAGIC_SIZE 8
#define JOURNAL_SEGMENT_SUFFIX ".journal"
#define JOURNAL_DAMAGED_SUFFIX ".damaged"

struct journal_segment {
	char *path;
	/* from its name */
	uint64_t first_seq;
	uint64_t size;
};
ARRAY_DEFINE_TYPE(journal_segment, struct journal_segment);

/* A part of a segment that was read. */
struct journal_scan_part {
	uint64_t offset, size;
	/* nothing in it could be made sense of */
	bool damaged;
	uint8_t type;
	const unsigned char *payload;
	size_t payload_size;
};

struct journal_scan_result {
	uint64_t file_size;
	/* Behind the last valid frame. */
	uint64_t valid_size;
	/* What follows it is the beginning of a frame. */
	bool torn;
};

typedef void journal_scan_callback_t(const struct journal_scan_part *part,
				     void *context);

/* Lists the directory's segments by number into an array that is freed with
   journal_segments_free(). Left-over temporary files are removed. Returns 0 or
   -1 with an error. */
int journal_segments_list(const char *dir, ARRAY_TYPE(journal_segment) *dest,
			  const char **error_r);
void journal_segments_free(ARRAY_TYPE(journal_segment) *segments);

/* Reads a segment, calling back for every frame and every damaged area, which
   may be the last one only if it isn't torn. Returns 0 or -1 with an error
   when the file can't be read. */
int journal_segment_scan(const char *path, journal_scan_callback_t *callback,
			 void *context, struct journal_scan_result *result_r,
			 const char **error_r);

/* Appends the entry as a frame to a segment's bytes from offset on. */
void journal_segment_append(buffer_t *dest, uint64_t offset,
			    const struct journal_entry *entry);
/* Appends a segment's magic and SEGMENT entry. */
void journal_segment_begin(buffer_t *dest, uint64_t first_seq,
			   const char *node, uint64_t at, bool base_known,
			   int64_t base);
const char *journal_segment_path(const char *dir, uint64_t first_seq);
/* Writes the segment so that it appears whole or not at all, replacing a file
   of its name. Returns the fd, or -1 with an error. */
int journal_segment_write(const char *dir, uint64_t first_seq,
			  const buffer_t *data, const char **error_r);
/* The text of an error from errno, and what an administrator can do about it. */
const char *journal_failed(const char *call, const char *path);
/* Writes everything, at offset. Returns 0, or -1 with errno. */
int journal_pwrite_full(int fd, const void *data, size_t size,
			uint64_t offset);
/* Makes names that were created or removed in the directory permanent.
   Returns 0 or -1 with an error. */
int journal_fsync_dir(const char *dir, const char **error_r);

#endif
