/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team erase: forgets a person, as the owner of the schema: the service
   itself may change nothing in the log. */

#include "team-common.h"
#include "array.h"
#include "doveadm-team.h"
#include "schema-database.h"
#include "team-client.h"

#define ERASE_TIMEOUT_MSECS (60*1000)

/* The record is there before it is done for good. It doesn't say who was
   erased. */
static int erase_record(struct doveadm_team *team, const char *records,
			const char *fields)
{
	const char *const args[] = {
		"action=erase", "outcome=ok",
		t_strconcat("d.records=", records, NULL),
		t_strconcat("d.fields=", fields, NULL), NULL
	};
	struct team_answer answer;
	const char *error;

	if (team_client_request(team->session, team->pool, "EVENT", args,
				&answer, &error) < 0) {
		doveadm_team_unanswered("erase", error);
		return -1;
	}
	if (answer.code != NULL) {
		doveadm_team_refused(team, "erase", answer.code, answer.args);
		return -1;
	}
	return 0;
}

static void erase_run(struct doveadm_team *team, const char *conninfo,
		      const char *colleague)
{
	struct team_database *db = NULL;
	const char *const *const *rows, *error;
	bool temporary = FALSE;

	if (team_database_connect(conninfo, TEAM_DATABASE_CHANGE, &db,
				  &temporary, &error) < 0 ||
	    team_database_begin(db, &error) < 0 ||
	    team_database_query(db, "SELECT records, coalesce(fields, 0) "
				"FROM team.erase($1)", &colleague, 1, &rows,
				&error) < 0) {
		i_error("Nothing was erased: %s", error);
		doveadm_exit_code = temporary ? EX_TEMPFAIL :
			DOVEADM_EX_NOTPOSSIBLE;
	} else if (strcmp(rows[0][0], "0") == 0) {
		i_error("The log has nothing about %s", colleague);
		doveadm_exit_code = DOVEADM_EX_NOTFOUND;
	} else if (erase_record(team, rows[0][0], rows[0][1]) == 0) {
		if (team_database_commit(db, &error) < 0) {
			i_error("Erasing failed, and is recorded as done: run "
				"it again: %s", error);
			doveadm_exit_code = EX_TEMPFAIL;
		} else {
			i_info("Erased %s fields in %s records", rows[0][1],
			       rows[0][0]);
		}
	}
	if (db != NULL)
		team_database_deinit(&db);
}

static void cmd_team_erase(struct doveadm_cmd_context *cctx)
{
	const char *conninfo, *colleague;
	struct doveadm_team *team;

	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI) {
		i_error("doveadm team erase works on the command line only");
		doveadm_exit_code = EX_NOPERM;
		return;
	}
	if (!doveadm_cmd_param_str(cctx, "colleague", &colleague) ||
	    *colleague == '\0' ||
	    !doveadm_cmd_param_str(cctx, "database", &conninfo) ||
	    *conninfo == '\0') {
		doveadm_team_usage_error("Say whom to erase, and name the "
			"database as the role that owns the schema: doveadm "
			"team erase --database 'dbname=team user=owner' "
			"<colleague>");
		return;
	}
	if (doveadm_team_connect(cctx, ERASE_TIMEOUT_MSECS, &team) < 0)
		return;
	erase_run(team, conninfo, colleague);
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_erase = {
	.name = "team erase",
	.cmd = cmd_team_erase,
	.usage = "--database <connection string> <colleague>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('d', "database", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "colleague", CMD_PARAM_STR,
		  CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
