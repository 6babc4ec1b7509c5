/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and creating segment files. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "str.h"
#include "strnum.h"
#include "journal-frame.h"
#include "journal-segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_NAME_DIGITS 20
#define SEGMENT_TMP_SUFFIX ".tmp"

static int segment_cmp(const struct journal_segment *s1,
		       const struct journal_segment *s2)
{
	return s1->first_seq < s2->first_seq ? -1 :
		(s1->first_seq > s2->first_seq ? 1 : 0);
}

static bool name_has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return len >= suffix_len &&
		strcmp(name + len - suffix_len, suffix) == 0;
}

static bool segment_name_parse(const char *name, uint64_t *seq_r)
{
	if (strspn(name, "0123456789") != SEGMENT_NAME_DIGITS ||
	    strcmp(name + SEGMENT_NAME_DIGITS, JOURNAL_SEGMENT_SUFFIX) != 0)
		return FALSE;
	return str_to_uint64(t_strndup(name, SEGMENT_NAME_DIGITS), seq_r) == 0;
}

const char *journal_segment_path(const char *dir, uint64_t first_seq)
{
	return t_strdup_printf("%s/%020"PRIu64"%s", dir, first_seq,
			       JOURNAL_SEGMENT_SUFFIX);
}

static void segments_list_name(const char *dir, const char *name,
			       ARRAY_TYPE(journal_segment) *dest)
{
	struct journal_segment *segment;
	const char *path = t_strdup_printf("%s/%s", dir, name);
	struct stat st;
	uint64_t seq;

	if (name_has_suffix(name, JOURNAL_SEGMENT_SUFFIX SEGMENT_TMP_SUFFIX)) {
		i_unlink_if_exists(path);
		return;
	}
	if (!segment_name_parse(name, &seq))
		return;
	segment = array_append_space(dest);
	segment->path = i_strdup(path);
	segment->first_seq = seq;
	if (stat(path, &st) == 0)
		segment->size = st.st_size;
}

int journal_segments_list(const char *dir, ARRAY_TYPE(journal_segment) *dest,
			  const char **error_r)
{
	struct dirent *d;
	DIR *dirp;
	int ret = 0;

	dirp = opendir(dir);
	if (dirp == NULL) {
		*error_r = t_strdup_printf("opendir(%s) failed: %m", dir);
		return -1;
	}
	i_array_init(dest, 16);
	errno = 0;
	while ((d = readdir(dirp)) != NULL) {
		T_BEGIN {
			segments_list_name(dir, d->d_name, dest);
		} T_END;
		errno = 0;
	}
	if (errno != 0) {
		*error_r = t_strdup_printf("readdir(%s) failed: %m", dir);
		journal_segments_free(dest);
		ret = -1;
	} else {
		array_sort(dest, segment_cmp);
	}
	(void)closedir(dirp);
	return ret;
}

void journal_segments_free(ARRAY_TYPE(journal_segment) *segments)
{
	struct journal_segment *segment;

	array_foreach_modifiable(segments, segment)
		i_free(segment->path);
	array_free(segments);
}

static int read_file(const char *path, buffer_t *dest, const char **error_r)
{
	unsigned char *data;
	size_t size, used;
	ssize_t ret = 0;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	if (fstat(fd, &st) < 0)
		ret = -1;
	while (ret >= 0 && dest->used < (uint64_t)st.st_size) {
		size = st.st_size - dest->used;
		used = dest->used;
		data = buffer_get_space_unsafe(dest, used, size);
		ret = pread(fd, data, size, used);
		buffer_set_used_size(dest, used + (ret > 0 ? ret : 0));
		if (ret == 0)
			break;
	}
	if (ret < 0)
		*error_r = t_strdup_printf("read(%s) failed: %m", path);
	i_close_fd(&fd);
	return ret < 0 ? -1 : 0;
}

/* Handles what stands at pos. Returns the position behind it. */
static size_t scan_part(const unsigned char *data, size_t size, size_t pos,
			journal_scan_callback_t *callback, void *context,
			struct journal_scan_result *result)
{
	struct journal_scan_part part;
	struct journal_frame frame;
	enum journal_frame_status status;

	i_zero(&part);
	part.offset = pos;
	status = journal_frame_parse(data + pos, size - pos, pos, &frame);
	if (status == JOURNAL_FRAME_OK) {
		part.type = frame.type;
		part.payload = frame.payload;
		part.payload_size = frame.size;
		part.size = JOURNAL_FRAME_HEADER_SIZE + frame.size;
		result->valid_size = pos + part.size;
	} else {
		part.size = journal_frame_find(data, size, 0, pos + 1) - pos;
		part.damaged = TRUE;
		if (pos + part.size == size &&
		    status == JOURNAL_FRAME_SHORT) {
			result->torn = TRUE;
			return size;
		}
	}
	callback(&part, context);
	return pos + part.size;
}

