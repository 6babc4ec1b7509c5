/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tests how times on the command line are read and how the log's details are
   put into words. */

#include "team-common.h"
#include "audit-time.h"
#include "audit-story.h"
#include "audit-what.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>

/* 2026-11-23 06:30:00 UTC */
#define NOW 1795415400

static void check_time(const char *str, const char *wire)
{
	const char *error;
	time_t t;

	ck_assert_msg(team_time_parse(str, NOW, &t, &error) == 0,
		      "'%s' was refused: %s", str, error);
	ck_assert_str_eq(team_time_to_wire(t), wire);
}

static void check_no_time(const char *str, const char *error_part)
{
	const char *error = NULL;
	time_t t;

	ck_assert_msg(team_time_parse(str, NOW, &t, &error) < 0,
		      "'%s' was accepted", str);
	ck_assert_msg(strstr(error, error_part) != NULL,
		      "'%s': unexpected error: %s", str, error);
}

START_TEST(test_time_dates)
{
	check_time("2026-11-23", "2026-11-23T00:00:00Z");
	check_time("2026-11-23 14:00", "2026-11-23T14:00:00Z");
	check_time("2026-11-23T14:00:05", "2026-11-23T14:00:05Z");
	check_time("2024-02-29", "2024-02-29T00:00:00Z");
	check_time("2026-11-23 14:00Z", "2026-11-23T14:00:00Z");
	check_time("2026-11-23 14:00+01:00", "2026-11-23T13:00:00Z");
	check_time("2026-11-23 14:00:30 -0530", "2026-11-23T19:30:30Z");
	check_time("2026-11-23T00:30+01", "2026-11-22T23:30:00Z");
}
END_TEST

START_TEST(test_time_zone)
{
	ck_assert_int_eq(setenv("TZ", "Europe/Berlin", 1), 0);
	tzset();
	check_time("2026-11-23 14:00", "2026-11-23T13:00:00Z");
	check_time("2026-07-01", "2026-06-30T22:00:00Z");
	check_time("2026-07-01 12:00Z", "2026-07-01T12:00:00Z");
	check_time("today", "2026-11-22T23:00:00Z");
	check_time("yesterday", "2026-11-21T23:00:00Z");
}
END_TEST

START_TEST(test_time_ago)
{
	check_time("now", "2026-11-23T06:30:00Z");
	check_time("1h", "2026-11-23T05:30:00Z");
	check_time("90 min", "2026-11-23T05:00:00Z");
	check_time("2 days", "2026-11-21T06:30:00Z");
	check_time("1 Week ago", "2026-11-16T06:30:00Z");
	check_time("30secs", "2026-11-23T06:29:30Z");
	check_time("0s", "2026-11-23T06:30:00Z");
}
END_TEST

START_TEST(test_time_day)
{
	check_time("today", "2026-11-23T00:00:00Z");
	check_time("Yesterday", "2026-11-22T00:00:00Z");
	check_time("yesterday 14:05", "2026-11-22T14:05:00Z");
	check_time("05:59:30", "2026-11-23T05:59:30Z");
	check_no_time("yesterda", "isn't a time");
	check_no_time("todays", "isn't a time");
	check_no_time("monday", "isn't a time");
	check_no_time("today 24:00", "no such day");
	check_no_time("25:00", "no such day");
	check_no_time("5:00", "isn't a time");
	check_no_time("14:00 yesterday", "isn't a time");
}
END_TEST

START_TEST(test_time_invalid)
{
	check_no_time("", "isn't a time");
	check_no_time("yesterday-ish", "isn't a time");
	check_no_time("2026-13-01", "no such day");
	check_no_time("2026-02-29", "no such day");
	check_no_time("2026-04-31", "no such day");
	check_no_time("2026-11-00", "no such day");
	check_no_time("1969-12-31", "no such day");
	check_no_time("2026-11-23 24:00", "no such day");
	check_no_time("2026-11-23 14:60", "no such day");
	check_no_time("2026-11-23 1400", "isn't a time");
	check_no_time("2026-11-23 14", "isn't a time");
	check_no_time("2026-11-23x", "isn't a time");
	check_no_time("2026-11-23 14:00 ", "isn't a time");
	check_no_time("2026-11-23 14:00 CET", "isn't a time");
	check_no_time("2026-11-23 14:00+99:00", "isn't a time");
	check_no_time("26-11-23", "isn't a time");
	check_no_time("-1h", "isn't a time");
	check_no_time("5", "needs a unit");
	check_no_time("5 moons", "'moons' isn't a unit");
	check_no_time("5 days later", "isn't a time");
	check_no_time("99999999999 weeks", "before 1970");
	check_no_time("99999999999999999999999 weeks", "isn't a time");
}
END_TEST

START_TEST(test_what)
{
	ck_assert_str_eq(team_audit_what("{}"), "");
	ck_assert_str_eq(team_audit_what("{\"user\": \"alice\", "
		"\"service\": \"imap\", \"tls\": \"yes\"}"), "");
	ck_assert_str_eq(team_audit_what("{\"added\": \"\\\\Seen\", "
		"\"private\": true}"), "+\\Seen (private)");
	ck_assert_str_eq(team_audit_what("{\"added\": \"\\\\Answered done\", "
		"\"removed\": \"claimed\", \"private\": false}"),
		"+\\Answered +done -claimed");
	ck_assert_str_eq(team_audit_what("{\"added\": [\"a\", \"b\"], "
		"\"removed\": []}"), "+a +b");
	ck_assert_str_eq(team_audit_what("{\"from\": \"Team/INBOX\", "
		"\"fromuid\": 17}"), "from Team/INBOX uid 17");
	ck_assert_str_eq(team_audit_what("{\"from\": null, \"fromuid\": 17}"),
		"from uid 17");
	ck_assert_str_eq(team_audit_what("{\"error\": \"Disk full\", "
		"\"n\": -1.5e3, \"deep\": {\"a\": [1, \"}\"]}}"),
		"error=\"Disk full\" n=-1.5e3 "
		"deep=\"{\"a\": [1, \"}\"]}\"");
}
END_TEST

