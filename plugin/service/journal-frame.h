/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_FRAME_H
#define TEAM_JOURNAL_FRAME_H

/* Frames: the journal's unit of writing. A frame is written whole or it
   doesn't count, so what must happen together goes into one.

     0  2  sync bytes f5 9a
     2  1  type (enum journal_entry_type)
     3  1  0
     4  4  size of the payload, little endian
     8  4  CRC-32C of bytes 0-7, the frame's offset in the file (8 bytes,
           little endian) and the payload
     12    payload

   Payloads never contain a NUL. A frame's header always does (byte 3), so
   nothing that somebody gets into a payload can be taken for a frame by the
   search behind a damaged area. */

#define JOURNAL_FRAME_HEADER_SIZE 12
/* Longest payload. */
#define JOURNAL_FRAME_MAX_SIZE (64*1024*1024)

enum journal_frame_status {
	JOURNAL_FRAME_OK,
	/* what is there may be the beginning of a valid frame */
	JOURNAL_FRAME_SHORT,
	JOURNAL_FRAME_BAD
};

struct journal_frame {
	uint8_t type;
	const unsigned char *payload;
	size_t size;
};

/* Appends a frame that will stand at offset in the file. */
void journal_frame_append(buffer_t *dest, uint64_t offset, uint8_t type,
			  const void *payload, size_t size);
/* Parses the frame that stands at data, which is at offset in the file. */
enum journal_frame_status
journal_frame_parse(const unsigned char *data, size_t size, uint64_t offset,
		    struct journal_frame *frame_r);
/* Returns the position of the next valid frame in data from start on, or size
   if there is none. data begins at offset in the file. */
size_t journal_frame_find(const unsigned char *data, size_t size,
			  uint64_t offset, size_t start);

#endif
