/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PROOF_H
#define TEAM_PROOF_H

/* Inclusion and consistency proofs (RFC 6962, 2.1.1 and 2.1.2), made in one
   pass over the leaves' hashes, however many there are. */

#include "tree.h"

#define TEAM_PROOF_MAX 128

struct team_proof {
	size_t count;
	struct team_hash hashes[TEAM_PROOF_MAX];
};

struct team_prover {
	/* the subtrees whose heads make the proof, by their first leaf */
	struct team_prover_part {
		uint64_t first, end;
		/* place in the proof */
		size_t place;
	} parts[TEAM_PROOF_MAX];
	size_t parts_count, current;
	uint64_t size, next;
	struct team_tree tree;
	struct team_proof proof;
};

/* Begins a proof that leaf number index (from 0) is in the tree of the size.
   Returns 0, or -1 if it can't be. */
int team_prover_inclusion(struct team_prover *prover, uint64_t index,
			  uint64_t size);
/* Begins a proof that the tree of old_size is the beginning of that of size.
   Returns 0, or -1 if it can't be. */
int team_prover_consistency(struct team_prover *prover, uint64_t old_size,
			    uint64_t size);
/* Takes the hashes of all the tree's leaves in order. */
void team_prover_leaf(struct team_prover *prover,
		      const struct team_hash *leaf);
/* Returns the proof, or NULL if leaves are missing. */
const struct team_proof *team_prover_finish(const struct team_prover *prover);

/* Does the proof show that the leaf is number index of the tree? */
bool team_proof_check_inclusion(const struct team_proof *proof,
				uint64_t index, uint64_t size,
				const struct team_hash *leaf,
				const struct team_hash *root);
/* Does the proof show that the old tree is the beginning of the other? An
   empty tree is the beginning of every tree, by an empty proof. */
bool team_proof_check_consistency(const struct team_proof *proof,
				  uint64_t old_size, uint64_t size,
				  const struct team_hash *old_root,
				  const struct team_hash *root);

#endif
