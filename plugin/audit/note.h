/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_NOTE_H
#define TEAM_NOTE_H

/* Signed notes (C2SP signed-note) with Ed25519: a text, an empty line, and
   lines "<em dash> <key name> <base64 of key hash and signature>". Keys are
   written as Go's note package and the tools around it write them. */

#include "digest.h"

#define TEAM_NOTE_NAME_MAX 255
#define TEAM_NOTE_MAX_SIZE (1024*1024)

/* What somebody needs to check signatures. */
struct team_verifier {
	char name[TEAM_NOTE_NAME_MAX + 1];
	uint32_t hash;
	unsigned char key[32];
};

/* What is needed to sign. */
struct team_signer {
	struct team_verifier verifier;
	unsigned char seed[32];
};

/* May a key, or a log, be called that? */
bool team_note_name_is_valid(const char *name);

/* Makes a new key. Returns 0, or -1 if there is no randomness. */
int team_signer_generate(struct team_signer *signer_r, const char *name);
/* The same key under another name. */
void team_signer_rename(struct team_signer *signer, const char *name);
/* Parses "PRIVATE+KEY+<name>+<hash>+<base64>". Returns 0 or -1. */
int team_signer_parse(const char *text, struct team_signer *signer_r);
/* The caller frees (and clears) it. */
char *team_signer_format(const struct team_signer *signer);

/* Parses "<name>+<hash>+<base64>". Returns 0, or -1 if it isn't a valid
   Ed25519 key. */
int team_verifier_parse(const char *text, struct team_verifier *verifier_r);
/* The caller frees it. */
char *team_verifier_format(const struct team_verifier *verifier);
bool team_verifier_equals(const struct team_verifier *a,
			  const struct team_verifier *b);

/* Signs text, which ends with LF and has no control characters; returns the
   note, which the caller frees, or NULL if the text can't be signed. */
char *team_note_sign(const char *text, const struct team_signer *signer);

/* A note taken apart; points into what was parsed. */
struct team_note {
	/* with its LF */
	const char *text;
	size_t text_size;
	/* the lines of signatures */
	const char *sigs;
	size_t sigs_size;
};

/* Takes the note at the beginning of data apart, and tells its size: several
   may follow one another with an empty line between them. Returns 1, 0 if
   there is none, -1 if it isn't a note. */
int team_note_parse(const char *data, size_t size, struct team_note *note_r,
		    size_t *used_r);

enum team_note_verdict {
	TEAM_NOTE_OK,
	/* none of its signatures is by the key */
	TEAM_NOTE_UNKNOWN_KEY,
	/* the key's signature is wrong */
	TEAM_NOTE_FORGED
};
enum team_note_verdict
team_note_verify(const struct team_note *note,
		 const struct team_verifier *verifier);

#endif