static void scan_data(const unsigned char *data, size_t size,
		      journal_scan_callback_t *callback, void *context,
		      struct journal_scan_result *result)
{
	struct journal_scan_part part;
	size_t pos = 0;

	if (size >= JOURNAL_SEGMENT_MAGIC_SIZE &&
	    memcmp(data, JOURNAL_SEGMENT_MAGIC,
		   JOURNAL_SEGMENT_MAGIC_SIZE) == 0) {
		pos = JOURNAL_SEGMENT_MAGIC_SIZE;
		result->valid_size = pos;
	} else if (size >= JOURNAL_SEGMENT_MAGIC_SIZE) {
		i_zero(&part);
		part.damaged = TRUE;
		part.size = pos = JOURNAL_SEGMENT_MAGIC_SIZE;
		callback(&part, context);
	}
	while (pos < size) T_BEGIN {
		pos = scan_part(data, size, pos, callback, context, result);
	} T_END;
}

int journal_segment_scan(const char *path, journal_scan_callback_t *callback,
			 void *context, struct journal_scan_result *result_r,
			 const char **error_r)
{
	buffer_t *buf = buffer_create_dynamic(default_pool, 1024*64);
	int ret;

	i_zero(result_r);
	ret = read_file(path, buf, error_r);
	if (ret == 0) {
		result_r->file_size = buf->used;
		scan_data(buf->data, buf->used, callback, context, result_r);
	}
	buffer_free(&buf);
	return ret;
}

void journal_segment_append(buffer_t *dest, uint64_t offset,
			    const struct journal_entry *entry)
{
	T_BEGIN {
		string_t *payload = t_str_new(256);

		journal_entry_encode(payload, entry);
		journal_frame_append(dest, offset, entry->type,
				     str_data(payload), str_len(payload));
	} T_END;
}

void journal_segment_begin(buffer_t *dest, uint64_t first_seq,
			   const char *node, uint64_t at, bool base_known,
			   int64_t base)
{
	const struct journal_entry entry = {
		.type = JOURNAL_ENTRY_SEGMENT,
		.first_seq = first_seq,
		.node = node,
		.at = at,
		.base_known = base_known,
		.base = base,
	};

	i_assert(dest->used == 0);
	buffer_append(dest, JOURNAL_SEGMENT_MAGIC, JOURNAL_SEGMENT_MAGIC_SIZE);
	journal_segment_append(dest, dest->used, &entry);
}

const char *journal_failed(const char *call, const char *path)
{
	const char *advice = "";

	switch (errno) {
	case EROFS:
		advice = " (the kernel's log says why: repair the file system "
			"and mount it writable again)";
		break;
	case ENOSPC:
	case EDQUOT:
		advice = " (make room there)";
		break;
	case EACCES:
	case EPERM:
		advice = " (team_journal_dir and what is in it have to belong "
			"to the service's user)";
		break;
	}
	return t_strdup_printf("%s(%s) failed: %m%s", call, path, advice);
}

int journal_pwrite_full(int fd, const void *data, size_t size,
			uint64_t offset)
{
	const unsigned char *p = data;
	ssize_t ret;

	while (size > 0) {
		ret = pwrite(fd, p, size, offset);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -1;
		if (ret == 0) {
			errno = ENOSPC;
			return -1;
		}
		p += ret;
		size -= ret;
		offset += ret;
	}
	return 0;
}

int journal_fsync_dir(const char *dir, const char **error_r)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0 || fsync(fd) < 0) {
		*error_r = t_strdup_printf("fsync(%s) failed: %m", dir);
		ret = -1;
	}
	i_close_fd(&fd);
	return ret;
}

int journal_segment_write(const char *dir, uint64_t first_seq,
			  const buffer_t *data, const char **error_r)
{
	const char *path = journal_segment_path(dir, first_seq);
	const char *tmp = t_strconcat(path, SEGMENT_TMP_SUFFIX, NULL);
	int fd;

	fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		*error_r = journal_failed("open", tmp);
		return -1;
	}
	if (journal_pwrite_full(fd, data->data, data->used, 0) < 0)
		*error_r = journal_failed("write", tmp);
	else if (fdatasync(fd) < 0)
		*error_r = journal_failed("fdatasync", tmp);
	else if (rename(tmp, path) < 0) {
		*error_r = t_strdup_printf("rename(%s, %s) failed: %m",
					   tmp, path);
	} else if (journal_fsync_dir(dir, error_r) == 0) {
		return fd;
	}
	i_close_fd(&fd);
	i_unlink_if_exists(tmp);
	return -1;
}
