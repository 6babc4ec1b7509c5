/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_KEYS_H
#define TEAM_RECORD_KEYS_H

/* What keys a record may have, their order and what values they take. Used by
   record.c only. */

#include "record.h"

/* Order of the two groups behind the fixed keys. */
#define RECORD_ORDER_DETAIL 1000
#define RECORD_ORDER_PRIVATE 1001

/* Finds the key's place in the canonical order. Returns 0, or -1 if there is
   no such key. */
int team_record_key_order(const char *key, unsigned int *order_r);
/* The key at that place, or NULL if there are several. */
const char *team_record_key_name(unsigned int order);
/* May the source set the key? */
bool team_record_key_allowed(unsigned int order,
			     enum team_record_source source);
/* Checks a value (not ""). On success returns 0 and *canonical_r is NULL or
   the value's canonical form, which the caller frees. */
int team_record_value_check(const char *key, unsigned int order,
			    const char *value, char **canonical_r,
			    const char **error_r);

#endif
