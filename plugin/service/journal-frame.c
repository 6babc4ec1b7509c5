/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing, checking and finding of frames. */

#include "team-common.h"
#include "buffer.h"
#include "crc32c.h"
#include "journal-frame.h"

#define SYNC_1 0xf5
#define SYNC_2 0x9a

static void put_le(unsigned char *dest, uint64_t num, unsigned int bytes)
{
	unsigned int i;

	for (i = 0; i < bytes; i++, num >>= 8)
		dest[i] = num & 0xff;
}

static uint32_t get_le32(const unsigned char *src)
{
	return (uint32_t)src[0] | (uint32_t)src[1] << 8 |
		(uint32_t)src[2] << 16 | (uint32_t)src[3] << 24;
}

static uint32_t frame_crc(const unsigned char *header, uint64_t offset,
			  const void *payload, size_t size)
{
	unsigned char offset_le[8];
	uint32_t crc;

	put_le(offset_le, offset, sizeof(offset_le));
	crc = team_crc32c(0, header, 8);
	crc = team_crc32c(crc, offset_le, sizeof(offset_le));
	return team_crc32c(crc, payload, size);
}

void journal_frame_append(buffer_t *dest, uint64_t offset, uint8_t type,
			  const void *payload, size_t size)
{
	unsigned char header[JOURNAL_FRAME_HEADER_SIZE];

	i_assert(size <= JOURNAL_FRAME_MAX_SIZE);
	header[0] = SYNC_1;
	header[1] = SYNC_2;
	header[2] = type;
	header[3] = 0;
	put_le(header + 4, size, 4);
	put_le(header + 8, frame_crc(header, offset, payload, size), 4);
	buffer_append(dest, header, sizeof(header));
	buffer_append(dest, payload, size);
}

static bool header_begins_valid(const unsigned char *data, size_t size)
{
	return (size < 1 || data[0] == SYNC_1) &&
		(size < 2 || data[1] == SYNC_2) &&
		(size < 4 || data[3] == 0) &&
		(size < 8 || get_le32(data + 4) <= JOURNAL_FRAME_MAX_SIZE);
}

enum journal_frame_status
journal_frame_parse(const unsigned char *data, size_t size, uint64_t offset,
		    struct journal_frame *frame_r)
{
	size_t payload_size;

	if (!header_begins_valid(data, size))
		return JOURNAL_FRAME_BAD;
	if (size < JOURNAL_FRAME_HEADER_SIZE)
		return JOURNAL_FRAME_SHORT;
	payload_size = get_le32(data + 4);
	if (size - JOURNAL_FRAME_HEADER_SIZE < payload_size)
		return JOURNAL_FRAME_SHORT;
	frame_r->type = data[2];
	frame_r->payload = data + JOURNAL_FRAME_HEADER_SIZE;
	frame_r->size = payload_size;
	if (get_le32(data + 8) != frame_crc(data, offset, frame_r->payload,
					    payload_size))
		return JOURNAL_FRAME_BAD;
	return JOURNAL_FRAME_OK;
}

size_t journal_frame_find(const unsigned char *data, size_t size,
			  uint64_t offset, size_t start)
{
	struct journal_frame frame;
	const unsigned char *p;

	while (start < size) {
		p = memchr(data + start, SYNC_1, size - start);
		if (p == NULL)
			break;
		start = p - data;
		if (journal_frame_parse(p, size - start, offset + start,
					&frame) == JOURNAL_FRAME_OK)
			return start;
		start++;
	}
	return size;
}
