/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may speak for whom. */

#include "team-common.h"
#include "peer.h"
#include "test-unit.h"

#include <sys/socket.h>
#include <unistd.h>

#define OWNER 65001
#define OTHER 65002

static const struct {
	uid_t uid;
	const char *name;
	uid_t socket_owner;
	const char *trusted_users, *colleague;
	bool allowed;
} cases[] = {
	{ 0, "root", OWNER, "", "alice", TRUE },
	{ OWNER, "vmail", OWNER, "", "alice", TRUE },
	{ OTHER, "alice", OWNER, "", "alice", TRUE },
	{ OTHER, "alice", OWNER, "", "bob", FALSE },
	{ OTHER, "alice", OWNER, "", "", FALSE },
	{ OTHER, "alice", OWNER, "", "alice2", FALSE },
	{ OTHER, "alice", OWNER, "", "Alice", FALSE },
	{ OTHER, "support", OWNER, "sales support", "bob", TRUE },
	{ OTHER, "supp", OWNER, "sales support", "bob", FALSE },
	/* no such user any more */
	{ OTHER, NULL, OWNER, "", "alice", FALSE },
	{ OTHER, NULL, OWNER, "", "", FALSE },
	{ OTHER, NULL, OWNER, "support", "alice", FALSE },
	/* nothing is known */
	{ (uid_t)-1, NULL, (uid_t)-1, "", "alice", FALSE },
	{ OTHER, "alice", (uid_t)-1, "", "bob", FALSE },
};

START_TEST(test_check)
{
	struct peer_trust trust = {
		.socket_owner = cases[_i].socket_owner,
		.users = cases[_i].trusted_users
	};
	struct peer peer;
	const char *error = NULL;

	peer_set(&peer, cases[_i].uid, cases[_i].name, &trust);
	ck_assert_int_eq(peer_check(&peer, cases[_i].colleague, &error),
			 cases[_i].allowed ? 0 : -1);
	ck_assert(cases[_i].allowed == (error == NULL));
	if (error != NULL && *cases[_i].colleague != '\0')
		ck_assert_ptr_nonnull(strstr(error, cases[_i].colleague));
	peer_deinit(&peer);
}
END_TEST

START_TEST(test_own_process)
{
	struct peer peer;
	const char *error;
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	peer_init(&peer, fd[0], fd[0], "");
	ck_assert_uint_eq(peer.uid, geteuid());
	ck_assert_int_eq(peer_check(&peer, "alice", &error), 0);
	peer_deinit(&peer);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peer");
	TCase *tc = tcase_create("peer");

	tcase_add_loop_test(tc, test_check, 0, N_ELEMENTS(cases));
	tcase_add_test(tc, test_own_process);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
