/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of SQLSTATEs. */

#include "team-common.h"
#include "pg-error.h"

static const struct {
	/* a class (2 characters) or one state; the first match counts */
	const char *prefix;
	enum pg_action action;
} pg_errors[] = {
	/* raised by team.ingest */
	{ "TE001", PG_ACTION_RESYNC },
	/* connection exception; protocol_violation is our own fault, and a
	   new connection the only way to get in step again */
	{ "08", PG_ACTION_RECONNECT },
	/* prepared statement is gone: a pooler, or DISCARD ALL */
	{ "26", PG_ACTION_RECONNECT },
	/* a prepared statement's columns changed: the schema was upgraded */
	{ "0A000", PG_ACTION_RECONNECT },
	/* read-only: connected to a standby, or the server became one */
	{ "25006", PG_ACTION_RECONNECT },
	{ "25", PG_ACTION_RECONNECT },
	/* authorization: the admin can mend it */
	{ "28", PG_ACTION_RECONNECT },
	/* no such database: the admin can mend it */
	{ "3D", PG_ACTION_RECONNECT },
	/* serialization failure, deadlock */
	{ "40", PG_ACTION_RETRY },
	/* schema or function is missing, or the function has other parameters */
	{ "3F", PG_ACTION_SCHEMA },
	{ "42883", PG_ACTION_SCHEMA },
	/* table or right is missing: not installed yet, or being upgraded. A
	   record isn't wrong for that. */
	{ "42", PG_ACTION_RETRY },
	/* out of disk, memory, connections; limits */
	{ "53", PG_ACTION_RETRY },
	{ "54", PG_ACTION_GIVE_UP },
	/* lock not available, object in use */
	{ "55", PG_ACTION_RETRY },
	/* query cancelled: statement timeout */
	{ "57014", PG_ACTION_RETRY },
	/* shutdown, crash, starting up */
	{ "57", PG_ACTION_RECONNECT },
	/* I/O error */
	{ "58", PG_ACTION_RETRY },
	{ "F0", PG_ACTION_RETRY },
	/* internal error, corrupted data or index */
	{ "XX", PG_ACTION_RETRY },
};

enum pg_action pg_error_action(const char *sqlstate)
{
	unsigned int i;

	if (sqlstate == NULL)
		return PG_ACTION_RECONNECT;
	for (i = 0; i < N_ELEMENTS(pg_errors); i++) {
		if (strncmp(sqlstate, pg_errors[i].prefix,
			    strlen(pg_errors[i].prefix)) == 0)
			return pg_errors[i].action;
	}
	/* data exceptions, violated constraints, raised exceptions */
	return PG_ACTION_GIVE_UP;
}
