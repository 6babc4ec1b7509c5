/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches: reading, sending, and what PostgreSQL says to them. The next one is
   made ready, and a full one sent, while PostgreSQL works on the one before:
   it has nothing to wait for then. Each is a transaction of its own, and takes
   nothing if the one before it didn't. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "str.h"
#include "strnum.h"
#include "time-util.h"
#include "journal.h"
#include "journal-gap.h"
#include "journal-tree.h"
#include "record-batch.h"
#include "record-final.h"
#include "record-json.h"
#include "shipper-private.h"

/* A few records that nobody waits for are sent that long after the batch
   before, together with what comes meanwhile: a commit for every record would
   keep PostgreSQL busy. */
#define SHIPPER_PAUSE_MSECS 100
#define SHIPPER_PAUSE_RECORDS 100

struct shipper_batch *shipper_batch_init(void)
{
	struct shipper_batch *batch = i_new(struct shipper_batch, 1);

	batch->pool = pool_alloconly_create("shipper batch", 64*1024);
	i_array_init(&batch->records, SHIPPER_BATCH_RECORDS);
	batch->ready = record_batch_init();
	return batch;
}

void shipper_batch_deinit(struct shipper_batch **_batch)
{
	struct shipper_batch *batch = *_batch;

	*_batch = NULL;
	record_batch_deinit(&batch->ready);
	array_free(&batch->records);
	pool_unref(&batch->pool);
	i_free(batch);
}

static void shipper_batch_clear(struct shipper_batch *batch)
{
	array_clear(&batch->records);
	p_clear(batch->pool);
	record_batch_clear(batch->ready);
	batch->size = 0;
	batch->done = batch->sent = 0;
	batch->odd = batch->in_flight = FALSE;
}

void shipper_drop_batches(struct shipper *shipper)
{
	shipper_batch_clear(shipper->batch);
	shipper_batch_clear(shipper->next_batch);
	i_free(shipper->refusal);
}

/* ---- reading ---- */

/* What may be said about a record that makes trouble. */
static const char *shipper_loggable(const struct shipper_record *record)
{
	return record_final_is_private(record->text) ? "(private)" :
		record->text;
}

/* A record that can't be read, as the service wrote it, comes from a version
   that knows more: what takes its place. */
static const char *shipper_unreadable(struct shipper *shipper,
				      const struct shipper_record *record,
				      const char *error)
{
	const char *const details[] = {
		"d.reason=record can't be read",
		t_strconcat("d.error=", error, NULL),
		t_strconcat("d.record=", shipper_loggable(record), NULL), NULL
	};

	i_error("journal: record %"PRId64" can't be read: %s: %s",
		(int64_t)record->seq + shipper->base, error,
		shipper_loggable(record));
	return journal_gap_record(journal_now(shipper->journal), details);
}

static void shipper_make_ready(struct shipper *shipper,
			       struct shipper_batch *batch,
			       struct shipper_record *record)
{
	const unsigned char *salt = record->have_leaf ? record->salt : NULL;
	const struct team_hash *leaf = record->have_leaf ? &record->leaf : NULL;
	const char *error;

	if (record_batch_add(batch->ready, record->text, salt, leaf,
			     &error) == 0)
		return;
	record->text = p_strdup(batch->pool,
		shipper_unreadable(shipper, record, t_strdup(error)));
	if (record_batch_add(batch->ready, record->text, salt, leaf,
			     &error) < 0)
		i_panic("gap record can't be read: %s", error);
}

static void
shipper_add_entry(struct shipper *shipper, struct shipper_batch *batch,
		  const struct journal_entry *entry)
{
	const char *const *records;
	struct shipper_record *record;
	struct journal_leaf leaf;
	uint64_t seq = entry->first_seq;
	unsigned int i;

	records = t_strsplit(entry->records, "\n");
	for (i = 0; *records != NULL; records++, seq++, i++) {
		if (seq <= shipper->shipped_seq)
			continue;
		record = array_append_space(&batch->records);
		record->seq = seq;
		record->text = p_strdup(batch->pool,
					record_final_open(*records));
		record->have_leaf = journal_entry_leaf(shipper->journal, entry,
						       i, *records, &leaf);
		if (record->have_leaf) {
			memcpy(record->salt, leaf.salt, sizeof(record->salt));
			record->leaf = leaf.hash;
		}
		shipper_make_ready(shipper, batch, record);
		batch->size += strlen(*records);
	}
}

