/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service's queries, row by row. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "strnum.h"
#include "istream.h"
#include "doveadm-team.h"
#include "audit-read.h"
#include "team-client.h"

#include <stdlib.h>

struct read_context {
	pool_t pool;
	const char *const *columns;
	unsigned int columns_count;
	audit_row_callback_t *callback;
	void *context;
	unsigned int rows;
	bool stopped;
	const char *error;
};

static bool read_data(void *context, const char *const *args)
{
	struct read_context *ctx = context;
	bool ret;

	if (args[0] != NULL && strcmp(args[0], "columns") == 0) {
		if (ctx->columns != NULL) {
			ctx->error = "the team service was restarted before "
				"the answer was complete: try again";
			return FALSE;
		}
		ctx->columns = p_strarray_dup(ctx->pool, args + 1);
		ctx->columns_count = str_array_length(args + 1);
		return TRUE;
	}
	if (args[0] == NULL || strcmp(args[0], "row") != 0 ||
	    str_array_length(args + 1) != ctx->columns_count) {
		ctx->error = "the team service sent a row that doesn't fit its "
			"columns";
		return FALSE;
	}
	ctx->rows++;
	T_BEGIN {
		ret = ctx->callback(ctx->context, ctx->columns, args + 1);
	} T_END;
	if (!ret)
		ctx->stopped = TRUE;
	return ret;
}

static int read_query(struct doveadm_team *team, const char *const *args,
		      struct read_context *ctx)
{
	struct team_answer answer;
	const char *error;
	pool_t pool = pool_alloconly_create("audit query", 4096);
	int ret = -1;

	ctx->pool = pool;
	ctx->columns = NULL;
	ctx->rows = 0;
	if (team_client_request_stream(team->session, pool, "QUERY", args,
				       read_data, ctx, &answer,
				       &error) < 0) {
		if (ctx->error != NULL) {
			i_error("%s: %s", args[0], ctx->error);
			doveadm_exit_code = EX_TEMPFAIL;
		} else if (!ctx->stopped) {
			doveadm_team_unanswered(args[0], error);
		}
	} else if (answer.code != NULL) {
		doveadm_team_refused(team, args[0], answer.code, answer.args);
	} else {
		ret = 0;
	}
	pool_unref(&pool);
	return ret;
}

int audit_read_rows(struct doveadm_team *team, const char *const *args,
		    audit_row_callback_t *callback, void *context)
{
	struct read_context ctx = { .callback = callback, .context = context };

	return read_query(team, args, &ctx);
}

const char *
audit_row_value(const char *const *columns, const char *const *values,
		const char *name)
{
	unsigned int i;

	for (i = 0; columns[i] != NULL; i++) {
		if (strcmp(columns[i], name) == 0)
			return values[i];
	}
	return NULL;
}

/* ---- nodes ---- */

struct nodes_context {
	pool_t pool;
	const char *only;
	ARRAY_TYPE(audit_node) *nodes;
};

static bool nodes_row(void *context, const char *const *columns,
		      const char *const *values)
{
	struct nodes_context *ctx = context;
	const char *id = audit_row_value(columns, values, "id");
	const char *name = audit_row_value(columns, values, "name");
	const char *hwm = audit_row_value(columns, values, "hwm");
	struct audit_node *node;

	if (id == NULL || name == NULL || hwm == NULL ||
	    (ctx->only != NULL && strcmp(ctx->only, name) != 0))
		return TRUE;
	node = array_append_space(ctx->nodes);
	node->id = p_strdup(ctx->pool, id);
	node->name = p_strdup(ctx->pool, name);
	if (str_to_uint64(hwm, &node->last_seq) < 0)
		node->last_seq = 0;
	return TRUE;
}

int audit_read_nodes(struct doveadm_team *team, const char *only,
		     ARRAY_TYPE(audit_node) *nodes)
{
	static const char *const args[] = { "audit-nodes", NULL };
	struct nodes_context nodes_ctx = {
		.pool = team->pool, .only = only, .nodes = nodes
	};
	struct read_context ctx = {
		.callback = nodes_row, .context = &nodes_ctx
	};

	p_array_init(nodes, team->pool, 4);
	if (read_query(team, args, &ctx) < 0)
		return -1;
	if (array_count(nodes) == 0) {
		if (only != NULL)
			i_error("There is no node called %s", only);
		else
			i_error("The log is empty");
		doveadm_exit_code = DOVEADM_EX_NOTFOUND;
		return -1;
	}
	return 0;
}

uint64_t audit_nodes_records(const ARRAY_TYPE(audit_node) *nodes)
{
	const struct audit_node *node;
	uint64_t count = 0;

	array_foreach(nodes, node)
		count += node->last_seq;
	return count;
}

/* ---- notes ---- */

struct notes_context {
	string_t *dest;
	char *last_id;
};

