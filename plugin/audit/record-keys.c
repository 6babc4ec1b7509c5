/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of record keys and the checks of their values. */

#include "record-keys.h"
#include "uidset.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int value_check_t(const char *value, char **canonical_r,
			  const char **error_r);

struct record_key {
	const char *name;
	/* NULL if every value will do */
	value_check_t *check;
	/* set by the service or by SESSION only */
	bool internal;
};

static const char *const record_actions[] = {
	"login", "logout", "open", "read", "fetch", "flag", "append",
	"deliver", "copy", "move", "expunge", "create", "delete", "rename",
	"acl", "claim", "renew", "release", "lapse", "takeover", "draft",
	"reply", "settings", "query", "erase", "gap",
	/* what isn't told: only the service makes it */
	"private", NULL
};

static const char *const record_outcomes[] = {
	"ok", "refused", "failed", NULL
};

static bool list_has(const char *const *list, const char *value)
{
	for (; *list != NULL; list++) {
		if (team_key_is(value, *list))
			return true;
	}
	return false;
}

static int value_fail(const char *error, const char **error_r)
{
	*error_r = error;
	return -1;
}

static int check_number(const char *value, uint64_t max, const char **error_r)
{
	uint64_t num = 0, digit;
	const char *p;

	if (*value < '1' || *value > '9')
		return value_fail("not a positive number", error_r);
	for (p = value; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return value_fail("not a positive number", error_r);
		digit = (uint64_t)(*p - '0');
		if (num > (max - digit) / 10)
			return value_fail("number is too large", error_r);
		num = num * 10 + digit;
	}
	return 0;
}

static int check_int64(const char *value, char **canonical_r,
		       const char **error_r)
{
	(void)canonical_r;
	return check_number(value, INT64_MAX, error_r);
}

static int check_uint32(const char *value, char **canonical_r,
			const char **error_r)
{
	(void)canonical_r;
	return check_number(value, UINT32_MAX, error_r);
}

static int check_action(const char *value, char **canonical_r,
			const char **error_r)
{
	(void)canonical_r;
	if (!team_record_action_exists(value))
		return value_fail("no such action", error_r);
	return 0;
}

static int check_outcome(const char *value, char **canonical_r,
			 const char **error_r)
{
	(void)canonical_r;
	if (!team_record_outcome_exists(value))
		return value_fail("no such outcome", error_r);
	return 0;
}

static int check_yesno(const char *value, char **canonical_r,
		       const char **error_r)
{
	(void)canonical_r;
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return value_fail("neither yes nor no", error_r);
	return 0;
}

static int check_guid(const char *value, char **canonical_r,
		      const char **error_r)
{
	(void)canonical_r;
	if (strlen(value) != 32 ||
	    strspn(value, "0123456789abcdef") != 32)
		return value_fail("not 32 lower case hex digits", error_r);
	return 0;
}

static int check_uidset(const char *value, char **canonical_r,
			const char **error_r)
{
	struct team_uidset set;

	/* mostly it is a single one */
	if (strlen(value) < 10 && value[strspn(value, "0123456789")] == '\0' &&
	    *value != '0')
		return 0;
	if (team_uidset_parse(value, &set, error_r) < 0)
		return -1;
	*canonical_r = team_uidset_format(&set);
	team_uidset_free(&set);
	return 0;
}

static int check_mids(const char *value, char **canonical_r,
		      const char **error_r)
{
	uint64_t uid;
	size_t digits;

	(void)canonical_r;
	for (;;) {
		digits = strspn(value, "0123456789");
		if (digits == 0 || digits > 10 || *value == '0' ||
		    value[digits] != ' ')
			return value_fail("not \"uid message-id\" pairs",
					  error_r);
		uid = strtoull(value, NULL, 10);
		if (uid > UINT32_MAX)
			return value_fail("UID is too large", error_r);
		value += digits + 1;
		if (*value == '\0' || *value == '\n')
			return value_fail("Message-ID is missing", error_r);
		value = strchr(value, '\n');
		if (value == NULL)
			return 0;
		value++;
	}
}

static const struct record_key record_keys[] = {
	{ "seq", check_int64, true },
	{ "at", check_int64, true },
	{ "action", check_action, false },
	{ "outcome", check_outcome, false },
	{ "colleague", NULL, true },
	{ "user", NULL, true },
	{ "session", NULL, true },
	{ "service", NULL, true },
	{ "ip", NULL, true },
	{ "tls", check_yesno, true },
	{ "client", NULL, true },
	{ "mailbox", check_guid, false },
	{ "uidvalidity", check_uint32, false },
	{ "name", NULL, false },
	{ "uids", check_uidset, false },
	{ "mids", check_mids, false },
	{ "add", NULL, false },
	{ "remove", NULL, false },
	{ "from", check_guid, false },
	{ "fromvalidity", check_uint32, false },
	{ "fromname", NULL, false },
	{ "fromuids", check_uidset, false },
};
#define RECORD_KEYS_COUNT (sizeof(record_keys) / sizeof(record_keys[0]))

bool team_record_action_exists(const char *action)
{
	return list_has(record_actions, action);
}

bool team_record_outcome_exists(const char *outcome)
{
	return list_has(record_outcomes, outcome);
}

bool team_record_key_is_uidset(const char *key)
{
	return strcmp(key, "uids") == 0 || strcmp(key, "fromuids") == 0 ||
		strncmp(key, "p+", 2) == 0 || strncmp(key, "p-", 2) == 0;
}

bool team_record_key_is_number(const char *key)
{
	return strcmp(key, "seq") == 0 || strcmp(key, "at") == 0 ||
		strcmp(key, "uidvalidity") == 0;
}

static bool flag_is_valid(const char *flag)
{
	if (*flag == '\0')
		return false;
	for (; *flag != '\0'; flag++) {
		if ((unsigned char)*flag <= ' ' || *flag == 0x7f)
			return false;
	}
	return true;
}

int team_record_key_order(const char *key, unsigned int *order_r)
{
	static const char detail_chars[] =
		"abcdefghijklmnopqrstuvwxyz0123456789_-";
	unsigned int i;

	for (i = 0; i < RECORD_KEYS_COUNT; i++) {
		if (team_key_is(key, record_keys[i].name)) {
			*order_r = i;
			return 0;
		}
	}
	if (strncmp(key, "d.", 2) == 0) {
		*order_r = RECORD_ORDER_DETAIL;
		return key[2] != '\0' &&
			key[2 + strspn(key + 2, detail_chars)] == '\0' ?
			0 : -1;
	}
	if (strncmp(key, "p+", 2) == 0 || strncmp(key, "p-", 2) == 0) {
		*order_r = RECORD_ORDER_PRIVATE;
		return flag_is_valid(key + 2) ? 0 : -1;
	}
	return -1;
}

const char *team_record_key_name(unsigned int order)
{
	return order < RECORD_KEYS_COUNT ? record_keys[order].name : NULL;
}

bool team_record_key_allowed(unsigned int order,
			     enum team_record_source source)
{
	return source == TEAM_RECORD_SOURCE_JOURNAL ||
		order >= RECORD_KEYS_COUNT || !record_keys[order].internal;
}

int team_record_value_check(const char *key, unsigned int order,
			    const char *value, char **canonical_r,
			    const char **error_r)
{
	(void)key;
	*canonical_r = NULL;
	if (order == RECORD_ORDER_PRIVATE)
		return check_uidset(value, canonical_r, error_r);
	if (order >= RECORD_KEYS_COUNT || record_keys[order].check == NULL)
		return 0;
	return record_keys[order].check(value, canonical_r, error_r);
}
