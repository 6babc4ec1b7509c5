/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team audit retain: drops the log's oldest months, as the owner of
   the schema, after this node's service has signed that they may go. */

#include "team-common.h"
#include "array.h"
#include "strnum.h"
#include "verify.h"
#include "audit-read.h"
#include "audit-trust.h"
#include "doveadm-team.h"
#include "schema-database.h"
#include "team-client.h"

#include <stdlib.h>

#define RETAIN_TIMEOUT_MSECS (5*60*1000)
/* Behind the cut the next checkpoint is not far. */
#define RETAIN_READ_RECORDS 1000

#define PLAN_SQL "SELECT before, months, node, first, last, signed, " \
	"to_char(before AT TIME ZONE 'UTC', 'YYYY-MM-DD') " \
	"FROM team.retain_plan($1::interval)"
#define NOTE_SQL "SELECT team.add_note(n.id, 'cut', $2) FROM team.node n " \
	"WHERE n.name = $1"
#define RETAIN_SQL "SELECT months, records " \
	"FROM team.retain($1::timestamptz, string_to_array($2, ','))"

enum plan_column {
	PLAN_BEFORE, PLAN_MONTHS, PLAN_NODE, PLAN_FIRST, PLAN_LAST, PLAN_SIGNED,
	PLAN_DAY
};

struct retain_context {
	struct doveadm_cmd_context *cctx;
	struct doveadm_team *team;
	struct team_database *db;
	/* this node */
	const char *node;
	const char *keep, *given_up;
	bool dry_run;

	/* a row for each node */
	const char *const *const *plan;

	/* of this node */
	struct team_verify *verify;
	uint64_t first, last;
	/* up to where its log was read */
	uint64_t seen;
	/* the tree at the cut; origin is NULL until it's reached */
	struct team_verify_state cut;
	/* over: what follows is of another tree */
	bool covered, over, bad;
};

static int retain_fail(int code, const char *error)
{
	i_error("%s", error);
	doveadm_exit_code = code;
	return -1;
}

/* "12mo" as PostgreSQL understands it. */
static const char *retain_interval(const char *text)
{
	static const struct {
		const char *name, *unit;
	} units[] = {
		{ "d", "days" }, { "day", "days" }, { "days", "days" },
		{ "mo", "months" }, { "month", "months" },
		{ "months", "months" },
		{ "y", "years" }, { "year", "years" }, { "years", "years" }
	};
	size_t digits = strspn(text, "0123456789");
	const char *name = text + digits;
	unsigned int i, count;

	if (str_to_uint(t_strndup(text, digits), &count) < 0 || count == 0 ||
	    count > 100000)
		return NULL;
	name += strspn(name, " ");
	for (i = 0; i < N_ELEMENTS(units); i++) {
		if (strcasecmp(name, units[i].name) == 0)
			return t_strdup_printf("%u %s", count, units[i].unit);
	}
	return NULL;
}

static int retain_plan(struct retain_context *ctx)
{
	const char *error;

	if (team_database_query(ctx->db, PLAN_SQL, &ctx->keep, 1, &ctx->plan,
				&error) < 0)
		return retain_fail(DOVEADM_EX_NOTPOSSIBLE, error);
	return 0;
}

/* ---- the cut ---- */

static void retain_found(enum team_verdict verdict ATTR_UNUSED,
			 const char *text, void *context)
{
	struct retain_context *ctx = context;

	ctx->bad = TRUE;
	i_error("%s", text);
}

/* Goes on to the first checkpoint at or behind the cut: only then is it sure
   what the tree is there. */
static bool
retain_record(const struct team_export *exp, const char *error, void *context)
{
	struct retain_context *ctx = context;
	struct team_verify_state state;

	if (ctx->covered || ctx->over)
		return TRUE;
	if (error != NULL) {
		team_verify_bad_record(ctx->verify, exp->node, exp->seq,
				       error);
		return FALSE;
	}
	ctx->seen = exp->seq;
	team_verify_record(ctx->verify, exp);
	if (exp->seq < ctx->last)
		return !ctx->bad;
	team_verify_get_state(ctx->verify, &state);
	if (exp->seq == ctx->last)
		ctx->cut = state;
	ctx->over = ctx->cut.origin == NULL ||
		state.origin != ctx->cut.origin;
	ctx->covered = !ctx->bad && !ctx->over && state.good_seq >= ctx->last;
	return !ctx->bad;
}

/* Reads up to the cut, and then some more each time: what is read is recorded,
   and so is whether somebody broke off reading. */
static int
retain_read(struct retain_context *ctx, const struct audit_node *node)
{
	uint64_t after, limit = ctx->last - ctx->first + 1;

	do {
		after = ctx->seen;
		if (audit_read_records(ctx->team, node, after, limit,
				       retain_record, ctx) < 0)
			return -1;
		limit = RETAIN_READ_RECORDS;
	} while (!ctx->bad && !ctx->covered && !ctx->over &&
		 ctx->seen > after);
	return 0;
}

