/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The owner's connection to PostgreSQL, for installing and upgrading the
   schema. Nothing else outside the service talks to PostgreSQL. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "schema-database.h"

#include <libpq-fe.h>

/* int8multirange */
#define MIN_SERVER_VERSION 140000
/* "team" in ASCII: the advisory lock of whoever changes the schema */
#define SCHEMA_LOCK_KEY "1952801133"
#define SCHEMA_LOCK_WAIT "60s"
#define CONNECT_TIMEOUT_SECS "10"

#define SQLSTATE_LOCK_NOT_AVAILABLE "55P03"
#define SQLSTATE_INSUFFICIENT_PRIVILEGE "42501"

struct team_database {
	PGconn *conn;
};

/* libpq's messages have line breaks and indents; ours are one line. */
static const char *pq_text(const char *text)
{
	if (text == NULL)
		return "";
	return t_strarray_join(t_strsplit_spaces(text, " \t\n"), " ");
}

static bool pq_state_is(const PGresult *res, const char *sqlstate)
{
	return null_strcmp(PQresultErrorField(res, PG_DIAG_SQLSTATE),
			   sqlstate) == 0;
}

static void
append_field(string_t *str, const PGresult *res, int field, const char *label)
{
	const char *text = PQresultErrorField(res, field);

	if (text != NULL)
		str_printfa(str, "%s%s", label, pq_text(text));
}

/* sql: what was run, if its error position is to be shown as a line */
static const char *
pq_error(struct team_database *db, const PGresult *res, const char *sql)
{
	string_t *str = t_str_new(256);
	const char *pos = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	unsigned int i, chars, line = 1;

	if (PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) == NULL)
		return pq_text(PQerrorMessage(db->conn));
	if (sql != NULL && pos != NULL && str_to_uint(pos, &chars) == 0) {
		/* the position counts characters; continuation bytes of UTF-8
		   aren't any */
		for (i = 1; i < chars && *sql != '\0'; sql++) {
			if (*sql == '\n')
				line++;
			if (((unsigned char)sql[1] & 0xc0) != 0x80)
				i++;
		}
		str_printfa(str, "line %u: ", line);
	}
	append_field(str, res, PG_DIAG_MESSAGE_PRIMARY, "");
	append_field(str, res, PG_DIAG_MESSAGE_DETAIL, "; ");
	append_field(str, res, PG_DIAG_MESSAGE_HINT, "; hint: ");
	append_field(str, res, PG_DIAG_CONTEXT, "; in: ");
	return str_c(str);
}

static bool pq_succeeded(const PGresult *res)
{
	switch (PQresultStatus(res)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		return TRUE;
	default:
		return FALSE;
	}
}

static int
database_exec(struct team_database *db, const char *sql, const char **error_r)
{
	PGresult *res = PQexec(db->conn, sql);
	int ret = 0;

	if (!pq_succeeded(res)) {
		*error_r = t_strdup_printf("%s: %s", sql,
					   pq_error(db, res, NULL));
		ret = -1;
	}
	PQclear(res);
	return ret;
}

/* Runs a query that gives one row. Returns its fields, or NULL on error. */
static const char *const *
database_row(struct team_database *db, const char *sql, const char **error_r)
{
	PGresult *res = PQexec(db->conn, sql);
	const char **row = NULL;
	int i, count;

	if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1) {
		*error_r = t_strdup_printf("%s: %s", sql,
					   pq_error(db, res, NULL));
	} else {
		count = PQnfields(res);
		row = t_new(const char *, count + 1);
		for (i = 0; i < count; i++)
			row[i] = t_strdup(PQgetvalue(res, 0, i));
	}
	PQclear(res);
	return row;
}

static void database_notice(void *context ATTR_UNUSED, const char *message)
{
	T_BEGIN {
		i_warning("PostgreSQL: %s", pq_text(message));
	} T_END;
}

static PGconn *database_open(const char *conninfo)
{
	/* What stands before dbname are defaults: conninfo overrides them. */
	const char *const keywords[] = {
		"fallback_application_name", "connect_timeout", "dbname",
		"client_encoding", NULL
	};
	const char *const values[] = {
		"doveadm team schema", CONNECT_TIMEOUT_SECS, conninfo,
		"UTF8", NULL
	};

	return PQconnectdbParams(keywords, values, 1);
}

/* Names in the migrations are qualified; nothing in another schema may stand
   in for what they mean. */
static int database_setup(struct team_database *db, const char **error_r)
{
	return database_exec(db,
		"SET search_path = pg_catalog, pg_temp; "
		"SET standard_conforming_strings = on; "
		"SET client_min_messages = warning; "
		"SET statement_timeout = 0; "
		"SET idle_in_transaction_session_timeout = 0", error_r);
}

