/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_VERIFY_PRIVATE_H
#define TEAM_VERIFY_PRIVATE_H

#include "verify.h"

struct verify_checkpoint {
	uint64_t size;
	struct team_hash root;
	char time[32];
	/* of a cut: the tree to go on with */
	struct team_tree *cut;
};

struct verify_tree {
	char origin[TEAM_NOTE_NAME_MAX + 1];
	char node[TEAM_NOTE_NAME_MAX + 1];
	uint64_t first, began;
	/* by size */
	struct verify_checkpoint *checkpoints;
	size_t count;
	/* of the largest checkpoint */
	uint64_t size;
	bool seen;
};

struct team_verify {
	team_verify_callback_t *callback;
	void *context;
	enum team_verdict worst;
	struct team_verify_stats stats;

	struct team_verifier *keys;
	size_t keys_count;
	/* by node and first record */
	struct verify_tree *trees;
	size_t trees_count;
	bool sorted;

	/* where we are */
	char *node;
	uint64_t last_seq, node_records;
	size_t node_trees, node_trees_end;
	/* the current one, or NULL before the first */
	struct verify_tree *cur;
	struct team_tree tree;
	/* something is missing or wrong: heads can't be compared */
	bool broken;
	size_t next_checkpoint;
	/* the last record that a checkpoint was found to be right for */
	uint64_t good_seq;
	uint64_t findings;
};

void team_verify_found(struct team_verify *verify, enum team_verdict verdict,
		       const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Brings trees and checkpoints into order. */
void team_verify_sort(struct team_verify *verify);

#endif
