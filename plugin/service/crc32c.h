/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CRC32C_H
#define TEAM_CRC32C_H

/* CRC-32C (Castagnoli) over data, going on from crc; begin with 0. */
uint32_t team_crc32c(uint32_t crc, const void *data, size_t size);

#endif
