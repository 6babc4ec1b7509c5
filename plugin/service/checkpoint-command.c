/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handing signed notes to the administrator's command. */

#include "team-common.h"
#include "execv-const.h"
#include "ioloop.h"
#include "write-full.h"
#include "checkpoints.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND_CHECK_MSECS 500
#define COMMAND_MAX_SECS 60

static pid_t command_pid = -1;
static time_t command_started;
static struct timeout *to_command;

static void command_check(struct timeout **to ATTR_UNUSED)
{
	int status;
	pid_t pid = waitpid(command_pid, &status, WNOHANG);

	if (pid == 0) {
		if (command_started + COMMAND_MAX_SECS < ioloop_time) {
			i_error("team_checkpoint_command is killed: it ran "
				"for more than %d seconds", COMMAND_MAX_SECS);
			(void)kill(command_pid, SIGKILL);
		}
		return;
	}
	if (pid > 0 && WIFSIGNALED(status)) {
		i_error("team_checkpoint_command died with signal %d",
			WTERMSIG(status));
	} else if (pid > 0 && WEXITSTATUS(status) != 0) {
		i_error("team_checkpoint_command failed: exit code %d",
			WEXITSTATUS(status));
	}
	command_pid = -1;
	timeout_remove(&to_command);
}

static void command_child(const char *command, int fd)
{
	const char *const *args = t_strsplit_spaces(command, " ");

	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(127);
	(void)signal(SIGPIPE, SIG_DFL);
	/* nobody waits for it */
	(void)setpriority(PRIO_PROCESS, 0, 0);
	execv_const(args[0], args);
}

bool checkpoint_command_run(const char *command, const char *note)
{
	int fd[2];

	if (command_pid != -1)
		command_check(&to_command);
	if (command_pid != -1)
		return FALSE;
	if (pipe(fd) < 0) {
		i_error("pipe() failed: %m");
		return TRUE;
	}
	fd_close_on_exec(fd[0], TRUE);
	fd_close_on_exec(fd[1], TRUE);
	/* it fits into the pipe */
	if (write_full(fd[1], note, strlen(note)) < 0)
		i_error("write(pipe) failed: %m");
	command_pid = fork();
	if (command_pid == 0)
		command_child(command, fd[0]);
	if (command_pid < 0)
		i_error("fork() failed: %m");
	else {
		command_started = ioloop_time;
		to_command = timeout_add_short(COMMAND_CHECK_MSECS, command_check,
					 &to_command);
	}
	i_close_fd(&fd[0]);
	i_close_fd(&fd[1]);
	return TRUE;
}

void checkpoint_command_deinit(void)
{
	timeout_remove(&to_command);
}
