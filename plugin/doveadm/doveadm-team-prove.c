/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team audit prove */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "strnum.h"
#include "proof-file.h"
#include "verify.h"
#include "audit-read.h"
#include "audit-trust.h"
#include "doveadm-team.h"

#include <stdlib.h>

#define PROVE_TIMEOUT_MSECS (5*60*1000)

struct prove_context {
	/* the record that it is about, or 0 for consistency */
	uint64_t seq;
	uint64_t old_size;
	/* the checkpoint, as it is and taken apart */
	struct team_statement st;
	const char *checkpoint;
	struct team_hash old_root;
	bool have_old;

	struct team_prover prover;
	uint64_t next_seq;
	struct team_hash leaf;
	char *record;
	bool failed;
};

static void prove_found(enum team_verdict verdict ATTR_UNUSED,
			const char *text, void *context ATTR_UNUSED)
{
	i_error("%s", text);
}

static int prove_fail(int code, const char *error)
{
	i_error("%s", error);
	doveadm_exit_code = code;
	return -1;
}

/* Takes the newest checkpoint of the tree that the record is in; without a
   record of the newest tree. */
static void prove_note(struct prove_context *ctx, const struct team_note *note)
{
	struct team_statement st;

	if (team_statement_parse(note->text, note->text_size, &st) < 0 ||
	    st.type != TEAM_STATEMENT_CHECKPOINT)
		return;
	if (ctx->old_size != 0 && st.size == ctx->old_size) {
		ctx->old_root = st.root;
		ctx->have_old = TRUE;
	}
	if (ctx->seq != 0 &&
	    (ctx->seq < st.first || ctx->seq - st.first >= st.size))
		return;
	ctx->st = st;
	ctx->checkpoint = p_strdup_until(pool_datastack_create(), note->text,
					 note->sigs + note->sigs_size);
}

static int prove_find_checkpoint(struct prove_context *ctx,
				 struct team_verify *verify,
				 string_t *notes, const char *node)
{
	const char *data = str_c(notes);
	size_t pos = 0, used, size = str_len(notes);
	char name[TEAM_NOTE_NAME_MAX + 1];
	struct team_statement st;
	struct team_note note;
	bool forged;

	while (pos < size &&
	       team_note_parse(data + pos, size - pos, &note, &used) > 0) {
		pos += used;
		if (team_statement_parse(note.text, note.text_size, &st) == 0 &&
		    st.type == TEAM_STATEMENT_CHECKPOINT &&
		    team_origin_node(st.origin, name, sizeof(name)) == 0 &&
		    strcmp(name, node) == 0 &&
		    team_verify_find_key(verify, &note, &forged) != NULL)
			prove_note(ctx, &note);
	}
	if (ctx->checkpoint == NULL) {
		return prove_fail(DOVEADM_EX_NOTFOUND, ctx->seq != 0 ?
			"No checkpoint covers this record (yet)" :
			"There is no checkpoint");
	}
	return 0;
}

static int prove_begin(struct prove_context *ctx)
{
	int ret;

	if (ctx->seq != 0) {
		ret = team_prover_inclusion(&ctx->prover,
					    ctx->seq - ctx->st.first,
					    ctx->st.size);
	} else {
		ret = team_prover_consistency(&ctx->prover, ctx->old_size,
					      ctx->st.size);
	}
	if (ret < 0) {
		return prove_fail(EX_USAGE, "The newest checkpoint isn't newer "
				  "than that");
	}
	ctx->next_seq = ctx->st.first;
	return 0;
}

/* Dropped records are there as leaves only. */
static void
prove_leaf(uint64_t seq, const struct team_hash *leaf, void *context)
{
	struct prove_context *ctx = context;

	if (seq != ctx->next_seq || ctx->next_seq - ctx->st.first >= ctx->st.size)
		return;
	team_prover_leaf(&ctx->prover, leaf);
	ctx->next_seq++;
}

static bool
prove_record(const struct team_export *exp, const char *error, void *context)
{
	struct prove_context *ctx = context;
	struct team_hash leaf;
	const char *leaf_error;
	size_t size;
	FILE *file;

	if (error != NULL || exp->seq != ctx->next_seq || exp->record == NULL ||
	    !exp->have_opening ||
	    team_leaf_hash(exp->record, &exp->opening, &leaf,
			   &leaf_error) < 0) {
		ctx->failed = TRUE;
		return FALSE;
	}
	if (exp->seq == ctx->seq) {
		ctx->leaf = leaf;
		file = open_memstream(&ctx->record, &size);
		if (file == NULL)
			i_fatal_status(FATAL_OUTOFMEM, "open_memstream(): %m");
		team_export_write_json(exp, file);
		(void)fclose(file);
	}
	team_prover_leaf(&ctx->prover, &leaf);
	ctx->next_seq++;
	return TRUE;
}

