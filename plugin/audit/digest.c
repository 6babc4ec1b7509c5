/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 by libcrypto; hex and base64. */

/* OpenSSL 3 would rather not have SHA256_Init() used; it stays for now */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "digest.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

void team_sha256(const struct team_piece *pieces, size_t count,
		 struct team_hash *hash_r)
{
	SHA256_CTX ctx;
	size_t i;

	/* not by EVP: it costs as much again for hashes of so little data */
	if (SHA256_Init(&ctx) != 1)
		abort();
	for (i = 0; i < count; i++) {
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

void team_hex_encode(const void *data, size_t size, char *text_r)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < size; i++) {
		*text_r++ = digits[p[i] >> 4];
		*text_r++ = digits[p[i] & 15];
	}
	*text_r = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int team_hex_decode(const char *text, void *data_r, size_t size)
{
	unsigned char *dest = data_r;
	size_t i;
	int high, low;

	for (i = 0; i < size; i++) {
		if ((high = hex_digit(text[i * 2])) < 0 ||
		    (low = hex_digit(text[i * 2 + 1])) < 0)
			return -1;
		dest[i] = (unsigned char)(high << 4 | low);
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
