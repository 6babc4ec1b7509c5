/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading records back, for shipping. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "journal-frame.h"
#include "journal-private.h"

#include <fcntl.h>
#include <unistd.h>

#define READER_CHUNK (256*1024)

struct journal_reader {
	struct journal *journal;
	/* entries up to here have been given out */
	uint64_t after_seq;
	unsigned int generation;

	int fd;
	/* the open segment */
	uint64_t segment_seq;
	/* of buf's begin in the file, and what of buf is done */
	uint64_t buf_offset;
	size_t buf_pos;
	buffer_t *buf;
};

struct journal_reader *journal_reader_init(struct journal *journal,
					   uint64_t after_seq)
{
	struct journal_reader *reader = i_new(struct journal_reader, 1);

	reader->journal = journal;
	reader->after_seq = after_seq;
	reader->generation = journal->generation;
	reader->fd = -1;
	reader->buf = buffer_create_dynamic(default_pool, READER_CHUNK);
	return reader;
}

void journal_reader_deinit(struct journal_reader **_reader)
{
	struct journal_reader *reader = *_reader;

	*_reader = NULL;
	i_close_fd(&reader->fd);
	buffer_free(&reader->buf);
	i_free(reader);
}

static int reader_open(struct journal_reader *reader,
		       const struct journal_segment *segment,
		       const char **error_r)
{
	i_close_fd(&reader->fd);
	reader->fd = open(segment->path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m",
					   segment->path);
		return -1;
	}
	reader->segment_seq = segment->first_seq;
	reader->buf_offset = JOURNAL_SEGMENT_MAGIC_SIZE;
	reader->buf_pos = 0;
	buffer_set_used_size(reader->buf, 0);
	return 0;
}

/* Opens the segment with the first record that is wanted. */
static int reader_seek(struct journal_reader *reader, const char **error_r)
{
	const struct journal_segment *segments;
	unsigned int i, count;

	segments = array_get(&reader->journal->segments, &count);
	for (i = count; i > 1; i--) {
		if (segments[i-1].first_seq <= reader->after_seq + 1)
			break;
	}
	reader->generation = reader->journal->generation;
	return reader_open(reader, &segments[i-1], error_r);
}

/* Opens the next segment. Returns 0 if there is none. */
static int reader_next_segment(struct journal_reader *reader,
			       const char **error_r)
{
	const struct journal_segment *segment;

	array_foreach(&reader->journal->segments, segment) {
		if (segment->first_seq > reader->segment_seq)
			return reader_open(reader, segment, error_r) < 0 ?
				-1 : 1;
	}
	return 0;
}

/* Returns how much of the open segment counts. */
static uint64_t reader_limit(struct journal_reader *reader)
{
	const struct journal_segment *segment;

	array_foreach(&reader->journal->segments, segment) {
		if (segment->first_seq == reader->segment_seq)
			return segment->size;
	}
	return 0;
}

/* Returns 1 if more was read, 0 if there is no more, -1 on error. */
static int reader_fill(struct journal_reader *reader, const char **error_r)
{
	uint64_t limit = reader_limit(reader), end;
	size_t size, used;
	ssize_t ret;

	buffer_delete(reader->buf, 0, reader->buf_pos);
	reader->buf_offset += reader->buf_pos;
	reader->buf_pos = 0;
	used = reader->buf->used;
	end = reader->buf_offset + used;
	if (end >= limit)
		return 0;
	size = I_MIN(limit - end, I_MAX(READER_CHUNK, used));
	ret = pread(reader->fd,
		    buffer_get_space_unsafe(reader->buf, used, size),
		    size, end);
	buffer_set_used_size(reader->buf, used + (ret > 0 ? ret : 0));
	if (ret <= 0) {
		*error_r = ret == 0 ? "journal's file is shorter than it was" :
			t_strdup_printf("read(journal) failed: %m");
		return -1;
	}
	return 1;
}

/* Takes the next frame that is in the buffer. */
static enum journal_frame_status
reader_frame(struct journal_reader *reader, struct journal_frame *frame_r)
{
	const unsigned char *data = reader->buf->data;
	enum journal_frame_status status;

	status = journal_frame_parse(data + reader->buf_pos,
				     reader->buf->used - reader->buf_pos,
				     reader->buf_offset + reader->buf_pos,
				     frame_r);
	if (status == JOURNAL_FRAME_OK)
		reader->buf_pos += JOURNAL_FRAME_HEADER_SIZE + frame_r->size;
	return status;
}

static int reader_entry(struct journal_reader *reader,
			const struct journal_frame *frame,
			struct journal_entry *entry_r, const char **error_r)
{
	if (frame->type != JOURNAL_ENTRY_RECORDS)
		return 0;
	if (journal_entry_decode(frame->type, frame->payload, frame->size,
				 entry_r, error_r) < 0)
		return -1;
	if (entry_r->first_seq + entry_r->count - 1 <= reader->after_seq)
		return 0;
	reader->after_seq = entry_r->first_seq + entry_r->count - 1;
	return 1;
}

int journal_reader_next(struct journal_reader *reader,
			struct journal_entry *entry_r, const char **error_r)
{
	struct journal_frame frame;
	int ret;

	if ((reader->fd < 0 ||
	     reader->generation != reader->journal->generation) &&
	    reader_seek(reader, error_r) < 0)
		return -1;
	for (;;) {
		switch (reader_frame(reader, &frame)) {
		case JOURNAL_FRAME_OK:
			ret = reader_entry(reader, &frame, entry_r, error_r);
			if (ret != 0)
				return ret;
			break;
		case JOURNAL_FRAME_SHORT:
			ret = reader_fill(reader, error_r);
			if (ret == 0)
				ret = reader_next_segment(reader, error_r);
			if (ret <= 0)
				return ret;
			break;
		case JOURNAL_FRAME_BAD:
			*error_r = t_strdup_printf("frame at offset %"PRIu64
				" is damaged", reader->buf_offset +
				reader->buf_pos);
			return -1;
		}
	}
}
