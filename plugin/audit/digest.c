/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 by libcrypto; hex and base64. */

/* OpenSSL 3 would rather not have SHA256_Init() used; it stays for now */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "digest.h"

#include <endian.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE SHA256_CBLOCK
/* A block ends with a bit and the number of bits. */
#define BLOCK_END_SIZE 9

/* Pads what is in buf, which has room for two blocks, and hashes it. */
static void sha256_blocks(SHA256_CTX *ctx, unsigned char *buf, size_t used,
			  struct team_hash *hash_r)
{
	size_t size = used + BLOCK_END_SIZE <= BLOCK_SIZE ? BLOCK_SIZE :
		BLOCK_SIZE * 2;
	const uint64_t bits_be = htobe64((uint64_t)used * 8);
	uint32_t word_be;
	unsigned int i;

	buf[used++] = 0x80;
	memset(buf + used, 0, size - sizeof(bits_be) - used);
	memcpy(buf + size - sizeof(bits_be), &bits_be, sizeof(bits_be));
	SHA256_Transform(ctx, buf);
	if (size > BLOCK_SIZE)
		SHA256_Transform(ctx, buf + BLOCK_SIZE);
	for (i = 0; i < TEAM_HASH_SIZE / sizeof(word_be); i++) {
		word_be = htobe32(ctx->h[i]);
		memcpy(hash_r->bytes + i * sizeof(word_be), &word_be,
		       sizeof(word_be));
	}
}

void team_sha256(const struct team_piece *pieces, size_t count,
		 struct team_hash *hash_r)
{
	unsigned char buf[BLOCK_SIZE * 2];
	SHA256_CTX ctx;
	size_t i, used = 0;

	/* not by EVP: it costs as much again for hashes of so little data */
	if (SHA256_Init(&ctx) != 1)
		abort();
	for (i = 0; i < count; i++) {
		if (used + pieces[i].size + BLOCK_END_SIZE > sizeof(buf))
			break;
		memcpy(buf + used, pieces[i].data, pieces[i].size);
		used += pieces[i].size;
	}
	/* most are so short that the calls around the blocks count */
	if (i == count) {
		sha256_blocks(&ctx, buf, used, hash_r);
		return;
	}
	if (SHA256_Update(&ctx, buf, used) != 1)
		abort();
	for (; i < count; i++) {
		if (SHA256_Update(&ctx, pieces[i].data, pieces[i].size) != 1)
			abort();
	}
	if (SHA256_Final(hash_r->bytes, &ctx) != 1)
		abort();
}

bool team_hash_equals(const struct team_hash *a, const struct team_hash *b)
{
	return memcmp(a->bytes, b->bytes, TEAM_HASH_SIZE) == 0;
}

/* Four bytes' digits, two for each, at once. */
static void hex_encode4(const unsigned char *data, char *text_r)
{
	const uint64_t ones = 0x0101010101010101;
	uint32_t bytes;
	uint64_t num;

	memcpy(&bytes, data, sizeof(bytes));
	/* each byte into two, then its halves into one each */
	num = le32toh(bytes);
	num = (num | num << 16) & 0x0000ffff0000ffff;
	num = (num | num << 8) & 0x00ff00ff00ff00ff;
	num = (num >> 4 & 0x000f000f000f000f) | (num & 0x000f000f000f000f) << 8;
	/* 'a' to 'f' stand further behind '9' */
	num += ones * '0' +
		(((num + ones * 6) >> 4) & ones) * ('a' - '0' - 10);
	num = htole64(num);
	memcpy(text_r, &num, sizeof(num));
}

void team_hex_encode(const void *data, size_t size, char *text_r)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	size_t i = 0;

	for (; size - i >= 4; i += 4, text_r += 8)
		hex_encode4(p + i, text_r);
	for (; i < size; i++) {
		*text_r++ = digits[p[i] >> 4];
		*text_r++ = digits[p[i] & 15];
	}
	*text_r = '\0';
}

/* of a digit one more than its value */
static const unsigned char hex_digits[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6,
	['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16
};

int team_hex_decode(const char *text, void *data_r, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char *dest = data_r;
	unsigned int high, low;
	size_t i;

	for (i = 0; i < size; i++, p += 2) {
		if ((high = hex_digits[p[0]]) == 0 ||
		    (low = hex_digits[p[1]]) == 0)
			return -1;
		dest[i] = (unsigned char)((high - 1) << 4 | (low - 1));
	}
	return text[size * 2] == '\0' ? 0 : -1;
}

char *team_base64_encode(const void *data, size_t size)
{
	char *text = malloc((size + 2) / 3 * 4 + 1);

	if (text == NULL)
		abort();
	(void)EVP_EncodeBlock((unsigned char *)text, data, (int)size);
	return text;
}

int team_base64_decode(const char *text, size_t len, void *data_r, size_t max)
{
	unsigned char *buf;
	char *again;
	size_t size, pad = 0;
	bool same;

	if (len == 0 || len % 4 != 0 || len > 1024 * 1024)
		return -1;
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	buf = malloc(len / 4 * 3);
	if (buf == NULL)
		abort();
	if (EVP_DecodeBlock(buf, (const unsigned char *)text,
			    (int)len) != (int)(len / 4 * 3)) {
		free(buf);
		return -1;
	}
	size = len / 4 * 3 - pad;
	/* it forgives blanks and stray bits: there is to be one form only */
	again = team_base64_encode(buf, size);
	same = strlen(again) == len && memcmp(again, text, len) == 0;
	free(again);
	if (same && size <= max)
		memcpy(data_r, buf, size);
	free(buf);
	return same && size <= max ? (int)size : -1;
}
