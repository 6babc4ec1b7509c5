/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the rows of the service's queries through doveadm's formatters. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "unichar.h"
#include "audit-story.h"
#include "audit-what.h"
#include "doveadm-team.h"
#include "team-client.h"

#define COLUMN_WHAT "what"
#define COLUMN_DETAIL "detail"
#define COLUMN_AT "at"

/* As in struct team_audit_row */
static const char *const story_columns[] = {
	"colleague", "action", "mailbox", "uid", "outcome", COLUMN_DETAIL
};

struct query_context {
	const struct doveadm_team_view *view;
	/* -f was given: print all columns */
	bool all_columns;

	/* of the service's rows */
	unsigned int columns_count;
	/* printed columns: index into the row, COLUMN_INDEX_WHAT, or
	   COLUMN_INDEX_NONE for one that the service doesn't know */
	ARRAY(int) printed;
	int detail_idx, at_idx;
	/* of the columns that a story is made of, in the order of
	   story_columns; NULL if there is none to tell */
	int story_idx[N_ELEMENTS(story_columns)];
	struct team_audit_story *story;
	unsigned int rows;
	const char *error;
};

#define COLUMN_INDEX_NONE -1
#define COLUMN_INDEX_WHAT -2

static bool is_control(unichar_t chr)
{
	return chr < 0x20 || (chr >= 0x7f && chr < 0xa0);
}

void doveadm_team_print(const char *value)
{
	string_t *str;
	unichar_t chr;
	int len;

	if (value == NULL)
		value = "";
	T_BEGIN {
		str = t_str_new(128);
		while (*value != '\0') {
			len = uni_utf8_get_char(value, &chr);
			if (len <= 0 || is_control(chr)) {
				str_append_c(str, '?');
				value += len <= 0 ? 1 : len;
			} else {
				str_append_data(str, value, len);
				value += len;
			}
		}
		doveadm_print(str_c(str));
	} T_END;
}

static int columns_find(const char *const *columns, const char *name)
{
	int i;

	for (i = 0; columns[i] != NULL; i++) {
		if (strcmp(columns[i], name) == 0)
			return i;
	}
	return COLUMN_INDEX_NONE;
}

static void
query_print_column(struct query_context *ctx, int idx, const char *name)
{
	array_push_back(&ctx->printed, &idx);
	doveadm_print_header_simple(name);
}

static void
query_set_columns(struct query_context *ctx, const char *const *columns)
{
	unsigned int i;
	int idx;

	ctx->columns_count = str_array_length(columns);
	ctx->detail_idx = columns_find(columns, COLUMN_DETAIL);
	ctx->at_idx = columns_find(columns, COLUMN_AT);
	for (i = 0; i < N_ELEMENTS(story_columns); i++)
		ctx->story_idx[i] = columns_find(columns, story_columns[i]);
	if (!ctx->all_columns) {
		for (i = 0; ctx->view->columns[i] != NULL; i++) {
			idx = strcmp(ctx->view->columns[i], COLUMN_WHAT) == 0 ?
				COLUMN_INDEX_WHAT :
				columns_find(columns, ctx->view->columns[i]);
			query_print_column(ctx, idx, ctx->view->columns[i]);
		}
		return;
	}
	for (i = 0; i < ctx->columns_count; i++)
		query_print_column(ctx, i, columns[i]);
	if (ctx->view->what)
		query_print_column(ctx, COLUMN_INDEX_WHAT, COLUMN_WHAT);
}

/* "2026-11-23 14:00:05.123456+01" without the fraction */
static const char *readable_time(const char *value)
{
	const char *dot = strchr(value, '.');

	if (dot == NULL)
		return value;
	return t_strconcat(t_strdup_until(value, dot),
			   dot + 1 + strspn(dot + 1, "0123456789"), NULL);
}

static const char *
query_what(struct query_context *ctx, const char *const *values)
{
	const char *row[N_ELEMENTS(story_columns)];
	unsigned int i;

	if (ctx->story == NULL)
		return team_audit_what(values[ctx->detail_idx]);
	for (i = 0; i < N_ELEMENTS(story_columns); i++) {
		row[i] = ctx->story_idx[i] < 0 ? "" :
			values[ctx->story_idx[i]];
	}
	const struct team_audit_row story_row = {
		row[0], row[1], row[2], row[3], row[4], row[5]
	};
	return team_audit_story_tell(ctx->story, &story_row);
}

static void
query_print_row(struct query_context *ctx, const char *const *values)
{
	int idx;

	ctx->rows++;
	array_foreach_elem(&ctx->printed, idx) {
		if (idx >= 0 && idx == ctx->at_idx && !ctx->all_columns)
			doveadm_team_print(readable_time(values[idx]));
		else if (idx >= 0)
			doveadm_team_print(values[idx]);
		else if (idx == COLUMN_INDEX_WHAT && ctx->detail_idx >= 0)
			doveadm_team_print(query_what(ctx, values));
		else
			doveadm_team_print("");
	}
}

static bool query_data(void *context, const char *const *args)
{
	struct query_context *ctx = context;

	if (args[0] != NULL && strcmp(args[0], "columns") == 0 &&
	    args[1] != NULL) {
		if (ctx->columns_count > 0) {
			/* it was asked anew after a reconnect */
			ctx->error = "the team service was restarted before "
				"the answer was complete: try again";
			return FALSE;
		}
		query_set_columns(ctx, args + 1);
		return TRUE;
	}
	if (args[0] == NULL || strcmp(args[0], "row") != 0 ||
	    ctx->columns_count == 0 ||
	    str_array_length(args + 1) != ctx->columns_count) {
		ctx->error = "the team service sent a row that doesn't fit its "
			"columns: restart Dovecot if dovecot-team was just "
			"upgraded";
		return FALSE;
	}
	T_BEGIN {
		query_print_row(ctx, args + 1);
	} T_END;
	return !doveadm_team_output_failed();
}

static const char *const *
query_args(struct doveadm_team *team, const char *name,
	   const char *const *args)
{
	ARRAY_TYPE(const_string) all;

	p_array_init(&all, team->pool, 16);
	array_push_back(&all, &name);
	for (; *args != NULL; args++)
		array_push_back(&all, args);
	array_append_zero(&all);
	return array_front(&all);
}

int doveadm_team_query(struct doveadm_team *team, const char *name,
		       const char *const *args,
		       const struct doveadm_team_view *view,
		       unsigned int *rows_r)
{
	struct query_context ctx;
	struct team_answer answer;
	const char *error;
	int ret;

	i_zero(&ctx);
	ctx.view = view;
	ctx.all_columns = doveadm_print_is_initialized();
	if (view->story && !ctx.all_columns)
		ctx.story = team_audit_story_init();
	p_array_init(&ctx.printed, team->pool, 16);
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);

	ret = team_client_request_stream(team->session, team->pool, "QUERY",
					 query_args(team, name, args),
					 query_data, &ctx, &answer, &error);
	*rows_r = ctx.rows;
	if (ctx.story != NULL)
		team_audit_story_deinit(&ctx.story);
	if (ctx.error != NULL) {
		i_error("%s: %s", name, ctx.error);
		doveadm_exit_code = EX_TEMPFAIL;
		return -1;
	}
	if (ret < 0) {
		if (!doveadm_team_output_failed())
			doveadm_team_unanswered(name, error);
		return -1;
	}
	if (answer.code != NULL) {
		doveadm_team_refused(team, name, answer.code, answer.args);
		return -1;
	}
	return 0;
}
