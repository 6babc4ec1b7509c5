/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UID sets: what is taken, what is refused, both text forms. */

#include "uidset.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *in, *imap, *multirange;
	uint64_t size;
} valid[] = {
	{ "1", "1", "{[1,1]}", 1 },
	{ "4294967295", "4294967295", "{[4294967295,4294967295]}", 1 },
	{ "1:4294967295", "1:4294967295", "{[1,4294967295]}", 4294967295U },
	{ "1:4,7", "1:4,7", "{[1,4],[7,7]}", 5 },
	{ "2:2", "2", "{[2,2]}", 1 },
	/* ranges that touch are joined */
	{ "1,2,3", "1:3", "{[1,3]}", 3 },
	{ "1:3,4:6,8", "1:6,8", "{[1,6],[8,8]}", 7 },
};

static const char *const invalid[] = {
	"", "0", "*", "1:*", "a", "1,", ",1", "1:", ":1", "1::2", "1,,2",
	"2,1", "1,1", "1:3,3", "1:3,2:5", "5:3", "-1", "+1", " 1", "1 ", "01",
	"4294967296", "99999999999999999999", "1:4294967296", "1;2", "1.5",
};

START_TEST(test_valid)
{
	struct team_uidset set;
	const char *error;
	char *text;

	ck_assert_int_eq(team_uidset_parse(valid[_i].in, &set, &error), 0);
	ck_assert_uint_eq(team_uidset_size(&set), valid[_i].size);
	text = team_uidset_format(&set);
	ck_assert_str_eq(text, valid[_i].imap);
	free(text);
	text = team_uidset_format_multirange(&set);
	ck_assert_str_eq(text, valid[_i].multirange);
	team_uidset_free(&set);

	ck_assert_int_eq(team_uidset_parse_multirange(text, &set, &error), 0);
	free(text);
	text = team_uidset_format(&set);
	ck_assert_str_eq(text, valid[_i].imap);
	free(text);
	team_uidset_free(&set);
}
END_TEST

START_TEST(test_invalid)
{
	struct team_uidset set;
	const char *error = NULL;

	ck_assert_int_eq(team_uidset_parse(invalid[_i], &set, &error), -1);
	ck_assert_ptr_nonnull(error);
	ck_assert_uint_eq(set.count, 0);
	ck_assert_ptr_null(set.ranges);
}
END_TEST

START_TEST(test_multirange_open)
{
	struct team_uidset set;
	const char *error;
	char *text;

	/* PostgreSQL's own form */
	ck_assert_int_eq(team_uidset_parse_multirange("{[1,5),(6,9]}", &set,
						      &error), 0);
	text = team_uidset_format(&set);
	ck_assert_str_eq(text, "1:4,7:9");
	free(text);
	team_uidset_free(&set);
	ck_assert_int_eq(team_uidset_parse_multirange(
		"{[4294967295,4294967296)}", &set, &error), 0);
	ck_assert(team_uidset_contains(&set, 4294967295U));
	team_uidset_free(&set);
	ck_assert_int_eq(team_uidset_parse_multirange("{}", &set, &error), 0);
	ck_assert_uint_eq(team_uidset_size(&set), 0);
}
END_TEST

static const char *const invalid_multiranges[] = {
	"", "{", "{}x", "[1,2]", "{[1,2]", "{[1,2],}", "{[2,1]}", "{[0,1]}",
	"{[1,4294967296]}", "{[1,)}", "{(,1]}", "{[3,4],[1,2]}", "{[-1,2]}",
	"{[1,0)}", "{[1,1)}",
};

START_TEST(test_multirange_invalid)
{
	struct team_uidset set;
	const char *error;

	ck_assert_int_eq(team_uidset_parse_multirange(invalid_multiranges[_i],
						      &set, &error), -1);
}
END_TEST

START_TEST(test_contains)
{
	struct team_uidset set;
	const char *error;
	uint32_t uid;

	ck_assert_int_eq(team_uidset_parse("2:4,7,10:20", &set, &error), 0);
	for (uid = 1; uid < 30; uid++) {
		ck_assert_int_eq(team_uidset_contains(&set, uid),
				 (uid >= 2 && uid <= 4) || uid == 7 ||
				 (uid >= 10 && uid <= 20));
	}
	team_uidset_free(&set);
}
END_TEST

START_TEST(test_parts)
{
	struct team_uidset set = { NULL, 0, 0 }, part;
	uint32_t uid;
	uint64_t size = 0;
	const char *error;
	size_t pos = 0;
	char *text;

	for (uid = 1; uid < 20000; uid += 2)
		team_uidset_add(&set, uid, uid);
	while (pos < set.count) {
		text = team_uidset_format_part(&set, &pos, 1000);
		ck_assert_uint_lt(strlen(text), 1000);
		ck_assert_int_eq(team_uidset_parse(text, &part, &error), 0);
		size += team_uidset_size(&part);
		team_uidset_free(&part);
		free(text);
	}
	ck_assert_uint_eq(size, 10000);
	team_uidset_free(&set);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

int main(void)
{
	Suite *suite = suite_create("uidset");
	TCase *tc = tcase_create("uidset");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, test_valid, 0, COUNT(valid));
	tcase_add_loop_test(tc, test_invalid, 0, COUNT(invalid));
	tcase_add_test(tc, test_multirange_open);
	tcase_add_loop_test(tc, test_multirange_invalid, 0,
			    COUNT(invalid_multiranges));
	tcase_add_test(tc, test_contains);
	tcase_add_test(tc, test_parts);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
