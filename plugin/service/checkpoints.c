/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to sign what. */

#include "team-common.h"
#include "ioloop.h"
#include "safe-memset.h"
#include "team-settings.h"
#include "journal.h"
#include "journal-gap.h"
#include "journal-tree.h"
#include "pg-conn.h"
#include "checkpoint-file.h"
#include "checkpoints.h"
#include "service.h"

#include <stdlib.h>

#define CHECKPOINTS_SEND_MSECS 1000

struct checkpoints {
	struct team_service *service;
	struct checkpoint_file *file;
	struct team_signer signer;
	/* of the tree that was signed last */
	uint64_t last_size, last_began;

	struct timeout *to_write, *to_send;
	bool sending;
	/* the error was logged */
	bool failing;
};

static void checkpoints_send(struct checkpoints *checkpoints);

bool checkpoints_are_sent(const struct checkpoints *checkpoints)
{
	return !checkpoints->sending &&
		checkpoint_file_is_sent(checkpoints->file);
}

uint64_t checkpoints_last_size(const struct checkpoints *checkpoints)
{
	return checkpoints->last_size;
}

const struct team_verifier *
checkpoints_key(const struct checkpoints *checkpoints)
{
	return &checkpoints->signer.verifier;
}

/* ---- to PostgreSQL ---- */

static const char *note_kind(const char *note)
{
	struct team_statement statement;
	const char *end = strstr(note, "\n\n");

	if (end == NULL ||
	    team_statement_parse(note, end + 1 - note, &statement) < 0)
		return "checkpoint";
	switch (statement.type) {
	case TEAM_STATEMENT_KEY:
		return "key";
	case TEAM_STATEMENT_CUT:
		return "cut";
	case TEAM_STATEMENT_CHECKPOINT:
		break;
	}
	return "checkpoint";
}

static void send_answer(const struct pg_answer *answer, void *context)
{
	struct checkpoints *checkpoints = context;

	checkpoints->sending = FALSE;
	if (answer->error == NULL) {
		T_BEGIN {
			checkpoint_file_sent(checkpoints->file);
		} T_END;
		checkpoints_send(checkpoints);
	} else if (answer->action != PG_ACTION_RECONNECT) {
		i_error("PostgreSQL: keeping a checkpoint failed: %s",
			answer->error);
	}
}

static void checkpoints_send(struct checkpoints *checkpoints)
{
	struct pg_conn *conn = checkpoints->service->requests;
	const char *note, *params[3];

	if (checkpoints->sending || !pg_conn_is_ready(conn))
		return;
	T_BEGIN {
		note = checkpoint_file_next(checkpoints->file);
		if (note != NULL) {
			params[0] = t_strdup_printf("%d",
						    pg_conn_node_id(conn));
			params[1] = note_kind(note);
			params[2] = note;
			checkpoints->sending = TRUE;
			pg_conn_request(conn, "add_note", params,
					N_ELEMENTS(params), send_answer,
					checkpoints);
		}
	} T_END;
}

/* ---- signing ---- */

/* Returns 0 with the note, which the caller frees. */
static int publish(struct checkpoints *checkpoints, const char *text,
		   const struct team_signer *signer, char **note_r,
		   const char **error_r)
{
	const char *command =
		checkpoints->service->set->team_checkpoint_command;
	char *note = team_note_sign(text, signer);
	int ret;

	if (note == NULL) {
		*error_r = "signing failed";
		return -1;
	}
	ret = checkpoint_file_append(checkpoints->file, note, error_r);
	if (ret == 0) {
		if (command[0] != '\0' &&
		    !checkpoint_command_run(command, note)) {
			i_error("team_checkpoint_command still runs: it isn't "
				"given a checkpoint");
		}
		checkpoints_send(checkpoints);
	}
	if (ret < 0)
		free(note);
	else
		*note_r = note;
	return ret;
}

/* Takes the new key into use: first its statement, signed by the old one, then
   the key itself. */
