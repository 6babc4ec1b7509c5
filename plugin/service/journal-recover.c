/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the journal at start, and mending what is damaged: a frame that was
   never finished is cut off; a segment with damage is set aside, and what is
   left of it written anew with gap records where numbers are missing. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "str.h"
#include "journal-frame.h"
#include "journal-gap.h"
#include "journal-private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Gap records in one frame. */
#define GAP_FRAME_RECORDS 1000
#define DAMAGED_NAMES_MAX 1000

struct recovery {
	struct journal *journal;
	const struct journal_segment *segment;
	/* numbers from here on stand in the next segment */
	uint64_t limit_seq;
	/* number expected next, 0 = any */
	uint64_t next_seq;
	/* set aside's file, for the gap records */
	const char *damaged_path;

	/* first pass */
	uint64_t damaged_bytes, holes;
	bool have_header;
	/* an entry that this version can't have written */
	const char *fatal_error;

	/* second pass: the new segment, and its first number */
	buffer_t *dest;
	uint64_t dest_first_seq;
};

static void rewrite_gaps(struct recovery *r, uint64_t first, uint64_t last)
{
	int64_t base = r->journal->base;
	uint64_t at = journal_now(r->journal);
	const char *const details[] = {
		"d.reason=journal damaged",
		t_strdup_printf("d.first=%"PRId64, (int64_t)first + base),
		t_strdup_printf("d.last=%"PRId64, (int64_t)last + base),
		t_strdup_printf("d.file=%s", r->damaged_path),
		NULL
	};
	const char *record = journal_gap_record(at, details);
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .at = at,
	};
	unsigned int i;

	while (first <= last) T_BEGIN {
		string_t *records = t_str_new(1024);

		entry.first_seq = first;
		entry.count = I_MIN(last - first + 1, GAP_FRAME_RECORDS);
		for (i = 0; i < entry.count; i++) {
			if (i > 0)
				str_append_c(records, '\n');
			str_append(records, record);
		}
		entry.records = str_c(records);
		journal_segment_append(r->dest, r->dest->used, &entry);
		first += entry.count;
	} T_END;
}

static void rewrite_header(struct recovery *r)
{
	struct journal *journal = r->journal;

	journal_segment_begin(r->dest, r->dest_first_seq, journal->node,
			      journal_now(journal), journal->base_known,
			      journal->base);
	r->have_header = TRUE;
}

/* Takes a frame of records that come at the right place, or behind a hole. */
static bool
recover_records(struct recovery *r, const struct journal_entry *entry)
{
	if (r->limit_seq != 0 && entry->first_seq >= r->limit_seq)
		return FALSE;
	if (r->next_seq == 0)
		r->next_seq = entry->first_seq;
	if (entry->first_seq < r->next_seq)
		return FALSE;
	if (entry->first_seq > r->next_seq) {
		r->holes += entry->first_seq - r->next_seq;
		if (r->dest != NULL)
			rewrite_gaps(r, r->next_seq, entry->first_seq - 1);
	}
	r->next_seq = entry->first_seq + entry->count;
	r->journal->recovered_at = entry->at;
	return TRUE;
}

static void
recover_header(struct recovery *r, const struct journal_entry *entry)
{
	struct journal *journal = r->journal;

	r->have_header = TRUE;
	journal->recovered_at = entry->at;
	if (strcmp(journal->node, entry->node) != 0) {
		i_free(journal->node);
		journal->node = i_strdup(entry->node);
	}
	if (entry->base_known) {
		journal->base = entry->base;
		journal->base_known = TRUE;
	}
	if (r->next_seq != 0 && entry->first_seq > r->next_seq)
		r->holes += entry->first_seq - r->next_seq;
	if (entry->first_seq > r->next_seq)
		r->next_seq = entry->first_seq;
}

static void recover_part(const struct journal_scan_part *part, void *context)
{
	struct recovery *r = context;
	struct journal *journal = r->journal;
	struct journal_entry entry;
	const char *error;

	if (part->damaged) {
		r->damaged_bytes += part->size;
		return;
	}
	if (r->fatal_error != NULL)
		return;
	if (journal_entry_decode(part->type, part->payload, part->payload_size,
				 &entry, &error) < 0) {
		/* its checksum is right, so it isn't damage */
		r->fatal_error = t_strdup_printf("%s: %s at offset %"PRIu64
			" (written by another version?)", r->segment->path,
			error, part->offset);
		return;
	}
	switch (entry.type) {
	case JOURNAL_ENTRY_SEGMENT:
		recover_header(r, &entry);
		break;
	case JOURNAL_ENTRY_BASE:
		journal->base = entry.base;
		journal->base_known = entry.base_known;
		break;
	case JOURNAL_ENTRY_RECORDS:
		if (!recover_records(r, &entry))
			return;
		journal_tree_append(journal, &entry);
		ledger_apply(journal->ledger, &entry);
		break;
	case JOURNAL_ENTRY_TREE:
		if (journal_tree_adopt(journal, &entry) < 0) {
			r->fatal_error = t_strdup_printf("%s: invalid tree at "
				"offset %"PRIu64, r->segment->path,
				part->offset);
		}
		break;
	default:
		ledger_apply(journal->ledger, &entry);
		break;
	}
}

static void rewrite_part(const struct journal_scan_part *part, void *context)
{
	struct recovery *r = context;
	struct journal_entry entry;
	const char *error;

	if (part->damaged || part->type == JOURNAL_ENTRY_SEGMENT)
		return;
	if (part->type == JOURNAL_ENTRY_RECORDS &&
	    (journal_entry_decode(part->type, part->payload,
				  part->payload_size, &entry, &error) < 0 ||
	     !recover_records(r, &entry)))
		return;
	journal_frame_append(r->dest, r->dest->used, part->type,
			     part->payload, part->payload_size);
}

