/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shipping: where to go on, batches, errors, waiting. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "llist.h"
#include "str.h"
#include "strnum.h"
#include "time-util.h"
#include "journal.h"
#include "journal-gap.h"
#include "journal-tree.h"
#include "pg-conn.h"
#include "record-json.h"
#include "shipper.h"

#define SHIPPER_BATCH_RECORDS 1000
#define SHIPPER_BATCH_BYTES (1024*1024)
#define SHIPPER_TIMEOUT_MSECS 30000
/* A few records that nobody waits for are sent that long after the batch
   before, together with what comes meanwhile: a commit for every record would
   keep PostgreSQL busy. */
#define SHIPPER_PAUSE_MSECS 20
#define SHIPPER_PAUSE_RECORDS 100
/* When a batch is under way for that long, nobody else waits for it. */
#define SHIPPER_STALLED_SECS 4
#define SHIPPER_RETRY_MIN_MSECS 100
#define SHIPPER_RETRY_MAX_MSECS 10000

static const struct pg_statement shipper_statements[] = {
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

struct shipper_record {
	uint64_t seq;
	const char *text;
	/* as it stands in the journal, whatever takes its place */
	bool have_leaf;
	unsigned char salt[TEAM_SALT_SIZE];
	struct team_hash leaf;
	/* how often it was replaced by less */
	unsigned int replaced;
};

struct shipper {
	struct journal *journal;
	struct pg_conn *conn;
	int node_id;
	int64_t hwm;

	/* NULL until it's settled with the database where to go on */
	struct journal_reader *reader;
	uint64_t shipped_seq;
	/* Numbers above it can't have been shipped: the last one that was there
	   when the journal was opened, or that was sent since. What the
	   database has above it was in a journal that isn't there any more,
	   and mustn't be taken for records that were written since. */
	uint64_t sent_seq;
	int64_t base;

	pool_t batch_pool;
	ARRAY(struct shipper_record) batch;
	/* what of the batch was shipped, and what is being shipped */
	unsigned int batch_done, batch_sent;
	/* At most that many at once: less to find the one that isn't taken,
	   and while PostgreSQL takes too long for more. */
	unsigned int batch_limit;
	bool in_flight;
	time_t sent_at;
	struct timeval sent_time;

	struct timeout *to_retry, *to_pause;
	unsigned int retry_msecs;
	char *last_error;
	struct shipper_wait *waits, *waits_tail;
};

static void shipper_next(struct shipper *shipper);
static void shipper_next_paced(struct shipper *shipper);
static void shipper_settle(struct shipper *shipper);

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
	    (shipper->in_flight &&
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

static void shipper_set_shipped(struct shipper *shipper, uint64_t seq)
{
	shipper->shipped_seq = seq;
	journal_set_shipped(shipper->journal, seq);
	while (shipper->waits != NULL && shipper->waits->seq <= seq)
		shipper_wait_finish(shipper->waits, TRUE);
}

/* ---- where to go on ---- */

static void shipper_gap(struct shipper *shipper, const char *reason,
			int64_t first, int64_t last)
{
	const char *const details[] = {
		t_strconcat("d.reason=", reason, NULL),
		t_strdup_printf("d.first=%"PRId64, first),
		/* 0: nobody knows how many there were */
		last == 0 ? NULL : t_strdup_printf("d.last=%"PRId64, last),
		NULL
	};

	i_error("journal: %s (from record %"PRId64" on)", reason, first);
	journal_stage_gap(shipper->journal, details);
}

/* Finds out what to add to the journal's numbers so that the log's go on
   without a hole. Returns FALSE if it can't be written down now. */
static bool shipper_settle_base(struct shipper *shipper)
{
	struct journal *journal = shipper->journal;
	int64_t hwm = shipper->hwm, first, last = shipper->sent_seq, base;
	struct journal_status status;

	journal_flush(journal);
	journal_get_status(journal, &status);
	first = journal_first_seq(journal);
	base = status.base;
	if (!status.base_known) {
		base = hwm - (first - 1);
		if (journal_set_base(journal, base) < 0)
			return FALSE;
		if (hwm > 0) {
			shipper_gap(shipper, "the journal was made anew: what "
				    "wasn't shipped before that is lost",
				    hwm + 1, 0);
		}
	} else if (hwm - base > last) {
		if (journal_tree_restart(journal, last + 1) < 0 ||
		    journal_set_base(journal, hwm - last) < 0)
			return FALSE;
		shipper_gap(shipper, "the journal was set back: it lacks "
			    "records that the database has", last + base + 1,
			    hwm);
		base = hwm - last;
	} else if (hwm - base < first - 1) {
		if (journal_tree_restart(journal, first) < 0 ||
		    journal_set_base(journal, hwm - (first - 1)) < 0)
			return FALSE;
		shipper_gap(shipper, "the database was set back: it lacks "
			    "records that had been shipped", hwm + 1,
			    first - 1 + base);
		base = hwm - (first - 1);
	}
	shipper->base = base;
	return TRUE;
}

static void shipper_drop_batch(struct shipper *shipper)
{
	array_clear(&shipper->batch);
	p_clear(shipper->batch_pool);
	shipper->batch_done = shipper->batch_sent = 0;
}

static void shipper_retry(struct shipper *shipper)
{
	timeout_remove(&shipper->to_retry);
	if (shipper->reader == NULL)
		shipper_settle(shipper);
	else
		shipper_next(shipper);
}

static void shipper_retry_later(struct shipper *shipper)
{
	shipper->retry_msecs = I_MIN(I_MAX(shipper->retry_msecs * 2,
					   SHIPPER_RETRY_MIN_MSECS),
				     SHIPPER_RETRY_MAX_MSECS);
	if (shipper->to_retry == NULL) {
		shipper->to_retry = timeout_add_short(shipper->retry_msecs,
						      shipper_retry, shipper);
	}
}

static void shipper_settle(struct shipper *shipper)
{
	bool settled;

	T_BEGIN {
		settled = shipper_settle_base(shipper);
	} T_END;
	if (!settled) {
		shipper_retry_later(shipper);
		return;
	}
	shipper_drop_batch(shipper);
	shipper_set_shipped(shipper, shipper->hwm - shipper->base);
	shipper->reader = journal_reader_init(shipper->journal,
					      shipper->shipped_seq);
	shipper_next(shipper);
}

static void shipper_ready(void *context, int node_id, int64_t hwm)
{
	struct shipper *shipper = context;

	shipper->node_id = node_id;
	shipper->hwm = hwm;
	shipper_settle(shipper);
}

static void shipper_lost(void *context)
{
	struct shipper *shipper = context;

	timeout_remove(&shipper->to_retry);
	timeout_remove(&shipper->to_pause);
	if (shipper->reader != NULL)
		journal_reader_deinit(&shipper->reader);
	shipper_drop_batch(shipper);
	shipper->in_flight = FALSE;
}

/* ---- batches ---- */

static size_t
shipper_add_entry(struct shipper *shipper, const struct journal_entry *entry)
{
	const char *const *records;
	struct shipper_record *record;
	uint64_t seq = entry->first_seq;
	size_t size = 0;
	unsigned int i;

	records = t_strsplit(entry->records, "\n");
	for (i = 0; *records != NULL; records++, seq++, i++) {
		if (seq <= shipper->shipped_seq)
			continue;
		record = array_append_space(&shipper->batch);
		record->seq = seq;
		record->text = p_strdup(shipper->batch_pool, *records);
		record->have_leaf =
			journal_entry_record_salt(entry, i, record->salt);
		if (record->have_leaf) {
			journal_record_leaf(*records, record->salt,
					    &record->leaf);
		}
		size += strlen(*records);
	}
	return size;
}

/* Reads a new batch. Returns FALSE if there is nothing to ship. */
static bool shipper_read_batch(struct shipper *shipper)
{
	struct journal_entry entry;
	const char *error;
	size_t size = 0;
	int ret = 1;

	shipper_drop_batch(shipper);
	while (ret > 0 && size < SHIPPER_BATCH_BYTES &&
	       array_count(&shipper->batch) < SHIPPER_BATCH_RECORDS) T_BEGIN {
		ret = journal_reader_next(shipper->reader, &entry, &error);
		if (ret > 0)
			size += shipper_add_entry(shipper, &entry);
		else if (ret < 0) {
			/* starting anew mends what can be mended */
			i_fatal("journal: %s: it was damaged while the service "
				"ran", error);
		}
	} T_END;
	return array_count(&shipper->batch) > 0;
}

/* Replaces a record that PostgreSQL doesn't take by a gap record. Returns
   FALSE if it doesn't even take that. */
static bool shipper_replace(struct shipper *shipper, const char *error)
{
	struct shipper_record *record;
	const char *details[4];

	record = array_idx_modifiable(&shipper->batch, shipper->batch_done);
	if (record->replaced >= 2)
		return FALSE;
	if (record->replaced == 0) {
		i_error("PostgreSQL refused record %"PRId64": %s: a gap "
			"record takes its place. It was: %s",
			(int64_t)record->seq + shipper->base, error,
			record->text);
	}
	i_zero(&details);
	details[0] = "d.reason=refused by PostgreSQL";
	details[1] = t_strconcat("d.error=", error, NULL);
	if (record->replaced++ == 0)
		details[2] = t_strconcat("d.record=", record->text, NULL);
	else
		details[1] = NULL;
	record->text = p_strdup(shipper->batch_pool,
		journal_gap_record(journal_now(shipper->journal), details));
	return TRUE;
}

static void shipper_shipped(struct shipper *shipper, const PGresult *result)
{
	const struct shipper_record *record;
	intmax_t hwm;

	record = array_idx(&shipper->batch,
			   shipper->batch_done + shipper->batch_sent - 1);
	if (PQntuples(result) != 1 ||
	    str_to_intmax(PQgetvalue(result, 0, 0), &hwm) < 0 ||
	    hwm != (int64_t)record->seq + shipper->base) {
		pg_conn_reconnect(shipper->conn,
				  "team.ingest returned something unexpected");
		return;
	}
	shipper->retry_msecs = 0;
	i_free(shipper->last_error);
	shipper->batch_done += shipper->batch_sent;
	shipper->batch_limit = I_MIN(shipper->batch_limit * 2,
				     SHIPPER_BATCH_RECORDS);
	shipper_set_shipped(shipper, record->seq);
	if (shipper->batch_done < array_count(&shipper->batch))
		shipper_next(shipper);
	else
		shipper_next_paced(shipper);
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
	shipper->batch_limit = I_MAX(shipper->batch_sent / 2, 1);
}

static void
shipper_answer(const struct pg_answer *answer, void *context)
{
	struct shipper *shipper = context;

	shipper->in_flight = FALSE;
	if (answer->error == NULL) {
		shipper_shipped(shipper, answer->result);
		return;
	}
	switch (answer->action) {
	case PG_ACTION_RECONNECT:
		/* shipper_ready() goes on */
		if (answer->unknown &&
		    shipper->sent_at + SHIPPER_STALLED_SECS <= ioloop_time)
			shipper_halve_batch(shipper);
		break;
	case PG_ACTION_RESYNC:
		pg_conn_reconnect(shipper->conn, answer->error);
		break;
	case PG_ACTION_RETRY:
		/* it may have been a timeout */
		shipper_halve_batch(shipper);
		shipper_set_error(shipper, answer->error);
		shipper_retry_later(shipper);
		break;
	case PG_ACTION_GIVE_UP:
		if (shipper->batch_sent > 1) {
			shipper_halve_batch(shipper);
			shipper_next(shipper);
		} else if (shipper_replace(shipper, answer->error))
			shipper_next(shipper);
		else {
			shipper_set_error(shipper, answer->error);
			shipper_retry_later(shipper);
		}
		break;
	}
}

static void shipper_append_json(struct shipper *shipper, string_t *json,
				const struct shipper_record *record)
{
	int64_t seq = (int64_t)record->seq + shipper->base;
	const char *error;

	if (record_json_append(json, seq, record->text, &error) == 0)
		return;
	/* the service wrote it, so this is a version that knows less */
	i_error("journal: record %"PRId64" can't be read: %s: %s", seq, error,
		record->text);
	const char *const details[] = {
		"d.reason=record can't be read",
		t_strconcat("d.error=", error, NULL),
		t_strconcat("d.record=", record->text, NULL), NULL
	};
	if (record_json_append(json, seq, journal_gap_record(
			journal_now(shipper->journal), details), &error) < 0)
		i_panic("gap record can't be read: %s", error);
}

static void shipper_send(struct shipper *shipper)
{
	const struct shipper_record *records;
	const char *params[2];
	string_t *json = str_new(default_pool, 64*1024);
	unsigned int i, count;

	records = array_get(&shipper->batch, &count);
	count = I_MIN(count - shipper->batch_done, shipper->batch_limit);
	records += shipper->batch_done;
	for (i = 0; i < count; i++) T_BEGIN {
		str_append_c(json, i == 0 ? '[' : ',');
		shipper_append_json(shipper, json, &records[i]);
		if (records[i].have_leaf) {
			record_json_append_proof(json, records[i].salt,
						 &records[i].leaf);
		}
	} T_END;
	str_append_c(json, ']');
	params[0] = t_strdup_printf("%d", shipper->node_id);
	params[1] = str_c(json);
	shipper->batch_sent = count;
	shipper->sent_seq = I_MAX(shipper->sent_seq, records[count-1].seq);
	shipper->sent_at = ioloop_time;
	shipper->sent_time = ioloop_timeval;
	shipper->in_flight = TRUE;
	pg_conn_request(shipper->conn, "ingest", params, N_ELEMENTS(params),
			shipper_answer, shipper);
	str_free(&json);
}

static void shipper_next(struct shipper *shipper)
{
	if (shipper->in_flight || shipper->reader == NULL ||
	    shipper->to_retry != NULL || !pg_conn_is_ready(shipper->conn))
		return;
	if (shipper->batch_done == array_count(&shipper->batch) &&
	    !shipper_read_batch(shipper))
		return;
	T_BEGIN {
		shipper_send(shipper);
	} T_END;
}

static void shipper_pause_over(struct shipper *shipper)
{
	timeout_remove(&shipper->to_pause);
	shipper_next(shipper);
}

static void shipper_next_paced(struct shipper *shipper)
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
	shipper->batch_pool = pool_alloconly_create("shipper batch", 64*1024);
	i_array_init(&shipper->batch, SHIPPER_BATCH_RECORDS);
	shipper->batch_limit = SHIPPER_BATCH_RECORDS;
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
	array_free(&shipper->batch);
	pool_unref(&shipper->batch_pool);
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
