/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What signed notes say, as far as trusted keys signed them. */

#include "verify-private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FINDINGS_MAX 1000

void team_verify_found(struct team_verify *verify, enum team_verdict verdict,
		       const char *fmt, ...)
{
	va_list args;
	char *text;

	if (verdict > verify->worst)
		verify->worst = verdict;
	if (++verify->findings > FINDINGS_MAX)
		return;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	verify->callback(verdict, text, verify->context);
	free(text);
}

static void *grow(void *array, size_t count, size_t size)
{
	/* doubles at powers of two */
	if (count == 0 || (count & (count - 1)) == 0)
		array = realloc(array, (count == 0 ? 1 : count * 2) * size);
	if (array == NULL)
		abort();
	return array;
}

static void add_key(struct team_verify *verify, const struct team_verifier *key)
{
	verify->keys = grow(verify->keys, verify->keys_count, sizeof(*key));
	verify->keys[verify->keys_count++] = *key;
}

int team_verify_add_keys(struct team_verify *verify, const char *text)
{
	struct team_verifier key;
	char line[1024];
	size_t len;

	for (; *text != '\0'; text += len + (text[len] == '\n' ? 1 : 0)) {
		len = strcspn(text, "\n");
		if (len == 0 || *text == '#')
			continue;
		if (len >= sizeof(line))
			return -1;
		memcpy(line, text, len);
		line[len] = '\0';
		if (team_verifier_parse(line, &key) < 0)
			return -1;
		add_key(verify, &key);
	}
	return verify->keys_count == 0 ? -1 : 0;
}

const struct team_verifier *
team_verify_find_key(struct team_verify *verify, const struct team_note *note,
		     bool *forged_r)
{
	size_t i;

	*forged_r = false;
	/* mostly it is the newest */
	for (i = verify->keys_count; i-- > 0; ) {
		switch (team_note_verify(note, &verify->keys[i])) {
		case TEAM_NOTE_OK:
			return &verify->keys[i];
		case TEAM_NOTE_FORGED:
			*forged_r = true;
			break;
		case TEAM_NOTE_UNKNOWN_KEY:
			break;
		}
	}
	return NULL;
}

static struct verify_tree *
get_tree(struct team_verify *verify, const struct team_statement *st)
{
	struct verify_tree *tree;
	size_t i;

	for (i = verify->trees_count; i-- > 0; ) {
		if (strcmp(verify->trees[i].origin, st->origin) == 0)
			return &verify->trees[i];
	}
	verify->trees = grow(verify->trees, verify->trees_count,
			     sizeof(*tree));
	tree = &verify->trees[verify->trees_count++];
	memset(tree, 0, sizeof(*tree));
	memcpy(tree->origin, st->origin, sizeof(tree->origin));
	tree->first = st->first;
	return tree;
}

static void add_statement(struct team_verify *verify,
			  const struct team_statement *st)
{
	struct verify_checkpoint *cp;
	struct verify_tree *tree;
	char node[TEAM_NOTE_NAME_MAX + 1] = "";

	if (team_origin_node(st->origin, node, sizeof(node)) < 0 ||
	    st->first == 0) {
		team_verify_found(verify, TEAM_VERDICT_NOT_CHECKABLE,
			"a checkpoint of %s isn't one of an audit log",
			st->origin);
		return;
	}
	tree = get_tree(verify, st);
	memcpy(tree->node, node, sizeof(tree->node));
	tree->began = strtoull(strrchr(st->origin, '/') + 1, NULL, 10);
	if (tree->first != st->first) {
		team_verify_found(verify, TEAM_VERDICT_ALTERED,
			"checkpoints of %s contradict each other: it begins "
			"with record %"PRIu64" and %"PRIu64, st->origin,
			tree->first, st->first);
		return;
	}
	tree->checkpoints = grow(tree->checkpoints, tree->count, sizeof(*cp));
	cp = &tree->checkpoints[tree->count++];
	memset(cp, 0, sizeof(*cp));
	cp->size = st->size;
	cp->root = st->root;
	memcpy(cp->time, st->time, sizeof(cp->time));
	if (st->type == TEAM_STATEMENT_CUT) {
		cp->cut = malloc(sizeof(*cp->cut));
		if (cp->cut == NULL)
			abort();
		*cp->cut = st->tree;
	} else {
		verify->stats.checkpoints++;
	}
	if (st->size > tree->size)
		tree->size = st->size;
}

