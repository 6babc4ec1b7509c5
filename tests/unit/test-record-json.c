/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records as JSON, and what is done about PostgreSQL's errors. */

#include "team-common.h"
#include "str.h"
#include "pg-error.h"
#include "record-json.h"
#include "test-unit.h"

#define GUID "0123456789abcdef0123456789abcdef"

static const struct {
	const char *record, *json;
} records[] = {
	{ "at=17\taction=login\tclient=a\"b\\c\001td\001ne",
	  "{\"seq\":5,\"at\":17,\"action\":\"login\","
	  "\"client\":\"a\\\"b\\\\c\\u0009d\\u000ae\"}" },
	{ "at=17\taction=flag\tmailbox="GUID"\tuidvalidity=7\tuids=1:3,9\t"
	  "p+\\Seen=1:3\tp-\\Flagged=9",
	  "{\"seq\":5,\"at\":17,\"action\":\"flag\",\"mailbox\":\""GUID"\","
	  "\"uidvalidity\":7,\"uids\":\"{[1,3],[9,9]}\","
	  "\"p+\\\\Seen\":\"{[1,3]}\",\"p-\\\\Flagged\":\"{[9,9]}\"}" },
	{ "action=copy\tmailbox="GUID"\tuidvalidity=1\tuids=4\tfrom="GUID"\t"
	  "fromvalidity=2\tfromuids=8",
	  "{\"seq\":5,\"action\":\"copy\",\"mailbox\":\""GUID"\","
	  "\"uidvalidity\":1,\"uids\":\"{[4,4]}\",\"from\":\""GUID"\","
	  "\"fromvalidity\":\"2\",\"fromuids\":\"{[8,8]}\"}" },
	/* not UTF-8, an overlong NUL, a surrogate */
	{ "action=open\tname=a\xff" "b\xc0\x80" "c\xed\xa0\x80" "d\xc3\xbc",
	  NULL },
	/* the journal's number counts */
	{ "seq=99\taction=login", "{\"seq\":5,\"action\":\"login\"}" },
};

START_TEST(test_json)
{
	string_t *str = t_str_new(256);
	const char *error = "";

	ck_assert_msg(record_json_append(str, 5, records[_i].record,
					 &error) == 0, "%s", error);
	if (records[_i].json != NULL)
		ck_assert_str_eq(str_c(str), records[_i].json);
	else {
		ck_assert_ptr_null(strchr(str_c(str), '\xff'));
		ck_assert_ptr_null(strstr(str_c(str), "\xc0\x80"));
		ck_assert_ptr_null(strstr(str_c(str), "\xed\xa0"));
		ck_assert_ptr_nonnull(strstr(str_c(str), "d\xc3\xbc"));
	}
}
END_TEST

START_TEST(test_unreadable)
{
	string_t *str = t_str_new(256);
	const char *error = NULL;

	ck_assert_int_eq(record_json_append(str, 5, "future=1", &error), -1);
	ck_assert_ptr_nonnull(error);
	ck_assert_uint_eq(str_len(str), 0);
}
END_TEST

static const struct {
	const char *sqlstate;
	enum pg_action action;
} errors[] = {
	{ NULL, PG_ACTION_RECONNECT },
	{ "08006", PG_ACTION_RECONNECT },
	{ "57P01", PG_ACTION_RECONNECT },
	{ "57P03", PG_ACTION_RECONNECT },
	{ "25006", PG_ACTION_RECONNECT },
	{ "26000", PG_ACTION_RECONNECT },
	{ "0A000", PG_ACTION_RECONNECT },
	{ "28P01", PG_ACTION_RECONNECT },
	{ "57014", PG_ACTION_RETRY },
	{ "40001", PG_ACTION_RETRY },
	{ "40P01", PG_ACTION_RETRY },
	{ "53100", PG_ACTION_RETRY },
	{ "42883", PG_ACTION_SCHEMA },
	{ "3F000", PG_ACTION_SCHEMA },
	{ "42P01", PG_ACTION_RETRY },
	{ "XX000", PG_ACTION_RETRY },
	{ "TE001", PG_ACTION_RESYNC },
	{ "22P02", PG_ACTION_GIVE_UP },
	{ "22023", PG_ACTION_GIVE_UP },
	{ "23514", PG_ACTION_GIVE_UP },
	{ "P0001", PG_ACTION_GIVE_UP },
};

START_TEST(test_errors)
{
	ck_assert_int_eq(pg_error_action(errors[_i].sqlstate),
			 errors[_i].action);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shipping");
	TCase *tc = tcase_create("shipping");

	tcase_add_loop_test(tc, test_json, 0, N_ELEMENTS(records));
	tcase_add_test(tc, test_unreadable);
	tcase_add_loop_test(tc, test_errors, 0, N_ELEMENTS(errors));
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
