/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The connection to the team service's socket for administrators, who asks,
   and plain words for what can go wrong. */

#include "team-common.h"
#include "net.h"
#include "doveadm-team.h"
#include "team-protocol.h"
#include "team-client.h"
#include "team-operator.h"

#include <signal.h>

static void
doveadm_team_session_info(const struct doveadm_cmd_context *cctx,
			  struct team_session_info *info_r)
{
	i_zero(info_r);
	info_r->colleague = team_operator_doveadm(
		cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI);
	info_r->service = "doveadm";
	if (cctx->remote_ip.family != 0)
		info_r->ip = net_ip2addr(&cctx->remote_ip);
}

static const char *connect_error_advice(int err)
{
	switch (err) {
	case ENOENT:
		return "start Dovecot, and see that its configuration has "
			"service team { unix_listener team-admin { "
			"mode = 0600 } }";
	case EACCES:
	case EPERM:
		return "run this as root, or as a user that may open the "
			"socket";
	case ECONNREFUSED:
		return "Dovecot isn't running: start it";
	default:
		return "see Dovecot's log";
	}
}

/* Looks whether somebody listens, so that an administrator needn't wait for
   the time limit to be told that Dovecot is down. */
static int team_socket_probe(const char *path)
{
	int fd = net_connect_unix(path);

	if (fd == -1) {
		i_error("The team service can't be reached at %s: %m (%s)",
			path, connect_error_advice(errno));
		doveadm_exit_code = EX_TEMPFAIL;
		return -1;
	}
	i_close_fd(&fd);
	return 0;
}

void doveadm_team_interruptible(struct doveadm_cmd_context *cctx)
{
	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI)
		return;
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	/* whoever reads the output has seen enough: don't go on for nobody */
	(void)signal(SIGPIPE, SIG_DFL);
	doveadm_team_output_begin();
}

int doveadm_team_connect(struct doveadm_cmd_context *cctx,
			 unsigned int timeout_msecs,
			 struct doveadm_team **team_r)
{
	struct team_session_info info;
	struct doveadm_team *team;
	struct team_client *client;
	const char *path;
	pool_t pool;

	path = t_strconcat(doveadm_settings->base_dir,
			   "/"TEAM_ADMIN_SOCKET_NAME, NULL);
	if (team_socket_probe(path) < 0)
		return -1;
	doveadm_team_interruptible(cctx);

	pool = pool_alloconly_create("doveadm team", 1024);
	team = p_new(pool, struct doveadm_team, 1);
	team->pool = pool;
	team->socket_path = p_strdup(pool, path);
	doveadm_team_session_info(cctx, &info);
	client = team_client_get(doveadm_settings->base_dir, path,
				 timeout_msecs);
	team->session = team_session_init(client, &info, NULL, NULL);
	/* the session has a reference of its own */
	team_client_unref(&client);
	*team_r = team;
	return 0;
}

void doveadm_team_disconnect(struct doveadm_team **_team)
{
	struct doveadm_team *team = *_team;

	*_team = NULL;
	team_session_deinit(&team->session);
	pool_unref(&team->pool);
}

void doveadm_team_refused(struct doveadm_team *team, const char *what,
			  const char *code, const char *const *args)
{
	const char *text = args != NULL && args[0] != NULL ? args[0] : "";

	if (strcmp(code, TEAM_CODE_UNAVAILABLE) == 0) {
		/* the text says what is the matter with PostgreSQL */
		i_error("%s: %s (doveadm team status says more)", what,
			*text == '\0' ? "PostgreSQL can't be reached" : text);
		doveadm_exit_code = EX_TEMPFAIL;
	} else if (strcmp(code, TEAM_CODE_JOURNAL) == 0) {
		i_error("%s: The team service can't record the query in its "
			"journal, and doesn't answer without: %s", what, text);
		doveadm_exit_code = EX_TEMPFAIL;
	} else if (strcmp(code, TEAM_CODE_DENIED) == 0) {
		i_error("%s: The team service doesn't allow this over %s: %s",
			what, team->socket_path, text);
		doveadm_exit_code = EX_NOPERM;
	} else if (strcmp(code, TEAM_CODE_INVALID) == 0) {
		i_error("%s: The team service refused this: %s (restart "
			"Dovecot if dovecot-team was just upgraded)",
			what, text);
		doveadm_exit_code = EX_PROTOCOL;
	} else {
		i_error("%s: %s: %s", what, code, text);
		doveadm_exit_code = EX_TEMPFAIL;
	}
}

void doveadm_team_unanswered(const char *what, const char *error)
{
	i_error("%s: %s: see Dovecot's log", what, error);
	doveadm_exit_code = EX_TEMPFAIL;
}

void doveadm_team_usage_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	i_error("%s", t_strdup_vprintf(fmt, args));
	va_end(args);
	doveadm_exit_code = EX_USAGE;
}
