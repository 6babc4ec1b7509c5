/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32C in software, eight bytes at a time. */

#include "team-common.h"
#include "crc32c.h"

#define CRC32C_POLYNOMIAL 0x82f63b78U

static uint32_t crc_table[8][256];
static bool crc_table_ready = FALSE;

static void crc_table_init(void)
{
	unsigned int i, j;
	uint32_t crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (j = 0; j < 8; j++)
			crc = (crc >> 1) ^ ((crc & 1) * CRC32C_POLYNOMIAL);
		crc_table[0][i] = crc;
	}
	for (i = 0; i < 256; i++) {
		for (j = 1; j < 8; j++) {
			crc = crc_table[j-1][i];
			crc_table[j][i] = crc_table[0][crc & 0xff] ^ (crc >> 8);
		}
	}
	crc_table_ready = TRUE;
}

uint32_t team_crc32c(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *p = data;

	if (!crc_table_ready)
		crc_table_init();
	crc = ~crc;
	for (; size >= 8; size -= 8, p += 8) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
			(uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = crc_table[7][crc & 0xff] ^
			crc_table[6][(crc >> 8) & 0xff] ^
			crc_table[5][(crc >> 16) & 0xff] ^
			crc_table[4][crc >> 24] ^
			crc_table[3][p[4]] ^ crc_table[2][p[5]] ^
			crc_table[1][p[6]] ^ crc_table[0][p[7]];
	}
	for (; size > 0; size--, p++)
		crc = crc_table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return ~crc;
}
