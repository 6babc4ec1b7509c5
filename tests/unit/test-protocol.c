/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parser of clients' lines. */

#include "team-common.h"
#include "protocol.h"
#include "test-unit.h"

#define GUID "0123456789abcdef0123456789abcdef"

static int parse(const char *line, struct team_request *req_r,
		 const char **error_r)
{
	const char *const *args;

	*error_r = "";
	args = team_line_split((const unsigned char *)line, strlen(line),
			       error_r);
	return args == NULL ? -2 : team_request_parse(args, req_r, error_r);
}

static void parse_ok(const char *line, struct team_request *req_r)
{
	const char *error;

	if (parse(line, req_r, &error) != 1)
		ck_abort_msg("%s: %s", line, error);
}

START_TEST(test_session)
{
	struct team_request req;

	parse_ok("SESSION\t7\tcolleague=alice\tclient=a\001tb", &req);
	ck_assert_int_eq(req.cmd, TEAM_COMMAND_SESSION);
	ck_assert_uint_eq(req.sid, 7);
	ck_assert_uint_eq(req.id, 0);
	ck_assert_str_eq(req.fields[0], "colleague=alice");
	ck_assert_str_eq(req.fields[1], "client=a\tb");
	ck_assert_ptr_null(req.fields[2]);
	parse_ok("SESSION-END\t7", &req);
	ck_assert_int_eq(req.cmd, TEAM_COMMAND_SESSION_END);
}
END_TEST

START_TEST(test_journalled)
{
	struct team_request req;

	parse_ok("EVENT\t1\t2\taction=login", &req);
	ck_assert_int_eq(req.cmd, TEAM_COMMAND_EVENT);
	ck_assert_uint_eq(req.id, 1);
	ck_assert_uint_eq(req.sid, 2);
	ck_assert(team_command_is_journalled(req.cmd));
	parse_ok("PREPARE\t18446744073\t2\t3\taction=append", &req);
	ck_assert_uint_eq(req.id, 18446744073);
	ck_assert_uint_eq(req.txn, 3);
	ck_assert(req.own == 0);
	parse_ok("PREPARE\t18446744073\t2\t3\town=7\taction=append", &req);
	ck_assert(req.own == 7);
	ck_assert_str_eq(req.fields[0], "action=append");
	parse_ok("COMMIT\t4\t2\t3", &req);
	ck_assert_ptr_null(req.fields[0]);
	parse_ok("COMMIT\t4\t2\t3\tuids=1\td.x=a=b", &req);
	ck_assert_str_eq(req.fields[1], "d.x=a=b");
	parse_ok("ABORT\t5\t2\t3\toutcome=failed", &req);
	ck_assert_int_eq(req.cmd, TEAM_COMMAND_ABORT);
}
END_TEST

