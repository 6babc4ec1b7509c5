/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_BATCH_H
#define TEAM_RECORD_BATCH_H

/* Records as team.ingest_batch takes them: arrays in PostgreSQL's binary form,
   texts as numbers of the batch's words. */

#include "leaf.h"

struct record_batch;

struct record_batch_param {
	const void *data;
	size_t size;
};
/* node, first number and all arrays */
#define RECORD_BATCH_PARAMS 35

struct record_batch *record_batch_init(void);
void record_batch_deinit(struct record_batch **batch);
void record_batch_clear(struct record_batch *batch);

/* Adds a record (canonical form without seq). salt and leaf may be NULL.
   Returns 0, or -1 with an error if it can't be read; then nothing was
   added. */
int record_batch_add(struct record_batch *batch, const char *text,
		     const unsigned char *salt, const struct team_hash *leaf,
		     const char **error_r);
unsigned int record_batch_count(const struct record_batch *batch);
/* Roughly how many bytes the parameters have. */
size_t record_batch_size(const struct record_batch *batch);

/* Ends the batch: its statement's parameters, valid until it is changed. */
const struct record_batch_param *
record_batch_params(struct record_batch *batch, int node, int64_t first_seq);

#endif
