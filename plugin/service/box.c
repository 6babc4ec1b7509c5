/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registry of mailboxes and their known claims. */

#include "team-common.h"
#include "array.h"
#include "bsearch-insert-pos.h"
#include "hash.h"
#include "uidset.h"
#include "box.h"

struct boxes {
	HASH_TABLE(const struct box *, struct box *) hash;
};

static unsigned int box_hash(const struct box *box)
{
	return str_hash(box->guid) ^ box->uidvalidity;
}

static int box_cmp(const struct box *b1, const struct box *b2)
{
	if (b1->uidvalidity != b2->uidvalidity)
		return b1->uidvalidity < b2->uidvalidity ? -1 : 1;
	return strcmp(b1->guid, b2->guid);
}

struct boxes *boxes_init(void)
{
	struct boxes *boxes = i_new(struct boxes, 1);

	hash_table_create(&boxes->hash, default_pool, 0, box_hash, box_cmp);
	return boxes;
}

static void box_free(struct box *box)
{
	i_assert(box->watches == NULL);
	hash_table_remove(box->boxes->hash, (const struct box *)box);
	box_claims_clear(box);
	array_free(&box->claims);
	i_free(box->name);
	i_free(box->guid);
	i_free(box);
}

void boxes_foreach(struct boxes *boxes, box_callback_t *callback,
		   void *context)
{
	struct hash_iterate_context *iter;
	const struct box *key;
	struct box *box;

	iter = hash_table_iterate_init(boxes->hash);
	while (hash_table_iterate(iter, boxes->hash, &key, &box))
		callback(box, context);
	hash_table_iterate_deinit(&iter);
}

static void box_free_callback(struct box *box, void *context ATTR_UNUSED)
{
	box_free(box);
}

static void box_unused_callback(struct box *box, void *context ATTR_UNUSED)
{
	box_check_unused(box);
}

void boxes_check_unused(struct boxes *boxes)
{
	boxes_foreach(boxes, box_unused_callback, NULL);
}

void boxes_deinit(struct boxes **_boxes)
{
	struct boxes *boxes = *_boxes;

	*_boxes = NULL;
	boxes_foreach(boxes, box_free_callback, NULL);
	hash_table_destroy(&boxes->hash);
	i_free(boxes);
}

struct box *box_find(struct boxes *boxes, const char *guid,
		     uint32_t uidvalidity)
{
	const struct box key = {
		.guid = (char *)guid, .uidvalidity = uidvalidity
	};

	return hash_table_lookup(boxes->hash, &key);
}

struct box *box_get(struct boxes *boxes, const char *guid,
		    uint32_t uidvalidity)
{
	struct box *box = box_find(boxes, guid, uidvalidity);

	if (box == NULL) {
		box = i_new(struct box, 1);
		box->boxes = boxes;
		box->guid = i_strdup(guid);
		box->uidvalidity = uidvalidity;
		i_array_init(&box->claims, 4);
		hash_table_insert(boxes->hash, (const struct box *)box, box);
	}
	return box;
}

void box_set_name(struct box *box, const char *name)
{
	if (*name == '\0' || null_strcmp(box->name, name) == 0)
		return;
	i_free(box->name);
	box->name = i_strdup(name);
}

void box_check_unused(struct box *box)
{
	if (box->watches == NULL && array_count(&box->claims) == 0 &&
	    box->own_changes == 0 && !box->refreshing)
		box_free(box);
}

static int claim_uid_cmp(const uint32_t *uid, const struct box_claim *claim)
{
	return *uid < claim->uid ? -1 : (*uid > claim->uid ? 1 : 0);
}

static bool claim_find(struct box *box, uint32_t uid, unsigned int *idx_r)
{
	return array_bsearch_insert_pos(&box->claims, &uid, claim_uid_cmp,
					idx_r);
}

bool box_claim_set(struct box *box, uint32_t uid, const char *holder,
		   int64_t since, int64_t until)
{
	struct box_claim *claim;
	unsigned int idx;

	if (claim_find(box, uid, &idx)) {
		claim = array_idx_modifiable(&box->claims, idx);
		if (strcmp(claim->holder, holder) == 0 &&
		    claim->since == since && claim->until == until)
			return FALSE;
		i_free(claim->holder);
	} else {
		claim = array_insert_space(&box->claims, idx);
		claim->uid = uid;
	}
	claim->holder = i_strdup(holder);
	claim->since = since;
	claim->until = until;
	return TRUE;
}

bool box_claim_remove(struct box *box, uint32_t uid)
{
	struct box_claim *claim;
	unsigned int idx;

	if (!claim_find(box, uid, &idx))
		return FALSE;
	claim = array_idx_modifiable(&box->claims, idx);
	i_free(claim->holder);
	array_delete(&box->claims, idx, 1);
	return TRUE;
}

void box_claims_remove(struct box *box, const struct team_uidset *uids)
{
	struct box_claim *claims;
	unsigned int i, count, left = 0;

	claims = array_get_modifiable(&box->claims, &count);
	for (i = 0; i < count; i++) {
		if (team_uidset_contains(uids, claims[i].uid))
			i_free(claims[i].holder);
		else
			claims[left++] = claims[i];
	}
	array_delete(&box->claims, left, count - left);
}

void box_claims_clear(struct box *box)
{
	struct box_claim *claim;

	array_foreach_modifiable(&box->claims, claim)
		i_free(claim->holder);
	array_clear(&box->claims);
}

struct claims_sum {
	unsigned int count;
	int64_t now, first_until;
};

static void claims_sum_callback(struct box *box, void *context)
{
	struct claims_sum *sum = context;
	const struct box_claim *claim;

	array_foreach(&box->claims, claim) {
		if (claim->until > sum->now)
			sum->count++;
		if (sum->first_until == 0 || claim->until < sum->first_until)
			sum->first_until = claim->until;
	}
}

unsigned int boxes_claims_count(struct boxes *boxes, int64_t now)
{
	struct claims_sum sum = { .now = now };

	boxes_foreach(boxes, claims_sum_callback, &sum);
	return sum.count;
}

int64_t boxes_first_until(struct boxes *boxes)
{
	struct claims_sum sum = { .now = 0 };

	boxes_foreach(boxes, claims_sum_callback, &sum);
	return sum.first_until;
}
