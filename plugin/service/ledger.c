/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* State of clients as the journal's entries make it. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "ioloop.h"
#include "llist.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "ledger.h"

/* Ranges of ids kept for a client. State requests fill the holes, so that
   there is mostly one. */
#define LEDGER_DONE_MAX 2048

struct ledger {
	HASH_TABLE(char *, struct ledger_client *) clients;
	unsigned int intents_count;
};

struct ledger *ledger_init(void)
{
	struct ledger *ledger = i_new(struct ledger, 1);

	hash_table_create(&ledger->clients, default_pool, 0, str_hash, strcmp);
	return ledger;
}

static void intent_free(struct ledger *ledger, struct ledger_client *client,
			struct ledger_intent *intent)
{
	DLLIST2_REMOVE(&client->intents, &client->intents_tail, intent);
	ledger->intents_count--;
	client->intents_size -= strlen(intent->record);
	i_free(intent->record);
	i_free(intent);
}

static void client_free(struct ledger *ledger, struct ledger_client *client)
{
	while (client->intents != NULL)
		intent_free(ledger, client, client->intents);
	array_free(&client->done);
	i_free(client->id);
	i_free(client);
}

void ledger_clear(struct ledger *ledger)
{
	struct hash_iterate_context *iter;
	struct ledger_client *client;
	char *id;

	iter = hash_table_iterate_init(ledger->clients);
	while (hash_table_iterate(iter, ledger->clients, &id, &client))
		client_free(ledger, client);
	hash_table_iterate_deinit(&iter);
	hash_table_clear(ledger->clients, TRUE);
}

void ledger_deinit(struct ledger **_ledger)
{
	struct ledger *ledger = *_ledger;

	*_ledger = NULL;
	ledger_clear(ledger);
	hash_table_destroy(&ledger->clients);
	i_free(ledger);
}

struct ledger_client *ledger_find(struct ledger *ledger, const char *client_id)
{
	return hash_table_lookup(ledger->clients, client_id);
}

struct ledger_client *ledger_get(struct ledger *ledger, const char *client_id)
{
	struct ledger_client *client = ledger_find(ledger, client_id);

	if (client == NULL) {
		client = i_new(struct ledger_client, 1);
		client->id = i_strdup(client_id);
		client->last_seen = ioloop_time;
		i_array_init(&client->done, 1);
		hash_table_insert(ledger->clients, client->id, client);
	}
	return client;
}

/* Returns the index of the first range that doesn't end below id. */
static unsigned int
done_position(const struct ledger_client *client, uint64_t id)
{
	const struct ledger_id_range *ranges;
	unsigned int count, i;

	ranges = array_get(&client->done, &count);
	for (i = count; i > 0 && ranges[i-1].last >= id; i--) ;
	return i;
}

bool ledger_client_is_done(const struct ledger_client *client, uint64_t id)
{
	const struct ledger_id_range *ranges;
	unsigned int count, i = done_position(client, id);

	ranges = array_get(&client->done, &count);
	if (i == 0 && client->forgot)
		return TRUE;
	return i < count && ranges[i].first <= id;
}

static void client_add_done(struct ledger_client *client,
			    uint64_t first, uint64_t last)
{
	struct ledger_id_range range = { first, last };
	const struct ledger_id_range *ranges;
	unsigned int count, i, j;

	ranges = array_get(&client->done, &count);
	/* join it with all ranges that it touches */
	i = done_position(client, first == 0 ? 0 : first - 1);
	for (j = i; j < count && ranges[j].first <= last + 1; j++) {
		range.first = I_MIN(range.first, ranges[j].first);
		range.last = I_MAX(range.last, ranges[j].last);
	}
	if (j == i)
		array_insert(&client->done, i, &range, 1);
	else {
		array_idx_set(&client->done, i, &range);
		array_delete(&client->done, i + 1, j - i - 1);
	}
	if (array_count(&client->done) > LEDGER_DONE_MAX) {
		array_delete(&client->done, 0, LEDGER_DONE_MAX / 2);
		client->forgot = TRUE;
	}
}

void ledger_client_skip(struct ledger_client *client, uint64_t id)
{
	client_add_done(client, id, id);
}

struct ledger_intent *
ledger_client_find_txn(const struct ledger_client *client, uint64_t txn)
{
	struct ledger_intent *intent;

	for (intent = client->intents; intent != NULL; intent = intent->next) {
		if (intent->txn == txn)
			return intent;
	}
	return NULL;
}

struct ledger_intent *ledger_intent_next(const struct ledger_intent *intent)
{
	struct ledger_intent *next;

	for (next = intent->next; next != NULL; next = next->next) {
		if (next->txn == intent->txn)
			return next;
	}
	return NULL;
}

static void
apply_client(struct ledger_client *client, const struct journal_entry *entry)
{
	const char *const *ranges, *p;
	uint64_t first, last;

	for (ranges = t_strsplit(entry->done, ","); *ranges != NULL; ranges++) {
		if (strcmp(*ranges, "<") == 0) {
			client->forgot = TRUE;
			continue;
		}
		p = strchr(*ranges, ':');
		if (p == NULL) {
			if (str_to_uint64(*ranges, &first) == 0)
				client_add_done(client, first, first);
		} else if (str_to_uint64(t_strdup_until(*ranges, p),
					 &first) == 0 &&
			   str_to_uint64(p + 1, &last) == 0 && last >= first)
			client_add_done(client, first, last);
	}
}

