/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connection parameters, and what is sent first on every connection. */

#include "team-common.h"
#include "strnum.h"
#include "pg-conn-private.h"
#include "schema-version.h"

#define SCHEMA_SQL "SELECT value FROM team.status() " \
	"WHERE key = 'schema_version'"
#define HELLO_SQL "SELECT node_id, hwm FROM team.hello($1)"

static void pg_notice(void *context ATTR_UNUSED, const PGresult *result)
{
	const char *severity = PQresultErrorField(result,
						  PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && strcmp(severity, "WARNING") == 0) {
		i_warning("PostgreSQL: %s",
			  pg_error_text(PQresultErrorMessage(result)));
	}
}

PGconn *pg_connect_start(const char *conninfo, const char *name)
{
	/* what stands before dbname are defaults that conninfo can change */
	const char *const keywords[] = {
		"fallback_application_name",
		"keepalives_idle", "keepalives_interval", "keepalives_count",
		"tcp_user_timeout", "dbname",
		/* text that isn't UTF-8 was never let into a parameter */
		"client_encoding", NULL
	};
	const char *const values[] = {
		t_strconcat("dovecot-", name, NULL),
		"10", "5", "3", "10000", conninfo, "UTF8", NULL
	};
	PGconn *pg;

	pg = PQconnectStartParams(keywords, values, 1);
	if (pg == NULL)
		i_fatal_status(FATAL_OUTOFMEM, "PQconnectStart() failed");
	(void)PQsetNoticeReceiver(pg, pg_notice, NULL);
	return pg;
}

const char *pg_conninfo_error(const char *conninfo)
{
	char *error = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);
	const char *text = NULL;

	if (options == NULL) {
		text = error == NULL ? "out of memory" : pg_error_text(error);
		PQfreemem(error);
	}
	PQconninfoFree(options);
	return text;
}

bool pg_conninfo_has_password(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL), *opt;
	bool found = FALSE;

	for (opt = options; opt != NULL && opt->keyword != NULL; opt++) {
		if (opt->val != NULL && *opt->val != '\0' &&
		    (strcmp(opt->keyword, "password") == 0 ||
		     strcmp(opt->keyword, "sslpassword") == 0))
			found = TRUE;
	}
	PQconninfoFree(options);
	return found;
}

const char *pg_error_text(const char *message)
{
	char *text = t_strdup_noconst(message), *p;
	size_t len = strlen(text);

	while (len > 0 && text[len-1] == '\n')
		text[--len] = '\0';
	for (p = text; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	}
	return text;
}

static int send_sql(struct pg_conn *conn, const char *sql,
		    const char *const *params, unsigned int count)
{
	if (PQsendQueryParams(conn->pg, sql, count, NULL, params, NULL, NULL,
			      0) == 0)
		return -1;
	conn->setup_left++;
	return 0;
}

static int send_all(struct pg_conn *conn)
{
	const char *const params[] = { conn->node };
	const struct pg_statement *stmt;
	const char *timeout;

	/* the server gives up a bit before we do: that keeps the connection */
	timeout = t_strdup_printf("SET statement_timeout = %u",
				  conn->timeout_msecs * 9 / 10);
	/* the version comes first: it explains what fails after it */
	if (send_sql(conn, timeout, NULL, 0) < 0 ||
	    send_sql(conn, SCHEMA_SQL, NULL, 0) < 0)
		return -1;
	for (stmt = conn->statements; stmt->name != NULL; stmt++) {
		if (PQsendPrepare(conn->pg, stmt->name, stmt->sql, 0,
				  NULL) == 0)
			return -1;
		conn->setup_left++;
	}
	if (conn->channel != NULL &&
	    send_sql(conn, t_strconcat("LISTEN ", conn->channel, NULL),
		     NULL, 0) < 0)
		return -1;
	if (send_sql(conn, HELLO_SQL, params, 1) < 0)
		return -1;
	return PQpipelineSync(conn->pg) == 0 ? -1 : 0;
}

int pg_conn_setup_send(struct pg_conn *conn, const char **error_r)
{
	conn->setup_left = 0;
	conn->schema = 0;
	if (PQsetnonblocking(conn->pg, 1) < 0 ||
	    PQenterPipelineMode(conn->pg) == 0 || send_all(conn) < 0) {
		*error_r = pg_error_text(PQerrorMessage(conn->pg));
		return -1;
	}
	return 0;
}