static bool
shipper_is_full(struct shipper *shipper, const struct shipper_batch *batch)
{
	return batch->size >= SHIPPER_BATCH_BYTES ||
		array_count(&batch->records) >= shipper->batch_limit;
}

/* Adds what there is, up to what is shipped at once. */
static void shipper_fill(struct shipper *shipper, struct shipper_batch *batch)
{
	struct journal_entry entry;
	const char *error;
	int ret = 1;

	while (ret > 0 && !shipper_is_full(shipper, batch)) T_BEGIN {
		ret = journal_reader_next(shipper->reader, &entry, &error);
		if (ret > 0)
			shipper_add_entry(shipper, batch, &entry);
		else if (ret < 0) {
			/* starting anew mends what can be mended */
			i_fatal("journal: %s: it was damaged while the service "
				"ran", error);
		}
	} T_END;
}

static void shipper_rewind(struct shipper *shipper)
{
	journal_reader_deinit(&shipper->reader);
	shipper_drop_batches(shipper);
	shipper->reader = journal_reader_init(shipper->journal,
					      shipper->shipped_seq);
}

/* ---- answers ---- */

/* Replaces a record that PostgreSQL doesn't take by a gap record. Returns
   FALSE if it doesn't even take that. */
static bool shipper_replace(struct shipper *shipper, const char *error)
{
	struct shipper_batch *batch = shipper->batch;
	struct shipper_record *record;
	const char *details[4];

	record = array_idx_modifiable(&batch->records, batch->done);
	if (record->replaced >= 2)
		return FALSE;
	if (record->replaced == 0) {
		i_error("PostgreSQL refused record %"PRId64": %s: a gap "
			"record takes its place. It was: %s",
			(int64_t)record->seq + shipper->base, error,
			shipper_loggable(record));
	}
	i_zero(&details);
	details[0] = "d.reason=refused by PostgreSQL";
	details[1] = t_strconcat("d.error=", error, NULL);
	if (record->replaced++ == 0)
		details[2] = t_strconcat("d.record=", shipper_loggable(record),
					 NULL);
	else
		details[1] = NULL;
	record->text = p_strdup(batch->pool,
		journal_gap_record(journal_now(shipper->journal), details));
	return TRUE;
}

/* The first batch is done with: the next one's turn. */
static void shipper_advance(struct shipper *shipper)
{
	struct shipper_batch *batch = shipper->batch;

	shipper_batch_clear(batch);
	shipper->batch = shipper->next_batch;
	shipper->next_batch = batch;
	shipper->sent_at = ioloop_time;
}

static void shipper_shipped(struct shipper *shipper, const PGresult *result)
{
	struct shipper_batch *batch = shipper->batch;
	const struct shipper_record *record;
	uint64_t seq;
	intmax_t hwm;

	record = array_idx(&batch->records, batch->done + batch->sent - 1);
	seq = record->seq;
	if (PQntuples(result) != 1 ||
	    str_to_intmax(PQgetvalue(result, 0, 0), &hwm) < 0 ||
	    hwm != (int64_t)seq + shipper->base) {
		pg_conn_reconnect(shipper->conn,
				  "team.ingest returned something unexpected");
		return;
	}
	shipper->retry_msecs = 0;
	i_free(shipper->last_error);
	batch->done += batch->sent;
	shipper->batch_limit = I_MIN(shipper->batch_limit * 2,
				     SHIPPER_BATCH_RECORDS);
	if (batch->done < array_count(&batch->records)) {
		shipper_set_shipped(shipper, seq);
		shipper_next(shipper);
	} else {
		/* first, as who waited may send more */
		shipper_advance(shipper);
		shipper_set_shipped(shipper, seq);
		shipper_next_paced(shipper);
	}
}

