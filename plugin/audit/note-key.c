/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of signed notes and how they are written. */

#include "note.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALG_ED25519 0x01
#define PRIVATE_PREFIX "PRIVATE+KEY+"

bool team_note_name_is_valid(const char *name)
{
	size_t len = strlen(name);
	const char *p;

	if (len == 0 || len > TEAM_NOTE_NAME_MAX)
		return false;
	for (p = name; *p != '\0'; p++) {
		/* names here are ASCII, so this leaves out all blanks */
		if (*p <= ' ' || *p >= 0x7f || *p == '+')
			return false;
	}
	return true;
}

static uint32_t key_hash(const char *name, const unsigned char *key)
{
	static const unsigned char alg[] = { '\n', ALG_ED25519 };
	const struct team_piece pieces[] = {
		{ name, strlen(name) }, { alg, sizeof(alg) }, { key, 32 }
	};
	struct team_hash hash;

	team_sha256(pieces, 3, &hash);
	return (uint32_t)hash.bytes[0] << 24 | (uint32_t)hash.bytes[1] << 16 |
		(uint32_t)hash.bytes[2] << 8 | hash.bytes[3];
}

static void verifier_set_name(struct team_verifier *verifier, const char *name)
{
	(void)snprintf(verifier->name, sizeof(verifier->name), "%s", name);
	verifier->hash = key_hash(name, verifier->key);
}

/* Fills in the public part. */
static int signer_init(struct team_signer *signer, const char *name)
{
	size_t size = sizeof(signer->verifier.key);
	EVP_PKEY *pkey;
	int ret = -1;

	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
					    signer->seed, sizeof(signer->seed));
	if (pkey != NULL &&
	    EVP_PKEY_get_raw_public_key(pkey, signer->verifier.key,
					&size) == 1 &&
	    size == sizeof(signer->verifier.key)) {
		verifier_set_name(&signer->verifier, name);
		ret = 0;
	}
	EVP_PKEY_free(pkey);
	return ret;
}

int team_signer_generate(struct team_signer *signer_r, const char *name)
{
	memset(signer_r, 0, sizeof(*signer_r));
	if (!team_note_name_is_valid(name) ||
	    RAND_bytes(signer_r->seed, sizeof(signer_r->seed)) != 1)
		return -1;
	return signer_init(signer_r, name);
}

void team_signer_rename(struct team_signer *signer, const char *name)
{
	verifier_set_name(&signer->verifier, name);
}

/* Takes "<name>+<hash>+<base64 of algorithm and 32 bytes>" apart. */
static int key_parse(const char *text, char *name_r, uint32_t *hash_r,
		     unsigned char *bytes_r)
{
	const char *hash = strchr(text, '+'), *data;
	unsigned char raw[33], bytes[4];
	char hex[9];

	if (hash == NULL || (data = strchr(hash + 1, '+')) == NULL ||
	    data - hash != 9 || hash - text > TEAM_NOTE_NAME_MAX)
		return -1;
	memcpy(name_r, text, (size_t)(hash - text));
	name_r[hash - text] = '\0';
	memcpy(hex, hash + 1, 8);
	hex[8] = '\0';
	if (!team_note_name_is_valid(name_r) ||
	    team_hex_decode(hex, bytes, sizeof(bytes)) < 0 ||
	    team_base64_decode(data + 1, strlen(data + 1), raw,
			       sizeof(raw)) != (int)sizeof(raw) ||
	    raw[0] != ALG_ED25519)
		return -1;
	*hash_r = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
		(uint32_t)bytes[2] << 8 | bytes[3];
	memcpy(bytes_r, raw + 1, 32);
	OPENSSL_cleanse(raw, sizeof(raw));
	return 0;
}

static char *key_format(const char *prefix, const char *name, uint32_t hash,
			const unsigned char *bytes)
{
	unsigned char raw[33];
	char *base64, *text;

	raw[0] = ALG_ED25519;
	memcpy(raw + 1, bytes, 32);
	base64 = team_base64_encode(raw, sizeof(raw));
	text = malloc(strlen(prefix) + strlen(name) + strlen(base64) + 16);
	if (text == NULL)
		abort();
	sprintf(text, "%s%s+%08x+%s", prefix, name, (unsigned int)hash,
		base64);
	OPENSSL_cleanse(raw, sizeof(raw));
	OPENSSL_cleanse(base64, strlen(base64));
	free(base64);
	return text;
}

int team_signer_parse(const char *text, struct team_signer *signer_r)
{
	char name[TEAM_NOTE_NAME_MAX + 1];
	uint32_t hash;

	memset(signer_r, 0, sizeof(*signer_r));
	if (strncmp(text, PRIVATE_PREFIX, strlen(PRIVATE_PREFIX)) != 0 ||
	    key_parse(text + strlen(PRIVATE_PREFIX), name, &hash,
		      signer_r->seed) < 0 ||
	    signer_init(signer_r, name) < 0)
		return -1;
	return signer_r->verifier.hash == hash ? 0 : -1;
}

char *team_signer_format(const struct team_signer *signer)
{
	return key_format(PRIVATE_PREFIX, signer->verifier.name,
			  signer->verifier.hash, signer->seed);
}

int team_verifier_parse(const char *text, struct team_verifier *verifier_r)
{
	memset(verifier_r, 0, sizeof(*verifier_r));
	if (key_parse(text, verifier_r->name, &verifier_r->hash,
		      verifier_r->key) < 0)
		return -1;
	return verifier_r->hash == key_hash(verifier_r->name,
					    verifier_r->key) ? 0 : -1;
}

char *team_verifier_format(const struct team_verifier *verifier)
{
	return key_format("", verifier->name, verifier->hash, verifier->key);
}

bool team_verifier_equals(const struct team_verifier *a,
			  const struct team_verifier *b)
{
	return a->hash == b->hash && strcmp(a->name, b->name) == 0 &&
		memcmp(a->key, b->key, sizeof(a->key)) == 0;
}