static int use_key(struct checkpoints *checkpoints,
		   const struct team_signer *signer, const char **error_r)
{
	char *text = team_key_statement_format(&signer->verifier,
		journal_time_text(journal_now(checkpoints->service->journal)));
	char *note;
	int ret;

	ret = publish(checkpoints, text, &checkpoints->signer, &note, error_r);
	free(text);
	if (ret < 0)
		return -1;
	free(note);
	if (checkpoint_key_write(checkpoints->service->set->team_journal_dir,
				 signer, error_r) < 0)
		return -1;
	checkpoints->signer = *signer;
	return 0;
}

int checkpoints_rotate_key(struct checkpoints *checkpoints,
			   const char **error_r)
{
	struct team_signer signer;
	int ret;

	if (team_signer_generate(&signer,
				 checkpoints->signer.verifier.name) < 0) {
		*error_r = "there is no randomness";
		return -1;
	}
	ret = use_key(checkpoints, &signer, error_r);
	safe_memset(&signer, 0, sizeof(signer));
	return ret;
}

int checkpoints_sign_cut(struct checkpoints *checkpoints, const char *origin,
			 const char *tree_text, uint64_t first,
			 const char **note_r, const char **error_r)
{
	struct journal *journal = checkpoints->service->journal;
	char node[TEAM_NOTE_NAME_MAX + 1], *text, *note;
	struct team_tree tree;
	int ret;

	if (team_origin_node(origin, node, sizeof(node)) < 0 ||
	    strcmp(node, checkpoints->service->node) != 0) {
		*error_r = "it isn't a log of this node";
		return -1;
	}
	if (team_tree_parse(tree_text, &tree) < 0 || tree.size == 0) {
		*error_r = "this isn't a tree";
		return -1;
	}
	if (strcmp(origin, checkpoints->signer.verifier.name) == 0 &&
	    tree.size > checkpoints->last_size) {
		*error_r = "no checkpoint covers these records";
		return -1;
	}
	text = team_cut_format(origin, &tree, first,
			       journal_time_text(journal_now(journal)));
	ret = publish(checkpoints, text, &checkpoints->signer, &note, error_r);
	free(text);
	if (ret < 0)
		return -1;
	*note_r = t_strdup(note);
	free(note);
	return 0;
}

/* The key is named after the tree. */
static int check_key_name(struct checkpoints *checkpoints, const char *origin,
			  const char **error_r)
{
	struct team_signer signer = checkpoints->signer;
	int ret;

	if (strcmp(signer.verifier.name, origin) == 0)
		return 0;
	team_signer_rename(&signer, origin);
	ret = use_key(checkpoints, &signer, error_r);
	safe_memset(&signer, 0, sizeof(signer));
	return ret;
}

static int write_checkpoint(struct checkpoints *checkpoints,
			    const struct journal_tree *tree, int64_t base,
			    const char **error_r)
{
	struct journal *journal = checkpoints->service->journal;
	char *origin, *text, *note = NULL;
	int ret;

	/* what is signed mustn't get lost any more */
	if (journal_sync(journal) < 0) {
		*error_r = "the journal can't be synced";
		return -1;
	}
	origin = team_origin_format(checkpoints->service->node, tree->began);
	ret = check_key_name(checkpoints, origin, error_r);
	if (ret == 0) {
		text = team_checkpoint_format(origin, &tree->tree,
			(uint64_t)((int64_t)tree->first_seq + base),
			journal_time_text(journal_now(journal)));
		ret = publish(checkpoints, text, &checkpoints->signer, &note,
			      error_r);
		free(text);
		free(note);
	}
	free(origin);
	return ret;
}

static void checkpoints_write_real(struct checkpoints *checkpoints)
{
	struct journal *journal = checkpoints->service->journal;
	const struct journal_tree *tree;
	struct journal_status status;
	const char *error;

	journal_flush(journal);
	journal_get_status(journal, &status);
	tree = journal_get_tree(journal);
	/* the log's numbers belong to what is signed */
	if (!status.base_known || !tree->active || tree->tree.size == 0 ||
	    (tree->tree.size == checkpoints->last_size &&
	     tree->began == checkpoints->last_began))
		return;
	if (write_checkpoint(checkpoints, tree, status.base, &error) < 0) {
		if (!checkpoints->failing)
			i_error("Checkpoint: %s", error);
		checkpoints->failing = TRUE;
		return;
	}
	checkpoints->failing = FALSE;
	checkpoints->last_size = tree->tree.size;
	checkpoints->last_began = tree->began;
}

