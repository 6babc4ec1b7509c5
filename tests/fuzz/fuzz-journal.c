/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Journal entries and whole segments: damage is found, never followed. */

#include "team-common.h"
#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "str.h"
#include "fuzz.h"
#include "journal-entry.h"
#include "journal-segment.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void
scan_callback(const struct journal_scan_part *part, void *context)
{
	uint64_t *end = context;
	struct journal_entry entry;
	const char *error;

	FUZZ_CHECK(part->offset >= *end && part->size > 0);
	*end = part->offset + part->size;
	if (!part->damaged) {
		(void)journal_entry_decode(part->type, part->payload,
					   part->payload_size, &entry, &error);
	}
}

static void fuzz_segment(const uint8_t *data, size_t size)
{
	struct journal_scan_result result;
	const char *error;
	char path[64];
	uint64_t end = 0;
	int fd = memfd_create("segment", 0);

	FUZZ_CHECK(fd != -1);
	FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (journal_segment_scan(path, scan_callback, &end, &result,
				 &error) == 0) {
		FUZZ_CHECK(result.valid_size <= result.file_size);
		FUZZ_CHECK(end <= result.file_size);
	}
	close(fd);
}

static void fuzz_entry(const uint8_t *data, size_t size)
{
	struct journal_entry entry, again;
	const char *error;
	string_t *str;

	if (size == 0 || journal_entry_decode(data[0], data + 1, size - 1,
					      &entry, &error) < 0)
		return;
	str = t_str_new(256);
	journal_entry_encode(str, &entry);
	FUZZ_CHECK(journal_entry_decode(data[0], str_data(str), str_len(str),
					&again, &error) == 0);
	FUZZ_CHECK(again.id == entry.id && again.txn == entry.txn &&
		   again.count == entry.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool initialized = FALSE;

	if (!initialized) {
		lib_init();
		initialized = TRUE;
	}
	T_BEGIN {
		fuzz_entry(data, size);
		fuzz_segment(data, size);
	} T_END;
	return 0;
}
