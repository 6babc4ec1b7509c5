/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team flags export, import --input: all private flags as a file. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "istream.h"
#include "strnum.h"
#include "audit-read.h"
#include "doveadm-team.h"
#include "doveadm-team-flags.h"
#include "team-client.h"
#include "team-operator.h"
#include "team-protocol.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS_TIMEOUT_MSECS (5*60*1000)
#define FLAGS_LINE_MAX (16*1024*1024)
/* A set of UIDs in a record: two of them fit into a line of the protocol. */
#define RECORD_UIDSET_MAX (256*1024)
/* So many records are sent before it is waited for the answers. */
#define FLUSH_RECORDS 500

/*
 * Rows of the service
 */

static bool row_to_line(const char *const *columns, const char *const *values,
			struct flags_line *line_r)
{
	const char *error, *uidvalidity, *uids;

	i_zero(line_r);
	line_r->colleague = i_strdup(audit_row_value(columns, values,
						     "colleague"));
	line_r->mailbox = i_strdup(audit_row_value(columns, values, "mailbox"));
	line_r->guid = i_strdup(audit_row_value(columns, values, "guid"));
	line_r->flag = i_strdup(audit_row_value(columns, values, "flag"));
	uidvalidity = audit_row_value(columns, values, "uidvalidity");
	uids = audit_row_value(columns, values, "uids");
	if (line_r->colleague != NULL && line_r->mailbox != NULL &&
	    line_r->guid != NULL && line_r->flag != NULL &&
	    uidvalidity != NULL && uids != NULL &&
	    str_to_uint32(uidvalidity, &line_r->uidvalidity) == 0 &&
	    team_uidset_parse_multirange(uids, &line_r->uids, &error) == 0)
		return TRUE;
	flags_line_clear(line_r);
	i_error("The team service sent flags that are not understood");
	doveadm_exit_code = EX_PROTOCOL;
	return FALSE;
}

static int
flags_read(struct doveadm_team *team, const char *colleague,
	   const char *mailbox, audit_row_callback_t *callback, void *context)
{
	const char *const args[] = {
		"flags", t_strconcat("colleague=", colleague, NULL),
		t_strconcat("mailbox=", mailbox, NULL), NULL
	};

	return audit_read_rows(team, args, callback, context);
}

/*
 * Export
 */

struct flags_export {
	FILE *file;
	unsigned int lines;
};

static bool export_row(void *context, const char *const *columns,
		       const char *const *values)
{
	struct flags_export *ctx = context;
	struct flags_line line;

	if (!row_to_line(columns, values, &line))
		return FALSE;
	flags_line_write(&line, ctx->file);
	flags_line_clear(&line);
	ctx->lines++;
	return ctx->file == stdout ? !doveadm_team_output_failed() :
		ferror(ctx->file) == 0;
}

static void export_failed(const char *path)
{
	i_error("write(%s) failed: %m", path);
	doveadm_exit_code = EX_IOERR;
}

/* A file is complete, or isn't there. */
static void
export_to_file(struct doveadm_team *team, const char *colleague,
	       const char *mailbox, const char *path)
{
	const char *temp_path = t_strconcat(path, ".tmp", NULL);
	struct flags_export ctx = { .lines = 0 };
	int ret;

	/* who has read what is nobody else's business */
	(void)umask(0077);
	ctx.file = fopen(temp_path, "w");
	if (ctx.file == NULL) {
		export_failed(temp_path);
		return;
	}
	ret = flags_read(team, colleague, mailbox, export_row, &ctx);
	if (ferror(ctx.file) != 0 ||
	    (ret == 0 && (fflush(ctx.file) != 0 ||
			  fsync(fileno(ctx.file)) < 0 ||
			  rename(temp_path, path) < 0))) {
		export_failed(path);
		ret = -1;
	}
	fclose(ctx.file);
	if (ret < 0)
		(void)unlink(temp_path);
	else
		i_info("%u lines written to %s", ctx.lines, path);
}

static void cmd_team_flags_export(struct doveadm_cmd_context *cctx)
{
	const char *colleague = "", *mailbox = "", *path = NULL;
	struct flags_export ctx = { .file = stdout };
	struct doveadm_team *team;

	(void)doveadm_cmd_param_str(cctx, "colleague", &colleague);
	(void)doveadm_cmd_param_str(cctx, "mailbox", &mailbox);
	(void)doveadm_cmd_param_str(cctx, "output", &path);
	if (doveadm_team_connect(cctx, FLAGS_TIMEOUT_MSECS, &team) < 0)
		return;
	if (path != NULL)
		export_to_file(team, colleague, mailbox, path);
	else
		(void)flags_read(team, colleague, mailbox, export_row, &ctx);
	doveadm_team_disconnect(&team);
}

