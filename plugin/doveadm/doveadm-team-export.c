/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team audit export, checkpoints */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "strnum.h"
#include "progress.h"
#include "audit-format.h"
#include "audit-read.h"
#include "audit-resume.h"
#include "audit-trust.h"
#include "doveadm-team.h"

#include <sys/stat.h>
#include <unistd.h>

#define EXPORT_TIMEOUT_MSECS (5*60*1000)

struct export_context {
	enum audit_format format;
	FILE *file;
	struct team_progress progress;
	bool failed;
};

static bool export_record(const struct team_export *exp, const char *error,
			  void *context)
{
	struct export_context *ctx = context;

	if (error != NULL) {
		/* what can't be read is exported as far as it can: a check
		   finds it */
		i_error("Record %"PRIu64" can't be read: %s", exp->seq, error);
		doveadm_exit_code = EX_DATAERR;
	}
	if (exp->node == NULL || exp->record == NULL)
		return TRUE;
	T_BEGIN {
		audit_format_record(ctx->format, exp, ctx->file);
	} T_END;
	team_progress_add(&ctx->progress, 1);
	ctx->failed = ctx->file == stdout ? doveadm_team_output_failed() :
		ferror(ctx->file) != 0;
	return !ctx->failed;
}

static int export_fail_write(const char *path)
{
	i_error("write(%s) failed: %m", path);
	doveadm_exit_code = EX_IOERR;
	return -1;
}

static int
export_nodes(struct doveadm_team *team, const ARRAY_TYPE(audit_node) *nodes,
	     uint64_t after, struct export_context *ctx)
{
	const struct audit_node *node;

	array_foreach(nodes, node) {
		if (audit_read_records(team, node, after, 0, export_record,
				       ctx) < 0)
			return -1;
		if (ctx->failed)
			return 0;
	}
	return 0;
}

static int export_open(struct doveadm_cmd_context *cctx,
		       const ARRAY_TYPE(audit_node) *nodes, const char *path,
		       struct export_context *ctx, uint64_t *after)
{
	const struct audit_node *node = array_front(nodes);
	bool resume = FALSE, empty = TRUE;

	(void)doveadm_cmd_param_bool(cctx, "resume", &resume);
	if (resume && (path == NULL || array_count(nodes) > 1)) {
		doveadm_team_usage_error("--resume needs --output and, if "
			"there are several nodes, --node");
		return -1;
	}
	if (path == NULL) {
		ctx->file = stdout;
		audit_format_header(ctx->format, ctx->file);
		return 0;
	}
	/* mail logs are nobody else's business */
	(void)umask(0077);
	ctx->file = fopen(path, resume ? "a+" : "w");
	if (ctx->file == NULL)
		return export_fail_write(path);
	if (resume && audit_resume(ctx->file, path, ctx->format, node->name,
				   after, &empty) < 0)
		return -1;
	if (empty)
		audit_format_header(ctx->format, ctx->file);
	return 0;
}

static void export_run(struct doveadm_cmd_context *cctx,
		       struct doveadm_team *team, enum audit_format format,
		       uint64_t after)
{
	struct export_context ctx = { .format = format };
	ARRAY_TYPE(audit_node) nodes;
	const char *path = NULL, *only = NULL;
	int64_t missing;

	(void)doveadm_cmd_param_str(cctx, "output", &path);
	(void)doveadm_cmd_param_str(cctx, "node", &only);
	if (audit_trust_wait_shipped(team, &missing) < 0 ||
	    audit_read_nodes(team, only, &nodes) < 0)
		return;
	if (missing > 0) {
		i_warning("PostgreSQL doesn't have the last %"PRId64" records "
			  "yet: the export lacks them", missing);
	}
	if (export_open(cctx, &nodes, path, &ctx, &after) == 0) {
		team_progress_init(&ctx.progress, audit_nodes_records(&nodes) -
				    I_MIN(after, audit_nodes_records(&nodes)));
		(void)export_nodes(team, &nodes, after, &ctx);
		team_progress_deinit(&ctx.progress);
		if (path != NULL && (fflush(ctx.file) != 0 || ctx.failed ||
				     fsync(fileno(ctx.file)) < 0))
			(void)export_fail_write(path);
	}
	if (path != NULL && ctx.file != NULL) {
		i_info("%"PRIu64" records written to %s", ctx.progress.records, path);
		fclose(ctx.file);
	}
}

static void cmd_team_audit_export(struct doveadm_cmd_context *cctx)
{
	enum audit_format format = AUDIT_FORMAT_JSONL;
	struct doveadm_team *team;
	uint64_t after = 0;
	const char *value;

	if (doveadm_cmd_param_str(cctx, "format", &value) &&
	    audit_format_parse(value, &format) < 0) {
		doveadm_team_usage_error(
			"--format: there is no '%s', only: jsonl csv ecs",
			value);
		return;
	}
	if (doveadm_cmd_param_str(cctx, "after", &value) &&
	    str_to_uint64(value, &after) < 0) {
		doveadm_team_usage_error("--after: '%s' isn't a number",
					 value);
		return;
	}
	if (doveadm_team_connect(cctx, EXPORT_TIMEOUT_MSECS, &team) < 0)
		return;
	export_run(cctx, team, format, after);
	doveadm_team_disconnect(&team);
}

static void cmd_team_audit_checkpoints(struct doveadm_cmd_context *cctx)
{
	struct doveadm_team *team;
	ARRAY_TYPE(audit_node) nodes;
	const struct audit_node *node;
	const char *only = NULL;
	string_t *notes = str_new(default_pool, 4096);

	(void)doveadm_cmd_param_str(cctx, "node", &only);
	if (doveadm_team_connect(cctx, EXPORT_TIMEOUT_MSECS, &team) < 0) {
		str_free(&notes);
		return;
	}
	if (audit_read_nodes(team, only, &nodes) == 0) {
		array_foreach(&nodes, node) {
			if (audit_read_notes(team, node, notes) < 0)
				break;
		}
		fputs(str_c(notes), stdout);
	}
	str_free(&notes);
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_export = {
	.name = "team audit export",
	.cmd = cmd_team_audit_export,
	.usage = "[--format jsonl|csv|ecs] [--output <file>] [--resume] "
		"[--node <node>] [--after <record>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "format", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "output", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "resume", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "node", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "after", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_checkpoints = {
	.name = "team audit checkpoints",
	.cmd = cmd_team_audit_checkpoints,
	.usage = "[--node <node>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "node", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
