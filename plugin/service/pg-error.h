/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PG_ERROR_H
#define TEAM_PG_ERROR_H

/* What to do about an error of PostgreSQL, by its SQLSTATE. */

enum pg_action {
	/* the server is fine and says no to this request, now and later */
	PG_ACTION_GIVE_UP,
	/* the same request may work later on this connection */
	PG_ACTION_RETRY,
	/* so it may when the schema was upgraded, or was made at all */
	PG_ACTION_SCHEMA,
	/* this connection is of no use any more */
	PG_ACTION_RECONNECT,
	/* the records don't follow what the database has: ask it anew */
	PG_ACTION_RESYNC
};

/* sqlstate may be NULL: the connection was lost. */
enum pg_action pg_error_action(const char *sqlstate);

#endif
