/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From records to leaves. */

#include "leaf.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>

/* Any value that every committed key takes: it is never looked at. */
#define ERASED_VALUE "1 -"
/* Most leaves' texts are shorter. */
#define LEAF_SIZE 2048

bool team_leaf_key_is_personal(const char *key)
{
	static const char *const keys[] = {
		"colleague", "user", "session", "ip", "client", "name", "mids",
		"add", "remove", "fromname"
	};
	size_t i;

	if (key[0] == 'd' && key[1] == '.')
		return true;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (team_key_is(key, keys[i]))
			return true;
	}
	return false;
}

void team_leaf_record_salt(const unsigned char *group_salt, unsigned int n,
			   unsigned char *salt_r)
{
	const unsigned char num[4] = {
		(unsigned char)(n >> 24), (unsigned char)(n >> 16),
		(unsigned char)(n >> 8), (unsigned char)n
	};
	const struct team_piece pieces[] = {
		{ group_salt, TEAM_SALT_SIZE }, { num, sizeof(num) }
	};
	struct team_hash hash;

	team_sha256(pieces, 2, &hash);
	memcpy(salt_r, hash.bytes, TEAM_SALT_SIZE);
}

void team_leaf_field_salt(const unsigned char *salt,
			  const struct team_piece *key,
			  struct team_hash *field_salt_r)
{
	const struct team_piece pieces[] = { { salt, TEAM_SALT_SIZE }, *key };

	team_sha256(pieces, 2, field_salt_r);
}

void team_leaf_commitment(const struct team_hash *field_salt,
			  const struct team_piece *key,
			  const struct team_piece *value,
			  struct team_hash *hash_r)
{
	const struct team_piece pieces[] = {
		{ field_salt->bytes, TEAM_HASH_SIZE }, *key, { "=", 1 }, *value
	};

	team_sha256(pieces, 4, hash_r);
}

static const struct team_opened_field *
opening_find(const struct team_opening *opening, const char *key)
{
	size_t i;

	for (i = 0; i < opening->fields_count; i++) {
		if (strcmp(opening->fields[i].key, key) == 0)
			return &opening->fields[i];
	}
	return NULL;
}

static int field_commitment(const struct team_opening *opening,
			    const struct team_piece *key,
			    const struct team_piece *value,
			    struct team_hash *hash_r, const char **error_r)
{
	const struct team_opened_field *field;
	struct team_hash salt;

	if (opening->have_salt) {
		team_leaf_field_salt(opening->salt, key, &salt);
		team_leaf_commitment(&salt, key, value, hash_r);
		return 0;
	}
	field = opening_find(opening, key->data);
	if (field == NULL) {
		*error_r = "its salt is missing";
		return -1;
	}
	if (field->erased)
		*hash_r = field->hash;
	else
		team_leaf_commitment(&field->hash, key, value, hash_r);
	return 0;
}

static void *xrealloc(void *mem, size_t size)
{
	mem = realloc(mem, size);
	if (mem == NULL)
		abort();
	return mem;
}

static char *leaf_text(const struct team_record *record,
		       const struct team_opening *opening, size_t *size_r,
		       const char **error_r)
{
	struct team_hash hash;
	const char *key_text, *value_text;
	size_t i, need, used = 0, alloc = LEAF_SIZE;
	char *text = xrealloc(NULL, alloc);

	for (i = 0; team_record_field(record, i, &key_text, &value_text); i++) {
		const struct team_piece key = { key_text, strlen(key_text) };
		const struct team_piece value = {
			value_text, strlen(value_text)
		};

		if (team_key_is(key_text, "seq"))
			continue;
		need = used + key.size + value.size + TEAM_HASH_HEX_SIZE + 2;
		if (need > alloc) {
			alloc = need * 2;
			text = xrealloc(text, alloc);
		}
		if (used > 0)
			text[used++] = '\t';
		memcpy(text + used, key.data, key.size);
		used += key.size;
		if (team_leaf_key_is_personal(key_text)) {
			if (field_commitment(opening, &key, &value, &hash,
					     error_r) < 0) {
				free(text);
				return NULL;
			}
			text[used++] = '~';
			team_hex_encode(hash.bytes, TEAM_HASH_SIZE,
					text + used);
			used += TEAM_HASH_SIZE * 2;
		} else {
			/* checked when it was set: nothing to be escaped */
			text[used++] = '=';
			memcpy(text + used, value.data, value.size);
			used += value.size;
		}
	}
	text[used] = '\0';
	*size_r = used;
	return text;
}

/* A copy of the record in which erased fields stand at their places. */
static struct team_record *
record_complete(const struct team_record *record,
		const struct team_opening *opening, const char **error_r)
{
	struct team_record *copy = team_record_dup(record);
	const struct team_opened_field *field;
	const char *error;
	size_t i;

	for (i = 0; i < opening->fields_count; i++) {
		field = &opening->fields[i];
		if (!field->erased)
			continue;
		if (team_record_get(record, field->key) != NULL) {
			*error_r = "it has a value that was erased";
			team_record_free(&copy);
			return NULL;
		}
		if (team_record_set(copy, field->key, ERASED_VALUE,
				    TEAM_RECORD_SOURCE_JOURNAL, &error) < 0) {
			*error_r = "there is no such field to erase";
			team_record_free(&copy);
			return NULL;
		}
	}
	return copy;
}

static char *leaf_text_complete(const struct team_record *record,
				const struct team_opening *opening,
				size_t *size_r, const char **error_r)
{
	struct team_record *copy;
	char *text;

	if (opening->have_salt)
		return leaf_text(record, opening, size_r, error_r);
	copy = record_complete(record, opening, error_r);
	if (copy == NULL)
		return NULL;
	text = leaf_text(copy, opening, size_r, error_r);
	team_record_free(&copy);
	return text;
}

char *team_leaf_text(const struct team_record *record,
		     const struct team_opening *opening, const char **error_r)
{
	size_t size;

	return leaf_text_complete(record, opening, &size, error_r);
}

int team_leaf_hash(const struct team_record *record,
		   const struct team_opening *opening,
		   struct team_hash *hash_r, const char **error_r)
{
	size_t size;
	char *text = leaf_text_complete(record, opening, &size, error_r);

	if (text == NULL)
		return -1;
	team_tree_hash_leaf(text, size, hash_r);
	free(text);
	return 0;
}

void team_opening_add(struct team_opening *opening, const char *key,
		      bool erased, const struct team_hash *hash)
{
	struct team_opened_field *field;

	opening->fields = xrealloc(opening->fields,
		(opening->fields_count + 1) * sizeof(*opening->fields));
	field = &opening->fields[opening->fields_count++];
	field->key = strdup(key);
	if (field->key == NULL)
		abort();
	field->erased = erased;
	field->hash = *hash;
}

void team_opening_clear(struct team_opening *opening)
{
	size_t i;

	for (i = 0; i < opening->fields_count; i++)
		free(opening->fields[i].key);
	free(opening->fields);
	memset(opening, 0, sizeof(*opening));
}
