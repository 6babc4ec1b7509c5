/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_LISTEN_H
#define TEAM_LISTEN_H

/* Do notifications of PostgreSQL get here? Something between may let
   questions through and no notifications. Only when one comes can silence
   mean that nothing was changed. */

#include "pg-conn.h"

#define LISTEN_CHANNEL "team"
/* One of the connection's. */
#define LISTEN_STATEMENT \
	{ "listen", "SELECT pg_notify('"LISTEN_CHANNEL"', $1)" }

/* The connection was made: sends a notification, of the form
   <node id> - 0 listen <id> */
void listen_begin(struct pg_conn *conn, int node_id);
/* One came with this id, which may be NULL. */
void listen_heard(const char *id);
/* The connection was lost: a callback of it. */
void listen_lost(void *context);

#endif