/* A checkpoint's key is named after its tree. A cut may be of an older tree of
   the node. */
static bool key_fits(const struct team_verifier *key,
		     const struct team_statement *st)
{
	char node[TEAM_NOTE_NAME_MAX + 1], key_node[TEAM_NOTE_NAME_MAX + 1];

	if (strcmp(st->origin, key->name) == 0)
		return true;
	return st->type == TEAM_STATEMENT_CUT &&
		team_origin_node(st->origin, node, sizeof(node)) == 0 &&
		team_origin_node(key->name, key_node, sizeof(key_node)) == 0 &&
		strcmp(node, key_node) == 0;
}

static void add_note(struct team_verify *verify, const struct team_note *note)
{
	struct team_statement st;
	const struct team_verifier *key;
	int line = (int)strcspn(note->text, "\n");
	bool forged;

	key = team_verify_find_key(verify, note, &forged);
	if (key == NULL) {
		team_verify_found(verify, forged ? TEAM_VERDICT_ALTERED :
			TEAM_VERDICT_UNKNOWN_KEY, forged ?
			"a note was altered, its signature is wrong: %.*s" :
			"a note was signed by an unknown key: %.*s",
			line, note->text);
		return;
	}
	if (team_statement_parse(note->text, note->text_size, &st) < 0) {
		team_verify_found(verify, TEAM_VERDICT_NOT_CHECKABLE,
			"a signed note can't be read: %.*s", line, note->text);
		return;
	}
	if (st.type == TEAM_STATEMENT_KEY)
		add_key(verify, &st.key);
	else if (!key_fits(key, &st)) {
		team_verify_found(verify, TEAM_VERDICT_UNKNOWN_KEY,
			"%s was signed by the key of %s", st.origin,
			key->name);
	} else {
		add_statement(verify, &st);
	}
}

void team_verify_add_notes(struct team_verify *verify, const char *data,
			   size_t size)
{
	struct team_note note;
	size_t pos = 0, used;
	int ret;

	while (pos < size) {
		ret = team_note_parse(data + pos, size - pos, &note, &used);
		if (ret < 0) {
			team_verify_found(verify, TEAM_VERDICT_ALTERED,
				"the checkpoints can't be read from byte %zu "
				"on: a note is damaged", pos);
			return;
		}
		if (ret > 0)
			add_note(verify, &note);
		pos += used;
	}
}

static int checkpoint_cmp(const void *_a, const void *_b)
{
	const struct verify_checkpoint *a = _a, *b = _b;

	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return 0;
}

static int tree_cmp(const void *_a, const void *_b)
{
	const struct verify_tree *a = _a, *b = _b;
	int ret = strcmp(a->node, b->node);

	if (ret != 0)
		return ret;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return a->began < b->began ? -1 : a->began > b->began ? 1 : 0;
}

void team_verify_sort(struct team_verify *verify)
{
	struct verify_checkpoint *cps;
	size_t i, j;

	if (verify->sorted)
		return;
	verify->sorted = true;
	if (verify->trees_count > 0) {
		qsort(verify->trees, verify->trees_count,
		      sizeof(*verify->trees), tree_cmp);
	}
	for (i = 0; i < verify->trees_count; i++) {
		cps = verify->trees[i].checkpoints;
		qsort(cps, verify->trees[i].count, sizeof(*cps),
		      checkpoint_cmp);
		for (j = 1; j < verify->trees[i].count; j++) {
			if (cps[j].size != cps[j-1].size ||
			    team_hash_equals(&cps[j].root, &cps[j-1].root))
				continue;
			team_verify_found(verify, TEAM_VERDICT_ALTERED,
				"two checkpoints of %s at record %"PRIu64
				" contradict each other: somebody was shown "
				"another log", verify->trees[i].origin,
				verify->trees[i].first + cps[j].size - 1);
		}
	}
}