static int
database_check_server(struct team_database *db, const char **error_r)
{
	const char *const *row;
	int version = PQserverVersion(db->conn);

	if (version < MIN_SERVER_VERSION) {
		*error_r = t_strdup_printf("PostgreSQL %d is too old: "
			"dovecot-team needs version %d or later",
			version / 10000, MIN_SERVER_VERSION / 10000);
		return -1;
	}
	row = database_row(db,
		"SELECT current_database(), "
		"current_setting('server_encoding')", error_r);
	if (row == NULL)
		return -1;
	if (strcmp(row[1], "UTF8") != 0) {
		*error_r = t_strdup_printf("The database %s has the encoding "
			"%s, dovecot-team needs UTF8: make it with "
			"createdb --encoding=UTF8 --template=template0",
			row[0], row[1]);
		return -1;
	}
	return 0;
}

/* Returns 1 if the schema stands, 0 if there is none, -1 on error. */
static int
database_find_schema(struct team_database *db, const char **error_r)
{
	const char *const *row;

	row = database_row(db,
		"SELECT current_database(), "
		"EXISTS (SELECT FROM pg_namespace WHERE nspname = 'team'), "
		"EXISTS (SELECT FROM pg_class c "
			"JOIN pg_namespace n ON n.oid = c.relnamespace "
			"WHERE nspname = 'team' AND relname = 'migration')",
		error_r);
	if (row == NULL)
		return -1;
	if (strcmp(row[1], "t") != 0)
		return 0;
	if (strcmp(row[2], "t") != 0) {
		*error_r = t_strdup_printf("The database %s has a schema named "
			"team without a table team.migration: something else "
			"made it. Use another database, or rename that schema",
			row[0]);
		return -1;
	}
	return 1;
}

static int
database_check_owner(struct team_database *db, const char **error_r)
{
	const char *const *row;
	int ret;

	row = database_row(db,
		"SELECT current_database(), current_user, "
		"current_setting('transaction_read_only'), "
		"has_database_privilege(current_database(), 'CREATE')",
		error_r);
	if (row == NULL)
		return -1;
	if (strcmp(row[2], "on") == 0) {
		*error_r = t_strdup_printf("The database %s can only be read "
			"here (a standby server?): name the primary one, or "
			"several with target_session_attrs=read-write",
			row[0]);
		return -1;
	}
	if ((ret = database_find_schema(db, error_r)) < 0)
		return -1;
	if (ret == 0) {
		if (strcmp(row[3], "t") == 0)
			return 0;
		*error_r = t_strdup_printf("%s may not create a schema in the "
			"database %s: connect as the database's owner, or "
			"GRANT CREATE ON DATABASE to %s", row[1], row[0],
			row[1]);
		return -1;
	}
	row = database_row(db,
		"SELECT current_user, pg_get_userbyid(nspowner), "
		"pg_has_role(nspowner, 'USAGE') "
		"FROM pg_namespace WHERE nspname = 'team'", error_r);
	if (row == NULL)
		return -1;
	if (strcmp(row[2], "t") != 0) {
		*error_r = t_strdup_printf("The schema team belongs to %s, "
			"but the connection is %s's: connect as %s",
			row[1], row[0], row[1]);
		return -1;
	}
	return 0;
}

/* The lock is the session's: it goes with the connection. */
static int
database_lock(struct team_database *db, bool *temporary_r,
	      const char **error_r)
{
	PGresult *res;
	int ret = 0;

	if (database_exec(db, "SET lock_timeout = '"SCHEMA_LOCK_WAIT"'",
			  error_r) < 0)
		return -1;
	res = PQexec(db->conn, "SELECT pg_advisory_lock("SCHEMA_LOCK_KEY")");
	if (pq_state_is(res, SQLSTATE_LOCK_NOT_AVAILABLE)) {
		*temporary_r = TRUE;
		*error_r = "Another doveadm team schema has been changing "
			"this database for over "SCHEMA_LOCK_WAIT": run "
			"this one again when it has finished";
		ret = -1;
	} else if (!pq_succeeded(res)) {
		*error_r = t_strdup_printf("Can't lock the schema: %s",
					   pq_error(db, res, NULL));
		ret = -1;
	}
	PQclear(res);
	if (ret < 0)
		return -1;
	return database_exec(db, "SET lock_timeout = 0", error_r);
}

int team_database_connect(const char *conninfo,
			  enum team_database_access access,
			  struct team_database **db_r, bool *temporary_r,
			  const char **error_r)
{
	struct team_database *db;

	*temporary_r = FALSE;
	db = i_new(struct team_database, 1);
	db->conn = database_open(conninfo);
	if (PQstatus(db->conn) != CONNECTION_OK) {
		*temporary_r = TRUE;
		*error_r = t_strdup_printf("Can't connect to PostgreSQL: %s",
					   pq_text(PQerrorMessage(db->conn)));
	} else {
		PQsetNoticeProcessor(db->conn, database_notice, NULL);
		if (database_setup(db, error_r) == 0 &&
		    database_check_server(db, error_r) == 0 &&
		    (access == TEAM_DATABASE_READ ||
		     (database_lock(db, temporary_r, error_r) == 0 &&
		      database_check_owner(db, error_r) == 0))) {
			*db_r = db;
			return 0;
		}
	}
	team_database_deinit(&db);
	return -1;
}

