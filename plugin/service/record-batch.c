/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the journal's form of records to arrays. */

#include "team-common.h"
#include "buffer.h"
#include "hash.h"
#include "str.h"
#include "strnum.h"
#include "record.h"
#include "record-batch.h"
#include "record-layers.h"
#include "record-parts.h"

#include <endian.h>

#define OID_BYTEA 17
#define OID_INT8 20
#define OID_INT4 23
#define OID_TEXT 25
#define OID_TIMESTAMPTZ 1184

/* dimensions, whether there are NULLs, type, length, lower bound */
#define ARRAY_HEADER_SIZE (5 * sizeof(uint32_t))
#define ARRAY_HEADER_NULLS 4
#define ARRAY_HEADER_COUNT 12

/* from 1970 to 2000 */
#define PG_EPOCH_USECS 946684800000000

/* The parameters behind node and first number, in their order. */
enum column {
	COLUMN_WORDS,
	/* one of a session */
	COLUMN_COLLEAGUES,
	COLUMN_USERS,
	COLUMN_SESSIONS,
	COLUMN_SERVICES,
	COLUMN_IPS,
	COLUMN_TLSS,
	COLUMN_CLIENTS,
	/* one of a mailbox */
	COLUMN_GUIDS,
	COLUMN_VALIDITIES,
	COLUMN_BOX_NAMES,
	/* one of a record */
	COLUMN_AT,
	COLUMN_ACTION,
	COLUMN_OUTCOME,
	COLUMN_CONTEXT,
	COLUMN_BOX,
	COLUMN_NAME,
	COLUMN_UID,
	COLUMN_UIDS,
	COLUMN_MIDS,
	COLUMN_ADDED,
	COLUMN_REMOVED,
	COLUMN_PRIVATE_ADDED,
	COLUMN_PRIVATE_REMOVED,
	COLUMN_PRIVATE,
	COLUMN_FROM_BOX,
	COLUMN_FROM_NAME,
	COLUMN_FROM_UID,
	COLUMN_FROM_UIDS,
	COLUMN_DETAIL,
	COLUMN_LAYER,
	COLUMN_SALT,
	COLUMN_LEAF,

	COLUMN_COUNT
};

static const uint32_t column_types[COLUMN_COUNT] = {
	[COLUMN_WORDS] = OID_TEXT,
	[COLUMN_VALIDITIES] = OID_INT8,
	[COLUMN_AT] = OID_TIMESTAMPTZ,
	[COLUMN_UID] = OID_INT8,
	[COLUMN_FROM_UID] = OID_INT8,
	[COLUMN_SALT] = OID_BYTEA,
	[COLUMN_LEAF] = OID_BYTEA,
	/* all others are OID_INT4 */
};

struct record_column {
	buffer_t *buf;
	unsigned int count;
	bool nulls;
};

/* What a session's records have in common, as words. */
struct record_context {
	unsigned int words[RECORD_CONTEXT_SIZE];
};

struct record_batch {
	pool_t pool;
	HASH_TABLE(char *, void *) words;
	HASH_TABLE(char *, void *) boxes;
	HASH_TABLE(struct record_context *, void *) contexts;
	struct record_layers *layers;
	struct record_column columns[COLUMN_COUNT];
	uint32_t node;
	uint64_t first_seq;
	struct record_batch_param params[RECORD_BATCH_PARAMS];
};

static unsigned int context_hash(const struct record_context *context)
{
	return mem_hash(context->words, sizeof(context->words));
}

static int context_cmp(const struct record_context *c1,
		       const struct record_context *c2)
{
	return memcmp(c1->words, c2->words, sizeof(c1->words));
}

static void column_begin(struct record_column *column, uint32_t type)
{
	uint32_t header[5] = {
		htobe32(1), 0, htobe32(type != 0 ? type : OID_INT4), 0,
		htobe32(1)
	};

	buffer_set_used_size(column->buf, 0);
	buffer_append(column->buf, header, sizeof(header));
	column->count = 0;
	column->nulls = FALSE;
}