START_TEST(test_state)
{
	struct team_request req;

	parse_ok("SYNC\t1\t2\t"GUID"\t3\t0\tTeam/INBOX", &req);
	ck_assert_str_eq(req.guid, GUID);
	ck_assert_uint_eq(req.uidvalidity, 3);
	ck_assert_uint_eq(req.cursor, 0);
	ck_assert_str_eq(req.name, "Team/INBOX");
	parse_ok("SYNC\t1\t2\t"GUID"\t4294967295\t99\t", &req);
	ck_assert_uint_eq(req.cursor, 99);
	ck_assert_str_eq(req.name, "");
	parse_ok("KNOWN\t1\t2\t"GUID"\t3\tTeam/INBOX", &req);
	ck_assert_int_eq(req.cmd, TEAM_COMMAND_KNOWN);
	ck_assert_str_eq(req.name, "Team/INBOX");
	parse_ok("PRIVATE\t1\t2\t"GUID"\t3\tteam\t\\Seen \\Draft\tmy-*\t17", &req);
	ck_assert_int_eq(req.cmd, TEAM_COMMAND_PRIVATE);
	ck_assert_str_eq(req.name, "team");
	ck_assert_str_eq(req.flags, "\\Seen \\Draft");
	ck_assert_str_eq(req.keywords, "my-*");
	ck_assert_str_eq(req.since, "17");
	parse_ok("UNIDENTIFIED\t1\t2\t"GUID"\t3\t5,6", &req);
	ck_assert_str_eq(req.uids, "5:6");
	parse_ok("IDENTIFY\t1\t2\t"GUID"\t3\t5 x\001n6 y z", &req);
	ck_assert_str_eq(req.name, "5 x\n6 y z");
	parse_ok("RECOVER\t1\t2\t"GUID"\t3\tmore\t5 x", &req);
	ck_assert(!req.last);
	parse_ok("RECOVER\t1\t2\t"GUID"\t3\tlast\t", &req);
	ck_assert(req.last);
	parse_ok("WATCH\t1\t2\t"GUID"\t3", &req);
	parse_ok("UNWATCH\t1\t2\t"GUID"\t3", &req);
	parse_ok("CLAIM\t1\t2\t"GUID"\t3\ttake\t1,2,3\t1 <a>\001n2 <b>", &req);
	ck_assert_int_eq(req.op, TEAM_CLAIM_TAKE);
	ck_assert_str_eq(req.uids, "1:3");
	ck_assert_str_eq(req.mids, "1 <a>\n2 <b>");
	parse_ok("CLAIM\t1\t2\t"GUID"\t3\ttry\t4", &req);
	ck_assert_int_eq(req.op, TEAM_CLAIM_TRY);
	parse_ok("CLAIM\t1\t2\t"GUID"\t3\trelease\t5", &req);
	ck_assert_int_eq(req.op, TEAM_CLAIM_RELEASE);
	ck_assert_ptr_null(req.mids);
	parse_ok("GUARD\t1\t2\t"GUID"\t3\texpunge\t5:7", &req);
	ck_assert_str_eq(req.name, "expunge");
	ck_assert(!team_command_is_journalled(req.cmd));
}
END_TEST

START_TEST(test_admin)
{
	struct team_request req;

	parse_ok("STATUS\t1", &req);
	ck_assert(team_command_is_admin(req.cmd));
	parse_ok("QUERY\t2\t1\taudit-search\tcolleague=alice", &req);
	ck_assert(team_command_is_admin(req.cmd));
	ck_assert_str_eq(req.name, "audit-search");
	ck_assert_str_eq(req.fields[0], "colleague=alice");
	parse_ok("EVENT\t1\t2\taction=login", &req);
	ck_assert(!team_command_is_admin(req.cmd));
}
END_TEST

/* Wrong, but the id is there: it can be answered. */
static const char *const answerable[] = {
	"NONSENSE\t9", "NONSENSE\t9\tx", "EVENT\t9", "EVENT\t9\t1",
	"EVENT\t9\tx\taction=login", "EVENT\t9\t0\taction=login",
	"EVENT\t9\t1\taction", "EVENT\t9\t1\t=x", "EVENT\t9\t1\t",
	"PREPARE\t9\t1\t0\taction=x", "PREPARE\t9\t1\tx\taction=x",
	"PREPARE\t9\t1\t2", "PREPARE\t9\t1\t2\town=x\taction=x", "COMMIT\t9\t1", "COMMIT\t9\t1\t2\tx",
	"SYNC\t9\t1", "SYNC\t9\t1\t"GUID"\t1\t0", "SYNC\t9\t1\t"GUID,
	"SYNC\t9\t1\t"GUID"\t1\t0\tx\ty\tz",
	"SYNC\t9\t1\t"GUID"\t0\t0\tx", "SYNC\t9\t1\t"GUID"\t4294967296\t0\tx",
	"SYNC\t9\t1\t"GUID"\t1\t-1\tx", "SYNC\t9\t1\t"GUID"\t1\t00\tx",
	"SYNC\t9\t1\t"GUID"\t1\t99999999999999999999\tx",
	"SYNC\t9\t1\t0123456789ABCDEF0123456789ABCDEF\t1\t0\tx",
	"PRIVATE\t9\t1\t"GUID"\t1\tx\t\t\t", "PRIVATE\t9\t1\t"GUID"\t1\tx\t\t\t1.5",
	"PRIVATE\t9\t1\t"GUID"\t1\tx\t\t",
	"SYNC\t9\t1\t0123\t1\t0\tx", "WATCH\t9\t1\t"GUID,
	"CLAIM\t9\t1\t"GUID"\t1\ttake", "CLAIM\t9\t1\t"GUID"\t1\tsteal\t1",
	"CLAIM\t9\t1\t"GUID"\t1\ttake\t", "CLAIM\t9\t1\t"GUID"\t1\ttake\t*",
	"CLAIM\t9\t1\t"GUID"\t1\ttake\t2,1",
	"CLAIM\t9\t1\t"GUID"\t1\ttake\t1\tx\ty",
	"GUARD\t9\t1\t"GUID"\t1\tread\t1", "GUARD\t9\t1\t"GUID"\t1\tmove\t0",
	"QUERY\t9\t1", "QUERY\t9\t1\tx\ty",
};

