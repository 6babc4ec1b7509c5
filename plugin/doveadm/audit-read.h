/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AUDIT_READ_H
#define AUDIT_READ_H

/* Reading the log through the service, for exports and checks. */

#include "export.h"

struct doveadm_team;

/* Returns FALSE to stop. error is NULL, or why the record can't be read; then
   only its node and seq are set, if at all. */
typedef bool audit_record_callback_t(const struct team_export *exp,
				     const char *error, void *context);

struct audit_node {
	const char *id, *name;
	uint64_t last_seq;
};
ARRAY_DEFINE_TYPE(audit_node, struct audit_node);

/* All return 0, or -1 with the error logged and the exit code set. */

/* The nodes by name, or only the given one. Allocated from team->pool. */
int audit_read_nodes(struct doveadm_team *team, const char *only,
		     ARRAY_TYPE(audit_node) *nodes);
/* How many records the nodes have written. */
uint64_t audit_nodes_records(const ARRAY_TYPE(audit_node) *nodes);
/* The node's signed notes, as in the file that the service writes. */
int audit_read_notes(struct doveadm_team *team, const struct audit_node *node,
		     string_t *dest);
/* The node's records after the number, in order, no more than limit of them (0
   = all). It is one query: recorded once. */
int audit_read_records(struct doveadm_team *team,
		       const struct audit_node *node, uint64_t after,
		       uint64_t limit, audit_record_callback_t *callback,
		       void *context);

/* The leaves of the node's records that retention dropped, those after the
   number, in order. */
typedef void audit_leaf_callback_t(uint64_t seq, const struct team_hash *leaf,
				   void *context);
int audit_read_leaves(struct doveadm_team *team, const struct audit_node *node,
		      uint64_t after, audit_leaf_callback_t *callback,
		      void *context);

/* A row of a query's answer. Returns FALSE to stop. */
typedef bool audit_row_callback_t(void *context, const char *const *columns,
				  const char *const *values);
/* Runs the query that args name. */
int audit_read_rows(struct doveadm_team *team, const char *const *args,
		    audit_row_callback_t *callback, void *context);
/* The value of the column, or NULL if there is none of this name. */
const char *
audit_row_value(const char *const *columns, const char *const *values,
		const char *name);

/* Reads a file into the string. */
int audit_read_file(const char *path, string_t *dest);

#endif
