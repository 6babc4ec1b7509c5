/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The team service: start, shutdown, and how its parts are put together. */

#include "team-common.h"
#include "hostpid.h"
#include "ipwd.h"
#include "ioloop.h"
#include "restrict-access.h"
#include "write-full.h"
#include "master-service.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "audit-reading.h"
#include "journal.h"
#include "pg-conn.h"
#include "shipper.h"
#include "box.h"
#include "checkpoints.h"
#include "client.h"
#include "clock.h"
#include "generations.h"
#include "intents.h"
#include "service.h"
#include "service-settings-read.h"
#include "spool.h"
#include "state.h"
#include "lapse.h"
#include "notices.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_FILE_NAME "team.pid"
#define JOURNAL_NOTE_NAME "team-journal-fails"
#define JOURNAL_RETRY_MSECS 1000
/* An older process may still be shipping its last records. */
#define JOURNAL_WAIT_MSECS 10000
/* How long to go on shipping at shutdown. */
#define SHUTDOWN_SHIP_MSECS 1000
/* So often a process that is to end looks whether another one waits for the
   journal. */
#define SUCCESSOR_CHECK_MSECS 50

/* as of nice */
#define PRIORITY -10

static struct team_service service;
static struct ledger *ledger;
static struct timeout *to_journal, *to_successor;
static char *journal_note_path;
static int pid_fd = -1;

/* Makes the journal's directory while there are the rights to. */
static void journal_dir_create(const char *dir, uid_t uid, gid_t gid)
{
	if (mkdir(dir, 0700) < 0) {
		if (errno != EEXIST)
			i_fatal("mkdir(%s) failed: %m (team_journal_dir)", dir);
		return;
	}
	if (geteuid() == 0 && uid != (uid_t)-1 && chown(dir, uid, gid) < 0)
		i_fatal("chown(%s) failed: %m (team_journal_dir)", dir);
}

/* A file that the service goes on writing without the rights to make it.
   Nothing depends on these, so errors don't stop the service. */
static int run_file_create(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0) {
		if (errno != EACCES)
			i_warning("open(%s) failed: %m", path);
	} else if ((geteuid() == 0 && uid != (uid_t)-1 &&
		    fchown(fd, uid, gid) < 0) || fchmod(fd, mode) < 0)
		i_warning("%s can't be written: %m", path);
	return fd;
}

static void pid_file_empty(void)
{
	if (pid_fd >= 0 && ftruncate(pid_fd, 0) < 0)
		i_warning("ftruncate("PID_FILE_NAME") failed: %m");
}

static void run_files_create(const char *base_dir, uid_t uid, gid_t gid)
{
	const char *path = t_strdup_printf("%s/"PID_FILE_NAME, base_dir);
	int fd;

	pid_fd = run_file_create(path, 0644, uid, gid);
	pid_file_empty();

	/* what an older process noted stays */
	path = t_strdup_printf("%s/"JOURNAL_NOTE_NAME, base_dir);
	fd = run_file_create(path, 0600, uid, gid);
	if (fd >= 0)
		journal_note_path = i_strdup(path);
	i_close_fd(&fd);
}

/* The file stays empty until the service answers. */
static void pid_file_write(void)
{
	const char *pid = t_strdup_printf("%s\n", my_pid);

	if (pid_fd >= 0 && write_full(pid_fd, pid, strlen(pid)) < 0)
		i_warning("write("PID_FILE_NAME") failed: %m");
}

static bool successor_has_come(void)
{
	struct stat st;

	/* it has emptied the file */
	return pid_fd < 0 || fstat(pid_fd, &st) < 0 || st.st_size == 0;
}

static void successor_check(void *context ATTR_UNUSED)
{
	if (successor_has_come())
		master_service_stop(master_service);
}

/* Dovecot is stopped or reloaded. Clients that were active just now may stay for
   a while: so does the service, until the last one has gone, unless it has a
   successor, which needs the journal. */
static void main_die(void)
{
	if (clients_count() == 0 || successor_has_come())
		master_service_stop(master_service);
	else if (to_successor == NULL) {
		to_successor = timeout_add_short(SUCCESSOR_CHECK_MSECS,
						 successor_check, NULL);
	}
}

/* Every mail process waits for its answers: on a busy machine it mustn't stand
   behind all of them. Without the rights to it, it does. */
