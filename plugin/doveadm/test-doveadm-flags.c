/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tests how files of private flags are read. */

#include "team-common.h"
#include "doveadm-team-flags.h"

#include <check.h>
#include <stdlib.h>

#define GUID "0123456789abcdef0123456789abcdef"
#define LINE(flag, uids) \
	"{\"colleague\":\"alice\",\"mailbox\":\"Team/\xc3\xbc \\\"x\\\"\"," \
	"\"guid\":\"" GUID "\",\"uidvalidity\":17,\"flag\":\"" flag "\"," \
	"\"uids\":\"" uids "\"}"

static void parse(const char *text, struct flags_line *line)
{
	const char *error;

	ck_assert_msg(flags_line_parse(text, line, &error) == 0, "%s: %s",
		      text, error);
}

START_TEST(test_round_trip)
{
	const char *text = LINE("\\\\Seen", "1:4,7");
	struct flags_line line, again;
	char *written;
	size_t size;
	FILE *file = open_memstream(&written, &size);

	parse(text, &line);
	ck_assert_str_eq(line.colleague, "alice");
	ck_assert_str_eq(line.flag, "\\Seen");
	ck_assert_uint_eq(line.uidvalidity, 17);
	ck_assert_uint_eq(team_uidset_size(&line.uids), 5);
	flags_line_write(&line, file);
	fclose(file);
	ck_assert_str_eq(written, t_strconcat(text, "\n", NULL));
	written[size - 1] = '\0';
	parse(written, &again);
	ck_assert(flags_line_equals(&line, &again));
	free(written);
	flags_line_clear(&line);
	flags_line_clear(&again);
}
END_TEST

static const struct {
	const char *text, *error;
} bad_lines[] = {
	{ "", "it isn't a JSON object" },
	{ "{", "it isn't a JSON object" },
	{ "[]", "it isn't a JSON object" },
	{ "{}", "colleague is missing" },
	{ LINE("my-x", "1") "x", "it isn't a JSON object" },
	{ LINE("my-x", ""), "uids isn't a set" },
	{ LINE("my-x", "4:1"), "uids isn't a set" },
	{ LINE("my-x", "0"), "uids isn't a set" },
	{ LINE("my-x", "1:*"), "uids isn't a set" },
	{ LINE("my-x", "4294967296"), "uids isn't a set" },
	{ LINE("", "1"), "flag is neither" },
	{ LINE("my x", "1"), "flag is neither" },
	{ LINE("my\\tx", "1"), "flag is neither" },
	{ LINE("\\\\Recent", "1"), "flag is neither" },
	{ LINE("\\\\seen", "1"), "flag is neither" },
	{ "{\"colleague\":\"a\",\"colleague\":\"b\"}", "colleague is there" },
	{ "{\"colleague\":7}", "colleague isn't text" },
	{ "{\"uidvalidity\":0}", "uidvalidity isn't a number" },
	{ "{\"uidvalidity\":-1}", "uidvalidity isn't a number" },
	{ "{\"uidvalidity\":\"1\"}", "uidvalidity isn't a number" },
	{ "{\"uidvalidity\":4294967296}", "uidvalidity isn't a number" },
	{ "{\"other\":\"1\"}", "there is no key other" },
	{ "{\"colleague\":\"a\",\"guid\":\"0123\"}", "guid isn't 32" },
};

START_TEST(test_bad)
{
	struct flags_line line;
	const char *error;

	ck_assert_int_eq(flags_line_parse(bad_lines[_i].text, &line, &error),
			 -1);
	ck_assert_msg(strncmp(error, bad_lines[_i].error,
			      strlen(bad_lines[_i].error)) == 0,
		      "%s: %s", bad_lines[_i].text, error);
}
END_TEST

static const struct {
	const char *uids, *minus, *rest;
} differences[] = {
	{ "1:10", "5", "1:4,6:10" },
	{ "1:10", "1:10", "" },
	{ "1:10", "11:20", "1:10" },
	{ "5:10", "1:4", "5:10" },
	{ "5:10,20:30", "1:5,10:20,30:40", "6:9,21:29" },
	{ "1:3,5:7", "2:6", "1,7" },
	{ "1:9", "2,4,6,8", "1,3,5,7,9" },
	{ "1:4294967295", "4294967295", "1:4294967294" },
	{ "4294967295", "1:4294967295", "" },
};

START_TEST(test_subtract)
{
	struct flags_line line = { .colleague = NULL };
	struct team_uidset minus;
	const char *error;
	char *rest;

	ck_assert_int_eq(team_uidset_parse(differences[_i].uids, &line.uids,
					   &error), 0);
	ck_assert_int_eq(team_uidset_parse(differences[_i].minus, &minus,
					   &error), 0);
	flags_line_subtract(&line, &minus);
	rest = team_uidset_format(&line.uids);
	ck_assert_str_eq(rest, differences[_i].rest);
	free(rest);
	team_uidset_free(&minus);
	team_uidset_free(&line.uids);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doveadm flags");
	TCase *tcase = tcase_create("lines");
	SRunner *runner;
	int failed;

	lib_init();
	tcase_add_test(tcase, test_round_trip);
	tcase_add_loop_test(tcase, test_bad, 0, N_ELEMENTS(bad_lines));
	tcase_add_loop_test(tcase, test_subtract, 0, N_ELEMENTS(differences));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	lib_deinit();
	return failed == 0 ? 0 : 1;
}
