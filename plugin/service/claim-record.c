/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims in the journal: that one is asked for, so that one that was granted
   while the service died doesn't go unrecorded, and what came of it. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "record.h"
#include "uidset.h"
#include "journal.h"
#include "journal-gap.h"
#include "box.h"
#include "claim-request.h"
#include "client.h"
#include "intents.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

static struct team_record *
claim_record_new(struct claim_request *creq, const char *action,
		 const char *outcome, const struct team_uidset *set)
{
	struct team_service *service = creq->client->service;
	struct session *session = session_find(creq->client->sessions,
					       creq->sid);
	struct box *box = box_find(service->boxes, creq->guid,
				   creq->uidvalidity);
	struct team_record *record;
	char *uids;

	record = service_record_new(service, action, outcome, session);
	service_record_set(record, "colleague", creq->colleague);
	service_record_set(record, "mailbox", creq->guid);
	service_record_set(record, "uidvalidity",
			   t_strdup_printf("%u", creq->uidvalidity));
	if (box != NULL && box->name != NULL)
		service_record_set(record, "name", box->name);
	uids = team_uidset_format(set);
	service_record_set(record, "uids", uids);
	free(uids);
	return record;
}

static const char *claim_action(const struct claim_request *creq)
{
	switch (creq->op) {
	case TEAM_CLAIM_RELEASE:
	case TEAM_CLAIM_DROP:
		return "release";
	case TEAM_CLAIM_TAKEOVER:
		return "takeover";
	case TEAM_CLAIM_TAKE:
	case TEAM_CLAIM_TRY:
	case TEAM_CLAIM_DRAFT:
	case TEAM_CLAIM_GIVE:
		return "claim";
	}
	i_unreached();
}

static const char *claim_record(struct claim_request *creq,
				const struct claim_group *group,
				bool with_mids, bool lost)
{
	bool held = strcmp(group->state, "held") == 0;
	struct team_record *record;
	const char *action;

	if (strcmp(group->state, "renewed") == 0 && !lost)
		action = "renew";
	else if (strcmp(group->state, "taken") == 0)
		action = "takeover";
	else if (strcmp(group->state, "granted") == 0)
		/* nobody had it, whoever might have been overridden */
		action = "claim";
	else
		action = claim_action(creq);
	record = claim_record_new(creq, action, held ? "refused" : "ok",
				  &group->uids);
	if (with_mids && creq->mids != NULL)
		service_record_set(record, "mids", creq->mids);
	if (held)
		service_record_set(record, "d.holder", group->holder);
	if (strcmp(group->state, "taken") == 0)
		service_record_set(record, "d.former", group->holder);
	else if (creq->admin && creq->op == TEAM_CLAIM_RELEASE)
		service_record_set(record, "d.holder", group->holder);
	if (creq->to != NULL)
		service_record_set(record, "d.for", creq->to);
	if (group->since != 0 &&
	    (held || strcmp(action, "release") == 0)) {
		service_record_set(record, "d.since",
			journal_time_text(group->since * 1000000));
	}
	if (group->until != 0) {
		service_record_set(record, "d.until",
				   journal_time_text(group->until * 1000000));
	}
	return service_record_finish(&record);
}

static void claim_entry_init(struct claim_request *creq,
			     struct journal_entry *entry_r,
			     enum journal_entry_type type)
{
	i_zero(entry_r);
	entry_r->type = type;
	entry_r->client_id = INTENTS_SERVICE_CLIENT;
	entry_r->txn = creq->txn;
	entry_r->at = journal_now(creq->client->service->journal);
}

static void claim_journal_drop_txn(struct claim_request *creq, uint64_t txn)
{
	struct journal_entry entry;

	claim_entry_init(creq, &entry, JOURNAL_ENTRY_ABORT);
	entry.txn = txn;
	(void)journal_stage(creq->client->service->journal, &entry, FALSE,
			    NULL, NULL);
}

void claim_journal_drop(struct claim_request *creq)
{
	claim_journal_drop_txn(creq, creq->txn);
}

void claim_journal_intent(struct claim_request *creq,
			  void (*callback)(const char *error, void *context))
{
	struct team_service *service = creq->client->service;
	struct journal_entry entry;
	struct team_record *record;

	creq->txn = intents_service_id(service->ledger);
	claim_entry_init(creq, &entry, JOURNAL_ENTRY_PREPARE);
	entry.id = creq->txn;
	record = claim_record_new(creq, claim_action(creq), "ok", &creq->uids);
	entry.records = service_record_finish(&record);
	(void)journal_stage(service->journal, &entry, FALSE, callback, creq);
}

static void
claim_outcome_add(struct claim_request *creq, const struct claim_group *group,
		  struct journal_entry *entry, string_t *records)
{
	uint64_t lost = 0;

	/* nobody is told so */
	if (creq->op == TEAM_CLAIM_TRY && strcmp(group->state, "held") == 0)
		return;
	/* what was there before may be what an earlier request has done */
	if (strcmp(group->state, "renewed") == 0 ||
	    strcmp(group->state, "none") == 0) {
		lost = claim_lost_find(creq, claim_action(creq), &group->uids);
		if (lost != 0)
			claim_journal_drop_txn(creq, lost);
		else if (strcmp(group->state, "none") == 0)
			return;
	}
	if (entry->count++ > 0)
		str_append_c(records, '\n');
	str_append(records, claim_record(creq, group, entry->count == 1,
					 lost != 0));
}

void claim_journal_outcome(struct claim_request *creq,
			   void (*callback)(const char *error, void *context))
{
	const struct claim_group none = {
		.state = "none", .holder = "", .uids = creq->uids,
	};
	string_t *records = t_str_new(512);
	const struct claim_group *group;
	struct journal_entry entry;

	claim_entry_init(creq, &entry, JOURNAL_ENTRY_RECORDS);
	entry.resolves = JOURNAL_RESOLVES_DONE;
	array_foreach(&creq->groups, group)
		claim_outcome_add(creq, group, &entry, records);
	if (array_count(&creq->groups) == 0)
		claim_outcome_add(creq, &none, &entry, records);
	if (entry.count == 0) {
		/* nothing was there to be released */
		claim_journal_drop(creq);
		callback(NULL, creq);
		return;
	}
	entry.records = str_c(records);
	(void)journal_stage(creq->client->service->journal, &entry, TRUE,
			    callback, creq);
}
