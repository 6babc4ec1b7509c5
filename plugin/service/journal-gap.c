/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making of gap records. */

#include "team-common.h"
#include "record.h"
#include "journal-gap.h"

#include <stdlib.h>
#include <time.h>

static void set_field(struct team_record *record, const char *field)
{
	const char *error;

	if (team_record_set_field(record, field, TEAM_RECORD_SOURCE_JOURNAL,
				  &error) < 0)
		i_error("Gap record: %s", error);
}

const char *journal_gap_record(uint64_t at, const char *const *details)
{
	struct team_record *record = team_record_new();
	const char *text;
	char *formatted;

	set_field(record, t_strdup_printf("at=%"PRIu64, at));
	set_field(record, "action=gap");
	set_field(record, "outcome=failed");
	set_field(record, "service=team");
	for (; *details != NULL; details++)
		set_field(record, *details);
	formatted = team_record_format(record);
	text = t_strdup(formatted);
	free(formatted);
	team_record_free(&record);
	return text;
}

const char *journal_time_text(uint64_t usecs)
{
	time_t secs = usecs / 1000000;
	char buf[64];
	struct tm tm;

	if (gmtime_r(&secs, &tm) == NULL ||
	    strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return t_strdup_printf("%"PRIu64, usecs);
	return t_strdup(buf);
}