struct record_batch *record_batch_init(void)
{
	struct record_batch *batch = i_new(struct record_batch, 1);
	unsigned int i;

	batch->pool = pool_alloconly_create("record batch", 64*1024);
	hash_table_create(&batch->words, default_pool, 1024, str_hash, strcmp);
	hash_table_create(&batch->boxes, default_pool, 64, str_hash, strcmp);
	hash_table_create(&batch->contexts, default_pool, 64, context_hash,
			  context_cmp);
	batch->layers = record_layers_init();
	for (i = 0; i < COLUMN_COUNT; i++) {
		batch->columns[i].buf =
			buffer_create_dynamic(default_pool, 1024);
		column_begin(&batch->columns[i], column_types[i]);
	}
	return batch;
}

void record_batch_deinit(struct record_batch **_batch)
{
	struct record_batch *batch = *_batch;
	unsigned int i;

	*_batch = NULL;
	for (i = 0; i < COLUMN_COUNT; i++)
		buffer_free(&batch->columns[i].buf);
	record_layers_deinit(&batch->layers);
	hash_table_destroy(&batch->words);
	hash_table_destroy(&batch->boxes);
	hash_table_destroy(&batch->contexts);
	pool_unref(&batch->pool);
	i_free(batch);
}

void record_batch_clear(struct record_batch *batch)
{
	unsigned int i;

	hash_table_clear(batch->words, FALSE);
	hash_table_clear(batch->boxes, FALSE);
	hash_table_clear(batch->contexts, FALSE);
	record_layers_clear(batch->layers);
	p_clear(batch->pool);
	for (i = 0; i < COLUMN_COUNT; i++)
		column_begin(&batch->columns[i], column_types[i]);
}

/* ---- columns ---- */

static void column_add(struct record_batch *batch, enum column i,
		       const void *data, uint32_t size)
{
	struct record_column *column = &batch->columns[i];
	uint32_t size_be = htobe32(size);

	buffer_append(column->buf, &size_be, sizeof(size_be));
	buffer_append(column->buf, data, size);
	column->count++;
}

static void column_add_null(struct record_batch *batch, enum column i)
{
	uint32_t size_be = (uint32_t)-1;

	buffer_append(batch->columns[i].buf, &size_be, sizeof(size_be));
	batch->columns[i].count++;
	batch->columns[i].nulls = TRUE;
}

/* 0 is NULL */
static void column_add_number(struct record_batch *batch, enum column i,
			      uint32_t number)
{
	uint32_t number_be = htobe32(number);

	if (number == 0)
		column_add_null(batch, i);
	else
		column_add(batch, i, &number_be, sizeof(number_be));
}

static void column_add_int64(struct record_batch *batch, enum column i,
			     int64_t number)
{
	uint64_t number_be = htobe64((uint64_t)number);

	column_add(batch, i, &number_be, sizeof(number_be));
}

/* ---- words, sessions, mailboxes ---- */

static unsigned int batch_word(struct record_batch *batch, const char *text)
{
	void *value;
	unsigned int number;

	if (text == NULL)
		return 0;
	value = hash_table_lookup(batch->words, text);
	if (value != NULL)
		return POINTER_CAST_TO(value, unsigned int);
	column_add(batch, COLUMN_WORDS, text, strlen(text));
	number = batch->columns[COLUMN_WORDS].count;
	hash_table_insert(batch->words, p_strdup(batch->pool, text),
			  POINTER_CAST(number));
	return number;
}

static void column_add_word(struct record_batch *batch, enum column i,
			    const char *text)
{
	column_add_number(batch, i, batch_word(batch, text));
}

