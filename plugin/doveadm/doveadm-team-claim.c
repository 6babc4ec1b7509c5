/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team claim, doveadm team who */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "time-util.h"
#include "team-client.h"
#include "doveadm-team.h"

#include <time.h>

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

static void claim_print_time(const char *value)
{
	intmax_t secs;
	time_t at;

	if (str_to_intmax(value, &secs) < 0 || secs == 0) {
		doveadm_team_print("");
		return;
	}
	at = secs;
	doveadm_team_print(t_strftime("%Y-%m-%d %H:%M:%S", localtime(&at)));
}

/* Sends a request. Returns 0, or -1 with the error logged. */
static int
claim_request(struct doveadm_team *team, const char *what, const char *cmd,
	      const char *const *args, struct team_answer *answer_r)
{
	const char *error;

	if (team_client_request(team->session, team->pool, cmd, args, answer_r,
				&error) < 0) {
		doveadm_team_unanswered(what, error);
		return -1;
	}
	if (answer_r->code != NULL) {
		doveadm_team_refused(team, what, answer_r->code,
				     answer_r->args);
		return -1;
	}
	return 0;
}

static void
claim_change(struct doveadm_cmd_context *cctx, const char *op,
	     const char *colleague)
{
	const char *args[5], *const *data, *mailbox, *uids;
	struct doveadm_team *team;
	struct team_answer answer;

	if (!doveadm_cmd_param_str(cctx, "mailbox", &mailbox) ||
	    !doveadm_cmd_param_str(cctx, "uids", &uids)) {
		doveadm_team_usage_error("team claim: a mailbox and a set of "
			"UIDs are needed (3 or 3,7:9)");
		return;
	}
	args[0] = op;
	args[1] = mailbox;
	args[2] = uids;
	args[3] = colleague;
	args[4] = NULL;
	if (doveadm_team_connect(cctx, CLAIM_TIMEOUT_MSECS, &team) < 0)
		return;
	if (claim_request(team, mailbox, "ADMIN-CLAIM", args, &answer) == 0) {
		doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
		doveadm_print_header_simple("uid");
		doveadm_print_header_simple("outcome");
		doveadm_print_header_simple("former");
		doveadm_print_header_simple("until");
		array_foreach_elem(&answer.data, data) {
			if (str_array_length(data) < 5)
				continue;
			doveadm_team_print(data[1]);
			doveadm_team_print(data[0]);
			doveadm_team_print(strcmp(data[0], "granted") == 0 ||
				strcmp(data[0], "renewed") == 0 ? "" : data[2]);
			claim_print_time(strcmp(data[0], "released") == 0 ?
					 "0" : data[4]);
			/* somebody is moving or deleting it */
			if (strcmp(data[0], "held") == 0)
				doveadm_exit_code = EX_TEMPFAIL;
		}
	}
	doveadm_team_disconnect(&team);
}

static void cmd_team_claim_take(struct doveadm_cmd_context *cctx)
{
	const char *colleague;

	if (!doveadm_cmd_param_str(cctx, "colleague", &colleague) ||
	    *colleague == '\0') {
		doveadm_team_usage_error("team claim: a colleague is needed");
		return;
	}
	claim_change(cctx, "take", colleague);
}

static void cmd_team_claim_release(struct doveadm_cmd_context *cctx)
{
	claim_change(cctx, "release", NULL);
}

/*
 * who
 */

static void who_print_sessions(struct team_answer *answer)
{
	const char *const *data;

	array_foreach_elem(&answer->data, data) {
		if (str_array_length(data) < 7)
			continue;
		doveadm_team_print(data[0]);
		doveadm_team_print("open");
		doveadm_team_print("");
		claim_print_time(data[1]);
		doveadm_team_print("");
		doveadm_team_print(*data[2] != '\0' ? data[2] : data[4]);
		doveadm_team_print(data[3]);
		doveadm_team_print(data[6]);
	}
	if (answer->args[0] != NULL) {
		i_error("These nodes didn't answer, who has the mailbox open "
			"there isn't known: %s", answer->args[0]);
		doveadm_exit_code = EX_TEMPFAIL;
	}
}

/* The columns that team.claims() returns */
enum {
	WHO_CLAIM_ROW,
	WHO_CLAIM_MAILBOX,
	WHO_CLAIM_GUID,
	WHO_CLAIM_UIDVALIDITY,
	WHO_CLAIM_UID,
	WHO_CLAIM_MESSAGE_ID,
	WHO_CLAIM_HOLDER,
	WHO_CLAIM_SINCE,
	WHO_CLAIM_UNTIL,
	WHO_CLAIM_COUNT
};

static void who_print_claims(struct team_answer *answer)
{
	const char *const *data;

	array_foreach_elem(&answer->data, data) {
		if (strcmp(data[WHO_CLAIM_ROW], "row") != 0 ||
		    str_array_length(data) < WHO_CLAIM_COUNT)
			continue;
		doveadm_team_print(data[WHO_CLAIM_HOLDER]);
		doveadm_team_print("claim");
		doveadm_team_print(data[WHO_CLAIM_UID]);
		doveadm_team_print(t_strcut(data[WHO_CLAIM_SINCE], '+'));
		doveadm_team_print(t_strcut(data[WHO_CLAIM_UNTIL], '+'));
		doveadm_team_print("");
		doveadm_team_print("");
		doveadm_team_print("");
	}
}

static void cmd_team_who(struct doveadm_cmd_context *cctx)
{
	static const char *const headers[] = {
		"colleague", "what", "uid", "since", "until", "client", "ip",
		"node"
	};
	const char *args[3], *mailbox;
	struct team_answer sessions, claims;
	struct doveadm_team *team;
	unsigned int i;

	if (!doveadm_cmd_param_str(cctx, "mailbox", &mailbox) ||
	    *mailbox == '\0') {
		doveadm_team_usage_error("team who: a mailbox is needed");
		return;
	}
	if (doveadm_team_connect(cctx, CLAIM_TIMEOUT_MSECS, &team) < 0)
		return;
	args[0] = mailbox;
	args[1] = NULL;
	if (claim_request(team, mailbox, "WHO", args, &sessions) == 0) {
		args[0] = "claims";
		args[1] = t_strconcat("mailbox=", mailbox, NULL);
		args[2] = NULL;
		doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
		for (i = 0; i < N_ELEMENTS(headers); i++)
			doveadm_print_header_simple(headers[i]);
		who_print_sessions(&sessions);
		if (claim_request(team, mailbox, "QUERY", args, &claims) == 0)
			who_print_claims(&claims);
	}
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

struct doveadm_cmd_ver2 doveadm_cmd_team_claim_take = {
	.name = "team claim take",
	.cmd = cmd_team_claim_take,
	.usage = "<colleague> <mailbox> <uids>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "colleague", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "uids", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

/* To take for somebody what another holds is to hand it over. */
struct doveadm_cmd_ver2 doveadm_cmd_team_claim_hand_over = {
	.name = "team claim hand-over",
	.cmd = cmd_team_claim_take,
	.usage = "<colleague> <mailbox> <uids>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "colleague", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "uids", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_team_claim_release = {
	.name = "team claim release",
	.cmd = cmd_team_claim_release,
	.usage = "<mailbox> <uids>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAM('\0', "uids", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_team_who = {
	.name = "team who",
	.cmd = cmd_team_who,
	.usage = "<mailbox>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