void team_database_deinit(struct team_database **_db)
{
	struct team_database *db = *_db;

	*_db = NULL;
	PQfinish(db->conn);
	i_free(db);
}

int team_database_read_applied(struct team_database *db, pool_t pool,
			       ARRAY_TYPE(team_applied) *applied,
			       const char **error_r)
{
	struct team_applied *row;
	PGresult *res;
	int i, ret;

	if ((ret = database_find_schema(db, error_r)) <= 0)
		return ret;
	res = PQexec(db->conn,
		"SELECT version, coalesce(name, ''), "
		"to_char(applied_at, 'YYYY-MM-DD HH24:MI:SSOF'), "
		"coalesce(checksum, '') "
		"FROM team.migration ORDER BY version");
	if (PQresultStatus(res) != PGRES_TUPLES_OK) {
		*error_r = t_strdup_printf("Can't read team.migration: %s%s",
			pq_error(db, res, NULL),
			pq_state_is(res, SQLSTATE_INSUFFICIENT_PRIVILEGE) ?
			" (connect as the schema's owner)" : "");
		ret = -1;
	}
	for (i = 0; ret > 0 && i < PQntuples(res); i++) {
		row = array_append_space(applied);
		if (str_to_uint(PQgetvalue(res, i, 0), &row->version) < 0) {
			*error_r = t_strdup_printf("team.migration has a row "
				"with the version %s: it was changed by hand",
				PQgetvalue(res, i, 0));
			ret = -1;
		}
		row->name = p_strdup(pool, PQgetvalue(res, i, 1));
		row->applied_at = p_strdup(pool, PQgetvalue(res, i, 2));
		row->checksum = p_strdup(pool, PQgetvalue(res, i, 3));
	}
	PQclear(res);
	return ret < 0 ? -1 : 0;
}

static int
migration_run(struct team_database *db, const struct team_migration *migration,
	      const char **error_r)
{
	PGresult *res = PQexec(db->conn, migration->sql);
	int ret = 0;

	if (!pq_succeeded(res)) {
		*error_r = t_strdup_printf("%s: %s%s", migration->path,
			pq_error(db, res, migration->sql),
			pq_state_is(res, SQLSTATE_INSUFFICIENT_PRIVILEGE) ?
			" (the role that installs needs CREATE on the "
			"database, and CREATEROLE unless the roles "
			"team_service and team_auditor are there already)" :
			"");
		ret = -1;
	} else if (PQtransactionStatus(db->conn) != PQTRANS_INTRANS) {
		*error_r = t_strdup_printf("%s ends the transaction by "
			"itself: it must not have COMMIT or ROLLBACK in it. "
			"What it did before stays done",
			migration->path);
		ret = -1;
	}
	PQclear(res);
	return ret;
}

static int
migration_enter(struct team_database *db,
		const struct team_migration *migration, const char **error_r)
{
	const char *const values[] = {
		t_strdup_printf("%u", migration->version),
		migration->name, migration->checksum
	};
	PGresult *res;
	int ret = 0;

	res = PQexecParams(db->conn,
		"INSERT INTO team.migration (version, name, checksum) "
		"VALUES ($1, $2, $3)", N_ELEMENTS(values), NULL, values, NULL,
		NULL, 0);
	if (!pq_succeeded(res)) {
		*error_r = t_strdup_printf("Can't enter %s into "
			"team.migration: %s", migration->path,
			pq_error(db, res, NULL));
		ret = -1;
	}
	PQclear(res);
	return ret;
}

int team_database_apply(struct team_database *db,
			const struct team_migration *migration,
			const char **error_r)
{
	const char *error;

	if (database_exec(db, "BEGIN", error_r) < 0)
		return -1;
	if (migration_run(db, migration, error_r) < 0 ||
	    migration_enter(db, migration, error_r) < 0) {
		(void)database_exec(db, "ROLLBACK", &error);
		return -1;
	}
	return database_exec(db, "COMMIT", error_r);
}

int team_database_begin(struct team_database *db, const char **error_r)
{
	return database_exec(db, "BEGIN", error_r);
}

int team_database_query(struct team_database *db, const char *sql,
			const char *const *params, unsigned int params_count,
			const char *const *const **rows_r,
			const char **error_r)
{
	PGresult *res = PQexecParams(db->conn, sql, params_count, NULL, params,
				     NULL, NULL, 0);
	int i, row, count = PQntuples(res), fields = PQnfields(res);
	const char ***rows, **values;

	if (!pq_succeeded(res)) {
		*error_r = pq_error(db, res, NULL);
		PQclear(res);
		return -1;
	}
	rows = t_new(const char **, count + 1);
	for (row = 0; row < count; row++) {
		rows[row] = values = t_new(const char *, fields + 1);
		for (i = 0; i < fields; i++)
			values[i] = t_strdup(PQgetvalue(res, row, i));
	}
	PQclear(res);
	*rows_r = (const char *const *const *)rows;
	return 0;
}

int team_database_commit(struct team_database *db, const char **error_r)
{
	return database_exec(db, "COMMIT", error_r);
}