START_TEST(test_what_escapes)
{
	ck_assert_str_eq(team_audit_what("{\"from\": \"K\\u00f6ln\"}"),
		"from K\xc3\xb6ln");
	ck_assert_str_eq(team_audit_what("{\"from\": \"\\ud83d\\ude00\"}"),
		"from \xf0\x9f\x98\x80");
	ck_assert_str_eq(team_audit_what("{\"from\": \"a\\\"b\\n\"}"),
		"from a\"b\n");
}
END_TEST

START_TEST(test_what_broken)
{
	static const char *const broken[] = {
		"", "x", "{", "[1]", "{\"a\"", "{\"a\":", "{\"a\": }",
		"{\"a\": \"b", "{\"a\": \"\\", "{\"a\": \"\\u12\"}",
		"{\"a\": \"\\ud83d\\u0041\"}", "{\"a\": [1", "{\"a\": 1,}",
		"{\"a\": 1} x", "{\"a\": 1 \"b\": 2}", "{\"a\": \"\\q\"}",
		"{\"a\": [\"x\" \"y\"]}", "{\"a\": {\"b\": 1}",
	};

	for (unsigned int i = 0; i < N_ELEMENTS(broken); i++)
		ck_assert_str_eq(team_audit_what(broken[i]), broken[i]);
}
END_TEST

static const char *
tell(struct team_audit_story *story, const char *colleague, const char *action,
     const char *mailbox, const char *outcome, const char *detail)
{
	const struct team_audit_row row = {
		colleague, action, mailbox, "1", outcome, detail
	};

	return team_audit_story_tell(story, &row);
}

START_TEST(test_story)
{
	struct team_audit_story *story = team_audit_story_init();

	ck_assert_str_eq(tell(story, "lmtp", "deliver", "A", "ok",
		"{\"added\": \"scripted\"}"),
		"delivered to A, flags +scripted");
	ck_assert_str_eq(tell(story, "alice", "read", "A", "ok",
		"{\"added\": \"\\\\Seen\", \"private\": true}"), "read");
	ck_assert_str_eq(tell(story, "bob", "claim", "A", "ok",
		"{\"until\": \"2026-11-23T15:01:45Z\"}"),
		"claimed, until 15:01:45");
	ck_assert_str_eq(tell(story, "alice", "move", "A", "refused",
		"{\"holder\": \"bob\"}"),
		"REFUSED to move it: bob had claimed it");
	ck_assert_str_eq(tell(story, "alice", "flag", "A", "refused",
		"{\"added\": \"x\", \"reason\": \"no right\"}"),
		"REFUSED to change flags +x: no right");
	/* each colleague sees what is everybody's, and what is one's own */
	ck_assert_str_eq(tell(story, "alice", "flag", "A", "ok",
		"{\"added\": \"todo mine\", \"removed\": \"scripted\", "
		"\"private\": true, \"own\": \"mine\"}"),
		"flags: scripted \\Seen -> \\Seen todo mine");
	ck_assert_str_eq(tell(story, "bob", "flag", "A", "ok",
		"{\"removed\": \"todo\", \"private\": false}"),
		"flags: todo -> none");
	ck_assert_str_eq(tell(story, "bob", "move", "B", "ok",
		"{\"from\": \"A\", \"fromuid\": 1}"), "moved from A to B");
	ck_assert_str_eq(tell(story, "alice", "flag", "B", "ok",
		"{\"added\": \"done\", \"private\": false}"),
		"flags: \\Seen mine -> \\Seen mine done");
	ck_assert_str_eq(tell(story, "doveadm:root", "expunge", "B", "ok",
		"{}"), "removed for good from B");
	team_audit_story_deinit(&story);
}
END_TEST

START_TEST(test_story_begun_before_the_log)
{
	struct team_audit_story *story = team_audit_story_init();

	ck_assert_str_eq(tell(story, "bob", "flag", "A", "ok",
		"{\"added\": \"a\", \"removed\": \"b\", "
		"\"private\": false}"), "flags +a -b");
	ck_assert_str_eq(tell(story, "bob", "gap", "A", "failed",
		"{\"unresolved\": \"expunge\"}"),
		"nobody knows what became of this: expunge");
	ck_assert_str_eq(tell(story, "bob", "read", "A", "ok", "x"), "x");
	team_audit_story_deinit(&story);
}
END_TEST

static Suite *audit_suite(void)
{
	Suite *suite = suite_create("doveadm-audit");
	TCase *tcase;

	tcase = tcase_create("time");
	tcase_add_test(tcase, test_time_dates);
	tcase_add_test(tcase, test_time_zone);
	tcase_add_test(tcase, test_time_ago);
	tcase_add_test(tcase, test_time_day);
	tcase_add_test(tcase, test_time_invalid);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("what");
	tcase_add_test(tcase, test_what);
	tcase_add_test(tcase, test_what_escapes);
	tcase_add_test(tcase, test_what_broken);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("story");
	tcase_add_test(tcase, test_story);
	tcase_add_test(tcase, test_story_begun_before_the_log);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	SRunner *runner;
	int failed;

	if (setenv("TZ", "UTC0", 1) < 0)
		return EXIT_FAILURE;
	lib_init();
	runner = srunner_create(audit_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	lib_deinit();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
