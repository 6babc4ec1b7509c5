/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Growing a Merkle tree and telling its head. */

#include "tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void team_tree_hash_leaf(const void *data, size_t size,
			 struct team_hash *hash_r)
{
	static const unsigned char prefix = 0x00;
	const struct team_piece pieces[] = {
		{ &prefix, 1 }, { data, size }
	};

	team_sha256(pieces, 2, hash_r);
}

void team_tree_hash_node(const struct team_hash *left,
			 const struct team_hash *right,
			 struct team_hash *hash_r)
{
	unsigned char data[1 + TEAM_HASH_SIZE * 2];
	const struct team_piece piece = { data, sizeof(data) };

	data[0] = 0x01;
	memcpy(data + 1, left->bytes, TEAM_HASH_SIZE);
	memcpy(data + 1 + TEAM_HASH_SIZE, right->bytes, TEAM_HASH_SIZE);
	team_sha256(&piece, 1, hash_r);
}

void team_tree_init(struct team_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
}

void team_tree_append(struct team_tree *tree, const struct team_hash *leaf)
{
	struct team_hash head = *leaf;
	unsigned int level;

	/* like counting: each carry joins two subtrees */
	for (level = 0; (tree->size >> level & 1) != 0; level++)
		team_tree_hash_node(&tree->heads[level], &head, &head);
	tree->heads[level] = head;
	tree->size++;
}

void team_tree_root(const struct team_tree *tree, struct team_hash *root_r)
{
	unsigned int level;
	bool first = true;

	if (tree->size == 0) {
		team_sha256(NULL, 0, root_r);
		return;
	}
	for (level = 0; level < TEAM_TREE_LEVELS; level++) {
		if ((tree->size >> level & 1) == 0)
			continue;
		if (first)
			*root_r = tree->heads[level];
		else {
			team_tree_hash_node(&tree->heads[level], root_r,
					    root_r);
		}
		first = false;
	}
}

char *team_tree_format(const struct team_tree *tree)
{
	char *text = malloc(24 + TEAM_TREE_LEVELS * TEAM_HASH_HEX_SIZE), *p;
	unsigned int level;

	if (text == NULL)
		abort();
	p = text + sprintf(text, "%"PRIu64, tree->size);
	for (level = TEAM_TREE_LEVELS; level-- > 0; ) {
		if ((tree->size >> level & 1) == 0)
			continue;
		*p++ = ' ';
		team_hex_encode(tree->heads[level].bytes, TEAM_HASH_SIZE, p);
		p += TEAM_HASH_SIZE * 2;
	}
	return text;
}

static int parse_head(const char **text, struct team_hash *head_r)
{
	char hex[TEAM_HASH_HEX_SIZE];

	if (**text != ' ' ||
	    strnlen(*text + 1, TEAM_HASH_SIZE * 2) != TEAM_HASH_SIZE * 2)
		return -1;
	memcpy(hex, *text + 1, TEAM_HASH_SIZE * 2);
	hex[TEAM_HASH_SIZE * 2] = '\0';
	*text += TEAM_HASH_HEX_SIZE;
	return team_hex_decode(hex, head_r->bytes, TEAM_HASH_SIZE);
}

int team_tree_parse(const char *text, struct team_tree *tree_r)
{
	unsigned int level;
	char *end;

	team_tree_init(tree_r);
	if (*text < '0' || *text > '9' || (*text == '0' && text[1] != '\0') ||
	    strspn(text, "0123456789") > 18)
		return -1;
	tree_r->size = strtoull(text, &end, 10);
	text = end;
	for (level = TEAM_TREE_LEVELS; level-- > 0; ) {
		if ((tree_r->size >> level & 1) != 0 &&
		    parse_head(&text, &tree_r->heads[level]) < 0)
			return -1;
	}
	return *text == '\0' ? 0 : -1;
}
