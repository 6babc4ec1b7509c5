/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hashing alone, for verify.py: the leaf of one record, salts and commitments
   included, and the tree. Prints records a second of CPU. */

#include "export.h"
#include "leaf.h"
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char *argv[])
{
	size_t n, count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0, alloc = 0;
	struct team_export exp;
	struct team_tree tree;
	struct team_hash leaf;
	const char *error;
	char *line = NULL, *json_error;
	clock_t start;

	if (count == 0 || getline(&line, &alloc, stdin) <= 0 ||
	    team_export_from_json(&exp, line, &json_error) < 0)
		return 1;
	team_tree_init(&tree);
	start = clock();
	for (n = 0; n < count; n++) {
		if (team_leaf_hash(exp.record, &exp.opening, &leaf, &error) < 0)
			return 1;
		team_tree_append(&tree, &leaf);
	}
	printf("%.0f\n", (double)count * CLOCKS_PER_SEC /
	       (double)(clock() - start));
	team_export_clear(&exp);
	free(line);
	return 0;
}