START_TEST(test_answerable)
{
	struct team_request req;
	const char *error;

	ck_assert_int_eq(parse(answerable[_i], &req, &error), 0);
	ck_assert_uint_eq(req.id, 9);
	ck_assert_str_ne(error, "");
}
END_TEST

static const char *const unanswerable[] = {
	"", "\t", "NONSENSE", "NONSENSE\tx", "EVENT", "EVENT\t", "EVENT\tx\t1",
	"EVENT\t0\t1\taction=login", "EVENT\t-1\t1\taction=login",
	"EVENT\t01\t1\taction=login", "EVENT\t 1\t1\taction=login",
	"EVENT\t9223372036854775808\t1\taction=login",
	"event\tx", "SESSION", "SESSION\tx", "SESSION\t0\tcolleague=a",
	"SESSION\t1\tcolleague", "SESSION-END", "STATUS", "STATUS\tx",
};

START_TEST(test_unanswerable)
{
	struct team_request req;
	const char *error;

	ck_assert_int_eq(parse(unanswerable[_i], &req, &error), -1);
	ck_assert_str_ne(error, "");
}
END_TEST

START_TEST(test_bad_lines)
{
	static const struct {
		const char *data;
		size_t size;
	} lines[] = {
		{ "EVENT\t1\t1\taction=\0login", 22 },
		{ "EVENT\t1\t1\tname=\001", 16 },
		{ "EVENT\t1\t1\tname=\001x", 17 },
		{ "EVENT\t1\t1\tname=\0010", 17 },
	};
	const char *error = NULL;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(lines); i++) {
		ck_assert_ptr_null(team_line_split(
			(const unsigned char *)lines[i].data, lines[i].size,
			&error));
		ck_assert_ptr_nonnull(error);
	}
}
END_TEST

/* Every line with any byte changed, cut or inserted is parsed without harm,
   and what is taken is within bounds. */
START_TEST(test_mutations)
{
	static const char line[] =
		"CLAIM\t12\t3\t"GUID"\t77\ttake\t1:4,9\t1 <a>\001n2 <b>";
	unsigned char copy[sizeof(line) + 1];
	struct team_request req;
	const char *const *args, *error;
	unsigned int pos, byte;

	for (pos = 0; pos < sizeof(line) - 1; pos++) {
		for (byte = 0; byte < 256; byte++) T_BEGIN {
			memcpy(copy, line, sizeof(line));
			copy[pos] = byte;
			args = team_line_split(copy, sizeof(line) - 1, &error);
			if (args != NULL &&
			    team_request_parse(args, &req, &error) == 1) {
				ck_assert_uint_gt(req.id, 0);
				ck_assert_uint_gt(req.sid, 0);
				ck_assert_uint_gt(req.uidvalidity, 0);
				ck_assert_ptr_nonnull(req.uids);
			}
			memcpy(copy, line, pos);
			copy[pos] = byte;
			memcpy(copy + pos + 1, line + pos,
			       sizeof(line) - pos);
			args = team_line_split(copy, sizeof(line), &error);
			if (args != NULL)
				(void)team_request_parse(args, &req, &error);
		} T_END;
		args = team_line_split((const unsigned char *)line, pos,
				       &error);
		if (args != NULL)
			(void)team_request_parse(args, &req, &error);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("protocol");
	TCase *tc = tcase_create("protocol");

	tcase_add_test(tc, test_session);
	tcase_add_test(tc, test_journalled);
	tcase_add_test(tc, test_state);
	tcase_add_test(tc, test_admin);
	tcase_add_loop_test(tc, test_answerable, 0, N_ELEMENTS(answerable));
	tcase_add_loop_test(tc, test_unanswerable, 0,
			    N_ELEMENTS(unanswerable));
	tcase_add_test(tc, test_bad_lines);
	tcase_add_test(tc, test_mutations);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
