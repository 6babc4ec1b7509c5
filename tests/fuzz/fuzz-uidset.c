/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UID sets in both forms: what parses survives the way through the other
   form. */

#include "fuzz.h"
#include "uidset.h"

#include <string.h>

static void check_set(const struct team_uidset *set)
{
	struct team_uidset again;
	const char *error;
	char *text;
	size_t i;

	for (i = 0; i < set->count; i++) {
		FUZZ_CHECK(set->ranges[i].first >= 1);
		FUZZ_CHECK(set->ranges[i].first <= set->ranges[i].last);
		FUZZ_CHECK(i == 0 || (uint64_t)set->ranges[i-1].last + 1 <
			   set->ranges[i].first);
	}
	text = team_uidset_format_multirange(set);
	FUZZ_CHECK(team_uidset_parse_multirange(text, &again, &error) == 0);
	FUZZ_CHECK(again.count == set->count);
	FUZZ_CHECK(team_uidset_size(&again) == team_uidset_size(set));
	team_uidset_free(&again);
	free(text);
	if (set->count == 0)
		return;
	text = team_uidset_format(set);
	FUZZ_CHECK(team_uidset_parse(text, &again, &error) == 0);
	FUZZ_CHECK(again.count == set->count);
	team_uidset_free(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct team_uidset set;
	const char *error;
	char *text = malloc(size + 1);

	FUZZ_CHECK(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (team_uidset_parse(text, &set, &error) == 0)
		check_set(&set);
	team_uidset_free(&set);
	if (team_uidset_parse_multirange(text, &set, &error) == 0)
		check_set(&set);
	team_uidset_free(&set);
	free(text);
	return 0;
}