static int prove_records(struct doveadm_team *team,
			 const struct audit_node *node,
			 struct prove_context *ctx)
{
	uint64_t end = ctx->st.first + ctx->st.size;

	if (ctx->next_seq == end)
		return 0;
	return audit_read_records(team, node, ctx->next_seq - 1,
				  end - ctx->next_seq, prove_record, ctx);
}

static int prove_write(const char *path, const char *text)
{
	FILE *file;
	bool failed;

	if (path == NULL) {
		fputs(text, stdout);
		return 0;
	}
	file = fopen(path, "w");
	failed = file == NULL || fputs(text, file) == EOF || fflush(file) != 0;
	if (failed) {
		i_error("write(%s) failed: %m", path);
		doveadm_exit_code = EX_IOERR;
	}
	if (file != NULL)
		(void)fclose(file);
	return failed ? -1 : 0;
}

static int prove_end(struct prove_context *ctx, const char *path)
{
	const struct team_proof *proof = team_prover_finish(&ctx->prover);
	char *text;
	bool ok;
	int ret;

	if (ctx->seq != 0) {
		ok = proof != NULL && ctx->record != NULL &&
			team_proof_check_inclusion(proof,
				ctx->seq - ctx->st.first, ctx->st.size,
				&ctx->leaf, &ctx->st.root);
	} else {
		ok = proof != NULL && (!ctx->have_old ||
			team_proof_check_consistency(proof, ctx->old_size,
				ctx->st.size, &ctx->old_root, &ctx->st.root));
	}
	if (ctx->seq != 0 && ctx->record == NULL && !ctx->failed) {
		return prove_fail(DOVEADM_EX_NOTFOUND, "The record isn't there "
				  "any more");
	}
	if (ctx->failed || !ok) {
		return prove_fail(EX_DATAERR, "It can't be proved: the log "
			"isn't what the checkpoint covers. doveadm team audit "
			"verify says where");
	}
	text = ctx->seq != 0 ?
		team_inclusion_format(proof, ctx->seq - ctx->st.first,
				      ctx->record, ctx->checkpoint) :
		team_consistency_format(proof, ctx->st.origin, ctx->old_size,
					ctx->st.size);
	ret = prove_write(path, text);
	free(text);
	return ret;
}

static void prove_run(struct doveadm_cmd_context *cctx,
		      struct doveadm_team *team, struct prove_context *ctx)
{
	struct team_verify *verify = team_verify_new(prove_found, NULL);
	ARRAY_TYPE(audit_node) nodes;
	const struct audit_node *node;
	const char *path = NULL, *only = NULL;
	string_t *notes = t_str_new(4096);

	(void)doveadm_cmd_param_str(cctx, "output", &path);
	(void)doveadm_cmd_param_str(cctx, "node", &only);
	if (audit_read_nodes(team, only, &nodes) == 0 &&
	    (array_count(&nodes) == 1 ||
	     prove_fail(EX_USAGE, "There are several nodes: name one with "
			"--node") == 0)) {
		node = array_front(&nodes);
		if (audit_trust_load(cctx, team, node->name, verify,
				     notes) == 0 &&
		    prove_find_checkpoint(ctx, verify, notes,
					  node->name) == 0 &&
		    prove_begin(ctx) == 0 &&
		    audit_read_leaves(team, node, ctx->st.first - 1, prove_leaf,
				      ctx) == 0 &&
		    prove_records(team, node, ctx) == 0)
			(void)prove_end(ctx, path);
	}
	free(ctx->record);
	team_verify_free(&verify);
}

static void cmd_team_audit_prove(struct doveadm_cmd_context *cctx)
{
	struct prove_context *ctx = t_new(struct prove_context, 1);
	struct doveadm_team *team;
	const char *value;
	bool ok = FALSE;

	if (doveadm_cmd_param_str(cctx, "record", &value)) {
		ok = str_to_uint64(value, &ctx->seq) == 0 && ctx->seq > 0;
	} else if (doveadm_cmd_param_str(cctx, "consistency", &value)) {
		ok = str_to_uint64(value, &ctx->old_size) == 0 &&
			ctx->old_size > 0;
	}
	if (!ok) {
		doveadm_team_usage_error("Say what to prove: --record <number "
			"of the record>, or --consistency <size in the older "
			"checkpoint>");
		return;
	}
	if (doveadm_team_connect(cctx, PROVE_TIMEOUT_MSECS, &team) < 0)
		return;
	prove_run(cctx, team, ctx);
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_prove = {
	.name = "team audit prove",
	.cmd = cmd_team_audit_prove,
	.usage = "--record <number>|--consistency <size> [--node <node>] "
		"[--output <file>] [--key <file>] [--checkpoints <file>]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "record", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "consistency", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "node", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "output", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "key", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "checkpoints", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};
