/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_H
#define TEAM_SERVICE_H

/* What the parts of the service share. */

struct team_service {
	const struct team_settings *set;
	const char *node;
	struct ledger *ledger;
	/* NULL as long as it can't be opened */
	struct journal *journal;
	/* why it couldn't */
	char *journal_error;
	/* requests that were refused since it was tried */
	unsigned int refused;
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
