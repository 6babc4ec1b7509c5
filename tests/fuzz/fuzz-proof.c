/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of proofs: what parses is written again and parses to the same, and
   no made-up proof proves anything. */

#include "fuzz.h"
#include "proof-file.h"

#include <string.h>

static bool same_proof(const struct team_proof *a, const struct team_proof *b)
{
	return a->count == b->count &&
		memcmp(a->hashes, b->hashes, a->count * sizeof(a->hashes[0])) == 0;
}

static void check_inclusion(const char *text)
{
	struct team_proof_file file, again;
	struct team_hash leaf, root;
	char *formatted;

	if (team_inclusion_parse(text, &file) < 0)
		return;
	formatted = team_inclusion_format(&file.proof, file.index, file.record,
					  file.checkpoint);
	FUZZ_CHECK(team_inclusion_parse(formatted, &again) == 0);
	FUZZ_CHECK(again.index == file.index &&
		   strcmp(again.record, file.record) == 0 &&
		   same_proof(&again.proof, &file.proof));
	memset(&leaf, 1, sizeof(leaf));
	memset(&root, 2, sizeof(root));
	FUZZ_CHECK(!team_proof_check_inclusion(&file.proof, file.index,
					       file.index + 1, &leaf, &root));
	team_proof_file_clear(&again);
	team_proof_file_clear(&file);
	free(formatted);
}

static void check_consistency(const char *text)
{
	struct team_proof_file file, again;
	struct team_hash old_root, root;
	char *formatted;

	if (team_consistency_parse(text, &file) < 0)
		return;
	formatted = team_consistency_format(&file.proof, file.origin,
					    file.old_size, file.size);
	FUZZ_CHECK(team_consistency_parse(formatted, &again) == 0);
	FUZZ_CHECK(again.old_size == file.old_size &&
		   again.size == file.size &&
		   strcmp(again.origin, file.origin) == 0 &&
		   same_proof(&again.proof, &file.proof));
	memset(&old_root, 1, sizeof(old_root));
	memset(&root, 2, sizeof(root));
	/* every tree begins with the empty one */
	FUZZ_CHECK(file.old_size == 0 ||
		   !team_proof_check_consistency(&file.proof, file.old_size,
						 file.size, &old_root, &root));
	team_proof_file_clear(&again);
	team_proof_file_clear(&file);
	free(formatted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_inclusion(text);
	check_consistency(text);
	free(text);
	return 0;
}