static void shipper_set_error(struct shipper *shipper, const char *error)
{
	if (shipper->last_error == NULL ||
	    strcmp(shipper->last_error, error) != 0)
		i_error("PostgreSQL: shipping records failed: %s", error);
	i_free(shipper->last_error);
	shipper->last_error = i_strdup(error);
}

/* Tries with less the next time. */
static void shipper_halve_batch(struct shipper *shipper)
{
	shipper->batch_limit = I_MAX(shipper->batch->sent / 2, 1);
}

static void shipper_refused(struct shipper *shipper, const char *error)
{
	struct shipper_batch *batch = shipper->batch;

	if (!batch->odd) {
		batch->odd = TRUE;
		shipper_next(shipper);
	} else if (batch->sent > 1) {
		shipper_halve_batch(shipper);
		shipper_next(shipper);
	} else if (shipper_replace(shipper, error))
		shipper_next(shipper);
	else {
		shipper_set_error(shipper, error);
		shipper_retry_later(shipper);
	}
}

static void shipper_failed(struct shipper *shipper, enum pg_action action,
			   const char *error)
{
	switch (action) {
	case PG_ACTION_RECONNECT:
		/* shipper_ready() goes on */
		break;
	case PG_ACTION_RESYNC:
		pg_conn_reconnect(shipper->conn, error);
		break;
	case PG_ACTION_RETRY:
	case PG_ACTION_SCHEMA:
		/* it may have been a timeout */
		shipper_halve_batch(shipper);
		shipper_set_error(shipper, error);
		shipper_rewind(shipper);
		shipper_retry_later(shipper);
		break;
	case PG_ACTION_GIVE_UP:
		shipper_refused(shipper, error);
		break;
	}
}

/* What was sent behind a batch that failed came to nothing as well: the mark
   tells PostgreSQL that records before it are missing. */
static void
shipper_answer_behind(struct shipper *shipper, const struct pg_answer *answer)
{
	const char *error = t_strdup(shipper->refusal);

	shipper->next_batch->in_flight = FALSE;
	i_free(shipper->refusal);
	if (answer->error == NULL) {
		pg_conn_reconnect(shipper->conn, "team.ingest_batch took "
				  "records without those before them");
	} else if (answer->action != PG_ACTION_RECONNECT)
		shipper_failed(shipper, shipper->refusal_action, error);
}

static void
shipper_answer(const struct pg_answer *answer, void *context)
{
	struct shipper *shipper = context;

	if (!shipper->batch->in_flight) {
		shipper_answer_behind(shipper, answer);
		return;
	}
	shipper->batch->in_flight = FALSE;
	if (answer->error == NULL)
		shipper_shipped(shipper, answer->result);
	else if (answer->action == PG_ACTION_RECONNECT) {
		if (answer->unknown &&
		    shipper->sent_at + SHIPPER_STALLED_SECS <= ioloop_time)
			shipper_halve_batch(shipper);
	} else if (shipper->next_batch->in_flight) {
		shipper->refusal = i_strdup(answer->error);
		shipper->refusal_action = answer->action;
	} else
		shipper_failed(shipper, answer->action, answer->error);
}

/* ---- sending ---- */

static void shipper_sent(struct shipper *shipper, struct shipper_batch *batch,
			 unsigned int count)
{
	const struct shipper_record *last;

	last = array_idx(&batch->records, batch->done + count - 1);
	batch->sent = count;
	shipper->sent_seq = I_MAX(shipper->sent_seq, last->seq);
	if (batch == shipper->batch)
		shipper->sent_at = ioloop_time;
	shipper->sent_time = ioloop_timeval;
	batch->in_flight = TRUE;
}

