/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of exports: one that is read is written so that it is read as the
   same record with the same leaf. */

#include "fuzz.h"
#include "export.h"

#include <stdio.h>
#include <string.h>

static char *write_line(const struct team_export *exp)
{
	char *line;
	size_t size;
	FILE *file = open_memstream(&line, &size);

	if (file == NULL)
		abort();
	team_export_write_json(exp, file);
	fclose(file);
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct team_export exp, again;
	struct team_hash leaf, leaf_again;
	const char *leaf_error;
	char *text = malloc(size + 1), *line, *line_again, *error;
	int ret;

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (team_export_from_json(&exp, text, &error) < 0) {
		FUZZ_CHECK(error != NULL && *error != '\0');
		free(error);
		free(text);
		return 0;
	}
	line = write_line(&exp);
	FUZZ_CHECK(team_export_from_json(&again, line, &error) == 0);
	line_again = write_line(&again);
	FUZZ_CHECK(strcmp(line, line_again) == 0);
	ret = team_leaf_hash(exp.record, &exp.opening, &leaf, &leaf_error);
	FUZZ_CHECK(team_leaf_hash(again.record, &again.opening, &leaf_again,
				  &leaf_error) == ret);
	FUZZ_CHECK(ret < 0 || memcmp(&leaf, &leaf_again, sizeof(leaf)) == 0);
	team_export_clear(&exp);
	team_export_clear(&again);
	free(line);
	free(line_again);
	free(text);
	return 0;
}