/*
 * Import
 */

ARRAY_DEFINE_TYPE(flags_line, struct flags_line);

struct flags_import {
	const char *path;
	struct doveadm_cmd_context *cctx;
	struct doveadm_team *team;
	ARRAY_TYPE(flags_line) lines;
	/* the mailbox of a GUID that came last */
	HASH_TABLE(char *, void *) newest;
	/* "guid uidvalidity" of each */
	HASH_TABLE(char *, void *) known;

	/* of the colleague whose line came last */
	struct team_session *session;
	const char *colleague;
	unsigned int unflushed;
	uint64_t imported, total;
};

/* Reads and checks all of the file before anything is done. */
static int import_read(struct flags_import *ctx, struct istream *input)
{
	struct flags_line line;
	const char *text, *error = NULL;
	unsigned int number = 0;

	while (error == NULL &&
	       (text = i_stream_read_next_line(input)) != NULL) T_BEGIN {
		number++;
		if (*text == '\0')
			;
		else if (flags_line_parse(text, &line, &error) < 0)
			error = p_strdup(ctx->team->pool, error);
		else {
			line.number = number;
			array_push_back(&ctx->lines, &line);
		}
	} T_END;
	if (error != NULL) {
		i_error("%s: line %u: %s. Nothing was imported", ctx->path,
			number, error);
		doveadm_exit_code = EX_DATAERR;
		return -1;
	}
	if (input->stream_errno != 0) {
		i_error("%s: line %u can't be read: %s. Nothing was imported",
			ctx->path, number + 1,
			input->stream_errno == ENOBUFS ? "it is too long" :
			i_stream_get_error(input));
		doveadm_exit_code = EX_NOINPUT;
		return -1;
	}
	return 0;
}

static bool import_mailbox_row(void *context, const char *const *columns,
			       const char *const *values)
{
	struct flags_import *ctx = context;
	const char *guid = audit_row_value(columns, values, "guid");
	const char *uidvalidity = audit_row_value(columns, values,
						  "uidvalidity");
	uint32_t number;

	if (guid == NULL || uidvalidity == NULL ||
	    str_to_uint32(uidvalidity, &number) < 0 ||
	    /* recorded before it was known */
	    number == 0)
		return TRUE;
	hash_table_update(ctx->newest, p_strdup(ctx->team->pool, guid),
			  POINTER_CAST(number));
	hash_table_update(ctx->known, p_strconcat(ctx->team->pool, guid, " ",
						  uidvalidity, NULL),
			  POINTER_CAST(1));
	return TRUE;
}

/* UIDs of a mailbox that was made anew would be those of other messages. A
   mailbox that the database has never heard of is another matter: it may be a
   new database. */
static int import_check_mailboxes(struct flags_import *ctx)
{
	static const char *const args[] = { "flags-mailboxes", NULL };
	const struct flags_line *line;
	const char *key;
	void *newest;

	if (audit_read_rows(ctx->team, args, import_mailbox_row, ctx) < 0)
		return -1;
	array_foreach(&ctx->lines, line) {
		newest = hash_table_lookup(ctx->newest, line->guid);
		key = t_strdup_printf("%s %u", line->guid, line->uidvalidity);
		if (newest == NULL ||
		    hash_table_lookup(ctx->known, key) != NULL)
			continue;
		i_error("%s: line %u: the mailbox %s has the UIDVALIDITY %u, "
			"not %u: its messages have other UIDs now. Nothing "
			"was imported", ctx->path, line->number,
			line->mailbox != NULL ? line->mailbox : line->guid,
			POINTER_CAST_TO(newest, uint32_t), line->uidvalidity);
		doveadm_exit_code = EX_DATAERR;
		return -1;
	}
	return 0;
}

/* What is there already is not imported again. */
static bool import_flags_row(void *context, const char *const *columns,
			     const char *const *values)
{
	struct flags_import *ctx = context;
	struct flags_line known, *line;

	if (!row_to_line(columns, values, &known))
		return FALSE;
	array_foreach_modifiable(&ctx->lines, line) {
		if (flags_line_equals(line, &known))
			flags_line_subtract(line, &known.uids);
	}
	flags_line_clear(&known);
	return TRUE;
}