static unsigned int
batch_context(struct record_batch *batch, const struct record_parts *parts)
{
	struct record_context context, *copy;
	void *value;
	unsigned int i, number;

	for (i = 0; i < RECORD_CONTEXT_SIZE; i++)
		context.words[i] = batch_word(batch, parts->context[i]);
	value = hash_table_lookup(batch->contexts, &context);
	if (value != NULL)
		return POINTER_CAST_TO(value, unsigned int);
	for (i = 0; i < RECORD_CONTEXT_SIZE; i++) {
		column_add_number(batch, COLUMN_COLLEAGUES + i,
				  context.words[i]);
	}
	number = batch->columns[COLUMN_COLLEAGUES].count;
	copy = p_new(batch->pool, struct record_context, 1);
	*copy = context;
	hash_table_insert(batch->contexts, copy, POINTER_CAST(number));
	return number;
}

static unsigned int
batch_box(struct record_batch *batch, const char *guid, const char *validity,
	  const char *name)
{
	const char *key;
	uint32_t num;
	void *value;
	unsigned int number;

	if (guid == NULL)
		return 0;
	key = t_strconcat(guid, " ", validity, NULL);
	value = hash_table_lookup(batch->boxes, key);
	if (value != NULL)
		return POINTER_CAST_TO(value, unsigned int);
	column_add_word(batch, COLUMN_GUIDS, guid);
	if (validity != NULL && str_to_uint32(validity, &num) == 0)
		column_add_int64(batch, COLUMN_VALIDITIES, num);
	else
		column_add_null(batch, COLUMN_VALIDITIES);
	column_add_word(batch, COLUMN_BOX_NAMES, name);
	number = batch->columns[COLUMN_GUIDS].count;
	hash_table_insert(batch->boxes, p_strdup(batch->pool, key),
			  POINTER_CAST(number));
	return number;
}

/* ---- records ---- */

/* One UID goes into a column of its own. Returns it, or 0. */
static uint32_t
column_add_uids(struct record_batch *batch, enum column one,
		enum column several, const char *uids)
{
	uint32_t uid = 0;

	if (uids != NULL && str_to_uint32(uids, &uid) < 0)
		uid = 0;
	if (uid != 0)
		column_add_int64(batch, one, uid);
	else
		column_add_null(batch, one);
	column_add_word(batch, several,
			uids == NULL || uid != 0 ? NULL : record_multirange(uids));
	return uid;
}

static unsigned int
batch_layer(struct record_batch *batch, const struct record_parts *parts,
	    unsigned int box, unsigned int from_box, uint32_t uid,
	    uint32_t from_uid)
{
	const struct record_effect effect = {
		.action = parts->action,
		.box = box,
		.from_box = from_box,
		.uid = uid,
		.from_uid = from_uid,
		.flags = parts->private_added != NULL ||
			parts->private_removed != NULL ||
			parts->private != NULL,
		.removes = parts->private_removed != NULL ||
			parts->private != NULL
	};

	return record_layers_add(batch->layers, &effect);
}

static const char *parts_text(string_t *str)
{
	return str == NULL ? NULL : str_c(str);
}