/* Checks the node's log up to the cut. */
static int retain_check(struct retain_context *ctx)
{
	ARRAY_TYPE(audit_node) nodes;

	if (audit_trust_load(ctx->cctx, ctx->team, ctx->node, ctx->verify,
			     NULL) < 0 ||
	    audit_read_nodes(ctx->team, ctx->node, &nodes) < 0 ||
	    retain_read(ctx, array_front(&nodes)) < 0)
		return -1;
	if (ctx->bad) {
		return retain_fail(EX_DATAERR, "Nothing was dropped: the log "
			"isn't what was signed. doveadm team audit verify says "
			"more");
	}
	if (!ctx->covered) {
		return retain_fail(DOVEADM_EX_NOTPOSSIBLE, t_strdup_printf(
			"Nothing was dropped: no checkpoint covers the records "
			"up to %"PRIu64" (%s)", ctx->last, ctx->node));
	}
	return 0;
}

static int retain_sign(struct retain_context *ctx)
{
	char *tree = team_tree_format(&ctx->cut.tree);
	const char *const args[] = {
		ctx->cut.origin, t_strdup(tree),
		t_strdup_printf("%"PRIu64, ctx->cut.first), NULL
	};
	const char *params[2], *const *const *rows, *const *line, *error;
	struct team_answer answer;

	free(tree);
	if (team_client_request(ctx->team->session, ctx->team->pool, "CUT",
				args, &answer, &error) < 0) {
		doveadm_team_unanswered("retain", error);
		return -1;
	}
	if (answer.code != NULL) {
		doveadm_team_refused(ctx->team, "retain", answer.code,
				     answer.args);
		return -1;
	}
	if (array_count(&answer.data) != 1)
		return retain_fail(EX_PROTOCOL, "The team service sent no note");
	line = array_idx_elem(&answer.data, 0);
	params[0] = ctx->node;
	params[1] = line[0];
	if (team_database_query(ctx->db, NOTE_SQL, params, 2, &rows,
				&error) < 0)
		return retain_fail(EX_TEMPFAIL, error);
	return 0;
}

/* Signs the cut of this node's log, unless it is signed. */
static int retain_own(struct retain_context *ctx)
{
	unsigned int i;
	int ret;

	for (i = 0; ctx->plan[i] != NULL; i++) {
		if (strcmp(ctx->plan[i][PLAN_NODE], ctx->node) == 0 &&
		    strcmp(ctx->plan[i][PLAN_SIGNED], "t") != 0)
			break;
	}
	if (ctx->plan[i] == NULL)
		return 0;
	if (str_to_uint64(ctx->plan[i][PLAN_FIRST], &ctx->first) < 0 ||
	    str_to_uint64(ctx->plan[i][PLAN_LAST], &ctx->last) < 0 ||
	    ctx->last < ctx->first)
		return retain_fail(EX_PROTOCOL, "That's no number of a record");
	ctx->verify = team_verify_new(retain_found, ctx);
	ret = retain_check(ctx);
	if (ret == 0 && !ctx->dry_run) {
		ret = retain_sign(ctx);
		if (ret == 0)
			ret = retain_plan(ctx);
	}
	team_verify_free(&ctx->verify);
	return ret;
}

/* ---- dropping ---- */

static void retain_show(const struct retain_context *ctx)
{
	const char *const *row;
	unsigned int i;

	row = ctx->plan[0];
	printf("%s %s before %s\n", row[PLAN_MONTHS],
	       strcmp(row[PLAN_MONTHS], "1") == 0 ? "month" : "months",
	       row[PLAN_DAY]);
	for (i = 0; (row = ctx->plan[i]) != NULL; i++) {
		if (*row[PLAN_NODE] != '\0') {
			printf("records %s to %s of %s\n", row[PLAN_FIRST],
			       row[PLAN_LAST], row[PLAN_NODE]);
		}
	}
}

/* The other nodes have to sign as well. */
static int retain_others(const struct retain_context *ctx)
{
	const char *const *given_up = t_strsplit(ctx->given_up, ",");
	const char *const *row;
	unsigned int i;
	int ret = 0;

	for (i = 0; (row = ctx->plan[i]) != NULL; i++) {
		if (*row[PLAN_NODE] == '\0' ||
		    strcmp(row[PLAN_SIGNED], "t") == 0 ||
		    str_array_find(given_up, row[PLAN_NODE]) ||
		    (ctx->dry_run && strcmp(row[PLAN_NODE], ctx->node) == 0))
			continue;
		ret = retain_fail(DOVEADM_EX_NOTPOSSIBLE, t_strdup_printf(
			"Nothing was dropped: %s has to sign the cut of its "
			"log. Run this command there; or here with --given-up "
			"%s, if that node is no more, and what is left of its "
			"log needn't be checked any more", row[PLAN_NODE],
			row[PLAN_NODE]));
	}
	return ret;
}