static void main_set_priority(void)
{
	const struct rlimit limit = {
		.rlim_cur = 20 - PRIORITY, .rlim_max = 20 - PRIORITY
	};

	if (setrlimit(RLIMIT_NICE, &limit) == 0)
		(void)setpriority(PRIO_PROCESS, 0, PRIORITY);
}

static void main_preinit(const struct team_settings *set,
			 const char *base_dir)
{
	struct restrict_access_settings rset;

	main_set_priority();
	restrict_access_get_env(&rset);
	journal_dir_create(set->team_journal_dir, rset.uid, rset.gid);
	run_files_create(base_dir, rset.uid, rset.gid);
	if (generations_init(base_dir) < 0 && errno != EACCES) {
		i_warning("%s/"TEAM_GENERATIONS_FILE_NAME" can't be made: %m: "
			  "opening a mailbox always asks PostgreSQL", base_dir);
	}
	restrict_access_by_env(0, NULL);
	restrict_access_allow_coredumps(TRUE);
}

static enum journal_fsync fsync_mode(const struct team_settings *set)
{
	if (strcmp(set->team_fsync, "always") == 0)
		return JOURNAL_FSYNC_ALWAYS;
	if (strcmp(set->team_fsync, "never") == 0)
		return JOURNAL_FSYNC_NEVER;
	return JOURNAL_FSYNC_OPTIMIZED;
}

/* What doveconf can't check, and what stops nothing. */
static void main_check_settings(const struct team_settings *set)
{
	const char *const *names, *error;
	struct passwd pw;

	error = pg_conninfo_error(set->team_database);
	if (error != NULL) {
		i_error("team_database isn't a PostgreSQL connection string: "
			"%s", error);
	} else if (pg_conninfo_has_password(set->team_database)) {
		i_warning("team_database holds a password, which everybody can "
			  "read who can read Dovecot's settings: put it into a "
			  "passfile (passfile=...), or use peer authentication");
	}
	names = t_strsplit_spaces(set->team_trusted_users, " ");
	for (; *names != NULL; names++) {
		if (i_getpwnam(*names, &pw) == 0) {
			i_warning("team_trusted_users: there is no system user "
				  "%s", *names);
		}
	}
}

/* Everything that works with the journal. */
static void main_init_parts(void)
{
	const struct team_settings *set = service.set;
	const char *error;

	journal_set_writable_callback(service.journal, generations_journal);
	if (strcmp(service.node, journal_get_node(service.journal)) != 0) {
		i_error("team_node is %s, but the journal in %s is %s's: going "
			"on as %s. To change the name, stop Dovecot when "
			"everything is shipped and remove the journal",
			service.node, set->team_journal_dir,
			journal_get_node(service.journal),
			journal_get_node(service.journal));
		service.node = journal_get_node(service.journal);
	}
	audit_reading_init(&service);
	clock_init(&service);
	service.boxes = boxes_init();
	main_check_settings(set);
	service.shipper = shipper_init(service.journal, set->team_database);
	service.lapses = lapses_init(&service);
	service.notices = notices_init(&service);
	service.state = state_init(&service);
	if (checkpoints_init(&service, &service.checkpoints, &error) < 0)
		i_fatal("Can't sign checkpoints: %s", error);
	clients_init(&service);
	spools_init(&service);
	intents_init(&service);
}

static bool main_open_journal(void)
{
	struct journal_settings journal_set;
	const char *error;
	int ret;

	i_zero(&journal_set);
	journal_set.dir = service.set->team_journal_dir;
	journal_set.node = service.node;
	journal_set.fsync = fsync_mode(service.set);
	journal_set.note_path = journal_note_path;
	journal_set.refused = service.refused;
	ret = journal_open(&journal_set, ledger, JOURNAL_WAIT_MSECS,
			   &service.journal, &error);
	if (ret < 0)
		i_fatal("Can't open the journal: %s", error);
	service.refused = 0;
	if (ret == 0 && null_strcmp(service.journal_error, error) != 0) {
		i_error("journal: %s: changes are refused until it can be "
			"written again", error);
		i_free(service.journal_error);
		service.journal_error = i_strdup(error);
	}
	return ret > 0;
}

