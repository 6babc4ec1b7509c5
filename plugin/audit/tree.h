/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_TREE_H
#define TEAM_TREE_H

/* The Merkle tree of RFC 6962 (SHA-256), grown leaf by leaf. Only its frontier
   is kept: the heads of the complete subtrees from left to right, at most one
   a level. */

#include "digest.h"

#define TEAM_TREE_LEVELS 64

struct team_tree {
	uint64_t size;
	/* heads[i] counts if bit i of size is set: of the complete subtree
	   with 2^i leaves */
	struct team_hash heads[TEAM_TREE_LEVELS];
};

/* MTH({d}) of one leaf. */
void team_tree_hash_leaf(const void *data, size_t size,
			 struct team_hash *hash_r);
void team_tree_hash_node(const struct team_hash *left,
			 const struct team_hash *right,
			 struct team_hash *hash_r);

void team_tree_init(struct team_tree *tree);
/* Appends a leaf by its hash. */
void team_tree_append(struct team_tree *tree, const struct team_hash *leaf);
/* The tree's head; of an empty tree the hash of nothing. */
void team_tree_root(const struct team_tree *tree, struct team_hash *root_r);

/* "<size>" and the frontier's heads from the largest subtree to the smallest,
   in hex, all separated by blanks. The caller frees it. */
char *team_tree_format(const struct team_tree *tree);
/* Returns 0, or -1 if it isn't valid. */
int team_tree_parse(const char *text, struct team_tree *tree_r);

#endif
