/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following a log's records and comparing heads where checkpoints are. */

#include "verify-private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct team_verify *team_verify_new(team_verify_callback_t *callback,
				    void *context)
{
	struct team_verify *verify = calloc(1, sizeof(*verify));

	if (verify == NULL)
		abort();
	verify->callback = callback;
	verify->context = context;
	return verify;
}

void team_verify_free(struct team_verify **_verify)
{
	struct team_verify *verify = *_verify;
	size_t i, j;

	*_verify = NULL;
	for (i = 0; i < verify->trees_count; i++) {
		for (j = 0; j < verify->trees[i].count; j++)
			free(verify->trees[i].checkpoints[j].cut);
		free(verify->trees[i].checkpoints);
	}
	free(verify->trees);
	free(verify->keys);
	free(verify->node);
	free(verify);
}

const char *team_verdict_name(enum team_verdict verdict)
{
	switch (verdict) {
	case TEAM_VERDICT_OK: return "ok";
	case TEAM_VERDICT_NOT_CHECKABLE: return "not checkable";
	case TEAM_VERDICT_UNKNOWN_KEY: return "unknown key";
	case TEAM_VERDICT_CUT: return "cut";
	case TEAM_VERDICT_MISSING: return "missing";
	case TEAM_VERDICT_ALTERED: return "altered";
	}
	return "";
}

static void found_missing(struct team_verify *verify, uint64_t first,
			  uint64_t last, const char *why)
{
	team_verify_found(verify, TEAM_VERDICT_MISSING,
		"missing from %"PRIu64" to %"PRIu64" (%s)%s", first, last,
		verify->node, why);
	verify->broken = true;
}

/* The last record that checkpoints of the tree cover. */
static uint64_t tree_last(const struct verify_tree *tree)
{
	return tree->first + tree->size - 1;
}

/* ---- trees ---- */

/* The number of the first record behind the tree's largest cut that ends before
   the record; without one the tree's first. */
static uint64_t tree_remains(const struct verify_tree *tree, uint64_t seq)
{
	uint64_t end, remains = tree->first;
	size_t i;

	for (i = 0; i < tree->count; i++) {
		end = tree->first + tree->checkpoints[i].size;
		if (tree->checkpoints[i].cut != NULL && end <= seq)
			remains = end;
	}
	return remains;
}

/* Were all of the tree's records dropped? A cut in a later tree is behind
   them. */
static bool tree_is_cut(const struct team_verify *verify, size_t n)
{
	const struct verify_tree *tree = &verify->trees[n];

	if (tree_remains(tree, UINT64_MAX) > tree_last(tree))
		return true;
	for (n++; n < verify->trees_count &&
	     strcmp(verify->trees[n].node, tree->node) == 0; n++) {
		if (tree_remains(&verify->trees[n], UINT64_MAX) >
		    verify->trees[n].first)
			return true;
	}
	return false;
}

/* Checkpoints that nothing was found for when the tree's records were over. */
static void finish_tree(struct team_verify *verify, bool last)
{
	const struct verify_tree *tree = verify->cur;
	const struct verify_checkpoint *cp = NULL;
	size_t i;

	if (tree == NULL || tree->size == 0 ||
	    tree_last(tree) <= verify->last_seq)
		return;
	for (i = 0; i < tree->count; i++) {
		if (tree->first + tree->checkpoints[i].size - 1 <=
		    verify->last_seq)
			cp = &tree->checkpoints[i];
	}
	if (!last) {
		found_missing(verify, verify->last_seq + 1, tree_last(tree),
			      ": the journal or the database was set back");
	} else if (cp == NULL) {
		team_verify_found(verify, TEAM_VERDICT_CUT,
			"cut: records %"PRIu64" to %"PRIu64" (%s), which "
			"checkpoints cover, are missing at the end",
			verify->last_seq + 1, tree_last(tree), verify->node);
	} else {
		team_verify_found(verify, TEAM_VERDICT_CUT,
			"cut after checkpoint %"PRIu64" of %s: records "
			"%"PRIu64" to %"PRIu64" (%s) are missing at the end",
			cp->size, cp->time, verify->last_seq + 1,
			tree_last(tree), verify->node);
	}
}

