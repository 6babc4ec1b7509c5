/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In-Reply-To and References as clients write them, and as they should not. */

#include "mail/reply-ids.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *in_reply_to, *references;
	/* separated by blanks */
	const char *ids;
} headers[] = {
	/* Thunderbird, Apple Mail: one ID; References folded with a blank */
	{ "<a@x>", "<c@x> <b@x>\r\n <a@x>", "<a@x> <b@x> <c@x>" },
	/* Roundcube, mutt */
	{ "<a@x>", "<b@x>\n\t<a@x>", "<a@x> <b@x>" },
	/* Outlook: long IDs, References in a line of their own */
	{ "<AM0PR01MB1234.eurprd01.prod.outlook.com@x>",
	  "\r\n <CAF+s=z@mail.gmail.com>\r\n"
	  " <AM0PR01MB1234.eurprd01.prod.outlook.com@x>",
	  "<AM0PR01MB1234.eurprd01.prod.outlook.com@x> "
	  "<CAF+s=z@mail.gmail.com>" },
	/* Gmail */
	{ "<CAF+s=z@mail.gmail.com>", "<CAF+s=z@mail.gmail.com>",
	  "<CAF+s=z@mail.gmail.com>" },
	/* alpine: a phrase; RFC 822 style */
	{ "Your message of \"Mon, 23 Nov 2026 10:00:00 +0100\" <a@x>", NULL,
	  "<a@x>" },
	{ "<a@x> (Bob's message of Monday)", NULL, "<a@x>" },
	{ "<a@x> <b@x>", NULL, "<a@x> <b@x>" },
	/* folded inside of the ID */
	{ "<very-long\r\n -id@x>", NULL, "<very-long-id@x>" },
	{ NULL, "<a@x><b@x>", "<b@x> <a@x>" },
	{ NULL, "<a@x>,<b@x>", "<b@x> <a@x>" },
	/* no brackets */
	{ " a@x\r\n", NULL, "<a@x>" },
	{ "a@x wrote", NULL, "" },
	{ "a\177@x", NULL, "" },
	{ "just words", NULL, "" },
	/* missing, empty, cut off */
	{ NULL, NULL, "" },
	{ "", "", "" },
	{ "<", "<>", "" },
	{ "<a@x", "<b@x> <c@", "<b@x>" },
	{ "<a@x <b@x>", NULL, "<b@x>" },
	{ ">a@x<", ">>>", "" },
	{ "<a\001@x>", "<b@x>", "<b@x>" },
	{ "<a@x> <a@x>", "<a@x> <a@x>", "<a@x>" },
	{ "<\xc3\xa4@x>", NULL, "<\xc3\xa4@x>" },
};

static void check_ids(const char *in_reply_to, const char *references,
		      const char *want)
{
	struct reply_ids *ids = malloc(sizeof(*ids));
	char text[4096] = "";
	unsigned int i;

	reply_ids_parse(in_reply_to, references, ids);
	for (i = 0; i < ids->count; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, ids->ids[i]);
	}
	ck_assert_str_eq(text, want);
	free(ids);
}

START_TEST(test_headers)
{
	check_ids(headers[_i].in_reply_to, headers[_i].references,
		  headers[_i].ids);
}
END_TEST

START_TEST(test_huge)
{
	const size_t size = 4 * 1024 * 1024;
	char *references = malloc(size + 1), *p = references;
	struct reply_ids *ids = malloc(sizeof(*ids));
	unsigned int i;

	for (i = 0; p < references + size - 32; i++)
		p += sprintf(p, "<n%u@x>\r\n ", i);
	reply_ids_parse("<a@x>", references, ids);
	ck_assert_uint_eq(ids->count, REPLY_IDS_MAX);
	ck_assert_str_eq(ids->ids[0], "<a@x>");
	sprintf(p, "<last@x>");
	reply_ids_parse(NULL, references, ids);
	ck_assert_uint_eq(ids->count, REPLY_IDS_MAX);
	ck_assert_str_eq(ids->ids[0], "<last@x>");

	/* one ID without an end, and one too long to be one */
	memset(references, 'x', size);
	references[0] = '<';
	references[size] = '\0';
	reply_ids_parse(references, references, ids);
	ck_assert_uint_eq(ids->count, 0);
	references[size - 1] = '>';
	reply_ids_parse(references, references, ids);
	ck_assert_uint_eq(ids->count, 0);
	/* nothing but beginnings */
	memset(references, '<', size);
	reply_ids_parse(references, references, ids);
	ck_assert_uint_eq(ids->count, 0);
	free(references);
	free(ids);
}
END_TEST

/* Nothing is read or written beyond the ends; sanitizers and valgrind see it. */
START_TEST(test_random)
{
	static const char chars[] = "<<>>@ \r\n\tabc\"()\\,.";
	struct reply_ids *ids = malloc(sizeof(*ids));
	unsigned int round, i, len;
	char *text;

	srand(1);
	for (round = 0; round < 20000; round++) {
		len = rand() % 80;
		text = malloc(len + 1);
		for (i = 0; i < len; i++)
			text[i] = chars[rand() % (sizeof(chars) - 1)];
		text[len] = '\0';
		reply_ids_parse(round % 3 == 0 ? NULL : text,
				round % 3 == 1 ? NULL : text, ids);
		ck_assert_uint_le(ids->count, REPLY_IDS_MAX);
		for (i = 0; i < ids->count; i++) {
			len = strlen(ids->ids[i]);
			ck_assert_uint_ge(len, 3);
			ck_assert_int_eq(ids->ids[i][0], '<');
			ck_assert_int_eq(ids->ids[i][len - 1], '>');
			ck_assert_ptr_null(strpbrk(ids->ids[i], " \t\r\n"));
		}
		free(text);
	}
	free(ids);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reply-ids");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_headers, 0,
			    sizeof(headers) / sizeof(headers[0]));
	tcase_add_test(tcase, test_huge);
	tcase_add_test(tcase, test_random);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
