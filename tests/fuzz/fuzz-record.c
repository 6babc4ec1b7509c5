/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record that parses is formatted as it was, and its fields are accepted one
   by one. */

#include "fuzz.h"
#include "record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct team_record *record, *copy;
	const char *error, *key, *value;
	char *text;
	size_t i;

	record = team_record_parse((const char *)data, size, &error);
	if (record == NULL) {
		FUZZ_CHECK(error != NULL && *error != '\0');
		return 0;
	}
	text = team_record_format(record);
	FUZZ_CHECK(strlen(text) == strnlen((const char *)data, size));
	FUZZ_CHECK(memcmp(text, data, strlen(text)) == 0);
	free(text);

	copy = team_record_new();
	for (i = 0; team_record_field(record, i, &key, &value); i++) {
		FUZZ_CHECK(team_record_set(copy, key, value,
					   TEAM_RECORD_SOURCE_JOURNAL,
					   &error) == 0);
	}
	(void)team_record_check(copy, &error);
	team_record_free(&copy);
	team_record_free(&record);
	return 0;
}
