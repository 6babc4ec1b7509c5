/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_DIGEST_H
#define TEAM_DIGEST_H

/* SHA-256, and the texts that hashes and keys are written as. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEAM_HASH_SIZE 32
#define TEAM_HASH_HEX_SIZE (TEAM_HASH_SIZE * 2 + 1)

struct team_hash {
	unsigned char bytes[TEAM_HASH_SIZE];
};

/* A piece of what is to be hashed. */
struct team_piece {
	const void *data;
	size_t size;
};

/* The hash of the pieces, one behind the other. */
void team_sha256(const struct team_piece *pieces, size_t count,
		 struct team_hash *hash_r);
bool team_hash_equals(const struct team_hash *a, const struct team_hash *b);

/* Writes size*2 lower case digits and a NUL. */
void team_hex_encode(const void *data, size_t size, char *text_r);
/* Returns 0, or -1 if the text isn't exactly size bytes in hex. */
int team_hex_decode(const char *text, void *data_r, size_t size);

/* The text, which the caller frees. */
char *team_base64_encode(const void *data, size_t size);
/* Decodes base64 of len characters, strictly: with padding, in the one form
   that the bytes have. Returns the size, or -1 if it isn't valid or doesn't
   fit into max bytes. */
int team_base64_decode(const char *text, size_t len, void *data_r,
		       size_t max);

#endif
