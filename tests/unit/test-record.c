/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record's canonical form, and what values its keys take. */

#include "record.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define GUID "0123456789abcdef0123456789abcdef"
#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static void set(struct team_record *record, const char *field)
{
	const char *error = "";

	if (team_record_set_field(record, field, TEAM_RECORD_SOURCE_JOURNAL,
				  &error) < 0)
		ck_abort_msg("%s: %s", field, error);
}

static void assert_format(const struct team_record *record, const char *text)
{
	struct team_record *again;
	const char *error;
	char *formatted;

	formatted = team_record_format(record);
	ck_assert_str_eq(formatted, text);
	again = team_record_parse(formatted, strlen(formatted), &error);
	ck_assert_msg(again != NULL, "%s", error);
	free(formatted);
	formatted = team_record_format(again);
	ck_assert_str_eq(formatted, text);
	free(formatted);
	team_record_free(&again);
}

START_TEST(test_order)
{
	struct team_record *record = team_record_new();

	set(record, "p-\\Seen=5");
	set(record, "p+\\Seen=1:4");
	set(record, "p+\\Flagged=9");
	set(record, "d.b=2");
	set(record, "d.a=1");
	set(record, "uids=1:5,9");
	set(record, "action=flag");
	set(record, "uidvalidity=7");
	set(record, "mailbox="GUID);
	set(record, "at=1700000000000000");
	set(record, "colleague=alice");
	set(record, "seq=3");
	assert_format(record, "seq=3\tat=1700000000000000\taction=flag\t"
		"colleague=alice\tmailbox="GUID"\tuidvalidity=7\t"
		"uids=1:5,9\td.a=1\td.b=2\tp+\\Flagged=9\tp+\\Seen=1:4\t"
		"p-\\Seen=5");
	team_record_free(&record);
}
END_TEST

START_TEST(test_escape)
{
	struct team_record *record = team_record_new();

	set(record, "action=login");
	set(record, "client=a\tb\nc\rd\001e=f\\");
	set(record, "name=Entw\xc3\xbcrfe");
	assert_format(record, "action=login\tclient=a\001tb\001nc\001rd\0011"
		      "e=f\\\tname=Entw\xc3\xbcrfe");
	ck_assert_str_eq(team_record_get(record, "client"),
			 "a\tb\nc\rd\001e=f\\");
	team_record_free(&record);
}
END_TEST

START_TEST(test_set_again)
{
	struct team_record *record = team_record_new();

	set(record, "action=append");
	set(record, "name=one");
	set(record, "name=two");
	assert_format(record, "action=append\tname=two");
	set(record, "name=");
	assert_format(record, "action=append");
	set(record, "add=");
	assert_format(record, "action=append");
	ck_assert_ptr_null(team_record_get(record, "name"));
	ck_assert_ptr_null(team_record_get(record, "nonsense"));
	team_record_free(&record);
}
END_TEST

START_TEST(test_keyword_with_equals)
{
	struct team_record *record = team_record_new();

	set(record, "action=flag");
	set(record, "mailbox="GUID);
	set(record, "uidvalidity=1");
	set(record, "p+a=b=1,2");
	ck_assert_str_eq(team_record_get(record, "p+a=b"), "1:2");
	assert_format(record, "action=flag\tmailbox="GUID"\tuidvalidity=1\t"
		      "p+a=b=1:2");
	team_record_free(&record);
}
END_TEST

static const char *const bad_fields[] = {
	"action", "=x", "nonsense=1", "d.=1", "d.A=1", "d.a b=1", "p+=1",
	"p-=1", "p+a b=1", "p+a\tb=1", "p+\\Seen=0", "p+\\Seen=*", "px=1",
	"action=foo", "action=Login", "outcome=maybe", "mailbox=123",
	"mailbox=0123456789ABCDEF0123456789ABCDEF", "uidvalidity=0",
	"uidvalidity=4294967296", "uidvalidity=-1", "uidvalidity=1x",
	"uids=2,1", "uids=1:*", "fromuids=x", "tls=maybe", "seq=0",
	"seq=9223372036854775808", "at=x", "mids=1", "mids=0 <a>", "mids=1 ",
	"mids=x <a>", "mids=1 <a>\n", "mids=1 <a>\n2", "mids=4294967296 <a>",
	"mids=99999999999999999999999 <a>",
};

START_TEST(test_bad_fields)
{
	struct team_record *record = team_record_new();
	const char *error = NULL;
	char *text;

	set(record, "action=login");
	ck_assert_int_eq(team_record_set_field(record, bad_fields[_i],
		TEAM_RECORD_SOURCE_JOURNAL, &error), -1);
	ck_assert_ptr_nonnull(error);
	text = team_record_format(record);
	ck_assert_str_eq(text, "action=login");
	free(text);
	team_record_free(&record);
}
END_TEST

static const char *const internal_fields[] = {
	"seq=1", "at=1", "colleague=mallory", "user=x", "session=x",
	"service=x", "ip=x", "tls=yes", "client=x",
};

