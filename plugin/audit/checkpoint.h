/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CHECKPOINT_H
#define TEAM_CHECKPOINT_H

/* What the service signs, each the text of a note:

   a checkpoint (C2SP tlog-checkpoint)
     <origin>
     <size>
     <base64 of the tree's head>
     first <number of the record that is the tree's first leaf>
     time <when, UTC>
   a key that is to be trusted from now on, signed by the one before
     dovecot-team key
     <key>
     time <when>
   a cut: records below the tree's size may be gone (retention), and this is
   what is needed to go on
     dovecot-team cut
     <origin>
     <the tree: size and frontier>
     first <number>
     time <when>

   The origin is dovecot-team/<node>/<when the tree was begun>, and the name
   of the key is the origin. */

#include "note.h"
#include "tree.h"

#define TEAM_ORIGIN_PREFIX "dovecot-team/"

enum team_statement_type {
	TEAM_STATEMENT_CHECKPOINT,
	TEAM_STATEMENT_KEY,
	TEAM_STATEMENT_CUT
};

struct team_statement {
	enum team_statement_type type;
	/* checkpoint, cut */
	char origin[TEAM_NOTE_NAME_MAX + 1];
	uint64_t first;
	/* checkpoint */
	uint64_t size;
	struct team_hash root;
	/* cut */
	struct team_tree tree;
	/* key */
	struct team_verifier key;
	/* "" if it isn't told */
	char time[32];
};

/* All return the text, which the caller frees. */
char *team_checkpoint_format(const char *origin, const struct team_tree *tree,
			     uint64_t first, const char *time);
char *team_key_statement_format(const struct team_verifier *key,
				const char *time);
char *team_cut_format(const char *origin, const struct team_tree *tree,
		      uint64_t first, const char *time);

/* Parses a note's text. Lines that aren't known are skipped behind the fixed
   ones. Returns 0 or -1. */
int team_statement_parse(const char *text, size_t size,
			 struct team_statement *statement_r);

/* "dovecot-team/<node>/<time>" */
char *team_origin_format(const char *node, uint64_t began);
/* Copies the node's name of an origin. Returns 0, or -1 if it isn't one. */
int team_origin_node(const char *origin, char *node_r, size_t node_size);

#endif
