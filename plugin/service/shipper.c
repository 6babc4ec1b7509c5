/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shipping as a whole, and waiting for it. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "llist.h"
#include "journal.h"
#include "journal-gap.h"
#include "shipper-private.h"

#define SHIPPER_TIMEOUT_MSECS 30000
/* A connection that is lost and made again at once is no gap. */
#define SHIPPER_AWAY_USECS 1000000

static const struct pg_statement shipper_statements[] = {
	{ "ingest_batch", "SELECT team.ingest_batch($1, $2, $3, $4, $5, $6, $7, "
	  "$8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, "
	  "$22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, "
	  "$35)" },
	{ "ingest", "SELECT team.ingest($1, $2)" },
	{ NULL, NULL }
};

struct shipper_wait {
	struct shipper_wait *prev, *next;
	struct shipper *shipper;
	uint64_t seq;
	struct timeout *to;
	shipper_wait_callback_t *callback;
	void *context;
};

/* ---- waiting ---- */

static void shipper_wait_finish(struct shipper_wait *wait, bool ok)
{
	DLLIST2_REMOVE(&wait->shipper->waits, &wait->shipper->waits_tail, wait);
	timeout_remove(&wait->to);
	wait->callback(ok, wait->context);
	i_free(wait);
}

static void shipper_wait_timeout(struct shipper_wait *wait)
{
	shipper_wait_finish(wait, FALSE);
}

struct shipper_wait *
shipper_wait(struct shipper *shipper, uint64_t seq, unsigned int msecs,
	     shipper_wait_callback_t *callback, void *context)
{
	struct shipper_wait *wait;

	if (shipper->reader != NULL && seq <= shipper->shipped_seq) {
		callback(TRUE, context);
		return NULL;
	}
	if (!pg_conn_is_hopeful(shipper->conn) ||
	    (shipper->batch->in_flight &&
	     shipper->sent_at + SHIPPER_STALLED_SECS <= ioloop_time)) {
		callback(FALSE, context);
		return NULL;
	}
	wait = i_new(struct shipper_wait, 1);
	wait->shipper = shipper;
	wait->seq = seq;
	wait->callback = callback;
	wait->context = context;
	wait->to = timeout_add_short(msecs, shipper_wait_timeout, wait);
	/* in order of their numbers, as these only rise */
	DLLIST2_APPEND(&shipper->waits, &shipper->waits_tail, wait);
	shipper_next(shipper);
	return wait;
}

void shipper_set_shipped(struct shipper *shipper, uint64_t seq)
{
	shipper->shipped_seq = seq;
	journal_set_shipped(shipper->journal, seq);
	while (shipper->waits != NULL && shipper->waits->seq <= seq)
		shipper_wait_finish(shipper->waits, TRUE);
}

/* ---- connection ---- */

/* Nothing is missing, but for that time nobody could have found it in the
   database. */
static void shipper_record_away(struct shipper *shipper)
{
	uint64_t now = journal_now(shipper->journal), since = shipper->lost_at;
	struct journal_status status;

	shipper->lost_at = 0;
	if (since == 0 || now < since + SHIPPER_AWAY_USECS)
		return;
	journal_get_status(shipper->journal, &status);
	const char *const details[] = {
		"d.reason=PostgreSQL couldn't be reached",
		t_strconcat("d.from=", journal_time_text(since), NULL),
		t_strconcat("d.to=", journal_time_text(now), NULL),
		t_strdup_printf("d.waiting=%"PRIu64,
				status.last_seq - shipper->shipped_seq), NULL
	};
	journal_stage_gap(shipper->journal, details);
}

static void shipper_ready(void *context, int node_id, int64_t hwm)
{
	struct shipper *shipper = context;

	shipper->node_id = node_id;
	shipper->hwm = hwm;
	shipper_settle(shipper);
	T_BEGIN {
		shipper_record_away(shipper);
	} T_END;
}

