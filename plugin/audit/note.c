/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signing notes, taking them apart and checking their signatures. */

#include "note.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ED25519_SIG_SIZE 64
#define SIG_PREFIX "\xe2\x80\x94 "
#define SIG_PREFIX_SIZE 4

static bool text_is_valid(const char *text, size_t size)
{
	size_t i;

	if (size == 0 || text[size - 1] != '\n')
		return false;
	for (i = 0; i < size; i++) {
		if ((unsigned char)text[i] < 0x20 && text[i] != '\n')
			return false;
	}
	return true;
}

char *team_note_sign(const char *text, const struct team_signer *signer)
{
	const struct team_verifier *verifier = &signer->verifier;
	unsigned char sig[4 + ED25519_SIG_SIZE];
	size_t size = ED25519_SIG_SIZE, text_size = strlen(text);
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx;
	char *base64, *note;
	unsigned int i;
	bool ok;

	if (!text_is_valid(text, text_size))
		return NULL;
	for (i = 0; i < 4; i++)
		sig[i] = (unsigned char)(verifier->hash >> (24 - 8 * i));
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
					    signer->seed, sizeof(signer->seed));
	ctx = EVP_MD_CTX_new();
	ok = pkey != NULL && ctx != NULL &&
		EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestSign(ctx, sig + 4, &size,
			       (const unsigned char *)text, text_size) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	if (!ok || size != ED25519_SIG_SIZE)
		return NULL;
	base64 = team_base64_encode(sig, sizeof(sig));
	note = malloc(text_size + strlen(verifier->name) + strlen(base64) + 16);
	if (note == NULL)
		abort();
	sprintf(note, "%s\n"SIG_PREFIX"%s %s\n", text, verifier->name, base64);
	free(base64);
	return note;
}

static bool is_sig_line(const char *data, size_t size)
{
	return size > SIG_PREFIX_SIZE &&
		memcmp(data, SIG_PREFIX, SIG_PREFIX_SIZE) == 0;
}

int team_note_parse(const char *data, size_t size, struct team_note *note_r,
		    size_t *used_r)
{
	size_t start = 0, pos, end;
	const char *p;

	memset(note_r, 0, sizeof(*note_r));
	while (start < size && data[start] == '\n')
		start++;
	*used_r = start;
	if (start == size)
		return 0;
	/* the empty line before the signatures is the last one of the note:
	   a text may have empty lines, too */
	for (pos = start; ; pos = end + 1) {
		p = memchr(data + pos, '\n', size - pos);
		if (p == NULL)
			return -1;
		end = (size_t)(p - data);
		if (end == pos && is_sig_line(data + end + 1, size - end - 1))
			break;
	}
	note_r->text = data + start;
	note_r->text_size = pos - start;
	if (!text_is_valid(note_r->text, note_r->text_size))
		return -1;
	pos = end + 1;
	note_r->sigs = data + pos;
	while (is_sig_line(data + pos, size - pos)) {
		p = memchr(data + pos, '\n', size - pos);
		if (p == NULL)
			return -1;
		pos = (size_t)(p - data) + 1;
	}
	note_r->sigs_size = (size_t)(data + pos - note_r->sigs);
	*used_r = pos;
	/* nothing else may stand there */
	return pos == size || data[pos] == '\n' ? 1 : -1;
}

static bool sig_is_right(const struct team_note *note,
			 const struct team_verifier *verifier,
			 const unsigned char *sig)
{
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx;
	bool ok;

	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
					   verifier->key,
					   sizeof(verifier->key));
	ctx = EVP_MD_CTX_new();
	ok = pkey != NULL && ctx != NULL &&
		EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		EVP_DigestVerify(ctx, sig, ED25519_SIG_SIZE,
				 (const unsigned char *)note->text,
				 note->text_size) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

enum team_note_verdict
team_note_verify(const struct team_note *note,
		 const struct team_verifier *verifier)
{
	const char *line = note->sigs, *end = note->sigs + note->sigs_size;
	size_t name_len = strlen(verifier->name);
	unsigned char sig[4 + ED25519_SIG_SIZE];
	const char *lf, *data;
	uint32_t hash;

	for (; line < end; line = lf + 1) {
		lf = memchr(line, '\n', (size_t)(end - line));
		line += SIG_PREFIX_SIZE;
		if ((size_t)(lf - line) <= name_len + 1 ||
		    memcmp(line, verifier->name, name_len) != 0 ||
		    line[name_len] != ' ')
			continue;
		data = line + name_len + 1;
		if (team_base64_decode(data, (size_t)(lf - data), sig,
				       sizeof(sig)) != (int)sizeof(sig))
			continue;
		hash = (uint32_t)sig[0] << 24 | (uint32_t)sig[1] << 16 |
			(uint32_t)sig[2] << 8 | sig[3];
		if (hash != verifier->hash)
			continue;
		return sig_is_right(note, verifier, sig + 4) ?
			TEAM_NOTE_OK : TEAM_NOTE_FORGED;
	}
	return TEAM_NOTE_UNKNOWN_KEY;
}
