/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Payloads of the journal's frames. */

#include "team-common.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "journal-entry.h"

#define NO_CLIENT "-"
#define NO_BASE "-"

static void append_base(string_t *dest, const struct journal_entry *entry)
{
	if (entry->base_known)
		str_printfa(dest, "%"PRId64, entry->base);
	else
		str_append(dest, NO_BASE);
}

void journal_entry_encode(string_t *dest, const struct journal_entry *entry)
{
	const char *client_id = entry->client_id == NULL ?
		NO_CLIENT : entry->client_id;

	switch (entry->type) {
	case JOURNAL_ENTRY_SEGMENT:
		str_printfa(dest, "%u\t%"PRIu64"\t%s\t%"PRIu64"\t",
			    JOURNAL_VERSION, entry->first_seq, entry->node,
			    entry->at);
		append_base(dest, entry);
		break;
	case JOURNAL_ENTRY_CLIENT:
		str_printfa(dest, "%s\t%"PRIu64"\t%s", client_id, entry->at,
			    entry->done);
		break;
	case JOURNAL_ENTRY_PREPARE:
		str_printfa(dest, "%s\t%"PRIu64"\t%"PRIu64"\t%"PRIu64"\t%d\n%s",
			    client_id, entry->id, entry->txn, entry->at,
			    entry->given_up ? 1 : 0, entry->records);
		break;
	case JOURNAL_ENTRY_RECORDS:
		str_printfa(dest, "%s\t%"PRIu64"\t%"PRIu64"\t%"PRIu64
			    "\t%u\t%"PRIu64"\t%d",
			    client_id, entry->id, entry->txn, entry->first_seq,
			    entry->count, entry->at, entry->resolves);
		if (entry->salt != NULL)
			str_printfa(dest, "\t%s", entry->salt);
		str_printfa(dest, "\n%s", entry->records);
		break;
	case JOURNAL_ENTRY_ABORT:
		str_printfa(dest, "%s\t%"PRIu64"\t%"PRIu64"\t%"PRIu64,
			    client_id, entry->id, entry->txn, entry->at);
		break;
	case JOURNAL_ENTRY_BASE:
		str_printfa(dest, "%"PRIu64"\t", entry->at);
		append_base(dest, entry);
		break;
	case JOURNAL_ENTRY_TREE:
		str_printfa(dest, "%"PRIu64"\t%"PRIu64"\t%s", entry->at,
			    entry->first_seq, entry->tree);
		break;
	}
}

static int parse_u64s(const char *const *args, uint64_t *const *nums,
		      unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (str_to_uint64(args[i], nums[i]) < 0)
			return -1;
	}
	return 0;
}

static int parse_base(const char *arg, struct journal_entry *entry)
{
	intmax_t num;

	if (strcmp(arg, NO_BASE) == 0)
		return 0;
	if (str_to_intmax(arg, &num) < 0)
		return -1;
	entry->base = num;
	entry->base_known = TRUE;
	return 0;
}

static int decode_segment(const char *const *args, struct journal_entry *entry,
			  const char **error_r)
{
	unsigned int version;

	if (str_to_uint(args[0], &version) < 0)
		return -1;
	if (version != JOURNAL_VERSION) {
		*error_r = t_strdup_printf("journal version %u, not %u",
					   version, JOURNAL_VERSION);
		return -1;
	}
	entry->node = args[2];
	return str_to_uint64(args[1], &entry->first_seq) < 0 ||
		str_to_uint64(args[3], &entry->at) < 0 ||
		parse_base(args[4], entry) < 0 ? -1 : 0;
}

static unsigned int count_lines(const char *text)
{
	unsigned int lines = 1;

	while ((text = strchr(text, '\n')) != NULL) {
		lines++;
		text++;
	}
	return lines;
}

static int decode_records(const char *const *args, const char *rest,
			  struct journal_entry *entry)
{
	uint64_t *const nums[] = {
		&entry->id, &entry->txn, &entry->first_seq
	};
	unsigned int resolves;

	if (parse_u64s(args + 1, nums, N_ELEMENTS(nums)) < 0 ||
	    str_to_uint(args[4], &entry->count) < 0 ||
	    str_to_uint64(args[5], &entry->at) < 0 ||
	    str_to_uint(args[6], &resolves) < 0 ||
	    resolves > JOURNAL_RESOLVES_GIVEN_UP || rest == NULL ||
	    entry->first_seq == 0 || entry->count == 0 ||
	    entry->count != count_lines(rest))
		return -1;
	entry->resolves = resolves;
	entry->salt = args[7];
	return 0;
}

static int decode_prepare(const char *const *args, const char *rest,
			  struct journal_entry *entry)
{
	uint64_t *const nums[] = { &entry->id, &entry->txn, &entry->at };

	if (parse_u64s(args + 1, nums, N_ELEMENTS(nums)) < 0 || rest == NULL ||
	    (strcmp(args[4], "0") != 0 && strcmp(args[4], "1") != 0))
		return -1;
	entry->given_up = args[4][0] == '1';
	return 0;
}

static int decode_abort(const char *const *args, struct journal_entry *entry)
{
	uint64_t *const nums[] = { &entry->id, &entry->txn, &entry->at };

	return parse_u64s(args + 1, nums, N_ELEMENTS(nums));
}

static int decode_args(const char *const *args, const char *rest,
		       struct journal_entry *entry, const char **error_r)
{
	unsigned int count = str_array_length(args);

	switch (entry->type) {
	case JOURNAL_ENTRY_SEGMENT:
		return count == 5 ? decode_segment(args, entry, error_r) : -1;
	case JOURNAL_ENTRY_CLIENT:
		entry->done = count == 3 ? args[2] : "";
		return count == 3 ? str_to_uint64(args[1], &entry->at) : -1;
	case JOURNAL_ENTRY_PREPARE:
		return count == 5 ? decode_prepare(args, rest, entry) : -1;
	case JOURNAL_ENTRY_RECORDS:
		return count == 7 || count == 8 ?
			decode_records(args, rest, entry) : -1;
	case JOURNAL_ENTRY_ABORT:
		return count == 4 ? decode_abort(args, entry) : -1;
	case JOURNAL_ENTRY_BASE:
		return count == 2 && str_to_uint64(args[0], &entry->at) == 0 ?
			parse_base(args[1], entry) : -1;
	case JOURNAL_ENTRY_TREE:
		entry->tree = count == 3 ? args[2] : "";
		return count == 3 && str_to_uint64(args[0], &entry->at) == 0 ?
			str_to_uint64(args[1], &entry->first_seq) : -1;
	}
	return -1;
}

int journal_entry_decode(uint8_t type, const void *payload, size_t size,
			 struct journal_entry *entry_r, const char **error_r)
{
	/* an empty frame has no payload to point to */
	const char *text = size == 0 ? "" : t_strndup(payload, size);
	const char *rest = strchr(text, '\n');
	const char *const *args;

	i_zero(entry_r);
	*error_r = "unknown or malformed entry";
	entry_r->type = type;
	if (strlen(text) != size)
		return -1;
	args = t_strsplit(rest == NULL ? text : t_strdup_until(text, rest),
			  "\t");
	if (args[0] == NULL)
		return -1;
	if (rest != NULL)
		entry_r->records = ++rest;
	if (type != JOURNAL_ENTRY_SEGMENT && type != JOURNAL_ENTRY_BASE &&
	    type != JOURNAL_ENTRY_TREE && strcmp(args[0], NO_CLIENT) != 0)
		entry_r->client_id = args[0];
	return decode_args(args, rest, entry_r, error_r);
}