static int import_flush(struct flags_import *ctx)
{
	const char *error;

	ctx->unflushed = 0;
	if (ctx->session == NULL ||
	    team_client_flush(ctx->session, &error) == 0)
		return 0;
	i_error("%s: %s: not everything was imported. Try again: nothing is "
		"imported twice", ctx->path, error);
	doveadm_exit_code = EX_TEMPFAIL;
	return -1;
}

/* The log says whose flags they are, and who did it. */
static int import_set_colleague(struct flags_import *ctx, const char *colleague)
{
	struct team_session_info info;
	struct team_client *client;

	if (ctx->session != NULL) {
		if (strcmp(ctx->colleague, colleague) == 0)
			return 0;
		if (import_flush(ctx) < 0)
			return -1;
		team_session_deinit(&ctx->session);
	}
	i_zero(&info);
	info.colleague = info.user = ctx->colleague = colleague;
	info.service = "doveadm";
	info.client_name = team_operator_doveadm(
		ctx->cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI);
	client = team_client_get(doveadm_settings->base_dir,
				 ctx->team->socket_path, FLAGS_TIMEOUT_MSECS);
	ctx->session = team_session_init(client, &info, NULL, NULL);
	team_client_unref(&client);
	return 0;
}

static int import_line(struct flags_import *ctx, const struct flags_line *line)
{
	size_t pos = 0;
	char *uids;

	if (import_set_colleague(ctx, line->colleague) < 0)
		return -1;
	while (pos < line->uids.count) {
		uids = team_uidset_format_part(&line->uids, &pos,
					       RECORD_UIDSET_MAX);
		const char *const fields[] = {
			"action=flag", "outcome=ok",
			t_strconcat("mailbox=", line->guid, NULL),
			t_strdup_printf("uidvalidity=%u", line->uidvalidity),
			t_strconcat("name=", line->mailbox, NULL),
			t_strconcat("uids=", uids, NULL),
			t_strconcat("p+", line->flag, "=", uids, NULL),
			t_strconcat(TEAM_RECORD_KEY_IMPORT, "=", ctx->path,
				    NULL), NULL
		};
		free(uids);
		team_client_event(ctx->session, fields);
		if (++ctx->unflushed >= FLUSH_RECORDS && import_flush(ctx) < 0)
			return -1;
	}
	ctx->imported += team_uidset_size(&line->uids);
	return 0;
}

static void import_run(struct flags_import *ctx)
{
	const struct flags_line *line;
	int ret = 0;

	if (import_check_mailboxes(ctx) < 0)
		return;
	array_foreach(&ctx->lines, line)
		ctx->total += team_uidset_size(&line->uids);
	if (flags_read(ctx->team, "", "", import_flags_row, ctx) < 0)
		return;
	array_foreach(&ctx->lines, line) T_BEGIN {
		if (ret == 0)
			ret = import_line(ctx, line);
	} T_END;
	if (ret == 0 && import_flush(ctx) == 0) {
		i_info("%s: %"PRIu64" private flags of messages imported, "
		       "%"PRIu64" were there already", ctx->path,
		       ctx->imported, ctx->total - ctx->imported);
	}
	if (ctx->session != NULL)
		team_session_deinit(&ctx->session);
}

void doveadm_team_flags_import_file(struct doveadm_cmd_context *cctx,
				    const char *path)
{
	struct flags_import ctx = { .path = path, .cctx = cctx };
	struct flags_line *line;
	struct istream *input;

	if (cctx->conn_type != DOVEADM_CONNECTION_TYPE_CLI) {
		i_error("doveadm team flags import --input works on the "
			"command line only");
		doveadm_exit_code = EX_NOPERM;
		return;
	}
	if (doveadm_team_connect(cctx, FLAGS_TIMEOUT_MSECS, &ctx.team) < 0)
		return;
	i_array_init(&ctx.lines, 64);
	hash_table_create(&ctx.newest, default_pool, 0, str_hash, strcmp);
	hash_table_create(&ctx.known, default_pool, 0, str_hash, strcmp);
	input = i_stream_create_file(path, FLAGS_LINE_MAX);
	i_stream_set_return_partial_line(input, TRUE);
	if (import_read(&ctx, input) == 0)
		import_run(&ctx);
	i_stream_unref(&input);
	hash_table_destroy(&ctx.newest);
	hash_table_destroy(&ctx.known);
	array_foreach_modifiable(&ctx.lines, line)
		flags_line_clear(line);
	array_free(&ctx.lines);
	doveadm_team_disconnect(&ctx.team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_flags_export = {
	.name = "team flags export",
	.cmd = cmd_team_flags_export,
	.usage = "[--colleague <name>] [--mailbox <mailbox>] "
		"[--output <file>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "colleague", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "output", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
