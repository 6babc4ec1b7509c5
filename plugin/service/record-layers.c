/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which records of a batch have to wait for which. Single messages are looked
   at one by one; a record of several waits for all before it in its mailboxes,
   and all behind it there wait for it: these are few. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "record-layers.h"

enum effect_kind {
	/* in the order in which a layer's are carried out */
	EFFECT_FLAGS,
	EFFECT_COPY,
	EFFECT_EXPUNGE,
	EFFECT_DELETE,
	EFFECT_NONE
};

/* What was last done to a message. */
struct message_state {
	unsigned int layer;
	enum effect_kind kind;
	bool removes;
};

struct box_state {
	/* whatever comes next is at least here */
	unsigned int floor;
	/* the highest layer of the mailbox yet */
	unsigned int top;
};

struct record_layers {
	pool_t pool;
	/* by mailbox << 32 | UID */
	HASH_TABLE(uint64_t *, struct message_state *) messages;
	ARRAY(struct box_state) boxes;
};

static unsigned int uint64_hash(const uint64_t *num)
{
	return (unsigned int)(*num ^ (*num >> 32)) * 2654435761U;
}

static int uint64_cmp(const uint64_t *n1, const uint64_t *n2)
{
	return *n1 < *n2 ? -1 : (*n1 > *n2 ? 1 : 0);
}

struct record_layers *record_layers_init(void)
{
	struct record_layers *layers = i_new(struct record_layers, 1);

	layers->pool = pool_alloconly_create("record layers", 16*1024);
	hash_table_create(&layers->messages, default_pool, 1024, uint64_hash,
			  uint64_cmp);
	i_array_init(&layers->boxes, 64);
	return layers;
}

void record_layers_deinit(struct record_layers **_layers)
{
	struct record_layers *layers = *_layers;

	*_layers = NULL;
	hash_table_destroy(&layers->messages);
	array_free(&layers->boxes);
	pool_unref(&layers->pool);
	i_free(layers);
}

void record_layers_clear(struct record_layers *layers)
{
	hash_table_clear(layers->messages, FALSE);
	array_clear(&layers->boxes);
	p_clear(layers->pool);
}

static enum effect_kind effect_kind(const struct record_effect *effect)
{
	if (effect->box == 0)
		return EFFECT_NONE;
	if (effect->from_box != 0 && (strcmp(effect->action, "copy") == 0 ||
				      strcmp(effect->action, "move") == 0))
		return EFFECT_COPY;
	if (strcmp(effect->action, "expunge") == 0)
		return EFFECT_EXPUNGE;
	if (strcmp(effect->action, "delete") == 0)
		return EFFECT_DELETE;
	return effect->flags ? EFFECT_FLAGS : EFFECT_NONE;
}

static struct message_state *
layers_message(struct record_layers *layers, unsigned int box, uint32_t uid)
{
	uint64_t key = (uint64_t)box << 32 | uid, *copy;
	struct message_state *message;

	message = hash_table_lookup(layers->messages, &key);
	if (message != NULL)
		return message;
	copy = p_new(layers->pool, uint64_t, 1);
	*copy = key;
	message = p_new(layers->pool, struct message_state, 1);
	message->kind = EFFECT_NONE;
	hash_table_insert(layers->messages, copy, message);
	return message;
}

/* The first layer in which it comes behind what was done to the message. */
static unsigned int message_next(const struct message_state *message,
				 enum effect_kind kind, bool removes)
{
	bool behind;

	if (message->kind == EFFECT_NONE)
		return 0;
	if (kind == EFFECT_FLAGS && message->kind == EFFECT_FLAGS)
		behind = !removes && !message->removes;
	else
		behind = kind > message->kind;
	return behind ? message->layer : message->layer + 1;
}

static void message_set(struct message_state *message, unsigned int layer,
			enum effect_kind kind, bool removes)
{
	/* flags that are only added stay as they were, if there are several */
	removes = removes || (message->removes && message->layer == layer &&
			      message->kind == kind);
	message->layer = layer;
	message->kind = kind;
	message->removes = removes;
}

unsigned int record_layers_add(struct record_layers *layers,
			       const struct record_effect *effect)
{
	enum effect_kind kind = effect_kind(effect);
	struct message_state *messages[2] = { NULL, NULL };
	unsigned int boxes[2] = { effect->box, effect->from_box };
	const uint32_t uids[2] = { effect->uid, effect->from_uid };
	unsigned int i, layer = 1, count = kind == EFFECT_COPY ? 2 : 1;
	bool removes = effect->removes || kind == EFFECT_COPY;
	struct box_state *box;

	if (kind == EFFECT_NONE)
		return 1;
	for (i = 0; i < count; i++) {
		box = array_idx_get_space(&layers->boxes, boxes[i]);
		layer = I_MAX(layer, box->floor);
		if (uids[i] == 0) {
			layer = I_MAX(layer, box->top + 1);
			continue;
		}
		messages[i] = layers_message(layers, boxes[i], uids[i]);
		layer = I_MAX(layer, message_next(messages[i], kind, removes));
	}
	for (i = 0; i < count; i++) {
		box = array_idx_get_space(&layers->boxes, boxes[i]);
		box->top = I_MAX(box->top, layer);
		if (uids[i] == 0)
			box->floor = layer + 1;
		else
			message_set(messages[i], layer, kind, removes);
	}
	return layer;
}
