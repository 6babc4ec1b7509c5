/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding keys and checkpoints. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "strnum.h"
#include "verify.h"
#include "audit-read.h"
#include "audit-trust.h"
#include "doveadm-team.h"
#include "team-client.h"

#include <unistd.h>

#define SHIPPED_WAIT_MSECS 30000
#define SHIPPED_POLL_MSECS 50

int audit_trust_status(struct doveadm_team *team, const char *key,
		       const char **value_r)
{
	static const char *const no_args[] = { NULL };
	struct team_answer answer;
	const char *const *args, *error;

	if (team_client_request(team->session, team->pool, "STATUS", no_args,
				&answer, &error) < 0) {
		doveadm_team_unanswered("status", error);
		return -1;
	}
	if (answer.code != NULL) {
		doveadm_team_refused(team, "status", answer.code, answer.args);
		return -1;
	}
	array_foreach_elem(&answer.data, args) {
		if (args[0] != NULL && args[1] != NULL &&
		    strcmp(args[0], key) == 0) {
			*value_r = p_strdup(team->pool, args[1]);
			return 0;
		}
	}
	i_error("The team service doesn't say its %s: it is of another version",
		key);
	doveadm_exit_code = EX_UNAVAILABLE;
	return -1;
}

static int trust_status_number(struct doveadm_team *team, const char *key,
			       int64_t *num_r)
{
	const char *value;

	if (audit_trust_status(team, key, &value) < 0)
		return -1;
	if (str_to_int64(value, num_r) < 0) {
		i_error("The team service says something else than a number "
			"for %s: %s", key, value);
		doveadm_exit_code = EX_PROTOCOL;
		return -1;
	}
	return 0;
}

int audit_trust_wait_shipped(struct doveadm_team *team, int64_t *missing_r)
{
	unsigned int waited;
	const char *postgres;
	int64_t seq, shipped;

	*missing_r = 0;
	if (trust_status_number(team, "seq", &seq) < 0)
		return -1;
	for (waited = 0; ; waited += SHIPPED_POLL_MSECS) {
		if (audit_trust_status(team, "postgres", &postgres) < 0 ||
		    trust_status_number(team, "shipped_seq", &shipped) < 0)
			return -1;
		/* who asks it hears that */
		if (strncmp(postgres, "away", 4) == 0)
			return 0;
		*missing_r = I_MAX(seq - shipped, 0);
		if (*missing_r == 0 || waited >= SHIPPED_WAIT_MSECS)
			return 0;
		usleep(SHIPPED_POLL_MSECS * 1000);
	}
}

/* Without them the log would seem to be cut off. */
static int trust_check_shipped(struct doveadm_team *team)
{
	int64_t missing;

	if (audit_trust_wait_shipped(team, &missing) < 0)
		return -1;
	if (missing == 0)
		return 0;
	i_error("PostgreSQL doesn't have %"PRId64" records yet that checkpoints "
		"may cover: try again when it has (doveadm team status)",
		missing);
	doveadm_exit_code = EX_TEMPFAIL;
	return -1;
}

/* Notes of other nodes don't concern a check of one. */
static void add_notes(struct team_verify *verify, string_t *notes,
		      const char *only)
{
	const char *data = str_c(notes);
	size_t size = str_len(notes), pos = 0, used;
	struct team_statement st;
	struct team_note note;
	char node[TEAM_NOTE_NAME_MAX + 1];

	if (only == NULL) {
		team_verify_add_notes(verify, data, size);
		return;
	}
	while (pos < size &&
	       team_note_parse(data + pos, size - pos, &note, &used) > 0) {
		pos += used;
		if (team_statement_parse(note.text, note.text_size, &st) < 0 ||
		    team_origin_node(st.type == TEAM_STATEMENT_KEY ?
				     st.key.name : st.origin, node,
				     sizeof(node)) < 0 ||
		    strcmp(node, only) == 0) {
			team_verify_add_notes(verify, note.text,
				note.sigs + note.sigs_size - note.text);
		}
	}
	if (pos < size) {
		/* say what's wrong with it */
		team_verify_add_notes(verify, data + pos, size - pos);
	}
}

int audit_trust_load(struct doveadm_cmd_context *cctx,
		     struct doveadm_team *team, const char *only,
		     struct team_verify *verify, string_t *notes)
{
	const char *key = NULL, *checkpoints = NULL, *dir = NULL;
	string_t *text = str_new(default_pool, 1024);
	string_t *own_notes = str_new(default_pool, 4096);
	int ret = 0;

	(void)doveadm_cmd_param_str(cctx, "key", &key);
	(void)doveadm_cmd_param_str(cctx, "checkpoints", &checkpoints);
	if (key == NULL || checkpoints == NULL)
		ret = audit_trust_status(team, "checkpoint_dir", &dir);
	if (ret == 0 && key == NULL)
		key = t_strconcat(dir, "/team.pub", NULL);
	if (ret == 0 && checkpoints == NULL)
		checkpoints = t_strconcat(dir, "/checkpoints", NULL);
	if (ret == 0)
		ret = audit_read_file(key, text);
	if (ret == 0 && team_verify_add_keys(verify, str_c(text)) < 0) {
		i_error("%s isn't a file of public keys", key);
		doveadm_exit_code = EX_NOINPUT;
		ret = -1;
	}
	if (ret == 0)
		ret = audit_read_file(checkpoints, own_notes);
	if (ret == 0) {
		add_notes(verify, own_notes, only);
		if (notes != NULL)
			str_append_str(notes, own_notes);
		ret = trust_check_shipped(team);
	}
	str_free(&text);
	str_free(&own_notes);
	return ret;
}
