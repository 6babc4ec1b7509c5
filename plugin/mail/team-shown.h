/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SHOWN_H
#define TEAM_SHOWN_H

/* Claims as a session knows them. */

struct team_claim {
	uint32_t uid;
	/* empty: nobody knows who holds it */
	const char *holder;
	time_t since, until;
};
ARRAY_DEFINE_TYPE(team_claim, struct team_claim);

struct team_shown_claims {
	/* what the service is told to get only what has changed since; NULL
	   before there is anything */
	char *cursor;
	/* by UID */
	ARRAY_TYPE(team_claim) list;
	uint32_t sum;
	/* the holders' names, each once */
	pool_t pool;
	ARRAY_TYPE(const_string) holders;
};

#endif
