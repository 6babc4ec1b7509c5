/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims that PostgreSQL took or gave back and the service didn't live to
   journal, or whose answer was lost: when the same is asked again, it has been
   done, and what was done is still to be recorded. */

#include "team-common.h"
#include "record.h"
#include "claim-request.h"
#include "client.h"
#include "intents.h"
#include "ledger.h"
#include "service.h"

static bool
has_value(const struct team_record *record, const char *key, const char *value)
{
	return null_strcmp(team_record_get(record, key), value) == 0;
}

static bool set_contains_all(const struct team_uidset *set,
			     const struct team_uidset *part)
{
	struct team_uidset both;
	bool all;
	size_t i;

	i_zero(&both);
	for (i = 0; i < set->count; i++) {
		team_uidset_add(&both, set->ranges[i].first,
				set->ranges[i].last);
	}
	for (i = 0; i < part->count; i++) {
		team_uidset_add(&both, part->ranges[i].first,
				part->ranges[i].last);
	}
	all = team_uidset_size(&both) == team_uidset_size(set);
	team_uidset_free(&both);
	return all;
}

static bool
intent_is_like(const struct ledger_intent *intent,
	       const struct claim_request *creq, const char *action,
	       const struct team_uidset *uids)
{
	struct team_record *record;
	struct team_uidset set;
	const char *error;
	bool like;

	record = team_record_parse(intent->record, strlen(intent->record),
				   &error);
	if (record == NULL)
		return FALSE;
	like = has_value(record, "action", action) &&
		has_value(record, "colleague", creq->colleague) &&
		has_value(record, "mailbox", creq->guid) &&
		has_value(record, "uidvalidity", dec2str(creq->uidvalidity)) &&
		team_uidset_parse(team_record_get(record, "uids"), &set,
				  &error) == 0;
	if (like) {
		like = set_contains_all(&set, uids);
		team_uidset_free(&set);
	}
	team_record_free(&record);
	return like;
}

uint64_t claim_lost_find(const struct claim_request *creq, const char *action,
			 const struct team_uidset *uids)
{
	const struct ledger_client *client;
	const struct ledger_intent *intent;

	client = ledger_find(creq->client->service->ledger,
			     INTENTS_SERVICE_CLIENT);
	for (intent = client->intents; intent != NULL; intent = intent->next) {
		if (!claim_request_is_under_way(intent->txn) &&
		    intent_is_like(intent, creq, action, uids))
			return intent->txn;
	}
	return 0;
}
