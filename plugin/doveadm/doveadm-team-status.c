/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team status, audit rotate-key */

#include "team-common.h"
#include "array.h"
#include "doveadm-team.h"
#include "team-client.h"

#define STATUS_TIMEOUT_MSECS (10*1000)

/* One row: its columns are the service's keys. Titles first, then values. */
static void status_print(const struct team_answer *answer)
{
	const char *const *args;

	/* "key: value" lines read better than a table of one wide row */
	doveadm_print_init(DOVEADM_PRINT_TYPE_PAGER);
	array_foreach_elem(&answer->data, args) {
		if (args[0] != NULL)
			doveadm_print_header_simple(args[0]);
	}
	array_foreach_elem(&answer->data, args) {
		if (args[0] != NULL)
			doveadm_team_print(args[1]);
	}
}

static void cmd_team_status(struct doveadm_cmd_context *cctx)
{
	static const char *const no_args[] = { NULL };
	struct doveadm_team *team;
	struct team_answer answer;
	const char *error;

	if (doveadm_team_connect(cctx, STATUS_TIMEOUT_MSECS, &team) < 0)
		return;
	if (team_client_request(team->session, team->pool, "STATUS", no_args,
				&answer, &error) < 0)
		doveadm_team_unanswered("status", error);
	else if (answer.code != NULL)
		doveadm_team_refused(team, "status", answer.code, answer.args);
	else
		status_print(&answer);
	doveadm_team_disconnect(&team);
}

static void cmd_team_audit_rotate_key(struct doveadm_cmd_context *cctx)
{
	static const char *const no_args[] = { NULL };
	struct doveadm_team *team;
	struct team_answer answer;
	const char *error;

	if (doveadm_team_connect(cctx, STATUS_TIMEOUT_MSECS, &team) < 0)
		return;
	if (team_client_request(team->session, team->pool, "ROTATE-KEY",
				no_args, &answer, &error) < 0)
		doveadm_team_unanswered("rotate-key", error);
	else if (answer.code != NULL) {
		doveadm_team_refused(team, "rotate-key", answer.code,
				     answer.args);
	}
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_status = {
	.name = "team status",
	.cmd = cmd_team_status,
	.usage = "",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_rotate_key = {
	.name = "team audit rotate-key",
	.cmd = cmd_team_audit_rotate_key,
	.usage = "",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAMS_END
};