static int schema_result(struct pg_conn *conn, PGresult *result,
			 const char **error_r)
{
	/* NULL: doveadm team schema didn't make this schema */
	if (PQntuples(result) != 1 ||
	    (PQgetisnull(result, 0, 0) == 0 &&
	     str_to_int(PQgetvalue(result, 0, 0), &conn->schema) < 0)) {
		*error_r = "team.status has no schema_version: see doveadm "
			"team schema check";
		return -1;
	}
	return 0;
}

const char *pg_conn_schema_misfit(const struct pg_conn *conn)
{
	if (conn->schema == 0 || conn->schema == TEAM_SCHEMA_VERSION)
		return NULL;
	if (conn->schema < TEAM_SCHEMA_VERSION) {
		return t_strdup_printf("The database's schema %d is older than "
			"this dovecot-team's, which is %d: run doveadm team "
			"schema upgrade", conn->schema, TEAM_SCHEMA_VERSION);
	}
	return t_strdup_printf("The database's schema %d is newer than this "
		"dovecot-team's, which is %d: upgrade dovecot-team on this "
		"machine", conn->schema, TEAM_SCHEMA_VERSION);
}

/* The schema is upgraded by the admin, not by us. An older one may do for what
   is used of it; a newer one was made by a node that was upgraded first. */
static void schema_warn(const struct pg_conn *conn)
{
	static int warned = -1;
	const char *misfit = pg_conn_schema_misfit(conn);

	if (misfit != NULL && conn->schema != warned) {
		i_warning("%s", misfit);
		warned = conn->schema;
	}
}

const char *pg_conn_schema(const struct pg_conn *conn)
{
	if (conn->schema == 0)
		return "";
	if (conn->schema == TEAM_SCHEMA_VERSION)
		return t_strdup_printf("%d", conn->schema);
	if (conn->schema > TEAM_SCHEMA_VERSION) {
		return t_strdup_printf("%d, newer than this version's %d: "
				       "upgrade dovecot-team on this machine",
				       conn->schema, TEAM_SCHEMA_VERSION);
	}
	return t_strdup_printf("%d, older than this version's %d: run doveadm "
			       "team schema upgrade", conn->schema,
			       TEAM_SCHEMA_VERSION);
}

static int hello_result(struct pg_conn *conn, PGresult *result,
			const char **error_r)
{
	intmax_t hwm;

	if (PQntuples(result) != 1 || PQnfields(result) != 2 ||
	    str_to_int(PQgetvalue(result, 0, 0), &conn->node_id) < 0 ||
	    str_to_intmax(PQgetvalue(result, 0, 1), &hwm) < 0) {
		*error_r = "team.hello returned something unexpected: the "
			"schema doesn't fit this version";
		return -1;
	}
	conn->hwm = hwm;
	schema_warn(conn);
	return 0;
}

static const char *
setup_error(const struct pg_conn *conn, const PGresult *result, bool *misfit_r)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *error = pg_error_text(PQresultErrorMessage(result));
	const char *misfit = pg_conn_schema_misfit(conn);

	if (*error == '\0')
		return "connection was lost";
	if (null_strcmp(sqlstate, "3F000") == 0) {
		*misfit_r = TRUE;
		return "The database has no schema team: run doveadm team "
			"schema install";
	}
	/* no such function, or it has other parameters */
	if (null_strcmp(sqlstate, "42883") == 0) {
		*misfit_r = TRUE;
		return misfit != NULL ? misfit : t_strconcat(error, " (see "
			"doveadm team schema check)", NULL);
	}
	/* insufficient privilege */
	if (null_strcmp(sqlstate, "42501") == 0)
		return t_strconcat(error, " (the role of team_database has to "
				   "be a member of team_service)", NULL);
	return error;
}

int pg_conn_setup_result(struct pg_conn *conn, PGresult *result,
			 const char **error_r, bool *misfit_r)
{
	*misfit_r = FALSE;
	switch (PQresultStatus(result)) {
	case PGRES_PIPELINE_SYNC:
		if (conn->setup_left == 0)
			return 1;
		*error_r = "answers are missing";
		return -1;
	case PGRES_COMMAND_OK:
		conn->setup_left--;
		return 0;
	case PGRES_TUPLES_OK:
		/* of the two SELECTs */
		return --conn->setup_left == 0 ?
			hello_result(conn, result, error_r) :
			schema_result(conn, result, error_r);
	default:
		*error_r = setup_error(conn, result, misfit_r);
		return -1;
	}
}
