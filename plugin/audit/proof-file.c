/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing and reading of proofs. */

#include "proof-file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUSION_HEADER "c2sp.org/tlog-proof@v1\n"
#define CONSISTENCY_HEADER "dovecot-team consistency\n"
#define RECORD_MAX_SIZE (4*1024*1024)

static void write_hashes(FILE *file, const struct team_proof *proof)
{
	char *base64;
	size_t i;

	for (i = 0; i < proof->count; i++) {
		base64 = team_base64_encode(proof->hashes[i].bytes,
					    TEAM_HASH_SIZE);
		fprintf(file, "%s\n", base64);
		free(base64);
	}
}

static FILE *memory_open(char **text, size_t *size)
{
	FILE *file = open_memstream(text, size);

	if (file == NULL)
		abort();
	return file;
}

char *team_inclusion_format(const struct team_proof *proof, uint64_t index,
			    const char *record, const char *checkpoint)
{
	char *text, *base64 = team_base64_encode(record, strlen(record));
	size_t size;
	FILE *file = memory_open(&text, &size);

	fprintf(file, INCLUSION_HEADER"extra %s\nindex %"PRIu64"\n", base64,
		index);
	write_hashes(file, proof);
	fprintf(file, "\n%s", checkpoint);
	if (fclose(file) != 0)
		abort();
	free(base64);
	return text;
}

char *team_consistency_format(const struct team_proof *proof,
			      const char *origin, uint64_t old_size,
			      uint64_t size)
{
	char *text;
	size_t text_size;
	FILE *file = memory_open(&text, &text_size);

	fprintf(file, CONSISTENCY_HEADER"%s\n%"PRIu64" %"PRIu64"\n", origin,
		old_size, size);
	write_hashes(file, proof);
	if (fclose(file) != 0)
		abort();
	return text;
}

static bool skip(const char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len) != 0)
		return false;
	*text += len;
	return true;
}

static int read_number(const char **text, char end, uint64_t *num_r)
{
	size_t digits = strspn(*text, "0123456789");

	if (digits == 0 || digits > 18 || (*text)[digits] != end)
		return -1;
	*num_r = strtoull(*text, NULL, 10);
	*text += digits + 1;
	return 0;
}

/* Reads lines up to an empty one or the end. */
static int read_hashes(const char **text, struct team_proof *proof)
{
	size_t len;

	while (**text != '\0' && **text != '\n') {
		len = strcspn(*text, "\n");
		if ((*text)[len] != '\n' || proof->count == TEAM_PROOF_MAX ||
		    team_base64_decode(*text, len,
				       proof->hashes[proof->count].bytes,
				       TEAM_HASH_SIZE) != TEAM_HASH_SIZE)
			return -1;
		proof->count++;
		*text += len + 1;
	}
	return 0;
}

static int read_record(const char **text, struct team_proof_file *file)
{
	size_t len = strcspn(*text, "\n");
	int size;

	if (len > RECORD_MAX_SIZE)
		return -1;
	file->record = calloc(1, len + 1);
	if (file->record == NULL)
		abort();
	size = team_base64_decode(*text, len, file->record, len);
	if (size < 0 || strlen(file->record) != (size_t)size ||
	    (*text)[len] != '\n')
		return -1;
	*text += len + 1;
	return 0;
}

int team_inclusion_parse(const char *text, struct team_proof_file *file_r)
{
	memset(file_r, 0, sizeof(*file_r));
	if (!skip(&text, INCLUSION_HEADER) || !skip(&text, "extra ") ||
	    read_record(&text, file_r) < 0 || !skip(&text, "index ") ||
	    read_number(&text, '\n', &file_r->index) < 0 ||
	    read_hashes(&text, &file_r->proof) < 0 || !skip(&text, "\n")) {
		team_proof_file_clear(file_r);
		return -1;
	}
	file_r->checkpoint = text;
	return 0;
}

int team_consistency_parse(const char *text, struct team_proof_file *file_r)
{
	size_t len;

	memset(file_r, 0, sizeof(*file_r));
	if (!skip(&text, CONSISTENCY_HEADER))
		return -1;
	len = strcspn(text, "\n");
	file_r->origin = strndup(text, len);
	if (file_r->origin == NULL)
		abort();
	text += len;
	if (!skip(&text, "\n") ||
	    read_number(&text, ' ', &file_r->old_size) < 0 ||
	    read_number(&text, '\n', &file_r->size) < 0 ||
	    read_hashes(&text, &file_r->proof) < 0) {
		team_proof_file_clear(file_r);
		return -1;
	}
	return 0;
}

void team_proof_file_clear(struct team_proof_file *file)
{
	free(file->record);
	free(file->origin);
	memset(file, 0, sizeof(*file));
}
