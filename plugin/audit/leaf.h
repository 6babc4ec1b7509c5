/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_LEAF_H
#define TEAM_LEAF_H

/* The tree's leaves: records in canonical form without their number (their
   place in the tree is their number), in which every value that somebody may
   have written or that tells who it was is replaced by a commitment to it:
     key~<64 hex digits>   instead of   key=value
     commitment = SHA-256(field salt, key, "=", value)
     field salt = SHA-256(record's salt, key)
   Without the salt nobody finds the value by trying, so forgetting value and
   salt is erasing; the commitment is kept in their place and all proofs stay
   as they are. */

#include "digest.h"
#include "record.h"

#define TEAM_SALT_SIZE 16

/* What stands for a field when the record's salt is gone. */
struct team_opened_field {
	char *key;
	/* the value was erased: hash is its commitment. Otherwise the value is
	   in the record and hash the field's salt. */
	bool erased;
	struct team_hash hash;
};

struct team_opening {
	bool have_salt;
	unsigned char salt[TEAM_SALT_SIZE];
	/* if there is no salt */
	struct team_opened_field *fields;
	size_t fields_count;
};

/* Is the key's value committed to? */
bool team_leaf_key_is_personal(const char *key);

/* The salt of the n-th record (from 0) that was journalled together. */
void team_leaf_record_salt(const unsigned char *group_salt, unsigned int n,
			   unsigned char *salt_r);
/* Keys and values without their NULs. */
void team_leaf_field_salt(const unsigned char *salt,
			  const struct team_piece *key,
			  struct team_hash *field_salt_r);
void team_leaf_commitment(const struct team_hash *field_salt,
			  const struct team_piece *key,
			  const struct team_piece *value,
			  struct team_hash *hash_r);

/* The leaf's hash. Returns 0, or -1 with an error (a constant string) if
   something that's needed is missing. */
int team_leaf_hash(const struct team_record *record,
		   const struct team_opening *opening,
		   struct team_hash *hash_r, const char **error_r);
/* What is hashed; the caller frees it. NULL with an error. */
char *team_leaf_text(const struct team_record *record,
		     const struct team_opening *opening,
		     const char **error_r);

void team_opening_add(struct team_opening *opening, const char *key,
		      bool erased, const struct team_hash *hash);
void team_opening_clear(struct team_opening *opening);

#endif