static void use_tree(struct team_verify *verify, struct verify_tree *tree,
		     const struct team_tree *start)
{
	verify->cur = tree;
	tree->seen = true;
	verify->broken = false;
	verify->good_seq = verify->last_seq;
	verify->next_checkpoint = 0;
	if (start != NULL)
		verify->tree = *start;
	else
		team_tree_init(&verify->tree);
	while (verify->next_checkpoint < tree->count &&
	       tree->checkpoints[verify->next_checkpoint].size <=
	       verify->tree.size)
		verify->next_checkpoint++;
}

/* Is there a cut right before the record? Then all before may be gone. */
static bool use_cut(struct team_verify *verify, uint64_t seq)
{
	struct verify_tree *tree;
	size_t i, j;

	for (i = verify->node_trees_end; i-- > verify->node_trees; ) {
		tree = &verify->trees[i];
		for (j = 0; j < tree->count; j++) {
			if (tree->checkpoints[j].cut == NULL ||
			    tree->first + tree->checkpoints[j].size != seq)
				continue;
			verify->stats.dropped += seq -
				verify->trees[verify->node_trees].first;
			/* the trees before it ended before it */
			while (verify->node_trees < i) {
				verify->trees[verify->node_trees].seen = true;
				verify->node_trees++;
			}
			verify->last_seq = seq - 1;
			use_tree(verify, tree, tree->checkpoints[j].cut);
			return true;
		}
	}
	return false;
}

/* Goes on to the tree that the record is in. */
static void find_tree(struct team_verify *verify, uint64_t seq)
{
	struct verify_tree *next;

	for (;;) {
		next = verify->cur == NULL ?
			&verify->trees[verify->node_trees] : verify->cur + 1;
		if (next >= verify->trees + verify->node_trees_end ||
		    next->first > seq)
			return;
		finish_tree(verify, false);
		use_tree(verify, next, NULL);
		if (next->first < seq)
			verify->broken = true;
	}
}

/* ---- nodes ---- */

static void finish_node(struct team_verify *verify)
{
	struct verify_tree *tree;
	uint64_t covered = 0;
	size_t i;

	if (verify->node == NULL)
		return;
	finish_tree(verify, true);
	if (verify->cur != NULL && tree_last(verify->cur) < verify->last_seq) {
		verify->stats.after +=
			verify->last_seq - tree_last(verify->cur);
	}
	/* trees that begin behind the last record */
	for (i = verify->node_trees; i < verify->node_trees_end; i++) {
		tree = &verify->trees[i];
		covered += tree->size;
		if (tree->seen)
			continue;
		tree->seen = true;
		team_verify_found(verify, TEAM_VERDICT_CUT,
			"cut: records %"PRIu64" to %"PRIu64" (%s), which "
			"checkpoints cover, are missing at the end",
			verify->last_seq + 1 > tree->first ?
			verify->last_seq + 1 : tree->first,
			tree_last(tree), tree->node);
	}
	if (covered == 0) {
		team_verify_found(verify, TEAM_VERDICT_NOT_CHECKABLE,
			"not checkable: there is no checkpoint of %s by a key "
			"that is trusted", verify->node);
	}
	free(verify->node);
	verify->node = NULL;
}

