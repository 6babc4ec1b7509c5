/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checking proofs, as RFC 9162 (2.1.3.2, 2.1.4.2) describes it. */

#include "proof.h"

bool team_proof_check_inclusion(const struct team_proof *proof,
				uint64_t index, uint64_t size,
				const struct team_hash *leaf,
				const struct team_hash *root)
{
	struct team_hash head = *leaf;
	uint64_t node, last;
	size_t i;

	if (index >= size)
		return false;
	node = index;
	last = size - 1;
	for (i = 0; i < proof->count; i++) {
		if (last == 0)
			return false;
		if ((node & 1) != 0 || node == last) {
			team_tree_hash_node(&proof->hashes[i], &head, &head);
			while ((node & 1) == 0 && node != 0) {
				node >>= 1;
				last >>= 1;
			}
		} else {
			team_tree_hash_node(&head, &proof->hashes[i], &head);
		}
		node >>= 1;
		last >>= 1;
	}
	return last == 0 && team_hash_equals(&head, root);
}

bool team_proof_check_consistency(const struct team_proof *proof,
				  uint64_t old_size, uint64_t size,
				  const struct team_hash *old_root,
				  const struct team_hash *root)
{
	struct team_hash old_head, head;
	uint64_t node, last;
	size_t i = 0;

	if (old_size > size)
		return false;
	if (old_size == size)
		return proof->count == 0 && team_hash_equals(old_root, root);
	if (old_size == 0) {
		team_sha256(NULL, 0, &head);
		return proof->count == 0 && team_hash_equals(old_root, &head);
	}
	node = old_size - 1;
	last = size - 1;
	while ((node & 1) != 0) {
		node >>= 1;
		last >>= 1;
	}
	if (node == 0) {
		/* the old tree is a complete subtree of the other */
		old_head = head = *old_root;
	} else {
		if (proof->count == 0)
			return false;
		old_head = head = proof->hashes[i++];
	}
	for (; i < proof->count; i++) {
		if (last == 0)
			return false;
		if ((node & 1) != 0 || node == last) {
			team_tree_hash_node(&proof->hashes[i], &old_head,
					    &old_head);
			team_tree_hash_node(&proof->hashes[i], &head, &head);
			while ((node & 1) == 0 && node != 0) {
				node >>= 1;
				last >>= 1;
			}
		} else {
			team_tree_hash_node(&head, &proof->hashes[i], &head);
		}
		node >>= 1;
		last >>= 1;
	}
	return last == 0 && team_hash_equals(&old_head, old_root) &&
		team_hash_equals(&head, root);
}
