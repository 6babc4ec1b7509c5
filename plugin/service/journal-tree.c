/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Growing the tree with the journal. */

#include "team-common.h"
#include "record.h"
#include "journal-private.h"

#include <stdlib.h>

const struct journal_tree *journal_get_tree(struct journal *journal)
{
	return &journal->tree;
}

void journal_tree_begin(struct journal *journal, uint64_t first_seq)
{
	struct journal_tree *tree = &journal->tree;
	uint64_t now = journal_now(journal);

	/* no two trees have the same name */
	tree->began = I_MAX(now, tree->began + 1);
	tree->first_seq = first_seq;
	tree->active = TRUE;
	team_tree_init(&tree->tree);
}

void journal_tree_entry(const struct journal *journal,
			struct journal_entry *entry_r)
{
	const struct journal_tree *tree = &journal->tree;
	char *text = team_tree_format(&tree->tree);

	i_zero(entry_r);
	entry_r->type = JOURNAL_ENTRY_TREE;
	entry_r->at = tree->began;
	entry_r->first_seq = tree->first_seq;
	entry_r->tree = t_strdup(text);
	free(text);
}

int journal_tree_adopt(struct journal *journal,
		       const struct journal_entry *entry)
{
	struct journal_tree *tree = &journal->tree;

	if (team_tree_parse(entry->tree, &tree->tree) < 0)
		return -1;
	tree->began = entry->at;
	tree->first_seq = entry->first_seq;
	tree->active = TRUE;
	return 0;
}

bool journal_entry_record_salt(const struct journal_entry *entry,
			       unsigned int n, unsigned char *salt_r)
{
	unsigned char group[TEAM_SALT_SIZE];

	if (entry->salt == NULL ||
	    team_hex_decode(entry->salt, group, sizeof(group)) < 0)
		return FALSE;
	team_leaf_record_salt(group, n, salt_r);
	return TRUE;
}

void journal_record_leaf(const char *text, const unsigned char *salt,
			 struct team_hash *hash_r)
{
	struct team_opening opening = { .have_salt = TRUE };
	struct team_record *record;
	const char *error;

	memcpy(opening.salt, salt, sizeof(opening.salt));
	record = team_record_parse(text, strlen(text), &error);
	if (record == NULL ||
	    team_leaf_hash(record, &opening, hash_r, &error) < 0) {
		/* it gets into the log as text, if at all */
		team_tree_hash_leaf(text, strlen(text), hash_r);
	}
	team_record_free(&record);
}

static bool entry_leaf(const struct journal_entry *entry, unsigned int n,
		       const char *text, struct journal_leaf *leaf_r)
{
	leaf_r->seq = entry->first_seq + n;
	if (!journal_entry_record_salt(entry, n, leaf_r->salt))
		return FALSE;
	journal_record_leaf(text, leaf_r->salt, &leaf_r->hash);
	return TRUE;
}

static struct journal_leaf *
tree_leaf(struct journal_tree *tree, uint64_t seq)
{
	return &tree->leaves[seq % JOURNAL_LEAVES];
}

bool journal_entry_leaf(struct journal *journal,
			const struct journal_entry *entry, unsigned int n,
			const char *text, struct journal_leaf *leaf_r)
{
	struct journal_tree *tree = &journal->tree;
	uint64_t seq = entry->first_seq + n;

	if (tree->leaves != NULL && tree_leaf(tree, seq)->seq == seq) {
		*leaf_r = *tree_leaf(tree, seq);
		return TRUE;
	}
	return entry_leaf(entry, n, text, leaf_r);
}

/* Appends those of the entry's records that have first_seq or more. */
static void tree_append_from(struct journal_tree *tree,
			     const struct journal_entry *entry,
			     uint64_t first_seq)
{
	const char *const *records = t_strsplit(entry->records, "\n");
	struct journal_leaf unkept, *leaf;
	unsigned int i;

	for (i = 0; records[i] != NULL; i++) {
		if (entry->first_seq + i < first_seq)
			continue;
		leaf = tree->leaves == NULL ? &unkept :
			tree_leaf(tree, entry->first_seq + i);
		if (!entry_leaf(entry, i, records[i], leaf)) {
			leaf->seq = 0;
			tree->active = FALSE;
			return;
		}
		team_tree_append(&tree->tree, &leaf->hash);
	}
}

void journal_tree_keep_leaves(struct journal *journal)
{
	journal->tree.leaves = i_new(struct journal_leaf, JOURNAL_LEAVES);
}

void journal_tree_append(struct journal *journal,
			 const struct journal_entry *entry)
{
	struct journal_tree *tree = &journal->tree;

	if (!tree->active)
		return;
	if (tree->first_seq + tree->tree.size != entry->first_seq) {
		tree->active = FALSE;
		return;
	}
	T_BEGIN {
		tree_append_from(tree, entry, entry->first_seq);
	} T_END;
}

/* Reads back what the new tree begins with. */
static int tree_fill(struct journal *journal, uint64_t first_seq)
{
	struct journal_reader *reader;
	struct journal_entry entry;
	const char *error;
	int ret = 1;

	reader = journal_reader_init(journal, first_seq - 1);
	while (ret > 0) T_BEGIN {
		ret = journal_reader_next(reader, &entry, &error);
		if (ret > 0) {
			tree_append_from(&journal->tree, &entry, first_seq);
			if (!journal->tree.active) {
				/* from a version without trees */
				first_seq = entry.first_seq + entry.count;
				journal_tree_begin(journal, first_seq);
			}
		} else if (ret < 0) {
			i_error("journal: %s", error);
		}
	} T_END;
	journal_reader_deinit(&reader);
	return ret;
}

int journal_tree_restart(struct journal *journal, uint64_t first_seq)
{
	struct journal_entry entry;

	journal_flush(journal);
	if (journal->fail_since != 0)
		return -1;
	journal_tree_begin(journal, first_seq);
	if (tree_fill(journal, first_seq) < 0)
		return -1;
	journal_tree_entry(journal, &entry);
	(void)journal_stage(journal, &entry, TRUE, NULL, NULL);
	journal_flush(journal);
	return journal->fail_since != 0 ? -1 : 0;
}