static void begin_node(struct team_verify *verify, const char *node)
{
	size_t i = 0;

	finish_node(verify);
	team_verify_sort(verify);
	verify->node = strdup(node);
	if (verify->node == NULL)
		abort();
	verify->last_seq = 0;
	verify->cur = NULL;
	verify->broken = false;
	while (i < verify->trees_count &&
	       strcmp(verify->trees[i].node, node) != 0)
		i++;
	verify->node_trees = i;
	while (i < verify->trees_count &&
	       strcmp(verify->trees[i].node, node) == 0)
		i++;
	verify->node_trees_end = i;
	if (verify->node_trees < i && verify->trees[verify->node_trees].seen) {
		team_verify_found(verify, TEAM_VERDICT_ALTERED,
			"altered: records of %s stand at two places", node);
	}
}

/* ---- records ---- */

static uint64_t first_missing(const struct team_verify *verify, uint64_t seq)
{
	uint64_t remains, first = verify->trees[verify->node_trees].first;
	size_t i;

	for (i = verify->node_trees; i < verify->node_trees_end; i++) {
		remains = tree_remains(&verify->trees[i], seq);
		if (remains > verify->trees[i].first)
			first = remains;
	}
	return first;
}

/* Returns false if the record doesn't count. */
static bool check_number(struct team_verify *verify, const char *node,
			 uint64_t seq)
{
	bool first = verify->node == NULL || strcmp(verify->node, node) != 0;

	if (first)
		begin_node(verify, node);
	verify->stats.records++;
	if (first) {
		if (verify->node_trees < verify->node_trees_end &&
		    !use_cut(verify, seq) &&
		    verify->trees[verify->node_trees].first < seq) {
			found_missing(verify, first_missing(verify, seq),
				      seq - 1, "");
		}
	} else if (seq <= verify->last_seq) {
		team_verify_found(verify, TEAM_VERDICT_ALTERED,
			"altered at record %"PRIu64" (%s): it stands behind "
			"record %"PRIu64, seq, node, verify->last_seq);
		verify->broken = true;
		return false;
	} else if (seq > verify->last_seq + 1) {
		found_missing(verify, verify->last_seq + 1, seq - 1, "");
	}
	if (verify->node_trees < verify->node_trees_end)
		find_tree(verify, seq);
	return true;
}

static void compare_head(struct team_verify *verify, uint64_t seq)
{
	const struct verify_tree *tree = verify->cur;
	const struct verify_checkpoint *cp;
	struct team_hash root;

	while (verify->next_checkpoint < tree->count) {
		cp = &tree->checkpoints[verify->next_checkpoint];
		if (cp->size > verify->tree.size)
			return;
		verify->next_checkpoint++;
		if (verify->broken || cp->size < verify->tree.size)
			continue;
		team_tree_root(&verify->tree, &root);
		if (team_hash_equals(&root, &cp->root)) {
			verify->good_seq = seq;
			continue;
		}
		verify->broken = true;
		if (verify->good_seq + 1 == seq) {
			team_verify_found(verify, TEAM_VERDICT_ALTERED,
				"altered at record %"PRIu64" (%s)", seq,
				tree->node);
		} else {
			team_verify_found(verify, TEAM_VERDICT_ALTERED,
				"altered at a record from %"PRIu64" to %"PRIu64
				" (%s): they aren't what the checkpoint of %s "
				"covers", verify->good_seq + 1, seq,
				tree->node, cp->time);
		}
	}
}

static void append_leaf(struct team_verify *verify, uint64_t seq,
			const struct team_hash *leaf)
{
	team_tree_append(&verify->tree, leaf);
	if (seq <= tree_last(verify->cur))
		verify->stats.covered++;
	compare_head(verify, seq);
}

/* Takes the leaf as the database has it, for a record that doesn't fit it. */
static void append_stored_leaf(struct team_verify *verify,
			       const struct team_export *exp)
{
	struct team_hash none;

	if (exp->have_leaf) {
		append_leaf(verify, exp->seq, &exp->leaf);
		return;
	}
	verify->broken = true;
	memset(&none, 0, sizeof(none));
	append_leaf(verify, exp->seq, &none);
}

