/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving up intents, forgetting clients. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "str.h"
#include "record.h"
#include "team-protocol.h"
#include "journal.h"
#include "intents.h"
#include "service.h"
#include "state.h"

#define INTENTS_CHECK_MSECS 2000
#define CLIENTS_EXPIRE_SECS (60*60)

static struct team_service *intents_service;
static struct timeout *to_intents;

static void append_gap(struct journal_entry *entry, string_t *records,
		       const struct ledger_intent *intent)
{
	struct team_record *record;
	const char *error;

	record = team_record_parse(intent->record, strlen(intent->record),
				   &error);
	if (record == NULL) {
		i_error("Intent %"PRIu64" can't be read: %s", intent->id,
			error);
		record = team_record_new();
	}
	service_record_set(record, "d.unresolved",
		team_record_get(record, "action") == NULL ? "unknown" :
		team_record_get(record, "action"));
	service_record_set(record, "action", "gap");
	service_record_set(record, "outcome", "failed");
	service_record_set(record, "at",
			   t_strdup_printf("%"PRIu64, entry->at));
	if (entry->count++ > 0)
		str_append_c(records, '\n');
	str_append(records, service_record_finish(&record));
}

static void give_up_txn(const struct ledger_client *client,
			const struct ledger_intent *intent)
{
	string_t *records = t_str_new(512);
	struct journal_entry entry;

	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_RECORDS;
	entry.client_id = client->id;
	entry.txn = intent->txn;
	entry.resolves = JOURNAL_RESOLVES_GIVEN_UP;
	entry.at = journal_now(intents_service->journal);
	for (; intent != NULL; intent = ledger_intent_next(intent))
		append_gap(&entry, records, intent);
	entry.records = str_c(records);
	i_warning("Client %s is gone, and nobody knows whether its transaction "
		  "%"PRIu64" was carried out", client->id, entry.txn);
	(void)journal_stage(intents_service->journal, &entry, TRUE, NULL,
			    NULL);
}

static void check_client(struct ledger_client *client,
			 void *context ATTR_UNUSED)
{
	const struct ledger_intent *intent;

	if (client->last_seen == 0 ||
	    client->last_seen + TEAM_INTENT_GRACE_SECS > ioloop_time)
		return;
	for (intent = client->intents; intent != NULL; intent = intent->next) {
		/* The service's own have no client that could be there. The
		   first one stands for the transaction. */
		if (!intent->given_up && intent->at / 1000000 +
		    TEAM_INTENT_GRACE_SECS <= (uint64_t)ioloop_time &&
		    ledger_client_find_txn(client, intent->txn) ==
		    intent) T_BEGIN {
			give_up_txn(client, intent);
		} T_END;
	}
}

uint64_t intents_service_id(struct ledger *ledger)
{
	static uint64_t last_id = 0;
	const struct ledger_client *client =
		ledger_get(ledger, INTENTS_SERVICE_CLIENT);
	const struct ledger_id_range *ranges;
	unsigned int count;

	ranges = array_get(&client->done, &count);
	if (count > 0 && ranges[count-1].last > last_id)
		last_id = ranges[count-1].last;
	return ++last_id;
}

static void intents_check(void *context ATTR_UNUSED)
{
	struct team_service *service = intents_service;
	static time_t last_expire = 0;

	/* what is staged isn't in the ledger yet */
	journal_flush(service->journal);
	if (ledger_intents_count(service->ledger) > 0) {
		ledger_foreach(service->ledger, check_client, NULL);
		journal_flush(service->journal);
	}
	if (ioloop_time - last_expire >= 60) {
		last_expire = ioloop_time;
		ledger_expire(service->ledger,
			      ioloop_time - CLIENTS_EXPIRE_SECS);
	}
}

void intents_init(struct team_service *service)
{
	intents_service = service;
	to_intents = timeout_add(INTENTS_CHECK_MSECS, intents_check, NULL);
}

void intents_deinit(void)
{
	timeout_remove(&to_intents);
}
