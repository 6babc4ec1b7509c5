/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of generations: who may trust it, and what counts as a change. */

#include "team-common.h"
#include "record.h"
#include "generations.h"
#include "client/team-client-generations.h"
#include "test-unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUID "00112233445566778899aabbccddeeff"
#define OTHER_GUID "ff112233445566778899aabbccddeeff"

static char dir[] = "/tmp/test-generations.XXXXXX";

static void setup(void)
{
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	generations_deinit();
	(void)unlink(t_strconcat(dir, "/"TEAM_GENERATIONS_FILE_NAME, NULL));
	ck_assert_int_eq(rmdir(dir), 0);
}

/* A process doesn't see its own locks: another one looks. Returns 1 if it
   trusts the file, 2 if what it says is what the caller reads as well. */
static int look(void)
{
	const struct team_generations_file *file;
	struct team_generations here, there;
	int status;
	pid_t pid;

	generations_get(GUID, 1, "alice", &here);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		file = team_client_generations(dir);
		if (file == NULL)
			_exit(0);
		team_generations_get(file, GUID, 1, "alice", &there);
		_exit(memcmp(&here, &there, sizeof(here)) == 0 ? 2 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* Returns what the file says of the journal. */
static int look_at_journal(void)
{
	const struct team_generations_file *file;
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		file = team_client_generations(dir);
		_exit(file == NULL ? 2 : (int)atomic_load(&file->journal));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

START_TEST(test_read)
{
	struct team_generations gens;
	struct stat st;

	ck_assert_int_eq(look(), 0);
	ck_assert_int_eq(generations_init(dir), 0);
	generations_get(GUID, 1, "alice", &gens);
	ck_assert_uint_eq(gens.epoch, 0);
	ck_assert_int_eq(look(), 2);
	generations_hear(TRUE);
	generations_changed(TEAM_GENERATION_FLAGS, GUID, 1, "alice");
	ck_assert_int_eq(look(), 2);
	generations_get(GUID, 1, "alice", &gens);
	ck_assert_uint_ne(gens.epoch, 0);
	ck_assert_uint_eq(gens.flags, 1);
	ck_assert_int_eq(stat(t_strconcat(dir,
		"/"TEAM_GENERATIONS_FILE_NAME, NULL), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
}
END_TEST

/* Intents may be left in spools while it says so. */
START_TEST(test_journal)
{
	ck_assert_int_eq(generations_init(dir), 0);
	ck_assert_int_eq(look_at_journal(), 0);
	generations_journal(TRUE);
	ck_assert_int_eq(look_at_journal(), 1);
	generations_journal(FALSE);
	ck_assert_int_eq(look_at_journal(), 0);
}
END_TEST

/* What was missed while nobody listened shows in the epoch. */
START_TEST(test_epoch)
{
	struct team_generations first, second;

	ck_assert_int_eq(generations_init(dir), 0);
	generations_hear(TRUE);
	generations_get(GUID, 1, "alice", &first);
	generations_hear(FALSE);
	generations_get(GUID, 1, "alice", &second);
	ck_assert_uint_eq(second.epoch, 0);
	generations_hear(TRUE);
	generations_get(GUID, 1, "alice", &second);
	ck_assert_uint_ne(second.epoch, 0);
	ck_assert_uint_ne(second.epoch, first.epoch);
}
END_TEST

START_TEST(test_service_killed)
{
	int status, fds[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (generations_init(dir) == 0)
			generations_hear(TRUE);
		(void)!write(fds[1], "x", 1);
		pause();
	}
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	ck_assert_ptr_nonnull(team_client_generations(dir));
	ck_assert_uint_ne(team_client_generations(dir)->epoch, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* the file is still there, as it was */
	ck_assert_ptr_null(team_client_generations(dir));
	/* the next one's is another file */
	ck_assert_int_eq(generations_init(dir), 0);
	ck_assert_int_eq(look(), 2);
	team_client_generations_deinit();
}
END_TEST

START_TEST(test_not_ours)
{
	const char *path = t_strconcat(dir, "/"TEAM_GENERATIONS_FILE_NAME,
				       NULL);

	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETLK, &lock), 0);
	/* too short, then without the magic text */
	ck_assert_int_eq(look(), 0);
	ck_assert_int_eq(ftruncate(fd,
			 sizeof(struct team_generations_file)), 0);
	ck_assert_int_eq(look(), 0);
	ck_assert_int_eq(pwrite(fd, TEAM_GENERATIONS_MAGIC,
				strlen(TEAM_GENERATIONS_MAGIC), 0),
			 strlen(TEAM_GENERATIONS_MAGIC));
	ck_assert_int_eq(look(), 2);
	i_close_fd(&fd);
}
END_TEST

/* Two that have the same place: a change of one is taken for a change of the
   other, never the other way. */
START_TEST(test_collision)
{
	struct team_generations gens;
	const char *name = "";
	unsigned int i, place;

	place = team_generation_place(TEAM_GENERATION_FLAGS, GUID, 1, "alice");
	for (i = 0; ; i++) {
		name = t_strdup_printf("colleague%u", i);
		if (team_generation_place(TEAM_GENERATION_FLAGS, OTHER_GUID, 7,
					  name) == place)
			break;
	}
	ck_assert_int_eq(generations_init(dir), 0);
	generations_hear(TRUE);
	generations_changed(TEAM_GENERATION_FLAGS, GUID, 1, "alice");
	generations_changed(TEAM_GENERATION_FLAGS, OTHER_GUID, 7, name);
	generations_get(GUID, 1, "alice", &gens);
	ck_assert_uint_eq(gens.flags, 2);
	generations_get(OTHER_GUID, 7, name, &gens);
	ck_assert_uint_eq(gens.flags, 2);
}
END_TEST

/* What differs mostly has another place. */
START_TEST(test_places)
{
	unsigned int base = team_generation_place(TEAM_GENERATION_FLAGS, GUID,
						  1, "alice");

	ck_assert_uint_ne(base, team_generation_place(TEAM_GENERATION_OWN,
						      GUID, 1, "alice"));
	ck_assert_uint_ne(base, team_generation_place(TEAM_GENERATION_FLAGS,
						      GUID, 1, "bob"));
	ck_assert_uint_ne(base, team_generation_place(TEAM_GENERATION_FLAGS,
						      GUID, 2, "alice"));
	ck_assert_uint_ne(base, team_generation_place(TEAM_GENERATION_FLAGS,
						      OTHER_GUID, 1, "alice"));
}
END_TEST

static struct team_generations after(const char *text, const char *before)
{
	struct team_record *record, *old = NULL;
	struct team_generations gens;
	const char *error;

	record = team_record_parse(text, strlen(text), &error);
	ck_assert_msg(record != NULL, "%s", text);
	if (before != NULL)
		old = team_record_parse(before, strlen(before), &error);
	generations_deinit();
	ck_assert_int_eq(generations_init(dir), 0);
	generations_hear(TRUE);
	generations_record(record, old);
	generations_get(GUID, 1, "alice", &gens);
	if (gens.own > 0)
		ck_assert_uint_eq(generations_record_own(record), gens.own);
	team_record_free(&record);
	if (old != NULL)
		team_record_free(&old);
	return gens;
}

#define RECORD(action) "action="action"\tcolleague=alice\tmailbox="GUID \
	"\tuidvalidity=1\tuids=1:3"
#define FROM "\tfrom="OTHER_GUID"\tfromvalidity=1\tfromuids=1:3"
#define TO "\tfrom="GUID"\tfromvalidity=1\tfromuids=1:3"

START_TEST(test_records)
{
	struct team_generations gens;

	gens = after(RECORD("read")"\tp+\\Seen=1:3", NULL);
	ck_assert_uint_eq(gens.own, 1);
	ck_assert_uint_eq(gens.box, 0);
	ck_assert_uint_eq(gens.flags, 0);
	/* it was counted when it was prepared */
	gens = after(RECORD("read")"\tp+\\Seen=1:3",
		     RECORD("read")"\tp+\\Seen=1:3");
	ck_assert_uint_eq(gens.own, 0);
	/* what a saved message gets is known only in the end */
	gens = after(RECORD("append")"\tp+\\Seen=1:3", RECORD("append"));
	ck_assert_uint_eq(gens.own, 1);
	gens = after(RECORD("flag")"\tadd=\\Answered", NULL);
	ck_assert_uint_eq(gens.own + gens.box + gens.flags, 0);
	gens = after(RECORD("copy")FROM, NULL);
	ck_assert_uint_eq(gens.box, 1);
	gens = after("action=move\tcolleague=bob\tmailbox="OTHER_GUID
		     "\tuidvalidity=1\tuids=1:3"TO, NULL);
	ck_assert_uint_eq(gens.box, 1);
	gens = after("action=move\toutcome=failed\tcolleague=bob\tmailbox="GUID
		     "\tuidvalidity=1\tuids=1:3"FROM, NULL);
	ck_assert_uint_eq(gens.box, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("generations");
	TCase *tc = tcase_create("generations");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_read);
	tcase_add_test(tc, test_epoch);
	tcase_add_test(tc, test_journal);
	tcase_add_test(tc, test_service_killed);
	tcase_add_test(tc, test_not_ours);
	tcase_add_test(tc, test_collision);
	tcase_add_test(tc, test_places);
	tcase_add_test(tc, test_records);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