static uint64_t retain_prepare(struct retain_context *ctx)
{
	ARRAY_TYPE(const_string) fields;
	const char *const *record, *field, *error;
	struct team_hash root;
	char *head;
	uint64_t txn;

	t_array_init(&fields, 8);
	field = "action=erase";
	array_push_back(&fields, &field);
	field = t_strconcat("d.before=", ctx->plan[0][PLAN_DAY], NULL);
	array_push_back(&fields, &field);
	field = t_strconcat("d.months=", ctx->plan[0][PLAN_MONTHS], NULL);
	array_push_back(&fields, &field);
	if (ctx->cut.origin != NULL) {
		team_tree_root(&ctx->cut.tree, &root);
		head = team_base64_encode(root.bytes, TEAM_HASH_SIZE);
		field = t_strdup_printf("d.cut=%"PRIu64" %s", ctx->last, head);
		array_push_back(&fields, &field);
		free(head);
	}
	array_append_zero(&fields);
	record = array_front(&fields);
	txn = team_client_prepare(ctx->team->session, &record, 1, 0, NULL,
				  &error);
	if (txn == 0)
		doveadm_team_unanswered("retain", error);
	return txn;
}

static int retain_drop(struct retain_context *ctx)
{
	const char *const params[] = { ctx->plan[0][PLAN_BEFORE],
				       ctx->given_up };
	const char *fields[3] = { "outcome=ok", NULL, NULL }, *error;
	const char *const *const *rows;
	uint64_t txn = retain_prepare(ctx);

	if (txn == 0)
		return -1;
	if (team_database_begin(ctx->db, &error) < 0 ||
	    team_database_query(ctx->db, RETAIN_SQL, params, 2, &rows,
				&error) < 0 ||
	    team_database_commit(ctx->db, &error) < 0) {
		fields[0] = "outcome=failed";
		fields[1] = t_strconcat("d.error=", error, NULL);
		team_client_abort(ctx->team->session, txn, fields);
		return retain_fail(EX_TEMPFAIL, t_strconcat(
			"Nothing was dropped: ", error, NULL));
	}
	fields[1] = t_strconcat("d.records=", rows[0][1], NULL);
	if (team_client_commit(ctx->team->session, txn, fields, &error) < 0) {
		return retain_fail(EX_TEMPFAIL, t_strconcat("Dropped, but not "
			"recorded as done: ", error, NULL));
	}
	i_info("Dropped %s records", rows[0][1]);
	return 0;
}

static void retain_run(struct retain_context *ctx, const char *conninfo)
{
	const char *error;
	bool temporary = FALSE;

	if (audit_trust_status(ctx->team, "node", &ctx->node) < 0)
		return;
	if (team_database_connect(conninfo, TEAM_DATABASE_CHANGE, &ctx->db,
				  &temporary, &error) < 0) {
		(void)retain_fail(temporary ? EX_TEMPFAIL :
				  DOVEADM_EX_NOTPOSSIBLE, t_strconcat(
				  "Nothing was dropped: ", error, NULL));
		return;
	}
	if (retain_plan(ctx) == 0) {
		if (ctx->plan[0] == NULL)
			i_info("There is no month that is that old");
		else {
			retain_show(ctx);
			if (retain_own(ctx) == 0 && retain_others(ctx) == 0 &&
			    !ctx->dry_run)
				(void)retain_drop(ctx);
		}
	}
	team_database_deinit(&ctx->db);
}

static void cmd_team_audit_retain(struct doveadm_cmd_context *cctx)
{
	struct retain_context ctx = { .cctx = cctx, .given_up = "" };
	const char *conninfo, *keep;

	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI) {
		(void)retain_fail(EX_NOPERM, "doveadm team audit retain works "
				  "on the command line only");
		return;
	}
	if (!doveadm_cmd_param_str(cctx, "keep", &keep) ||
	    !doveadm_cmd_param_str(cctx, "database", &conninfo) ||
	    *conninfo == '\0') {
		doveadm_team_usage_error("Say how long to keep the log, and "
			"name the database as the role that owns the schema: "
			"doveadm team audit retain --database 'dbname=team "
			"user=owner' 12mo");
		return;
	}
	ctx.keep = retain_interval(keep);
	if (ctx.keep == NULL) {
		doveadm_team_usage_error("'%s' isn't a time to keep the log: "
			"give days, months or years (400d, 12mo, 10y)", keep);
		return;
	}
	(void)doveadm_cmd_param_str(cctx, "given-up", &ctx.given_up);
	(void)doveadm_cmd_param_bool(cctx, "dry-run", &ctx.dry_run);
	if (doveadm_team_connect(cctx, RETAIN_TIMEOUT_MSECS, &ctx.team) < 0)
		return;
	retain_run(&ctx, conninfo);
	doveadm_team_disconnect(&ctx.team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_retain = {
	.name = "team audit retain",
	.cmd = cmd_team_audit_retain,
	.usage = "--database <connection string> [--dry-run] "
		"[--given-up <node>,...] [--key <file>] [--checkpoints <file>] "
		"<how long>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('d', "database", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('n', "dry-run", CMD_PARAM_BOOL, 0)
DOVEADM_CMD_PARAM('\0', "given-up", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "key", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "checkpoints", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "keep", CMD_PARAM_STR, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