START_TEST(test_internal_fields)
{
	struct team_record *record = team_record_new();
	const char *error;

	ck_assert_int_eq(team_record_set_field(record, internal_fields[_i],
		TEAM_RECORD_SOURCE_CLIENT, &error), -1);
	set(record, internal_fields[_i]);
	team_record_free(&record);
}
END_TEST

static const char *const bad_texts[] = {
	"", "\t", "action=login\t", "\taction=login",
	/* out of order, twice */
	"outcome=ok\taction=login", "action=login\taction=login",
	"action=login\td.b=1\td.a=1",
	"action=login\tp+a=1\td.a=1",
	/* empty, wrongly escaped */
	"action=login\tname=", "action=login\tname=a\001x",
	"action=login\tname=a\001", "action=login\tname=a\001" "0b",
	"action=login\tname=a\nb", "action=login\tname=a\rb",
	/* found by fuzzing: read, but not as it stands there */
	"action=login\tp+a=2:2",
	"seq=1",
};

START_TEST(test_bad_texts)
{
	struct team_record *record;
	const char *error = NULL;

	record = team_record_parse(bad_texts[_i], strlen(bad_texts[_i]),
				   &error);
	if (record != NULL) {
		/* every field is fine, but not together */
		ck_assert_int_eq(team_record_check(record, &error), -1);
		team_record_free(&record);
	}
	ck_assert_ptr_nonnull(error);
}
END_TEST

START_TEST(test_nul)
{
	static const char text[] = "action=login\tname=a\0b";
	/* found by fuzzing: the key was read up to the NUL */
	static const char in_key[] = "action=login\tp+a\0b=1";
	const char *error;

	ck_assert_ptr_null(team_record_parse(text, sizeof(text) - 1, &error));
	ck_assert_ptr_null(team_record_parse(in_key, sizeof(in_key) - 1,
					     &error));
}
END_TEST

static const struct {
	const char *text;
	int ret;
} checks[] = {
	{ "action=login", 0 },
	{ "outcome=ok", -1 },
	{ "action=read\tuids=1", -1 },
	{ "action=read\tmailbox="GUID"\tuids=1", -1 },
	{ "action=read\tmailbox="GUID"\tuidvalidity=1\tuids=1", 0 },
	{ "action=read\tp+\\Seen=1", -1 },
	{ "action=append\tmids=1 <a>", -1 },
	{ "action=copy\tmailbox="GUID"\tuidvalidity=1\tuids=1\tfromuids=1",
	  -1 },
	{ "action=copy\tmailbox="GUID"\tuidvalidity=1\tuids=1:3\t"
	  "from="GUID"\tfromvalidity=1\tfromuids=4,7,9", 0 },
	{ "action=copy\tmailbox="GUID"\tuidvalidity=1\tuids=1:3\t"
	  "from="GUID"\tfromvalidity=1\tfromuids=4,7", -1 },
	/* not copied anywhere yet */
	{ "action=copy\tmailbox="GUID"\tuidvalidity=1\t"
	  "from="GUID"\tfromvalidity=1\tfromuids=4,7", 0 },
};

START_TEST(test_check)
{
	struct team_record *record;
	const char *error = "";

	record = team_record_parse(checks[_i].text, strlen(checks[_i].text),
				   &error);
	ck_assert_msg(record != NULL, "%s: %s", checks[_i].text, error);
	ck_assert_int_eq(team_record_check(record, &error), checks[_i].ret);
	team_record_free(&record);
}
END_TEST

/* Whatever is changed in a valid text, the parser refuses it or reads
   something that it writes in the same way. */
START_TEST(test_mutations)
{
	static const char text[] = "seq=3\tat=17\taction=flag\toutcome=ok\t"
		"mailbox="GUID"\tuidvalidity=7\tuids=1:5,9\tmids=1 <a>\001n2 "
		"<b>\td.a=1\tp+\\Seen=1:4";
	char copy[sizeof(text)], *again;
	struct team_record *record;
	const char *error;
	unsigned int pos, byte;

	for (pos = 0; pos < sizeof(text) - 1; pos++) {
		for (byte = 0; byte < 256; byte++) {
			memcpy(copy, text, sizeof(text));
			copy[pos] = (char)byte;
			record = team_record_parse(copy, sizeof(text) - 1,
						   &error);
			if (record == NULL)
				continue;
			again = team_record_format(record);
			team_record_free(&record);
			record = team_record_parse(again, strlen(again),
						   &error);
			ck_assert_msg(record != NULL, "%s: %s", again, error);
			free(again);
			team_record_free(&record);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");
	TCase *tc = tcase_create("record");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_escape);
	tcase_add_test(tc, test_set_again);
	tcase_add_test(tc, test_keyword_with_equals);
	tcase_add_loop_test(tc, test_bad_fields, 0, COUNT(bad_fields));
	tcase_add_loop_test(tc, test_internal_fields, 0,
			    COUNT(internal_fields));
	tcase_add_loop_test(tc, test_bad_texts, 0, COUNT(bad_texts));
	tcase_add_test(tc, test_nul);
	tcase_add_loop_test(tc, test_check, 0, COUNT(checks));
	tcase_add_test(tc, test_mutations);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
