/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team claim */

#include "team-common.h"
#include "doveadm-team.h"

#define CLAIM_TIMEOUT_MSECS (30*1000)

static const char *const claim_columns[] = {
	"mailbox", "uid", "holder", "since", "until", "message_id", NULL
};

static void cmd_team_claim_list(struct doveadm_cmd_context *cctx)
{
	static const struct doveadm_team_view view = {
		.columns = claim_columns,
	};
	struct doveadm_team *team;
	const char *args[2] = { NULL, NULL }, *mailbox;
	unsigned int rows;

	if (doveadm_cmd_param_str(cctx, "mailbox", &mailbox))
		args[0] = t_strconcat("mailbox=", mailbox, NULL);
	if (doveadm_team_connect(cctx, CLAIM_TIMEOUT_MSECS, &team) < 0)
		return;
	(void)doveadm_team_query(team, "claims", args, &view, &rows);
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_claim_list = {
	.name = "team claim list",
	.cmd = cmd_team_claim_list,
	.usage = "[<mailbox>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
