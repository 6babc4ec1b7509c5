/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_HASH_H
#define TEAM_HASH_H

/* Hashes that are the same in every process, for what is stored or seen by
   others. Dovecot's str_hash() isn't: some of its packages seed it anew in
   every process. */

#include <stdint.h>

static inline uint32_t team_hash_one(uint32_t hash, unsigned char c)
{
	/* FNV-1a */
	return (hash ^ c) * 16777619U;
}

static inline uint32_t team_hash(const char *text)
{
	uint32_t hash = 2166136261U;

	for (; *text != '\0'; text++)
		hash = team_hash_one(hash, (unsigned char)*text);
	return hash;
}

/* The same for texts that differ in ASCII capitals only. */
static inline uint32_t team_hash_icase(const char *text)
{
	uint32_t hash = 2166136261U;
	unsigned char c;

	for (; *text != '\0'; text++) {
		c = (unsigned char)*text;
		hash = team_hash_one(hash, c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	return hash;
}

#endif
