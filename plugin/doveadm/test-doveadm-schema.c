/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tests how the migrations are read and compared with the applied ones. */

#include "team-common.h"
#include "array.h"
#include "schema-plan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* of "abc", from FIPS 180-4 */
#define SHA256_ABC \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char dir[] = "test-schema-XXXXXX";
static pool_t pool;
static ARRAY_TYPE(team_migration) migrations;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	pool = pool_alloconly_create("test", 1024);
	p_array_init(&migrations, pool, 8);
}

static void teardown(void)
{
	const char *cmd = t_strdup_printf("rm -r %s", dir);

	ck_assert_int_eq(system(cmd), 0);
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	pool_unref(&pool);
}

static void add_file(const char *name, const char *text, size_t size)
{
	FILE *f = fopen(t_strconcat(dir, "/", name, NULL), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

static void check_read_error(const char *part)
{
	const char *error = NULL;

	ck_assert_int_eq(team_migrations_read(pool, dir, &migrations, &error),
			 -1);
	ck_assert_msg(strstr(error, part) != NULL, "unexpected: %s", error);
}

START_TEST(test_read)
{
	const struct team_migration *m;
	const char *error;

	add_file("0002-more-things.sql", "abc", 3);
	add_file("0001-start.sql", "SELECT 1;\n", 10);
	add_file("README", "x", 1);
	add_file("0003-backup.sql~", "x", 1);
	add_file("0003.sql", "x", 1);
	add_file("0003-.sql", "x", 1);
	add_file("003-x.sql", "x", 1);
	ck_assert_int_eq(team_migrations_read(pool, dir, &migrations, &error),
			 0);
	ck_assert_uint_eq(array_count(&migrations), 2);
	m = array_idx(&migrations, 0);
	ck_assert_uint_eq(m->version, 1);
	ck_assert_str_eq(m->name, "start");
	ck_assert_str_eq(m->sql, "SELECT 1;\n");
	m = array_idx(&migrations, 1);
	ck_assert_uint_eq(m->version, 2);
	ck_assert_str_eq(m->name, "more-things");
	ck_assert_str_eq(m->checksum, SHA256_ABC);
}
END_TEST

START_TEST(test_read_empty)
{
	check_read_error("There are no migrations");
}
END_TEST

START_TEST(test_read_gap)
{
	add_file("0001-a.sql", "x", 1);
	add_file("0003-c.sql", "x", 1);
	check_read_error("Migration 0002 is missing");
}
END_TEST

START_TEST(test_read_double)
{
	add_file("0001-a.sql", "x", 1);
	add_file("0001-b.sql", "x", 1);
	check_read_error("two migrations 0001");
}
END_TEST

START_TEST(test_read_nul)
{
	add_file("0001-a.sql", "x\0y", 3);
	check_read_error("NUL");
}
END_TEST

START_TEST(test_read_no_dir)
{
	const char *error = NULL;

	ck_assert_int_eq(team_migrations_read(pool, "does/not/exist",
					      &migrations, &error), -1);
	ck_assert_ptr_nonnull(strstr(error, "does/not/exist"));
}
END_TEST

/* files and rows: a letter for each checksum, '-' where there is none.
   expected: first letters of the states */
static void
check_plan(const char *files, const char *rows, const char *expected)
{
	ARRAY_TYPE(team_applied) applied;
	ARRAY_TYPE(team_step) steps;
	struct team_migration *m;
	struct team_applied *a;
	const struct team_step *step;
	unsigned int i;

	array_clear(&migrations);
	t_array_init(&applied, 8);
	t_array_init(&steps, 8);
	for (i = 0; files[i] != '\0'; i++) {
		m = array_append_space(&migrations);
		m->version = i + 1;
		m->name = "name";
		m->path = "path";
		m->checksum = t_strdup_printf("%c", files[i]);
	}
	for (i = 0; rows[i] != '\0'; i++) {
		if (rows[i] == '-')
			continue;
		a = array_append_space(&applied);
		a->version = i + 1;
		a->name = "name";
		a->applied_at = "then";
		a->checksum = t_strdup_printf("%c", rows[i]);
	}
	team_schema_plan(&migrations, &applied, &steps);
	ck_assert_uint_eq(array_count(&steps), strlen(expected));
	for (i = 0; expected[i] != '\0'; i++) {
		step = array_idx(&steps, i);
		ck_assert_uint_eq(step->version, i + 1);
		ck_assert_int_eq(team_step_state_name(step->state)[0],
				 expected[i]);
		/* 's' and 'm' are both steps to take: only one of them can be
		   taken */
		ck_assert_int_eq(team_step_blocks(step),
				 strchr("om", expected[i]) == NULL);
		ck_assert_int_eq(team_step_problem(step) == NULL,
				 expected[i] == 'o');
	}
}

START_TEST(test_plan)
{
	check_plan("abc", "", "mmm");
	check_plan("abc", "abc", "ooo");
	check_plan("abc", "a", "omm");
	check_plan("abc", "axc", "oco");
	check_plan("abc", "a-c", "oso");
	check_plan("abc", "--c", "sso");
	check_plan("ab", "abcd", "oonn");
	check_plan("ab", "xb", "co");
}
END_TEST

static Suite *schema_suite(void)
{
	Suite *suite = suite_create("doveadm-schema");
	TCase *tcase = tcase_create("schema");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_read);
	tcase_add_test(tcase, test_read_empty);
	tcase_add_test(tcase, test_read_gap);
	tcase_add_test(tcase, test_read_double);
	tcase_add_test(tcase, test_read_nul);
	tcase_add_test(tcase, test_read_no_dir);
	tcase_add_test(tcase, test_plan);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	SRunner *runner;
	int failed;

	lib_init();
	runner = srunner_create(schema_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	lib_deinit();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
