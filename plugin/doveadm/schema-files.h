/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SCHEMA_FILES_H
#define TEAM_SCHEMA_FILES_H

/* The numbered migrations (NNNN-name.sql) that came with this program. */

/* SHA-256 in hex */
#define TEAM_CHECKSUM_LEN 64

struct team_migration {
	unsigned int version;
	/* the file's name without number and .sql */
	const char *name;
	const char *path;
	const char *sql;
	/* lower-case hex SHA-256 of the file */
	const char *checksum;
};
ARRAY_DEFINE_TYPE(team_migration, struct team_migration);

/* Reads all migrations of a folder, in the order of their numbers, which must
   run from 1 without a gap. Files with other names are no migrations. All is
   allocated from the pool, error_r from the data stack. Returns 0 or -1. */
int team_migrations_read(pool_t pool, const char *dir,
			 ARRAY_TYPE(team_migration) *migrations,
			 const char **error_r);

#endif
