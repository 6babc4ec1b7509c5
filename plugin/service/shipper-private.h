/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SHIPPER_PRIVATE_H
#define TEAM_SHIPPER_PRIVATE_H

#include "leaf.h"
#include "pg-conn.h"
#include "shipper.h"

/* When a batch is under way for that long, nobody else waits for it. */
#define SHIPPER_STALLED_SECS 4
#define SHIPPER_BATCH_RECORDS 8000
#define SHIPPER_BATCH_BYTES (4*1024*1024)

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

struct shipper_batch {
	pool_t pool;
	ARRAY(struct shipper_record) records;
	/* all of them, made ready while the batch before is under way */
	struct record_batch *ready;
	size_t size;
	/* what was shipped, and what is being shipped */
	unsigned int done, sent;
	/* PostgreSQL didn't take it as a whole: it is sent as JSON, of which
	   PostgreSQL takes what it can, less and less at once */
	bool odd;
	bool in_flight;
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

	/* The second one is in flight only if the first one is, or if that
	   failed just now: then refusal says why, until the answer to the
	   second one has come, too. */
	struct shipper_batch *batch, *next_batch;
	char *refusal;
	enum pg_action refusal_action;
	/* At most that many at once: less to find the one that isn't taken,
	   and while PostgreSQL takes too long for more. */
	unsigned int batch_limit;
	/* since when PostgreSQL works on the first batch */
	time_t sent_at;
	/* when something was last sent */
	struct timeval sent_time;

	/* since when there is no connection; 0 if there is one */
	uint64_t lost_at;

	struct timeout *to_retry, *to_pause;
	unsigned int retry_msecs;
	char *last_error;
	struct shipper_wait *waits, *waits_tail;
};

/* Records up to seq are in PostgreSQL. */
void shipper_set_shipped(struct shipper *shipper, uint64_t seq);

/* The connection is there: finds out where to go on, and goes on. */
void shipper_settle(struct shipper *shipper);
void shipper_retry_later(struct shipper *shipper);

struct shipper_batch *shipper_batch_init(void);
void shipper_batch_deinit(struct shipper_batch **batch);
/* Forgets what was read and not shipped. */
void shipper_drop_batches(struct shipper *shipper);
/* Ships what there is, if no more than one batch is under way. */
void shipper_next(struct shipper *shipper);
/* The same, or a bit later if there is little and nobody waits for it. */
void shipper_next_paced(struct shipper *shipper);

#endif