static void apply_prepare(struct ledger *ledger, struct ledger_client *client,
			  const struct journal_entry *entry)
{
	struct ledger_intent *intent;

	if (ledger_client_is_done(client, entry->id)) {
		/* a snapshot names the client's done requests first */
		for (intent = client->intents; intent != NULL;
		     intent = intent->next) {
			if (intent->id == entry->id)
				return;
		}
	}
	intent = i_new(struct ledger_intent, 1);
	intent->txn = entry->txn;
	intent->id = entry->id;
	intent->at = entry->at;
	intent->given_up = entry->given_up;
	intent->record = i_strdup(entry->records);
	DLLIST2_APPEND(&client->intents, &client->intents_tail, intent);
	ledger->intents_count++;
	client->intents_size += strlen(intent->record);
}

static void resolve(struct ledger *ledger, struct ledger_client *client,
		    uint64_t txn, bool given_up)
{
	struct ledger_intent *intent, *next;

	for (intent = client->intents; intent != NULL; intent = next) {
		next = intent->next;
		if (intent->txn != txn)
			continue;
		if (given_up)
			intent->given_up = TRUE;
		else
			intent_free(ledger, client, intent);
	}
}

void ledger_apply(struct ledger *ledger, const struct journal_entry *entry)
{
	struct ledger_client *client;

	if (entry->client_id == NULL)
		return;
	client = ledger_get(ledger, entry->client_id);
	switch (entry->type) {
	case JOURNAL_ENTRY_SEGMENT:
	case JOURNAL_ENTRY_BASE:
	case JOURNAL_ENTRY_TREE:
		return;
	case JOURNAL_ENTRY_CLIENT:
		apply_client(client, entry);
		return;
	case JOURNAL_ENTRY_PREPARE:
		apply_prepare(ledger, client, entry);
		break;
	case JOURNAL_ENTRY_RECORDS:
		if (entry->resolves != JOURNAL_RESOLVES_NOTHING) {
			resolve(ledger, client, entry->txn, entry->resolves ==
				JOURNAL_RESOLVES_GIVEN_UP);
		}
		break;
	case JOURNAL_ENTRY_ABORT:
		resolve(ledger, client, entry->txn, FALSE);
		break;
	}
	if (entry->id != 0)
		client_add_done(client, entry->id, entry->id);
}

static const char *client_done_text(const struct ledger_client *client)
{
	const struct ledger_id_range *range;
	string_t *str = t_str_new(64);

	if (client->forgot)
		str_append(str, "<");
	array_foreach(&client->done, range) {
		if (str_len(str) > 0)
			str_append_c(str, ',');
		str_printfa(str, "%"PRIu64, range->first);
		if (range->last != range->first)
			str_printfa(str, ":%"PRIu64, range->last);
	}
	return str_c(str);
}

static void client_snapshot(const struct ledger_client *client,
			    ledger_snapshot_callback_t *callback, void *context)
{
	struct ledger_intent *intent;
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_CLIENT,
		.client_id = client->id,
		.at = (uint64_t)(client->last_seen == 0 ? ioloop_time :
				 client->last_seen) * 1000000,
		.done = client_done_text(client),
	};

	callback(&entry, context);
	entry.type = JOURNAL_ENTRY_PREPARE;
	for (intent = client->intents; intent != NULL; intent = intent->next) {
		entry.id = intent->id;
		entry.txn = intent->txn;
		entry.at = intent->at;
		entry.given_up = intent->given_up;
		entry.records = intent->record;
		callback(&entry, context);
	}
}

void ledger_snapshot(struct ledger *ledger, time_t seen_since,
		     ledger_snapshot_callback_t *callback, void *context)
{
	struct hash_iterate_context *iter;
	struct ledger_client *client;
	char *id;

	iter = hash_table_iterate_init(ledger->clients);
	while (hash_table_iterate(iter, ledger->clients, &id, &client)) {
		if (client->intents == NULL &&
		    (array_count(&client->done) == 0 ||
		     (client->last_seen != 0 && !client->spool_left &&
		      client->last_seen < seen_since)))
			continue;
		T_BEGIN {
			client_snapshot(client, callback, context);
		} T_END;
	}
	hash_table_iterate_deinit(&iter);
}

void ledger_foreach(struct ledger *ledger, ledger_client_callback_t *callback,
		    void *context)
{
	struct hash_iterate_context *iter;
	struct ledger_client *client;
	char *id;

	iter = hash_table_iterate_init(ledger->clients);
	while (hash_table_iterate(iter, ledger->clients, &id, &client))
		callback(client, context);
	hash_table_iterate_deinit(&iter);
}

static bool client_is_expired(const struct ledger_client *client,
			      time_t seen_since)
{
	const struct ledger_intent *intent;

	if (client->last_seen == 0 || client->last_seen >= seen_since ||
	    client->spool_left)
		return FALSE;
	for (intent = client->intents; intent != NULL; intent = intent->next) {
		if (!intent->given_up)
			return FALSE;
	}
	return TRUE;
}

void ledger_expire(struct ledger *ledger, time_t seen_since)
{
	struct hash_iterate_context *iter;
	struct ledger_client *client;
	char *id;

	iter = hash_table_iterate_init(ledger->clients);
	while (hash_table_iterate(iter, ledger->clients, &id, &client)) {
		if (client_is_expired(client, seen_since)) {
			hash_table_remove(ledger->clients, client->id);
			client_free(ledger, client);
		}
	}
	hash_table_iterate_deinit(&iter);
}

unsigned int ledger_intents_count(struct ledger *ledger)
{
	return ledger->intents_count;
}
