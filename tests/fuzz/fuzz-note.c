/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoint files: notes one behind the other, what they say, and the keys
   that sign them. */

#include "fuzz.h"
#include "checkpoint.h"

#include <string.h>

static void check_keys(const char *text)
{
	struct team_verifier verifier, again;
	struct team_signer signer, signer_again;
	char *formatted;

	if (team_verifier_parse(text, &verifier) == 0) {
		formatted = team_verifier_format(&verifier);
		FUZZ_CHECK(team_verifier_parse(formatted, &again) == 0);
		FUZZ_CHECK(team_verifier_equals(&verifier, &again));
		free(formatted);
	}
	if (team_signer_parse(text, &signer) == 0) {
		formatted = team_signer_format(&signer);
		FUZZ_CHECK(team_signer_parse(formatted, &signer_again) == 0);
		FUZZ_CHECK(team_verifier_equals(&signer.verifier,
						&signer_again.verifier));
		free(formatted);
	}
}

static void check_note(const struct team_note *note,
		       const struct team_verifier *verifier)
{
	struct team_statement st;
	char node[TEAM_NOTE_NAME_MAX + 1];

	FUZZ_CHECK(note->text_size > 0 &&
		   note->text[note->text_size - 1] == '\n');
	/* nobody signed what was made up */
	FUZZ_CHECK(team_note_verify(note, verifier) != TEAM_NOTE_OK);
	if (team_statement_parse(note->text, note->text_size, &st) < 0)
		return;
	FUZZ_CHECK(strlen(st.time) < sizeof(st.time));
	if (st.type != TEAM_STATEMENT_KEY)
		(void)team_origin_node(st.origin, node, sizeof(node));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct team_signer signer;
	struct team_note note;
	char *text = malloc(size + 1);
	size_t pos = 0, used = 0;

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (signer.verifier.name[0] == '\0' &&
	    team_signer_generate(&signer, "dovecot-team/n/1") < 0)
		abort();
	check_keys(text);
	while (team_note_parse(text + pos, size - pos, &note, &used) > 0) {
		FUZZ_CHECK(used > 0 && used <= size - pos);
		check_note(&note, &signer.verifier);
		pos += used;
	}
	free(text);
	return 0;
}