static void
shipper_send_ready(struct shipper *shipper, struct shipper_batch *batch)
{
	const struct shipper_record *first = array_front(&batch->records);
	const struct record_batch_param *params;
	const char *values[RECORD_BATCH_PARAMS];
	int sizes[RECORD_BATCH_PARAMS];
	unsigned int i;

	params = record_batch_params(batch->ready, shipper->node_id,
				     (int64_t)first->seq + shipper->base);
	for (i = 0; i < RECORD_BATCH_PARAMS; i++) {
		values[i] = params[i].data;
		sizes[i] = (int)params[i].size;
	}
	shipper_sent(shipper, batch, array_count(&batch->records));
	pg_conn_request_binary(shipper->conn, "ingest_batch", values, sizes,
			       RECORD_BATCH_PARAMS, shipper_answer, shipper);
}

static void shipper_send_json(struct shipper *shipper)
{
	struct shipper_batch *batch = shipper->batch;
	const struct shipper_record *records;
	const char *params[2], *error;
	string_t *json = str_new(default_pool, 64*1024);
	unsigned int i, count;

	records = array_get(&batch->records, &count);
	count = I_MIN(count - batch->done, shipper->batch_limit);
	records += batch->done;
	for (i = 0; i < count; i++) T_BEGIN {
		str_append_c(json, i == 0 ? '[' : ',');
		if (record_json_append(json, (int64_t)records[i].seq +
				       shipper->base, records[i].text,
				       &error) < 0) {
			/* it could be when it was read */
			i_panic("record can't be read: %s", error);
		}
		if (records[i].have_leaf) {
			record_json_append_proof(json, records[i].salt,
						 &records[i].leaf);
		}
	} T_END;
	str_append_c(json, ']');
	params[0] = t_strdup_printf("%d", shipper->node_id);
	params[1] = str_c(json);
	shipper_sent(shipper, batch, count);
	pg_conn_request(shipper->conn, "ingest", params, N_ELEMENTS(params),
			shipper_answer, shipper);
	str_free(&json);
}

/* Returns FALSE if there was nothing. */
static bool shipper_send_first(struct shipper *shipper)
{
	struct shipper_batch *batch = shipper->batch;

	/* the reader goes on behind both */
	if (!batch->odd && array_count(&shipper->next_batch->records) == 0)
		shipper_fill(shipper, batch);
	if (array_count(&batch->records) == 0)
		return FALSE;
	T_BEGIN {
		if (batch->odd)
			shipper_send_json(shipper);
		else
			shipper_send_ready(shipper, batch);
	} T_END;
	return TRUE;
}

/* Makes the next batch ready, and sends it if waiting for more would be in
   vain. */
static void shipper_send_ahead(struct shipper *shipper)
{
	struct shipper_batch *batch = shipper->next_batch;

	/* PostgreSQL can't begin before it has the whole of the first one */
	if (batch->in_flight || !pg_conn_is_flushed(shipper->conn))
		return;
	shipper_fill(shipper, batch);
	if (shipper->batch->odd || !shipper_is_full(shipper, batch))
		return;
	T_BEGIN {
		shipper_send_ready(shipper, batch);
	} T_END;
}

void shipper_next(struct shipper *shipper)
{
	if (shipper->reader == NULL || shipper->to_retry != NULL ||
	    shipper->refusal != NULL || !pg_conn_is_ready(shipper->conn))
		return;
	if (shipper->batch->in_flight || shipper_send_first(shipper))
		shipper_send_ahead(shipper);
}

static void shipper_pause_over(struct shipper *shipper)
{
	timeout_remove(&shipper->to_pause);
	shipper_next(shipper);
}

void shipper_next_paced(struct shipper *shipper)
{
	struct journal_status status;
	int msecs;

	journal_get_status(shipper->journal, &status);
	msecs = timeval_diff_msecs(&ioloop_timeval, &shipper->sent_time);
	if (shipper->waits != NULL || msecs < 0 ||
	    msecs >= SHIPPER_PAUSE_MSECS ||
	    status.last_seq >= shipper->shipped_seq + SHIPPER_PAUSE_RECORDS)
		shipper_next(shipper);
	else if (shipper->to_pause == NULL &&
		 status.last_seq > shipper->shipped_seq) {
		shipper->to_pause = timeout_add_short(
			SHIPPER_PAUSE_MSECS - msecs, shipper_pause_over,
			shipper);
	}
}