static void shipper_lost(void *context)
{
	struct shipper *shipper = context;

	shipper->lost_at = journal_now(shipper->journal);
	timeout_remove(&shipper->to_retry);
	timeout_remove(&shipper->to_pause);
	if (shipper->reader != NULL)
		journal_reader_deinit(&shipper->reader);
	shipper_drop_batches(shipper);
}

static void shipper_flushed(void *context)
{
	shipper_next(context);
}

static void shipper_committed(void *context)
{
	shipper_next_paced(context);
}

/* ---- life ---- */

struct shipper *shipper_init(struct journal *journal, const char *conninfo)
{
	static const struct pg_conn_callbacks callbacks = {
		.ready = shipper_ready,
		.lost = shipper_lost,
		.flushed = shipper_flushed,
	};
	const struct pg_conn_settings set = {
		.name = "team-journal",
		.conninfo = conninfo,
		.node = journal_get_node(journal),
		.statements = shipper_statements,
		.timeout_msecs = SHIPPER_TIMEOUT_MSECS,
	};
	struct shipper *shipper = i_new(struct shipper, 1);
	struct journal_status status;

	journal_get_status(journal, &status);
	shipper->journal = journal;
	shipper->sent_seq = status.last_seq;
	shipper->batch = shipper_batch_init();
	shipper->next_batch = shipper_batch_init();
	shipper->batch_limit = SHIPPER_BATCH_RECORDS;
	shipper->lost_at = journal_now(journal);
	shipper->conn = pg_conn_init(&set, &callbacks, shipper);
	journal_set_commit_callback(journal, shipper_committed, shipper);
	return shipper;
}

void shipper_deinit(struct shipper **_shipper)
{
	struct shipper *shipper = *_shipper;

	*_shipper = NULL;
	journal_set_commit_callback(shipper->journal, NULL, NULL);
	pg_conn_deinit(&shipper->conn);
	while (shipper->waits != NULL)
		shipper_wait_finish(shipper->waits, FALSE);
	timeout_remove(&shipper->to_retry);
	timeout_remove(&shipper->to_pause);
	if (shipper->reader != NULL)
		journal_reader_deinit(&shipper->reader);
	shipper_batch_deinit(&shipper->batch);
	shipper_batch_deinit(&shipper->next_batch);
	i_free(shipper->last_error);
	i_free(shipper);
}

bool shipper_is_idle(struct shipper *shipper)
{
	struct journal_status status;

	journal_get_status(shipper->journal, &status);
	return shipper->reader != NULL &&
		status.last_seq <= shipper->shipped_seq;
}

int shipper_node_id(struct shipper *shipper)
{
	return shipper->node_id;
}

bool shipper_is_connected(struct shipper *shipper)
{
	return pg_conn_is_ready(shipper->conn);
}

static uint64_t shipper_oldest_at(struct shipper *shipper, uint64_t after_seq)
{
	struct journal_reader *reader;
	struct journal_entry entry;
	const char *error;
	uint64_t at = 0;

	reader = journal_reader_init(shipper->journal, after_seq);
	T_BEGIN {
		if (journal_reader_next(reader, &entry, &error) > 0)
			at = entry.at;
	} T_END;
	journal_reader_deinit(&reader);
	return at;
}

void shipper_get_status(struct shipper *shipper,
			struct shipper_status *status_r)
{
	struct journal_status status;

	journal_get_status(shipper->journal, &status);
	i_zero(status_r);
	status_r->connected = pg_conn_is_ready(shipper->conn);
	status_r->last_error = shipper->last_error != NULL ?
		shipper->last_error : pg_conn_last_error(shipper->conn);
	status_r->away_since = pg_conn_away_since(shipper->conn);
	if (status.shipped_seq < status.last_seq) {
		status_r->oldest_at = shipper_oldest_at(shipper,
							status.shipped_seq);
	}
}