static void batch_add_parts(struct record_batch *batch,
			    const struct record_parts *parts)
{
	unsigned int box, from_box;
	uint32_t uid, from_uid;
	uint64_t at;

	if (parts->at != NULL && str_to_uint64(parts->at, &at) == 0) {
		column_add_int64(batch, COLUMN_AT,
				 (int64_t)at - PG_EPOCH_USECS);
	} else {
		column_add_null(batch, COLUMN_AT);
	}
	column_add_word(batch, COLUMN_ACTION, parts->action);
	column_add_word(batch, COLUMN_OUTCOME, parts->outcome);
	column_add_number(batch, COLUMN_CONTEXT, batch_context(batch, parts));
	box = batch_box(batch, parts->mailbox, parts->uidvalidity,
			parts->name);
	column_add_number(batch, COLUMN_BOX, box);
	column_add_word(batch, COLUMN_NAME, parts->name);
	uid = column_add_uids(batch, COLUMN_UID, COLUMN_UIDS, parts->uids);
	column_add_word(batch, COLUMN_MIDS, parts->mids);
	column_add_word(batch, COLUMN_ADDED, parts->add);
	column_add_word(batch, COLUMN_REMOVED, parts->remove);
	column_add_word(batch, COLUMN_PRIVATE_ADDED,
			parts_text(parts->private_added));
	column_add_word(batch, COLUMN_PRIVATE_REMOVED,
			parts_text(parts->private_removed));
	column_add_word(batch, COLUMN_PRIVATE, parts_text(parts->private));
	from_box = batch_box(batch, parts->from, parts->fromvalidity,
			     parts->fromname);
	column_add_number(batch, COLUMN_FROM_BOX, from_box);
	column_add_word(batch, COLUMN_FROM_NAME, parts->fromname);
	from_uid = column_add_uids(batch, COLUMN_FROM_UID, COLUMN_FROM_UIDS,
				   parts->fromuids);
	column_add_word(batch, COLUMN_DETAIL, parts_text(parts->detail));
	column_add_number(batch, COLUMN_LAYER,
			  batch_layer(batch, parts, box, from_box, uid,
				      from_uid));
}

int record_batch_add(struct record_batch *batch, const char *text,
		     const unsigned char *salt, const struct team_hash *leaf,
		     const char **error_r)
{
	struct team_record *record;
	struct record_parts parts;

	record = team_record_parse(text, strlen(text), error_r);
	if (record == NULL)
		return -1;
	if (record_parts_get(record, &parts, error_r) < 0) {
		team_record_free(&record);
		return -1;
	}
	batch_add_parts(batch, &parts);
	team_record_free(&record);
	if (salt != NULL)
		column_add(batch, COLUMN_SALT, salt, TEAM_SALT_SIZE);
	else
		column_add_null(batch, COLUMN_SALT);
	if (leaf != NULL)
		column_add(batch, COLUMN_LEAF, leaf->bytes, TEAM_HASH_SIZE);
	else
		column_add_null(batch, COLUMN_LEAF);
	return 0;
}

unsigned int record_batch_count(const struct record_batch *batch)
{
	return batch->columns[COLUMN_AT].count;
}

size_t record_batch_size(const struct record_batch *batch)
{
	/* numbers take 8 bytes, or 4 if they are NULL */
	return batch->columns[COLUMN_WORDS].buf->used +
		(size_t)record_batch_count(batch) * COLUMN_COUNT * 6;
}

/* ---- parameters ---- */

static void column_end(struct record_column *column, uint32_t type,
		       struct record_batch_param *param_r)
{
	unsigned char *data = buffer_get_modifiable_data(column->buf, NULL);
	uint32_t nulls = htobe32(column->nulls ? 1 : 0);
	uint32_t count = htobe32(column->count);

	if (column->count == 0) {
		/* an empty array has no dimensions */
		const uint32_t empty[3] = {
			0, 0, htobe32(type != 0 ? type : OID_INT4)
		};

		memcpy(data, empty, sizeof(empty));
		param_r->data = data;
		param_r->size = sizeof(empty);
		return;
	}
	memcpy(data + ARRAY_HEADER_NULLS, &nulls, sizeof(nulls));
	memcpy(data + ARRAY_HEADER_COUNT, &count, sizeof(count));
	param_r->data = data;
	param_r->size = column->buf->used;
}

const struct record_batch_param *
record_batch_params(struct record_batch *batch, int node, int64_t first_seq)
{
	unsigned int i;

	batch->node = htobe32((uint32_t)node);
	batch->first_seq = htobe64((uint64_t)first_seq);
	batch->params[0].data = &batch->node;
	batch->params[0].size = sizeof(batch->node);
	batch->params[1].data = &batch->first_seq;
	batch->params[1].size = sizeof(batch->first_seq);
	for (i = 0; i < COLUMN_COUNT; i++) {
		column_end(&batch->columns[i], column_types[i],
			   &batch->params[2 + i]);
	}
	return batch->params;
}
