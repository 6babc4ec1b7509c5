/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeping signed notes in a file. */

#include "team-common.h"
#include "buffer.h"
#include "str.h"
#include "strnum.h"
#include "journal-segment.h"
#include "checkpoint-file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKPOINT_FILE_NAME "checkpoints"
#define CHECKPOINT_SENT_NAME "checkpoints.sent"
/* More than two notes of any kind. */
#define CHECKPOINT_TAIL_SIZE (64*1024)
#define EM_DASH "\xe2\x80\x94"

struct checkpoint_file {
	char *path, *sent_path;
	int fd, sent_fd;
	uint64_t size, sent;
	/* size of the note that checkpoint_file_next() returned */
	uint64_t next_size;
};

/* Reads size bytes (or up to the end) from offset. */
static buffer_t *file_read(struct checkpoint_file *file, uint64_t offset,
			   size_t size)
{
	buffer_t *buf = t_buffer_create(1024);
	ssize_t ret;

	size = I_MIN(size, file->size - offset);
	ret = pread(file->fd, buffer_append_space_unsafe(buf, size), size,
		    offset);
	if (ret < 0)
		i_error("read(%s) failed: %m", file->path);
	buffer_set_used_size(buf, ret < 0 ? 0 : ret);
	return buf;
}

/* Where the last whole note ends: a crash may have left a part of one. */
static uint64_t file_valid_size(struct checkpoint_file *file)
{
	uint64_t offset = file->size < CHECKPOINT_TAIL_SIZE ? 0 :
		file->size - CHECKPOINT_TAIL_SIZE;
	buffer_t *buf = file_read(file, offset, CHECKPOINT_TAIL_SIZE);
	const char *data = buf->data;
	size_t i;

	for (i = buf->used; i >= 2; i--) {
		if (data[i-1] == '\n' && data[i-2] == '\n' &&
		    (i == buf->used || data[i] != EM_DASH[0]))
			break;
	}
	return i < 2 ? offset : offset + i;
}

static void file_read_sent(struct checkpoint_file *file)
{
	char buf[32];
	ssize_t ret;

	ret = pread(file->sent_fd, buf, sizeof(buf) - 1, 0);
	if (ret <= 0 || buf[ret-1] != '\n')
		return;
	buf[ret-1] = '\0';
	if (str_to_uint64(buf, &file->sent) < 0 || file->sent > file->size)
		file->sent = 0;
}

int checkpoint_file_open(const char *dir, struct checkpoint_file **file_r,
			 const char **error_r)
{
	struct checkpoint_file *file = i_new(struct checkpoint_file, 1);
	struct stat st;

	file->path = i_strconcat(dir, "/"CHECKPOINT_FILE_NAME, NULL);
	file->sent_path = i_strconcat(dir, "/"CHECKPOINT_SENT_NAME, NULL);
	/* what is signed is no secret */
	file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	file->sent_fd = file->fd < 0 ? -1 :
		open(file->sent_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->sent_fd < 0 || fstat(file->fd, &st) < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m",
			file->fd < 0 ? file->path : file->sent_path);
		checkpoint_file_close(&file);
		return -1;
	}
	file->size = st.st_size;
	T_BEGIN {
		file->size = file_valid_size(file);
		file_read_sent(file);
	} T_END;
	*file_r = file;
	return 0;
}

void checkpoint_file_close(struct checkpoint_file **_file)
{
	struct checkpoint_file *file = *_file;

	*_file = NULL;
	i_close_fd(&file->fd);
	i_close_fd(&file->sent_fd);
	i_free(file->path);
	i_free(file->sent_path);
	i_free(file);
}

int checkpoint_file_append(struct checkpoint_file *file, const char *note,
			   const char **error_r)
{
	const char *text = t_strconcat(note, "\n", NULL);

	if (journal_pwrite_full(file->fd, text, strlen(text),
				file->size) < 0 ||
	    ftruncate(file->fd, file->size + strlen(text)) < 0 ||
	    fdatasync(file->fd) < 0) {
		*error_r = t_strdup_printf("write(%s) failed: %m", file->path);
		if (ftruncate(file->fd, file->size) < 0)
			i_error("ftruncate(%s) failed: %m", file->path);
		return -1;
	}
	file->size += strlen(text);
	return 0;
}

int checkpoint_file_last(struct checkpoint_file *file, const char *origin,
			 struct team_statement *statement_r,
			 const char **error_r)
{
	struct team_statement statement;
	struct team_note note;
	uint64_t offset = file->size < CHECKPOINT_TAIL_SIZE ? 0 :
		file->size - CHECKPOINT_TAIL_SIZE;
	buffer_t *buf = file_read(file, offset, CHECKPOINT_TAIL_SIZE);
	const char *data = buf->data;
	size_t pos = 0, used;
	int ret = 0, parsed;

	if (offset > 0) {
		/* to the first note that is there as a whole */
		for (pos = 2; pos < buf->used; pos++) {
			if (data[pos-1] == '\n' && data[pos-2] == '\n' &&
			    data[pos] != EM_DASH[0])
				break;
		}
	}
	while (pos < buf->used) {
		parsed = team_note_parse(data + pos, buf->used - pos, &note,
					 &used);
		if (parsed < 0) {
			*error_r = t_strdup_printf("%s: not a note at %"PRIu64,
				file->path, offset + pos);
			return -1;
		}
		if (parsed > 0 &&
		    team_statement_parse(note.text, note.text_size,
					 &statement) == 0 &&
		    statement.type == TEAM_STATEMENT_CHECKPOINT &&
		    strcmp(statement.origin, origin) == 0) {
			*statement_r = statement;
			ret = 1;
		}
		pos += used;
		if (parsed == 0)
			break;
	}
	return ret;
}

const char *checkpoint_file_next(struct checkpoint_file *file)
{
	struct team_note note;
	buffer_t *buf;
	size_t used;

	if (file->sent >= file->size)
		return NULL;
	buf = file_read(file, file->sent, CHECKPOINT_TAIL_SIZE);
	if (team_note_parse(buf->data, buf->used, &note, &used) <= 0) {
		i_error("%s: what stands at %"PRIu64" isn't a note: it isn't "
			"sent to PostgreSQL", file->path, file->sent);
		file->sent = file->size;
		return NULL;
	}
	file->next_size = used;
	return t_strdup_until(note.text, note.sigs + note.sigs_size);
}

void checkpoint_file_sent(struct checkpoint_file *file)
{
	const char *text;

	/* with its empty line */
	file->sent = I_MIN(file->sent + file->next_size + 1, file->size);
	text = t_strdup_printf("%020"PRIu64"\n", file->sent);
	/* PostgreSQL takes a note twice without harm */
	if (pwrite(file->sent_fd, text, strlen(text), 0) < 0)
		i_error("write(%s) failed: %m", file->sent_path);
}

bool checkpoint_file_is_sent(const struct checkpoint_file *file)
{
	return file->sent >= file->size;
}
