/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who acted where nobody logged in, and what isn't told about reading. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "record.h"
#include "journal-entry.h"
#include "record-final.h"

#include <stdlib.h>

#define ACTION_PRIVATE "private"
#define EFFECT_KEY "d.effect"
#define SEEN "\\Seen"
#define SEEN_ADDED "p+"SEEN
#define SEEN_REMOVED "p-"SEEN

static void set_field(struct team_record *record, const char *key,
		      const char *value)
{
	const char *error;

	if (team_record_set(record, key, value == NULL ? "" : value,
			    TEAM_RECORD_SOURCE_JOURNAL, &error) < 0)
		i_panic("record: %s: %s", key, error);
}

const char *record_text(const struct team_record *record)
{
	char *text = team_record_format(record);
	const char *copy = t_strdup(text);

	free(text);
	return copy;
}

static bool record_is(const struct team_record *record, const char *key,
		      const char *value)
{
	return null_strcmp(team_record_get(record, key), value) == 0;
}

int record_final_check(const struct team_record *record, const char **error_r)
{
	if (team_record_check(record, error_r) < 0)
		return -1;
	if (!record_is(record, "action", ACTION_PRIVATE))
		return 0;
	*error_r = "only the service decides what isn't told";
	return -1;
}

/* ---- who acted ---- */

static const char *record_actor(const struct team_record *record)
{
	static const char *const deliveries[] = { "lmtp", "lda", "sieve", NULL };
	const char *service = team_record_get(record, "service");

	if (service == NULL)
		return NULL;
	if (str_array_find(deliveries, service))
		return service;
	/* an administrator's own session has no other name */
	return strcmp(service, "doveadm") == 0 ?
		team_record_get(record, "client") : NULL;
}

/* ---- reading ---- */

/* Takes \Seen out of the flags. */
static void record_strip_seen(struct team_record *record, const char *key)
{
	const char *value = team_record_get(record, key);
	const char *const *flags;
	string_t *str;

	if (value == NULL || strstr(value, SEEN) == NULL)
		return;
	str = t_str_new(strlen(value));
	for (flags = t_strsplit_spaces(value, " "); *flags != NULL; flags++) {
		if (strcmp(*flags, SEEN) == 0)
			continue;
		if (str_len(str) > 0)
			str_append_c(str, ' ');
		str_append(str, *flags);
	}
	set_field(record, key, str_c(str));
}

/* What the record does, without who, where from and how it was called. */
static struct team_record *record_effect(const struct team_record *record)
{
	static const char *const keys[] = {
		"action", "outcome", "colleague", "mailbox", "uidvalidity",
		"uids", "mids", SEEN_ADDED, SEEN_REMOVED
	};
	struct team_record *effect = team_record_new();
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(keys); i++)
		set_field(effect, keys[i], team_record_get(record, keys[i]));
	return effect;
}

static const char *record_withheld(const struct team_record *record)
{
	struct team_record *effect = record_effect(record);
	struct team_record *private = team_record_new();
	const char *text;

	set_field(private, "at", team_record_get(record, "at"));
	set_field(private, "action", ACTION_PRIVATE);
	set_field(private, "outcome", team_record_get(record, "outcome"));
	set_field(private, EFFECT_KEY, record_text(effect));
	text = record_text(private);
	team_record_free(&effect);
	team_record_free(&private);
	return text;
}

static bool record_changes_flags(const struct team_record *record)
{
	const char *key, *value;
	size_t i;

	for (i = 0; team_record_field(record, i, &key, &value); i++) {
		if (key[0] == 'p' || strcmp(key, "add") == 0 ||
		    strcmp(key, "remove") == 0)
			return TRUE;
	}
	return FALSE;
}

/* Splits off what is about reading. Returns it, or NULL if there is nothing;
   *all_r: nothing else is left. */
static const char *record_split(struct team_record *record, bool *all_r)
{
	static const char *const reading[] = { "read", "fetch", NULL };
	const char *action = team_record_get(record, "action");
	const char *withheld, *begun;
	bool own;

	begun = team_record_get(record, "d.unresolved");
	if (strcmp(action, "gap") == 0 && begun != NULL)
		action = begun;
	withheld = record_withheld(record);
	*all_r = TRUE;
	if (str_array_find(reading, action))
		return withheld;

	own = team_record_get(record, SEEN_ADDED) != NULL ||
		team_record_get(record, SEEN_REMOVED) != NULL;
	set_field(record, SEEN_ADDED, NULL);
	set_field(record, SEEN_REMOVED, NULL);
	record_strip_seen(record, "add");
	record_strip_seen(record, "remove");
	*all_r = strcmp(action, "flag") == 0 && !record_changes_flags(record);
	return own || *all_r ? withheld : NULL;
}

/* ---- entries ---- */

struct final_records {
	string_t *str;
	unsigned int count;
};

static void final_add(struct final_records *final, const char *text)
{
	if (text == NULL)
		return;
	if (final->count++ > 0)
		str_append_c(final->str, '\n');
	str_append(final->str, text);
}

/* Most records stay as they are, and needn't be taken apart for that. */
static bool text_stays(const char *text, bool reading)
{
	const char *service = strstr(text, "\tservice=");

	if (service != NULL) {
		service += strlen("\tservice=");
		if (*service == 'l' || *service == 'd' ||
		    (service[0] == 's' && service[1] == 'i'))
			return FALSE;
	}
	return reading || (strstr(text, SEEN) == NULL &&
			   strstr(text, "action=read\t") == NULL &&
			   strstr(text, "action=fetch\t") == NULL);
}

static void
final_add_record(struct final_records *final, const char *text, bool reading)
{
	struct team_record *record;
	const char *error, *actor, *withheld = NULL;
	bool all = FALSE;

	record = text_stays(text, reading) ? NULL :
		team_record_parse(text, strlen(text), &error);
	if (record == NULL) {
		final_add(final, text);
		return;
	}
	if (!reading && !record_is(record, "action", ACTION_PRIVATE))
		withheld = record_split(record, &all);
	actor = record_actor(record);
	if (actor != NULL)
		set_field(record, "colleague", t_strdup(actor));
	if (!all)
		final_add(final, record_text(record));
	final_add(final, withheld);
	team_record_free(&record);
}

void record_final_entry(struct journal_entry *entry, void *context)
{
	const bool *reading = context;
	const char *const *records = t_strsplit(entry->records, "\n");
	struct final_records final = {
		.str = t_str_new(strlen(entry->records) + 256)
	};

	for (; *records != NULL; records++)
		final_add_record(&final, *records, *reading);
	entry->records = str_c(final.str);
	entry->count = final.count;
}

/* ---- for PostgreSQL ---- */

bool record_final_is_private(const char *text)
{
	return strstr(text, "action="ACTION_PRIVATE"\t") != NULL;
}

const char *record_final_open(const char *text)
{
	struct team_record *record, *effect = NULL;
	const char *effect_text = NULL, *error, *opened = text;

	if (!record_final_is_private(text))
		return text;
	record = team_record_parse(text, strlen(text), &error);
	if (record != NULL)
		effect_text = team_record_get(record, EFFECT_KEY);
	if (effect_text != NULL) {
		effect = team_record_parse(effect_text, strlen(effect_text),
					   &error);
	}
	if (effect != NULL) {
		set_field(effect, "at", team_record_get(record, "at"));
		set_field(effect, "action", ACTION_PRIVATE);
		set_field(effect, EFFECT_KEY, effect_text);
		opened = record_text(effect);
		team_record_free(&effect);
	}
	if (record != NULL)
		team_record_free(&record);
	return opened;
}
