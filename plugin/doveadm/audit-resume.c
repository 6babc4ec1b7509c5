/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding where an export was broken off. */

#include "team-common.h"
#include "strnum.h"
#include "json.h"
#include "audit-resume.h"
#include "doveadm-team.h"

#include <sys/stat.h>
#include <unistd.h>

/* More than the longest line of JSON. */
#define RESUME_TAIL_SIZE (4*1024*1024)
#define CSV_HEADER "node,seq,time,"
#define CSV_BUFFER_SIZE 65536
/* More than node and number. */
#define CSV_BEGINNING_SIZE 1024

/* The last complete record */
struct resume_record {
	const char *node;
	uint64_t seq;
	/* where it ends, 0 if there is nothing complete */
	off_t end;
	bool valid;
};

/* ---- JSON ---- */

struct resume_json {
	const char *node_key, *seq_key;
	struct resume_record *record;
};

static int resume_json_member(const char *key, enum team_json_type type,
			      const char *value, void *context)
{
	struct resume_json *ctx = context;

	if (strcmp(key, ctx->node_key) == 0 && type == TEAM_JSON_STRING)
		ctx->record->node = t_strdup(value);
	else if (strcmp(key, ctx->seq_key) == 0 &&
		 str_to_uint64(value, &ctx->record->seq) < 0)
		return -1;
	return 0;
}

/* The last complete line is within the file's tail. */
static int resume_json(FILE *file, bool ecs, struct resume_record *record)
{
	struct resume_json ctx = {
		.node_key = ecs ? "host.name" : "node",
		.seq_key = ecs ? "event.sequence" : "seq", .record = record
	};
	struct stat st;
	char *buf, *line;
	off_t offset;
	size_t size;

	if (fstat(fileno(file), &st) < 0)
		return -1;
	offset = st.st_size < RESUME_TAIL_SIZE ? 0 :
		st.st_size - RESUME_TAIL_SIZE;
	if (fseeko(file, offset, SEEK_SET) < 0)
		return -1;
	buf = i_malloc(RESUME_TAIL_SIZE + 1);
	size = fread(buf, 1, RESUME_TAIL_SIZE, file);
	while (size > 0 && buf[size-1] != '\n')
		size--;
	if (size > 0) {
		record->end = offset + size;
		buf[size-1] = '\0';
		line = strrchr(buf, '\n');
		line = line == NULL ? buf : line + 1;
		record->valid = team_json_object(line, resume_json_member,
						 &ctx) == 0;
	}
	i_free(buf);
	return ferror(file) != 0 ? -1 : 0;
}

/* ---- CSV ---- */

struct resume_csv {
	off_t offset;
	bool quoted, cr, header;
	/* of the record that is being read, and of the last complete one */
	char current[CSV_BEGINNING_SIZE], last[CSV_BEGINNING_SIZE];
	size_t current_size;
	/* where the last one ends */
	off_t end;
};

static void resume_csv_char(struct resume_csv *csv, char chr)
{
	csv->offset++;
	if (csv->current_size < sizeof(csv->current) - 1)
		csv->current[csv->current_size++] = chr;
	if (chr == '"')
		csv->quoted = !csv->quoted;
	if (chr == '\n' && csv->cr && !csv->quoted) {
		csv->current[csv->current_size] = '\0';
		if (csv->end == 0) {
			csv->header = str_begins_with(csv->current,
						      CSV_HEADER);
			csv->current[0] = '\0';
		}
		memcpy(csv->last, csv->current, sizeof(csv->last));
		csv->current_size = 0;
		csv->end = csv->offset;
	}
	csv->cr = chr == '\r';
}

/* Values have line breaks: only from the beginning it's known which ones end a
   record. */
static int resume_csv(FILE *file, struct resume_record *record)
{
	struct resume_csv *csv = t_new(struct resume_csv, 1);
	char *buf = t_malloc_no0(CSV_BUFFER_SIZE);
	const char *const *fields;
	size_t i, size;

	rewind(file);
	while ((size = fread(buf, 1, CSV_BUFFER_SIZE, file)) > 0) {
		for (i = 0; i < size; i++)
			resume_csv_char(csv, buf[i]);
	}
	record->end = csv->end;
	fields = t_strsplit(csv->last, ",");
	record->valid = csv->header && (*csv->last == '\0' ||
		(fields[1] != NULL &&
		 str_to_uint64(fields[1], &record->seq) == 0));
	if (record->seq > 0)
		record->node = fields[0];
	return ferror(file) != 0 ? -1 : 0;
}

int audit_resume(FILE *file, const char *path, enum audit_format format,
		 const char *node, uint64_t *seq_r, bool *empty_r)
{
	struct resume_record record = { .seq = 0 };
	int ret;

	if (format == AUDIT_FORMAT_CSV)
		ret = resume_csv(file, &record);
	else
		ret = resume_json(file, format == AUDIT_FORMAT_ECS, &record);
	if (ret < 0) {
		i_error("read(%s) failed: %m", path);
		doveadm_exit_code = EX_IOERR;
		return -1;
	}
	if (record.end > 0 && !record.valid)
		i_error("%s can't be resumed: its last line is no record in "
			"this format", path);
	else if (record.node != NULL && strcmp(record.node, node) != 0)
		i_error("%s can't be resumed: it ends with a record of %s, "
			"not %s", path, record.node, node);
	else if (ftruncate(fileno(file), record.end) < 0 ||
		 fseeko(file, 0, SEEK_END) < 0)
		i_error("%s can't be resumed: %m", path);
	else {
		*seq_r = record.seq;
		*empty_r = record.end == 0;
		return 0;
	}
	doveadm_exit_code = EX_DATAERR;
	return -1;
}
