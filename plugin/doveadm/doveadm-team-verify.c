/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team audit verify */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "progress.h"
#include "verify.h"
#include "audit-read.h"
#include "audit-trust.h"
#include "doveadm-team.h"

#include <time.h>

#define VERIFY_TIMEOUT_MSECS (5*60*1000)

struct verify_context {
	struct team_verify *verify;
	struct team_progress progress;
};

static bool
verify_record(const struct team_export *exp, const char *error, void *context)
{
	struct verify_context *ctx = context;

	if (error == NULL)
		team_verify_record(ctx->verify, exp);
	else {
		team_verify_bad_record(ctx->verify, exp->node, exp->seq,
				       error);
	}
	team_progress_add(&ctx->progress, 1);
	return TRUE;
}

static void verify_found(enum team_verdict verdict ATTR_UNUSED,
			 const char *text, void *context ATTR_UNUSED)
{
	printf("%s\n", text);
}

static void verify_end(struct verify_context *ctx)
{
	struct team_verify_stats stats;
	enum team_verdict verdict;

	verdict = team_verify_finish(ctx->verify, &stats);
	if (stats.dropped > 0) {
		printf("%"PRIu64" records were dropped by retention, as the "
		       "cuts that are signed say\n", stats.dropped);
	}
	if (stats.before > 0) {
		printf("%"PRIu64" records are from before the tree was begun "
		       "and can't be checked\n", stats.before);
	}
	if (stats.after > 0) {
		printf("%"PRIu64" records are newer than the last checkpoint: "
		       "check them with the next one\n", stats.after);
	}
	if (verdict == TEAM_VERDICT_OK) {
		printf("ok: %"PRIu64" of %"PRIu64" records are as they were "
		       "signed in %"PRIu64" checkpoints\n", stats.covered,
		       stats.records, stats.checkpoints);
		return;
	}
	printf("FAILED: %s\n", team_verdict_name(verdict));
	/* as team-verify's */
	switch (verdict) {
	case TEAM_VERDICT_ALTERED:
		doveadm_exit_code = 1;
		break;
	case TEAM_VERDICT_MISSING:
		doveadm_exit_code = 2;
		break;
	case TEAM_VERDICT_CUT:
		doveadm_exit_code = 3;
		break;
	case TEAM_VERDICT_UNKNOWN_KEY:
		doveadm_exit_code = 4;
		break;
	default:
		doveadm_exit_code = 5;
		break;
	}
}

static void
verify_run(struct doveadm_cmd_context *cctx, struct doveadm_team *team)
{
	struct verify_context ctx;
	ARRAY_TYPE(audit_node) nodes;
	const struct audit_node *node;
	const char *only = NULL;
	int ret;

	(void)doveadm_cmd_param_str(cctx, "node", &only);
	ctx.verify = team_verify_new(verify_found, NULL);
	ret = audit_trust_load(cctx, team, only, ctx.verify, NULL);
	if (ret == 0)
		ret = audit_read_nodes(team, only, &nodes);
	if (ret == 0) {
		team_progress_init(&ctx.progress, audit_nodes_records(&nodes));
		array_foreach(&nodes, node) {
			ret = audit_read_records(team, node, 0, 0,
						 verify_record, &ctx);
			if (ret < 0)
				break;
		}
		team_progress_deinit(&ctx.progress);
	}
	if (ret == 0)
		verify_end(&ctx);
	team_verify_free(&ctx.verify);
}

static void cmd_team_audit_verify(struct doveadm_cmd_context *cctx)
{
	struct doveadm_team *team;

	if (doveadm_team_connect(cctx, VERIFY_TIMEOUT_MSECS, &team) < 0)
		return;
	verify_run(cctx, team);
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_verify = {
	.name = "team audit verify",
	.cmd = cmd_team_audit_verify,
	.usage = "[--key <file>] [--checkpoints <file>] [--node <node>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "key", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "checkpoints", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "node", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