void checkpoints_write(struct checkpoints *checkpoints)
{
	T_BEGIN {
		checkpoints_write_real(checkpoints);
	} T_END;
}

/* ---- life ---- */

static int init_key(struct checkpoints *checkpoints, const char *origin,
		    const char **error_r)
{
	const char *dir = checkpoints->service->set->team_journal_dir;
	int ret = checkpoint_key_read(dir, &checkpoints->signer, error_r);

	if (ret != 0)
		return ret < 0 ? -1 : 0;
	if (team_signer_generate(&checkpoints->signer, origin) < 0) {
		*error_r = "there is no randomness";
		return -1;
	}
	return checkpoint_key_write(dir, &checkpoints->signer, error_r);
}

/* A journal that was set back, or lost its end, continues a tree that others
   know to be longer: that one has ended. */
static int init_compare(struct checkpoints *checkpoints, const char *origin,
			const char **error_r)
{
	struct journal *journal = checkpoints->service->journal;
	const struct journal_tree *tree = journal_get_tree(journal);
	struct team_statement last;
	struct team_hash root;
	struct journal_status status;
	int ret;

	ret = checkpoint_file_last(checkpoints->file, origin, &last, error_r);
	if (ret <= 0)
		return ret;
	team_tree_root(&tree->tree, &root);
	if (last.size < tree->tree.size ||
	    (last.size == tree->tree.size &&
	     team_hash_equals(&root, &last.root))) {
		checkpoints->last_size = last.size;
		checkpoints->last_began = tree->began;
		return 0;
	}
	const char *const details[] = {
		"d.reason=the journal lacks records that a checkpoint covers",
		t_strdup_printf("d.checkpoint=%"PRIu64, last.size),
		t_strdup_printf("d.journal=%"PRIu64, tree->tree.size), NULL
	};
	i_error("journal: it has %"PRIu64" records of the tree %s, but a "
		"checkpoint covers %"PRIu64": a new tree is begun",
		tree->tree.size, origin, last.size);
	journal_get_status(journal, &status);
	if (journal_tree_restart(journal, status.last_seq + 1) < 0) {
		*error_r = "the journal can't be written";
		return -1;
	}
	journal_stage_gap(journal, details);
	return 0;
}

int checkpoints_init(struct team_service *service,
		     struct checkpoints **checkpoints_r, const char **error_r)
{
	const char *dir = service->set->team_journal_dir;
	struct checkpoints *checkpoints = i_new(struct checkpoints, 1);
	char *origin;
	int ret;

	checkpoints->service = service;
	if (checkpoint_file_open(dir, &checkpoints->file, error_r) < 0) {
		i_free(checkpoints);
		return -1;
	}
	journal_flush(service->journal);
	origin = team_origin_format(service->node,
		journal_get_tree(service->journal)->began);
	ret = init_key(checkpoints, origin, error_r);
	if (ret == 0)
		ret = init_compare(checkpoints, origin, error_r);
	free(origin);
	if (ret < 0) {
		checkpoint_file_close(&checkpoints->file);
		i_free(checkpoints);
		return -1;
	}
	checkpoints->to_write = timeout_add(
		service->set->checkpoint_interval * 1000,
		checkpoints_write, checkpoints);
	checkpoints->to_send = timeout_add(CHECKPOINTS_SEND_MSECS,
					   checkpoints_send, checkpoints);
	*checkpoints_r = checkpoints;
	return 0;
}

void checkpoints_deinit(struct checkpoints **_checkpoints)
{
	struct checkpoints *checkpoints = *_checkpoints;

	*_checkpoints = NULL;
	timeout_remove(&checkpoints->to_write);
	timeout_remove(&checkpoints->to_send);
	checkpoint_command_deinit();
	checkpoint_file_close(&checkpoints->file);
	safe_memset(&checkpoints->signer, 0, sizeof(checkpoints->signer));
	i_free(checkpoints);
}
