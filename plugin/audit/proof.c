/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making proofs: which subtrees they are made of follows from the numbers
   alone; their heads are then built while the leaves go by. */

#include "proof.h"

#include <string.h>

/* The largest power of two below size, which is 2 at least. */
static uint64_t tree_split(uint64_t size)
{
	uint64_t split = 1;

	while (split < size - split)
		split *= 2;
	return split;
}

static void prover_init(struct team_prover *prover, uint64_t size)
{
	memset(prover, 0, sizeof(*prover));
	prover->size = size;
}

/* The parts are found from the root down, so in the proof's reverse order;
   prover_order() puts that right. */
static void prover_add(struct team_prover *prover, uint64_t first,
		       uint64_t end)
{
	struct team_prover_part *part = &prover->parts[prover->parts_count];

	part->first = first;
	part->end = end;
	part->place = prover->parts_count++;
}

/* Turns the places round and sorts the parts by their first leaf. */
static void prover_order(struct team_prover *prover)
{
	struct team_prover_part part;
	size_t i, j;

	for (i = 0; i < prover->parts_count; i++) {
		part = prover->parts[i];
		part.place = prover->parts_count - 1 - part.place;
		for (j = i; j > 0 && prover->parts[j-1].first > part.first; j--)
			prover->parts[j] = prover->parts[j-1];
		prover->parts[j] = part;
	}
	prover->proof.count = prover->parts_count;
}

int team_prover_inclusion(struct team_prover *prover, uint64_t index,
			  uint64_t size)
{
	uint64_t first = 0, end = size, middle;

	prover_init(prover, size);
	if (index >= size || size > INT64_MAX)
		return -1;
	while (end - first > 1) {
		middle = first + tree_split(end - first);
		if (index < middle) {
			prover_add(prover, middle, end);
			end = middle;
		} else {
			prover_add(prover, first, middle);
			first = middle;
		}
	}
	prover_order(prover);
	return 0;
}

int team_prover_consistency(struct team_prover *prover, uint64_t old_size,
			    uint64_t size)
{
	uint64_t first = 0, end = size, middle;

	prover_init(prover, size);
	if (old_size == 0 || old_size > size || size > INT64_MAX)
		return -1;
	while (old_size != end) {
		middle = first + tree_split(end - first);
		if (old_size <= middle) {
			prover_add(prover, middle, end);
			end = middle;
		} else {
			prover_add(prover, first, middle);
			first = middle;
		}
	}
	/* who asks knows the old tree's head */
	if (first > 0)
		prover_add(prover, first, end);
	prover_order(prover);
	return 0;
}

void team_prover_leaf(struct team_prover *prover,
		      const struct team_hash *leaf)
{
	const struct team_prover_part *part;
	uint64_t index = prover->next++;

	if (prover->current == prover->parts_count)
		return;
	part = &prover->parts[prover->current];
	if (index < part->first || index >= part->end)
		return;
	if (index == part->first)
		team_tree_init(&prover->tree);
	team_tree_append(&prover->tree, leaf);
	if (index + 1 == part->end) {
		team_tree_root(&prover->tree,
			       &prover->proof.hashes[part->place]);
		prover->current++;
	}
}

const struct team_proof *team_prover_finish(const struct team_prover *prover)
{
	return prover->next >= prover->size &&
		prover->current == prover->parts_count ? &prover->proof : NULL;
}
