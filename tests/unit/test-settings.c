/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings' definition through Dovecot's parser, and their checks. */

#include "team-common.h"
#include "compat-settings.h"
#include "team-settings.h"
#include "test-unit.h"

static int parse(const char *const *lines, struct team_settings *set_r,
		 const char **error_r)
{
	pool_t pool = pool_alloconly_create("settings", 1024);
	const char *keyvalues[32], *const *pair;
	const void *parsed;
	unsigned int i = 0;
	int ret;

	for (; *lines != NULL; lines++) {
		pair = t_strsplit(*lines, "=");
		keyvalues[i++] = pair[0];
		keyvalues[i++] = strchr(*lines, '=') + 1;
	}
	keyvalues[i] = NULL;
	ret = compat_settings_parse(pool, &team_setting_parser_info, keyvalues,
				    &parsed, error_r);
	if (ret == 0) {
		const struct team_settings *set = parsed;

		*set_r = *set;
		set_r->team_database = t_strdup(set->team_database);
		set_r->team_node = t_strdup(set->team_node);
		set_r->team_journal_dir = t_strdup(set->team_journal_dir);
		set_r->team_fsync = t_strdup(set->team_fsync);
		set_r->team_commit = t_strdup(set->team_commit);
	} else {
		*error_r = t_strdup(*error_r);
	}
	pool_unref(&pool);
	return ret;
}

START_TEST(test_defaults)
{
	static const char *const lines[] = { NULL };
	struct team_settings set;
	const char *error = "";

	ck_assert_msg(parse(lines, &set, &error) == 0, "%s", error);
	ck_assert_str_eq(set.team_database, "");
	ck_assert_str_eq(set.team_node, "");
	ck_assert_str_eq(set.team_journal_dir, "/var/lib/dovecot/team");
	ck_assert_str_eq(set.team_fsync, "optimized");
	ck_assert_str_eq(set.team_commit, "local");
	ck_assert_uint_eq(set.claim_time, 30*60);
}
END_TEST

START_TEST(test_values)
{
	static const char *const lines[] = {
		"team_database=host=/run/postgresql dbname=%team",
		"team_node=mail-1.example.com", "team_journal_dir=/srv/team",
		"team_fsync=always", "team_commit=remote",
		"team_claim_time=2 hours", NULL
	};
	struct team_settings set;
	const char *error = "";

	ck_assert_msg(parse(lines, &set, &error) == 0, "%s", error);
	ck_assert_str_eq(set.team_database,
			 "host=/run/postgresql dbname=%team");
	ck_assert_str_eq(set.team_node, "mail-1.example.com");
	ck_assert_str_eq(set.team_fsync, "always");
	ck_assert_str_eq(set.team_commit, "remote");
	ck_assert_uint_eq(set.claim_time, 7200);
}
END_TEST

static const struct {
	const char *line;
	const char *error;
} bad[] = {
	{ "team_node=a b", "team_node" },
	{ "team_node=a/b", "team_node" },
	{ "team_node=\xc3\xbc", "team_node" },
	{ "team_node=0123456789012345678901234567890123456789012345678901234"
	  "5678901234567890123456789012345678901234567890", "team_node" },
	{ "team_journal_dir=relative", "team_journal_dir" },
	{ "team_journal_dir=", "team_journal_dir" },
	{ "team_claim_time=0", "team_claim_time" },
	{ "team_claim_time=31 days", "team_claim_time" },
	{ "team_fsync=sometimes", "team_fsync" },
	{ "team_commit=both", "team_commit" },
	{ "team_claim_time=x", "team_claim_time" },
	{ "team_claim_time=", "team_claim_time" },
	{ "team_checkpoint_interval=5 parsecs", "team_checkpoint_interval" },
	{ "team_checkpoint_interval=2 days", "team_checkpoint_interval" },
};

START_TEST(test_bad)
{
	const char *lines[] = { bad[_i].line, NULL }, *error = NULL;
	struct team_settings set;

	ck_assert_int_eq(parse(lines, &set, &error), -1);
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, bad[_i].error) != NULL, "%s", error);
}
END_TEST

START_TEST(test_node_name)
{
	ck_assert(team_node_name_is_valid("a"));
	ck_assert(team_node_name_is_valid("Mail_1.example-x"));
	ck_assert(!team_node_name_is_valid(""));
	ck_assert(!team_node_name_is_valid("a b"));
	ck_assert(!team_node_name_is_valid("a\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settings");
	TCase *tc = tcase_create("settings");

	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_values);
	tcase_add_loop_test(tc, test_bad, 0, N_ELEMENTS(bad));
	tcase_add_test(tc, test_node_name);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
