/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_H
#define TEAM_SERVICE_H

/* What the parts of the service share. */

struct team_service {
	const struct team_settings *set;
	const char *node;
	struct ledger *ledger;
	struct journal *journal;
	struct shipper *shipper;
	struct pg_conn *requests;
	struct boxes *boxes;
	struct state *state;
	struct lapses *lapses;
	struct notices *notices;
	struct checkpoints *checkpoints;
	time_t started;

	/* of connected clients */
	unsigned int sessions_count;
};

#endif
