/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team schema: installs, upgrades and checks the schema in the
   database, as its owner. */

#include "team-common.h"
#include "array.h"
#include "doveadm-team.h"
#include "schema-database.h"

struct schema_context {
	pool_t pool;
	struct team_database *db;
	ARRAY_TYPE(team_migration) migrations;
	ARRAY_TYPE(team_applied) applied;
	ARRAY_TYPE(team_step) steps;
};

static void schema_failed(const char *error, bool temporary)
{
	i_error("%s", error);
	doveadm_exit_code = temporary ? EX_TEMPFAIL : DOVEADM_EX_NOTPOSSIBLE;
}

static int
schema_read(struct schema_context *ctx, const char *sql_dir,
	    const char *conninfo, enum team_database_access access)
{
	const char *error;
	bool temporary = FALSE;

	if (team_migrations_read(ctx->pool, sql_dir, &ctx->migrations,
				 &error) < 0 ||
	    team_database_connect(conninfo, access, &ctx->db, &temporary,
				  &error) < 0 ||
	    team_database_read_applied(ctx->db, ctx->pool, &ctx->applied,
				       &error) < 0) {
		schema_failed(error, temporary);
		return -1;
	}
	team_schema_plan(&ctx->migrations, &ctx->applied, &ctx->steps);
	return 0;
}

static void schema_deinit(struct schema_context **_ctx)
{
	struct schema_context *ctx = *_ctx;

	*_ctx = NULL;
	if (ctx->db != NULL)
		team_database_deinit(&ctx->db);
	pool_unref(&ctx->pool);
}

/* Reads the parameters, the migrations and what has been applied. Returns NULL
   with the error logged and the exit code set. */
static struct schema_context *
schema_init(struct doveadm_cmd_context *cctx, enum team_database_access access)
{
	struct schema_context *ctx;
	const char *conninfo, *sql_dir;
	pool_t pool;

	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI) {
		i_error("doveadm team schema works on the command line only");
		doveadm_exit_code = EX_NOPERM;
		return NULL;
	}
	if (!doveadm_cmd_param_str(cctx, "database", &conninfo) ||
	    *conninfo == '\0') {
		doveadm_team_usage_error("Name the database with --database: "
			"a libpq connection string of the role that owns the "
			"schema (not the service's), such as "
			"--database 'dbname=team user=owner'");
		return NULL;
	}
	if (!doveadm_cmd_param_str(cctx, "sql-dir", &sql_dir))
		sql_dir = TEAM_SQL_DIR;

	doveadm_team_interruptible(cctx);
	pool = pool_alloconly_create("doveadm team schema", 64*1024);
	ctx = p_new(pool, struct schema_context, 1);
	ctx->pool = pool;
	p_array_init(&ctx->migrations, pool, 16);
	p_array_init(&ctx->applied, pool, 16);
	p_array_init(&ctx->steps, pool, 16);
	if (schema_read(ctx, sql_dir, conninfo, access) < 0)
		schema_deinit(&ctx);
	return ctx;
}

static void schema_print_headers(void)
{
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	doveadm_print_header_simple("version");
	doveadm_print_header_simple("name");
	doveadm_print_header_simple("state");
	doveadm_print_header_simple("applied_at");
}

static void schema_print_step(const struct team_step *step, const char *state)
{
	doveadm_print(t_strdup_printf("%04u", step->version));
	doveadm_team_print(step->name);
	doveadm_print(state);
	doveadm_team_print(step->applied_at);
}

/* Returns -1 if something that upgrading can't put right stands in the way. */
static int schema_check_blocks(struct schema_context *ctx)
{
	const struct team_step *step;
	int ret = 0;

	array_foreach(&ctx->steps, step) {
		if (team_step_blocks(step)) {
			schema_failed(team_step_problem(step), FALSE);
			ret = -1;
		}
	}
	return ret;
}

static void schema_apply(struct schema_context *ctx)
{
	const struct team_step *step;
	const char *error;

	schema_print_headers();
	array_foreach(&ctx->steps, step) {
		if (step->state == TEAM_STEP_OK) {
			schema_print_step(step, "ok");
			continue;
		}
		if (team_database_apply(ctx->db, step->migration,
					&error) < 0) {
			schema_failed(t_strdup_printf(
				"Migration %04u-%s was not applied: %s",
				step->version, step->name, error), FALSE);
			return;
		}
		schema_print_step(step, "applied");
	}
}

static void cmd_team_schema_install(struct doveadm_cmd_context *cctx)
{
	struct schema_context *ctx;
	unsigned int applied;

	ctx = schema_init(cctx, TEAM_DATABASE_CHANGE);
	if (ctx == NULL)
		return;
	applied = array_count(&ctx->applied);
	if (schema_check_blocks(ctx) < 0) {
		/* said what is wrong */
	} else if (applied > 0 && applied < array_count(&ctx->migrations)) {
		schema_failed(t_strdup_printf("The schema is installed "
			"already, with %u of this program's %u migrations: "
			"run doveadm team schema upgrade", applied,
			array_count(&ctx->migrations)), FALSE);
	} else {
		schema_apply(ctx);
	}
	schema_deinit(&ctx);
}

static void schema_failed_not_installed(void)
{
	schema_failed("The schema isn't installed in this database: "
		      "run doveadm team schema install", FALSE);
}

static void cmd_team_schema_upgrade(struct doveadm_cmd_context *cctx)
{
	struct schema_context *ctx;

	ctx = schema_init(cctx, TEAM_DATABASE_CHANGE);
	if (ctx == NULL)
		return;
	if (array_count(&ctx->applied) == 0)
		schema_failed_not_installed();
	else if (schema_check_blocks(ctx) == 0)
		schema_apply(ctx);
	schema_deinit(&ctx);
}

static void cmd_team_schema_check(struct doveadm_cmd_context *cctx)
{
	struct schema_context *ctx;
	const struct team_step *step;
	const char *problem;

	ctx = schema_init(cctx, TEAM_DATABASE_READ);
	if (ctx == NULL)
		return;
	schema_print_headers();
	array_foreach(&ctx->steps, step)
		schema_print_step(step, team_step_state_name(step->state));
	if (array_count(&ctx->applied) == 0)
		schema_failed_not_installed();
	else array_foreach(&ctx->steps, step) {
		if ((problem = team_step_problem(step)) != NULL)
			schema_failed(problem, FALSE);
	}
	schema_deinit(&ctx);
}

#define SCHEMA_USAGE "-d|--database <connection string> [--sql-dir <folder>]"
#define SCHEMA_PARAMS \
DOVEADM_CMD_PARAMS_START \
DOVEADM_CMD_PARAM('d', "database", CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAM('\0', "sql-dir", CMD_PARAM_STR, 0) \
DOVEADM_CMD_PARAMS_END

struct doveadm_cmd_ver2 doveadm_cmd_team_schema_install = {
	.name = "team schema install",
	.cmd = cmd_team_schema_install,
	.usage = SCHEMA_USAGE,
SCHEMA_PARAMS
};

struct doveadm_cmd_ver2 doveadm_cmd_team_schema_upgrade = {
	.name = "team schema upgrade",
	.cmd = cmd_team_schema_upgrade,
	.usage = SCHEMA_USAGE,
SCHEMA_PARAMS
};

struct doveadm_cmd_ver2 doveadm_cmd_team_schema_check = {
	.name = "team schema check",
	.cmd = cmd_team_schema_check,
	.usage = SCHEMA_USAGE,
SCHEMA_PARAMS
};