/* Until then clients are told that there is none. */
static void main_retry_journal(void *context ATTR_UNUSED)
{
	if (!main_open_journal())
		return;
	timeout_remove(&to_journal);
	i_free(service.journal_error);
	/* they come again, and say anew what they were refused */
	clients_deinit();
	main_init_parts();
}

static void main_init(const struct team_settings *set)
{
	const char *node;

	node = set->team_node[0] != '\0' ? set->team_node : my_hostname;
	if (!team_node_name_is_valid(node)) {
		i_fatal("The host's name \"%s\" can't be used as the node's: "
			"set team_node", node);
	}
	if (set->team_database[0] == '\0') {
		i_fatal("team_database isn't set: it has to be a PostgreSQL "
			"connection string");
	}

	service.set = set;
	service.started = ioloop_time;
	service.ledger = ledger = ledger_init();
	service.node = node;
	if (main_open_journal())
		main_init_parts();
	else {
		clients_init(&service);
		to_journal = timeout_add(JOURNAL_RETRY_MSECS,
					 main_retry_journal, NULL);
	}
}

static void client_connected(struct master_service_connection *conn)
{
	master_service_client_connection_accept(conn);
	client_create(conn);
}

static void ship_timeout(bool *timed_out)
{
	*timed_out = TRUE;
}

/* Gives PostgreSQL a last chance to take what is journalled. */
static void main_ship_rest(void)
{
	bool timed_out = FALSE;
	struct timeout *to;

	if (!shipper_is_connected(service.shipper))
		return;
	to = timeout_add(SHUTDOWN_SHIP_MSECS, ship_timeout, &timed_out);
	while (!timed_out && shipper_is_connected(service.shipper) &&
	       (!shipper_is_idle(service.shipper) ||
		!checkpoints_are_sent(service.checkpoints))) {
		/* a signal stops it, and then no timeout is called */
		io_loop_set_running(current_ioloop);
		io_loop_handler_run(current_ioloop);
	}
	timeout_remove(&to);
}

static void main_deinit_parts(void)
{
	journal_flush(service.journal);
	(void)journal_sync(service.journal);
	clients_deinit();
	spools_deinit();
	intents_deinit();
	audit_reading_deinit();
	clock_deinit();
	journal_flush(service.journal);
	checkpoints_write(service.checkpoints);
	main_ship_rest();
	state_deinit(&service.state);
	notices_deinit(&service.notices);
	checkpoints_deinit(&service.checkpoints);
	shipper_deinit(&service.shipper);
	journal_close(&service.journal);
	lapses_deinit(&service.lapses);
	boxes_deinit(&service.boxes);
}

static void main_deinit(void)
{
	/* the ioloop runs once more to ship the rest */
	master_service_stop_new_connections(master_service);
	generations_deinit();
	timeout_remove(&to_successor);
	timeout_remove(&to_journal);
	pid_file_empty();
	if (service.journal != NULL)
		main_deinit_parts();
	else
		clients_deinit();
	i_free(service.journal_error);
	i_free(journal_note_path);
	ledger_deinit(&ledger);
	i_close_fd(&pid_fd);
}

int main(int argc, char *argv[])
{
	/* it ships and listens without any client, too */
	const enum master_service_flags flags =
		MASTER_SERVICE_FLAG_NO_IDLE_DIE |
		MASTER_SERVICE_FLAG_NO_SSL_INIT |
		MASTER_SERVICE_FLAG_DONT_SEND_STATS;
	const struct team_settings *set;
	const char *base_dir, *error;

	master_service = master_service_init("team", flags, &argc, &argv, "");
	if (master_getopt(master_service) > 0)
		return FATAL_DEFAULT;
	if (service_settings_read(master_service, &set, &base_dir,
				  &error) < 0)
		i_fatal("Error reading configuration: %s", error);
	master_service_init_log_with_pid(master_service);
	/* a full disk is an error of write(), not the end */
	(void)signal(SIGXFSZ, SIG_IGN);
	main_preinit(set, base_dir);
	master_service_set_die_with_master(master_service, TRUE);
	master_service_set_die_callback(master_service, main_die);

	main_init(set);
	master_service_init_finish(master_service);
	pid_file_write();
	master_service_run(master_service, client_connected);
	main_deinit();
	service_settings_free(&set);
	master_service_deinit(&master_service);
	return 0;
}
