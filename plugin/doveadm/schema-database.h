/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SCHEMA_DATABASE_H
#define TEAM_SCHEMA_DATABASE_H

#include "schema-plan.h"

struct team_database;

enum team_database_access {
	/* compare only */
	TEAM_DATABASE_READ,
	/* change the schema: waits for others who are doing it, and makes sure
	   that this role may */
	TEAM_DATABASE_CHANGE
};

/* Connects to PostgreSQL. conninfo: a connection string, URI or database name.
   Returns 0, or -1 with error_r (data stack), which never has the password in
   it; temporary_r says whether trying again later may help. */
int team_database_connect(const char *conninfo,
			  enum team_database_access access,
			  struct team_database **db_r, bool *temporary_r,
			  const char **error_r);
/* Closes the connection; a transaction that is open is rolled back. */
void team_database_deinit(struct team_database **db);

/* Reads the rows of team.migration in the order of their versions, none if
   the schema isn't installed. Returns 0 or -1. */
int team_database_read_applied(struct team_database *db, pool_t pool,
			       ARRAY_TYPE(team_applied) *applied,
			       const char **error_r);
/* Carries out one migration and enters it into team.migration, in one
   transaction. Returns 0, or -1 with nothing changed. */
int team_database_apply(struct team_database *db,
			const struct team_migration *migration,
			const char **error_r);

/* Begins a transaction: end it with team_database_commit(), or by closing the
   connection. */
int team_database_begin(struct team_database *db, const char **error_r);
/* Runs a query with text parameters. Returns 0 with its rows, each a
   NULL-terminated list of values ("" for NULL), from the data stack and
   NULL-terminated themselves, or -1. */
int team_database_query(struct team_database *db, const char *sql,
			const char *const *params, unsigned int params_count,
			const char *const *const **rows_r,
			const char **error_r);
int team_database_commit(struct team_database *db, const char **error_r);

#endif