static int set_aside(const struct journal_segment *segment,
		     const char **path_r, const char **error_r)
{
	const char *path;
	unsigned int i;

	for (i = 0; i < DAMAGED_NAMES_MAX; i++) {
		path = i == 0 ?
			t_strconcat(segment->path, JOURNAL_DAMAGED_SUFFIX,
				    NULL) :
			t_strdup_printf("%s"JOURNAL_DAMAGED_SUFFIX".%u",
					segment->path, i);
		if (link(segment->path, path) == 0) {
			*path_r = path;
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	*error_r = t_strdup_printf("link(%s, %s) failed: %m", segment->path,
				   path);
	return -1;
}

/* Writes what is left of the segment anew. first_seq is where its numbers have
   to begin. */
static int rewrite_segment(struct recovery *r, struct journal_segment *segment,
			   uint64_t first_seq, const char **error_r)
{
	struct journal_scan_result result;
	const char *path;
	int fd = -1, ret;

	if (set_aside(segment, &r->damaged_path, error_r) < 0)
		return -1;
	r->dest = buffer_create_dynamic(default_pool, 1024*1024);
	r->dest_first_seq = first_seq;
	r->next_seq = first_seq;
	rewrite_header(r);
	ret = journal_segment_scan(segment->path, rewrite_part, r, &result,
				   error_r);
	if (ret == 0 && r->next_seq < segment->first_seq) {
		/* missing before a segment without any records */
		rewrite_gaps(r, r->next_seq, segment->first_seq - 1);
		r->next_seq = segment->first_seq;
	}
	if (ret == 0) {
		fd = journal_segment_write(r->journal->dir, first_seq, r->dest,
					   error_r);
		ret = fd < 0 ? -1 : 0;
	}
	if (ret == 0) {
		i_close_fd(&fd);
		path = journal_segment_path(r->journal->dir, first_seq);
		if (strcmp(path, segment->path) != 0)
			i_unlink(segment->path);
		i_free(segment->path);
		segment->path = i_strdup(path);
		segment->first_seq = first_seq;
		segment->size = r->dest->used;
	}
	buffer_free(&r->dest);
	return ret;
}

static int cut_tail(const struct journal_segment *segment, uint64_t size,
		    const char **error_r)
{
	if (truncate(segment->path, size) < 0) {
		*error_r = t_strdup_printf("truncate(%s) failed: %m",
					   segment->path);
		return -1;
	}
	return 0;
}

static void note_damage(struct recovery *r, ARRAY_TYPE(const_string) *gaps,
			const char *path)
{
	const char *text;

	text = t_strdup_printf("%s: %"PRIu64" bytes were damaged, %"PRIu64
		" records are missing; the file was kept as %s",
		path, r->damaged_bytes, r->holes, r->damaged_path);
	i_error("journal: %s", text);
	if (r->holes == 0) {
		/* no number shows that something is missing */
		array_push_back(gaps, &text);
	}
}

/* Reads the segment and mends it. *next_seq is the number that it should begin
   with, 0 if any, and then the one behind it. */
static int recover_segment(struct journal *journal,
			   struct journal_segment *segment,
			   uint64_t limit_seq, uint64_t *next_seq,
			   ARRAY_TYPE(const_string) *gaps, const char **error_r)
{
	struct journal_scan_result result;
	struct recovery r = {
		.journal = journal, .segment = segment,
		.limit_seq = limit_seq, .next_seq = *next_seq,
	};
	const char *path = t_strdup(segment->path);
	uint64_t first_seq = *next_seq != 0 ? *next_seq : segment->first_seq;

	if (journal_segment_scan(segment->path, recover_part, &r, &result,
				 error_r) < 0)
		return -1;
	if (r.fatal_error != NULL) {
		*error_r = r.fatal_error;
		return -1;
	}
	segment->size = result.valid_size;
	if (r.damaged_bytes > 0 || r.holes > 0 || !r.have_header) {
		if (rewrite_segment(&r, segment, first_seq, error_r) < 0)
			return -1;
		note_damage(&r, gaps, path);
	} else if (result.torn) {
		i_warning("journal: %s: cut off %"PRIu64" bytes that were "
			  "being written when the service ended", path,
			  result.file_size - result.valid_size);
		if (cut_tail(segment, result.valid_size, error_r) < 0)
			return -1;
	}
	if (r.next_seq < segment->first_seq)
		r.next_seq = segment->first_seq;
	*next_seq = r.next_seq;
	return 0;
}

int journal_recover(struct journal *journal, ARRAY_TYPE(const_string) *gaps,
		    const char **error_r)
{
	struct journal_segment *segments;
	unsigned int i, count;
	uint64_t next_seq = 0, limit_seq;

	if (journal_segments_list(journal->dir, &journal->segments,
				  error_r) < 0)
		return -1;
	segments = array_get_modifiable(&journal->segments, &count);
	for (i = 0; i < count; i++) {
		limit_seq = i + 1 < count ? segments[i+1].first_seq : 0;
		if (recover_segment(journal, &segments[i], limit_seq,
				    &next_seq, gaps, error_r) < 0)
			return -1;
	}
	if (count == 0) {
		journal->next_seq = 1;
		journal_tree_begin(journal, 1);
		return journal_rotate(journal, error_r);
	}
	journal->next_seq = next_seq;
	journal->offset = segments[count-1].size;
	journal->fd = open(segments[count-1].path, O_RDWR | O_CLOEXEC);
	if (journal->fd < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m",
					   segments[count-1].path);
		return -1;
	}
	return 0;
}
