/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_TREE_H
#define TEAM_JOURNAL_TREE_H

/* The journal's Merkle tree: every record is a leaf as soon as it is written.
   Segments begin with the tree as it was then, so that after a crash the tree
   is exactly what the journal's records make it. */

#include "leaf.h"
#include "tree.h"

struct journal;
struct journal_entry;

/* Leaves of the last records that were written: whoever ships them soon needn't
   hash them again. */
#define JOURNAL_LEAVES 16384

struct journal_leaf {
	/* the record's number; 0 if there is none */
	uint64_t seq;
	unsigned char salt[TEAM_SALT_SIZE];
	struct team_hash hash;
};

struct journal_tree {
	bool active;
	/* when it was begun, microseconds since the epoch: tells this node's
	   trees apart */
	uint64_t began;
	/* the journal's number of the first leaf */
	uint64_t first_seq;
	struct team_tree tree;
	/* by number, in a circle; NULL while the journal is recovered */
	struct journal_leaf *leaves;
};

/* Begins an empty tree whose first leaf is the record with the number. */
void journal_tree_begin(struct journal *journal, uint64_t first_seq);
/* Fills in an entry with the tree as it is; from the data stack. */
void journal_tree_entry(const struct journal *journal,
			struct journal_entry *entry_r);
/* Takes a TREE entry that was read: -1 if it isn't valid. */
int journal_tree_adopt(struct journal *journal,
		       const struct journal_entry *entry);
/* Begins to keep the leaves of what is written, when the journal is open. */
void journal_tree_keep_leaves(struct journal *journal);
/* Appends an entry's records. A tree that they don't continue, or records that
   have no salt, end it. */
void journal_tree_append(struct journal *journal,
			 const struct journal_entry *entry);
/* Ends the tree and begins another one, of which all records from first_seq on
   are part. Returns 0, or -1 if it can't be written. */
int journal_tree_restart(struct journal *journal, uint64_t first_seq);
const struct journal_tree *journal_get_tree(struct journal *journal);

/* The salt and the hash of the leaf of the entry's n-th record, whose text is
   as it stands in the journal. Returns FALSE if it has none. */
bool journal_entry_leaf(struct journal *journal,
			const struct journal_entry *entry, unsigned int n,
			const char *text, struct journal_leaf *leaf_r);
/* The salt of the entry's n-th record. Returns FALSE if it has none. */
bool journal_entry_record_salt(const struct journal_entry *entry,
			       unsigned int n, unsigned char *salt_r);
/* The leaf's hash of a record as it stands in the journal. */
void journal_record_leaf(const char *text, const unsigned char *salt,
			 struct team_hash *hash_r);

#endif
