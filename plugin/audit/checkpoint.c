/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts of checkpoints, keys and cuts. */

#include "checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_HEADER "dovecot-team key"
#define CUT_HEADER "dovecot-team cut"
#define LINE_MAX_SIZE 8192

char *team_checkpoint_format(const char *origin, const struct team_tree *tree,
			     uint64_t first, const char *time)
{
	struct team_hash root;
	char *base64, *text;

	team_tree_root(tree, &root);
	base64 = team_base64_encode(root.bytes, TEAM_HASH_SIZE);
	if (asprintf(&text, "%s\n%"PRIu64"\n%s\nfirst %"PRIu64"\ntime %s\n",
		     origin, tree->size, base64, first, time) < 0)
		abort();
	free(base64);
	return text;
}

char *team_key_statement_format(const struct team_verifier *key,
				const char *time)
{
	char *key_text = team_verifier_format(key), *text;

	if (asprintf(&text, KEY_HEADER"\n%s\ntime %s\n", key_text, time) < 0)
		abort();
	free(key_text);
	return text;
}

char *team_cut_format(const char *origin, const struct team_tree *tree,
		      uint64_t first, const char *time)
{
	char *tree_text = team_tree_format(tree), *text;

	if (asprintf(&text, CUT_HEADER"\n%s\n%s\nfirst %"PRIu64"\ntime %s\n",
		     origin, tree_text, first, time) < 0)
		abort();
	free(tree_text);
	return text;
}

/* Copies the next line. Returns false at the end, or if it is too long. */
static bool next_line(const char **text, const char *end, char *line_r)
{
	const char *lf = *text == end ? NULL :
		memchr(*text, '\n', (size_t)(end - *text));
	size_t len;

	if (lf == NULL || (len = (size_t)(lf - *text)) >= LINE_MAX_SIZE)
		return false;
	memcpy(line_r, *text, len);
	line_r[len] = '\0';
	*text = lf + 1;
	return true;
}

static int parse_number(const char *text, uint64_t *num_r)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 18 || text[digits] != '\0' ||
	    (*text == '0' && digits > 1))
		return -1;
	*num_r = strtoull(text, NULL, 10);
	return 0;
}

static int set_text(char *dest, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size)
		return -1;
	memcpy(dest, text, len + 1);
	return 0;
}

/* What follows the fixed lines. */
static int parse_extensions(const char *text, const char *end,
			    struct team_statement *statement)
{
	char line[LINE_MAX_SIZE];

	while (text < end) {
		if (!next_line(&text, end, line))
			return -1;
		if (strncmp(line, "first ", 6) == 0 &&
		    parse_number(line + 6, &statement->first) < 0)
			return -1;
		if (strncmp(line, "time ", 5) == 0 &&
		    set_text(statement->time, sizeof(statement->time),
			     line + 5) < 0)
			return -1;
	}
	return 0;
}

static int parse_checkpoint(const char *origin, const char **text,
			    const char *end, struct team_statement *statement)
{
	char line[LINE_MAX_SIZE];

	statement->type = TEAM_STATEMENT_CHECKPOINT;
	if (set_text(statement->origin, sizeof(statement->origin),
		     origin) < 0 || *origin == '\0' ||
	    !next_line(text, end, line) ||
	    parse_number(line, &statement->size) < 0 ||
	    !next_line(text, end, line) ||
	    team_base64_decode(line, strlen(line), statement->root.bytes,
			       TEAM_HASH_SIZE) != TEAM_HASH_SIZE)
		return -1;
	return 0;
}

int team_statement_parse(const char *text, size_t size,
			 struct team_statement *statement_r)
{
	const char *end = text + size;
	char line[LINE_MAX_SIZE];

	memset(statement_r, 0, sizeof(*statement_r));
	if (!next_line(&text, end, line))
		return -1;
	if (strcmp(line, KEY_HEADER) == 0) {
		statement_r->type = TEAM_STATEMENT_KEY;
		if (!next_line(&text, end, line) ||
		    team_verifier_parse(line, &statement_r->key) < 0)
			return -1;
	} else if (strcmp(line, CUT_HEADER) == 0) {
		statement_r->type = TEAM_STATEMENT_CUT;
		if (!next_line(&text, end, line) ||
		    set_text(statement_r->origin, sizeof(statement_r->origin),
			     line) < 0 ||
		    !next_line(&text, end, line) ||
		    team_tree_parse(line, &statement_r->tree) < 0)
			return -1;
		statement_r->size = statement_r->tree.size;
		team_tree_root(&statement_r->tree, &statement_r->root);
	} else if (parse_checkpoint(line, &text, end, statement_r) < 0) {
		return -1;
	}
	return parse_extensions(text, end, statement_r);
}

char *team_origin_format(const char *node, uint64_t began)
{
	char *origin;

	if (asprintf(&origin, TEAM_ORIGIN_PREFIX"%s/%"PRIu64, node, began) < 0)
		abort();
	return origin;
}

int team_origin_node(const char *origin, char *node_r, size_t node_size)
{
	size_t prefix = strlen(TEAM_ORIGIN_PREFIX), len;
	const char *end = strrchr(origin, '/');

	if (strncmp(origin, TEAM_ORIGIN_PREFIX, prefix) != 0 ||
	    end <= origin + prefix)
		return -1;
	len = (size_t)(end - origin) - prefix;
	if (len >= node_size)
		return -1;
	memcpy(node_r, origin + prefix, len);
	node_r[len] = '\0';
	return 0;
}