void team_verify_record(struct team_verify *verify,
			const struct team_export *exp)
{
	struct team_hash leaf;
	const char *error = NULL;

	if (!check_number(verify, exp->node, exp->seq))
		return;
	verify->last_seq = exp->seq;
	if (verify->cur == NULL) {
		if (verify->node_trees < verify->node_trees_end)
			verify->stats.before++;
		return;
	}
	if (exp->replaced != NULL) {
		team_verify_found(verify, TEAM_VERDICT_MISSING,
			"missing from %"PRIu64" to %"PRIu64" (%s): %s",
			exp->seq, exp->seq, exp->node, exp->replaced);
		append_stored_leaf(verify, exp);
	} else if (!exp->have_opening ||
		   team_leaf_hash(exp->record, &exp->opening, &leaf,
				  &error) < 0) {
		team_verify_found(verify, TEAM_VERDICT_ALTERED,
			"altered at record %"PRIu64" (%s): %s", exp->seq,
			exp->node, error != NULL ? error :
			"its salt is missing");
		append_stored_leaf(verify, exp);
	} else if (exp->have_leaf && !team_hash_equals(&leaf, &exp->leaf)) {
		team_verify_found(verify, TEAM_VERDICT_ALTERED,
			"altered at record %"PRIu64" (%s)", exp->seq,
			exp->node);
		/* so that the next one is found as well */
		append_leaf(verify, exp->seq, &exp->leaf);
	} else {
		append_leaf(verify, exp->seq, &leaf);
	}
}

void team_verify_bad_record(struct team_verify *verify, const char *node,
			    uint64_t seq, const char *error)
{
	struct team_hash none;

	if (node == NULL || seq == 0) {
		team_verify_found(verify, TEAM_VERDICT_ALTERED,
			"altered behind record %"PRIu64": %s",
			verify->last_seq, error);
		verify->broken = true;
		return;
	}
	if (!check_number(verify, node, seq))
		return;
	verify->last_seq = seq;
	team_verify_found(verify, TEAM_VERDICT_ALTERED,
		"altered at record %"PRIu64" (%s): %s", seq, node, error);
	if (verify->cur == NULL)
		return;
	verify->broken = true;
	memset(&none, 0, sizeof(none));
	append_leaf(verify, seq, &none);
}

void team_verify_get_state(const struct team_verify *verify,
			   struct team_verify_state *state_r)
{
	memset(state_r, 0, sizeof(*state_r));
	if (verify->cur == NULL)
		return;
	state_r->origin = verify->cur->origin;
	state_r->first = verify->cur->first;
	state_r->tree = verify->tree;
	state_r->good_seq = verify->good_seq;
}

enum team_verdict team_verify_finish(struct team_verify *verify,
				     struct team_verify_stats *stats_r)
{
	size_t i;

	finish_node(verify);
	team_verify_sort(verify);
	for (i = 0; i < verify->trees_count; i++) {
		if (verify->trees[i].seen)
			continue;
		if (tree_is_cut(verify, i)) {
			verify->stats.dropped += verify->trees[i].size;
			continue;
		}
		/* a tree that another one took the place of at once has
		   nothing of its own */
		if (i + 1 < verify->trees_count && verify->stats.records > 0 &&
		    strcmp(verify->trees[i].node,
			   verify->trees[i+1].node) == 0 &&
		    verify->trees[i].size == 0)
			continue;
		team_verify_found(verify, TEAM_VERDICT_MISSING,
			"missing from %"PRIu64" to %"PRIu64" (%s): there is no "
			"record of it", tree_remains(&verify->trees[i],
						     UINT64_MAX),
			tree_last(&verify->trees[i]), verify->trees[i].node);
	}
	if (verify->stats.records == 0 && verify->worst == TEAM_VERDICT_OK) {
		team_verify_found(verify, TEAM_VERDICT_NOT_CHECKABLE,
			"not checkable: there are no records");
	}
	*stats_r = verify->stats;
	return verify->worst;
}