static bool notes_row(void *context, const char *const *columns,
		      const char *const *values)
{
	struct notes_context *ctx = context;
	const char *note = audit_row_value(columns, values, "note");
	const char *id = audit_row_value(columns, values, "id");

	if (note == NULL || id == NULL)
		return TRUE;
	str_append(ctx->dest, note);
	str_append_c(ctx->dest, '\n');
	i_free(ctx->last_id);
	ctx->last_id = i_strdup(id);
	return TRUE;
}

int audit_read_notes(struct doveadm_team *team, const struct audit_node *node,
		     string_t *dest)
{
	struct notes_context notes = { .dest = dest };
	struct read_context ctx = {
		.callback = notes_row, .context = &notes
	};
	const char *args[4] = { "audit-notes", NULL, NULL, NULL };
	int ret;

	do T_BEGIN {
		args[1] = t_strconcat("node=", node->name, NULL);
		args[2] = t_strconcat("after=", notes.last_id == NULL ? "0" :
				      notes.last_id, NULL);
		ret = read_query(team, args, &ctx);
	} T_END; while (ret == 0 && ctx.rows > 0);
	i_free(notes.last_id);
	return ret;
}

/* ---- records ---- */

struct records_context {
	audit_record_callback_t *callback;
	void *context;
	const char *const *columns, *const *values;
};

static const char *records_column(const char *name, void *context)
{
	struct records_context *ctx = context;

	return audit_row_value(ctx->columns, ctx->values, name);
}

static bool records_row(void *context, const char *const *columns,
			const char *const *values)
{
	struct records_context *ctx = context;
	struct team_export exp;
	char *error = NULL;
	bool ret;

	ctx->columns = columns;
	ctx->values = values;
	(void)team_export_from_row(&exp, records_column, ctx, &error);
	ret = ctx->callback(&exp, error, ctx->context);
	free(error);
	team_export_clear(&exp);
	return ret;
}

int audit_read_records(struct doveadm_team *team,
		       const struct audit_node *node, uint64_t after,
		       uint64_t limit, audit_record_callback_t *callback,
		       void *context)
{
	struct records_context records = {
		.callback = callback, .context = context
	};
	struct read_context ctx = {
		.callback = records_row, .context = &records
	};
	const char *const args[] = {
		"audit-export", t_strconcat("node=", node->name, NULL),
		t_strdup_printf("after=%"PRIu64, after),
		t_strdup_printf("limit=%"PRIu64, limit), NULL
	};
	int ret = read_query(team, args, &ctx);

	return ctx.stopped && ctx.error == NULL ? 0 : ret;
}

/* ---- leaves ---- */

struct leaves_context {
	audit_leaf_callback_t *callback;
	void *context;
	uint64_t after;
};

static bool leaves_row(void *context, const char *const *columns,
		       const char *const *values)
{
	struct leaves_context *ctx = context;
	const char *first = audit_row_value(columns, values, "first");
	const char *leaves = audit_row_value(columns, values, "leaves");
	struct team_hash leaf;
	uint64_t seq;

	if (first == NULL || leaves == NULL || str_to_uint64(first, &seq) < 0)
		return TRUE;
	for (; strlen(leaves) >= TEAM_HASH_SIZE * 2;
	     leaves += TEAM_HASH_SIZE * 2, seq++) {
		if (seq > ctx->after &&
		    team_hex_decode(t_strndup(leaves, TEAM_HASH_SIZE * 2),
				    leaf.bytes, TEAM_HASH_SIZE) == 0)
			ctx->callback(seq, &leaf, ctx->context);
	}
	return TRUE;
}

int audit_read_leaves(struct doveadm_team *team, const struct audit_node *node,
		      uint64_t after, audit_leaf_callback_t *callback,
		      void *context)
{
	struct leaves_context leaves = {
		.callback = callback, .context = context, .after = after
	};
	struct read_context ctx = {
		.callback = leaves_row, .context = &leaves
	};
	const char *const args[] = {
		"audit-leaves", t_strconcat("node=", node->name, NULL),
		t_strdup_printf("after=%"PRIu64, after), NULL
	};

	return read_query(team, args, &ctx);
}

/* ---- files ---- */

int audit_read_file(const char *path, string_t *dest)
{
	struct istream *input = i_stream_create_file(path, 65536);
	const unsigned char *data;
	size_t size;
	int ret = 0;

	while (i_stream_read_more(input, &data, &size) > 0) {
		str_append_data(dest, data, size);
		i_stream_skip(input, size);
	}
	if (input->stream_errno != 0) {
		i_error("read(%s) failed: %s", path,
			i_stream_get_error(input));
		doveadm_exit_code = EX_NOINPUT;
		ret = -1;
	}
	i_stream_unref(&input);
	return ret;
}
