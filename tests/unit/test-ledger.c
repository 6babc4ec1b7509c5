/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger: which requests are done, intents, snapshots, forgetting. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "ledger.h"
#include "test-unit.h"

#define CLIENT "0123456789abcdef0123456789abcdef"

static struct ledger *ledger;

static void setup(void)
{
	ledger = ledger_init();
}

static void teardown(void)
{
	ledger_deinit(&ledger);
}

static void apply_event(struct ledger *dest, uint64_t id)
{
	const struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .client_id = CLIENT, .id = id,
		.first_seq = 1, .count = 1, .records = "action=login",
	};

	ledger_apply(dest, &entry);
}

static void apply_prepare(uint64_t id, uint64_t txn)
{
	const struct journal_entry entry = {
		.type = JOURNAL_ENTRY_PREPARE, .client_id = CLIENT, .id = id,
		.txn = txn, .records = "action=append",
	};

	ledger_apply(ledger, &entry);
}

static void apply_resolve(uint64_t id, uint64_t txn,
			  enum journal_resolves resolves)
{
	const struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .client_id = CLIENT, .id = id,
		.txn = txn, .first_seq = 1, .count = 1,
		.records = "action=append", .resolves = resolves,
	};

	ledger_apply(ledger, &entry);
}

/* Any order, compared with a plain table. */
START_TEST(test_done)
{
	bool done[500];
	unsigned int i, id, num = _i * 7919 + 1;
	struct ledger_client *client;

	i_zero(&done);
	for (i = 0; i < 300; i++) {
		num = num * 1103515245 + 12345;
		id = (num >> 8) % (N_ELEMENTS(done) - 1) + 1;
		apply_event(ledger, id);
		done[id] = TRUE;
	}
	client = ledger_find(ledger, CLIENT);
	for (id = 1; id < N_ELEMENTS(done); id++) {
		ck_assert_int_eq(ledger_client_is_done(client, id),
				 done[id]);
	}
}
END_TEST

START_TEST(test_ranges_join)
{
	struct ledger_client *client = ledger_get(ledger, CLIENT);
	unsigned int id;

	for (id = 1; id <= 1000; id += 2)
		apply_event(ledger, id);
	ck_assert_uint_eq(array_count(&client->done), 500);
	/* state requests in between */
	for (id = 2; id <= 1000; id += 2)
		ledger_client_skip(client, id);
	ck_assert_uint_eq(array_count(&client->done), 1);
}
END_TEST

START_TEST(test_bounded)
{
	struct ledger_client *client = ledger_get(ledger, CLIENT);
	uint64_t id;

	for (id = 1; id <= 100000; id += 2)
		apply_event(ledger, id);
	ck_assert_uint_lt(array_count(&client->done), 5000);
	/* what was long ago counts as done, what was lately is known exactly */
	ck_assert(ledger_client_is_done(client, 1));
	ck_assert(ledger_client_is_done(client, 99999));
	ck_assert(!ledger_client_is_done(client, 99998));
	ck_assert(!ledger_client_is_done(client, 100001));
}
END_TEST

START_TEST(test_intents)
{
	struct ledger_client *client;

	apply_prepare(1, 1);
	apply_prepare(2, 1);
	apply_prepare(3, 3);
	client = ledger_find(ledger, CLIENT);
	ck_assert_uint_eq(client->intents_size, 3 * strlen("action=append"));
	apply_resolve(0, 1, JOURNAL_RESOLVES_GIVEN_UP);
	ck_assert(ledger_client_find_txn(client, 1)->given_up);
	ck_assert(!ledger_client_find_txn(client, 3)->given_up);
	apply_resolve(4, 1, JOURNAL_RESOLVES_DONE);
	ck_assert_ptr_null(ledger_client_find_txn(client, 1));
	ck_assert_uint_eq(ledger_intents_count(ledger), 1);
	ck_assert_uint_eq(client->intents_size, strlen("action=append"));
	/* of another client, or none */
	apply_resolve(5, 99, JOURNAL_RESOLVES_DONE);
	ck_assert_uint_eq(ledger_intents_count(ledger), 1);
}
END_TEST

static void copy_entry(const struct journal_entry *entry, void *context)
{
	ledger_apply(context, entry);
}

START_TEST(test_snapshot)
{
	struct ledger *copy = ledger_init();
	struct ledger_client *client;
	uint64_t id;

	apply_event(ledger, 1);
	apply_event(ledger, 2);
	apply_prepare(5, 5);
	apply_prepare(6, 5);
	apply_prepare(8, 8);
	apply_resolve(0, 8, JOURNAL_RESOLVES_GIVEN_UP);
	ledger_snapshot(ledger, 0, copy_entry, copy);
	/* twice is the same as once */
	ledger_snapshot(ledger, 0, copy_entry, copy);
	client = ledger_find(copy, CLIENT);
	for (id = 1; id < 10; id++) {
		ck_assert_int_eq(ledger_client_is_done(client, id),
				 id == 1 || id == 2 || id == 5 || id == 6 ||
				 id == 8);
	}
	ck_assert_uint_eq(ledger_intents_count(copy), 3);
	ck_assert_uint_eq(ledger_client_find_txn(client, 5)->id, 5);
	ck_assert_uint_eq(ledger_intent_next(
		ledger_client_find_txn(client, 5))->id, 6);
	ck_assert(ledger_client_find_txn(client, 8)->given_up);
	ledger_deinit(&copy);
}
END_TEST

START_TEST(test_expire)
{
	struct ledger_client *client;

	apply_event(ledger, 1);
	client = ledger_find(ledger, CLIENT);
	client->last_seen = 0;
	ledger_expire(ledger, ioloop_time + 100);
	ck_assert_ptr_nonnull(ledger_find(ledger, CLIENT));
	client->last_seen = ioloop_time;
	ledger_expire(ledger, ioloop_time);
	ck_assert_ptr_nonnull(ledger_find(ledger, CLIENT));
	apply_prepare(2, 2);
	ledger_expire(ledger, ioloop_time + 100);
	ck_assert_ptr_nonnull(ledger_find(ledger, CLIENT));
	apply_resolve(0, 2, JOURNAL_RESOLVES_GIVEN_UP);
	ledger_expire(ledger, ioloop_time + 100);
	ck_assert_ptr_null(ledger_find(ledger, CLIENT));
	ck_assert_uint_eq(ledger_intents_count(ledger), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tc = tcase_create("ledger");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_done, 0, 10);
	tcase_add_test(tc, test_ranges_join);
	tcase_add_test(tc, test_bounded);
	tcase_add_test(tc, test_intents);
	tcase_add_test(tc, test_snapshot);
	tcase_add_test(tc, test_expire);
	suite_add_tcase(suite, tc);
	return test_run(suite);
}
