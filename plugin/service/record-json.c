/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the journal's form of records to PostgreSQL's. */

#include "team-common.h"
#include "str.h"
#include "unichar.h"
#include "record.h"
#include "record-json.h"
#include "record-parts.h"

void json_append_string(string_t *dest, const char *text)
{
	const unsigned char *p;
	string_t *valid;

	valid = t_str_new(128);
	if (!uni_utf8_get_valid_data((const unsigned char *)text,
				     strlen(text), valid))
		text = str_c(valid);
	str_append_c(dest, '"');
	for (p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\') {
			str_append_c(dest, '\\');
			str_append_c(dest, *p);
		} else if (*p < 0x20)
			str_printfa(dest, "\\u%04x", *p);
		else
			str_append_c(dest, *p);
	}
	str_append_c(dest, '"');
}

void record_json_append_proof(string_t *dest, const unsigned char *salt,
			      const struct team_hash *leaf)
{
	char salt_hex[TEAM_SALT_SIZE * 2 + 1], leaf_hex[TEAM_HASH_HEX_SIZE];

	team_hex_encode(salt, TEAM_SALT_SIZE, salt_hex);
	team_hex_encode(leaf->bytes, TEAM_HASH_SIZE, leaf_hex);
	/* into the object that was just ended */
	i_assert(str_len(dest) > 0 && str_c(dest)[str_len(dest) - 1] == '}');
	str_truncate(dest, str_len(dest) - 1);
	str_printfa(dest, ",\"_salt\":\"%s\",\"_leaf\":\"%s\"}", salt_hex,
		    leaf_hex);
}

int record_json_append(string_t *dest, int64_t seq, const char *text,
		       const char **error_r)
{
	struct team_record *record;
	const char *key, *value;
	size_t i;

	record = team_record_parse(text, strlen(text), error_r);
	if (record == NULL)
		return -1;
	str_printfa(dest, "{\"seq\":%"PRId64, seq);
	for (i = 0; team_record_field(record, i, &key, &value); i++) {
		if (strcmp(key, "seq") == 0)
			continue;
		str_append_c(dest, ',');
		json_append_string(dest, key);
		str_append_c(dest, ':');
		if (team_record_key_is_number(key))
			str_append(dest, value);
		else if (team_record_key_is_uidset(key))
			json_append_string(dest, record_multirange(value));
		else
			json_append_string(dest, value);
	}
	str_append_c(dest, '}');
	team_record_free(&record);
	return 0;
}
