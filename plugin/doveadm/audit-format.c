/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing records as JSON, CSV and ECS. */

#include "team-common.h"
#include "str.h"
#include "json.h"
#include "audit-format.h"

#include <time.h>

static const char *const csv_columns[] = {
	"action", "outcome", "colleague", "user", "session", "service", "ip",
	"tls", "client", "mailbox", "uidvalidity", "name", "uids", "mids",
	"add", "remove", "from", "fromvalidity", "fromname", "fromuids"
};

/* what ECS has a name for; the rest stands below dovecot_team */
static const struct {
	const char *key, *ecs;
} ecs_names[] = {
	{ "action", "event.action" },
	{ "colleague", "user.name" },
	{ "user", "user.target.name" },
	{ "session", "session.id" },
	{ "service", "service.name" },
	{ "ip", "source.ip" },
	{ "client", "user_agent.original" },
	{ "name", "dovecot_team.mailbox_name" },
	{ "fromname", "dovecot_team.from_name" },
};

int audit_format_parse(const char *name, enum audit_format *format_r)
{
	if (strcmp(name, "jsonl") == 0)
		*format_r = AUDIT_FORMAT_JSONL;
	else if (strcmp(name, "csv") == 0)
		*format_r = AUDIT_FORMAT_CSV;
	else if (strcmp(name, "ecs") == 0)
		*format_r = AUDIT_FORMAT_ECS;
	else
		return -1;
	return 0;
}

static const char *record_time(const struct team_record *record)
{
	const char *at = team_record_get(record, "at");
	uint64_t usecs = at == NULL ? 0 : strtoull(at, NULL, 10);
	time_t secs = usecs / 1000000;
	char text[64];
	struct tm tm;

	if (at == NULL || gmtime_r(&secs, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return "";
	return t_strdup_printf("%s.%06uZ", text,
			       (unsigned int)(usecs % 1000000));
}

/* ---- CSV (RFC 4180) ---- */

static void csv_value(FILE *file, const char *value)
{
	putc(',', file);
	if (value == NULL || *value == '\0')
		return;
	putc('"', file);
	/* spreadsheets take these for formulas */
	if (strchr("=+-@\t\r", *value) != NULL)
		putc('\'', file);
	for (; *value != '\0'; value++) {
		if (*value == '"')
			putc('"', file);
		putc(*value, file);
	}
	putc('"', file);
}

static bool csv_is_column(const char *key)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(csv_columns); i++) {
		if (strcmp(csv_columns[i], key) == 0)
			return TRUE;
	}
	return strcmp(key, "at") == 0;
}

static void csv_record(const struct team_export *exp, FILE *file)
{
	const char *key, *value;
	string_t *rest = t_str_new(128);
	unsigned int i;
	size_t n;

	fprintf(file, "%s,%"PRIu64",%s", exp->node, exp->seq,
		record_time(exp->record));
	for (i = 0; i < N_ELEMENTS(csv_columns); i++)
		csv_value(file, team_record_get(exp->record, csv_columns[i]));
	for (n = 0; team_record_field(exp->record, n, &key, &value); n++) {
		if (csv_is_column(key))
			continue;
		if (str_len(rest) > 0)
			str_append(rest, "; ");
		str_printfa(rest, "%s=%s", key, value);
	}
	csv_value(file, str_c(rest));
	fputs("\r\n", file);
}

/* ---- ECS ---- */

static const char *ecs_name(const char *key)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(ecs_names); i++) {
		if (strcmp(ecs_names[i].key, key) == 0)
			return ecs_names[i].ecs;
	}
	return t_strconcat("dovecot_team.", key, NULL);
}

static const char *ecs_outcome(const char *outcome)
{
	if (outcome == NULL)
		return "unknown";
	return strcmp(outcome, "ok") == 0 ? "success" : "failure";
}

static void ecs_record(const struct team_export *exp, FILE *file)
{
	const char *outcome = team_record_get(exp->record, "outcome");
	const char *key, *value;
	size_t n;

	fprintf(file, "{\"@timestamp\":\"%s\",\"ecs.version\":\"8.11.0\","
		"\"event.kind\":\"event\",\"event.module\":\"dovecot_team\","
		"\"event.outcome\":\"%s\",\"event.sequence\":%"PRIu64
		",\"host.name\":", record_time(exp->record),
		ecs_outcome(outcome), exp->seq);
	team_json_write(file, exp->node);
	for (n = 0; team_record_field(exp->record, n, &key, &value); n++) {
		if (strcmp(key, "at") == 0)
			continue;
		putc(',', file);
		team_json_write(file, ecs_name(key));
		putc(':', file);
		team_json_write(file, value);
	}
	fputs("}\n", file);
}

void audit_format_header(enum audit_format format, FILE *file)
{
	unsigned int i;

	if (format != AUDIT_FORMAT_CSV)
		return;
	fputs("node,seq,time", file);
	for (i = 0; i < N_ELEMENTS(csv_columns); i++)
		fprintf(file, ",%s", csv_columns[i]);
	fputs(",detail\r\n", file);
}

void audit_format_record(enum audit_format format,
			 const struct team_export *exp, FILE *file)
{
	switch (format) {
	case AUDIT_FORMAT_JSONL:
		team_export_write_json(exp, file);
		break;
	case AUDIT_FORMAT_CSV:
		csv_record(exp, file);
		break;
	case AUDIT_FORMAT_ECS:
		ecs_record(exp, file);
		break;
	}
}
