/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer about many messages at once: a set of those that are granted. */

#include "team-common.h"
#include "uidset.h"
#include "claim-request.h"
#include "state.h"

int claim_many_granted(struct claim_request *creq, struct box *box,
		       const PGresult *result)
{
	struct team_uidset granted, rest;
	const struct team_uid_range *range;
	int64_t since, until;
	const char *error;
	uint32_t uid;
	size_t i;

	if (pg_get_int64(result, 0, 1, &since) < 0 ||
	    pg_get_int64(result, 0, 2, &until) < 0 ||
	    team_uidset_parse_multirange(PQgetvalue(result, 0, 0), &granted,
					 &error) < 0)
		return -1;
	i_zero(&rest);
	for (i = 0; i < creq->uids.count; i++) {
		range = &creq->uids.ranges[i];
		for (uid = range->first; ; uid++) {
			if (team_uidset_contains(&granted, uid)) {
				claim_request_row(creq, box, uid, "granted",
						  creq->colleague, since,
						  until);
			} else {
				team_uidset_add(&rest, uid, uid);
			}
			if (uid == range->last)
				break;
		}
	}
	team_uidset_free(&granted);
	team_uidset_free(&creq->uids);
	creq->uids = rest;
	return 0;
}
