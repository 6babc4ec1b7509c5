/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which command was refused what. A client may send several commands at once:
   then Dovecot carries all of them out before it answers the first. */

#include "team-common.h"
#include "compat-imap.h"
#include "array.h"
#include "mail/team-plugin.h"
#include "imap-team-plugin.h"

struct imap_team_outcome {
	const struct client_command_context *cmd;
	pool_t pool;
	ARRAY_TYPE(team_refusal) refusals;
	/* what it did not do is recorded */
	bool recorded;
};

static struct imap_team_outcome *
imap_team_outcome_find(struct imap_team_client *tc,
		       const struct client_command_context *cmd)
{
	struct imap_team_outcome *outcome;

	/* commands may still be cancelled when the session is being ended */
	if (!array_is_created(&tc->outcomes))
		return NULL;
	array_foreach_elem(&tc->outcomes, outcome) {
		if (outcome->cmd == cmd)
			return outcome;
	}
	return NULL;
}

static struct imap_team_outcome *
imap_team_outcome_get(struct imap_team_client *tc,
		      const struct client_command_context *cmd)
{
	struct imap_team_outcome *outcome = imap_team_outcome_find(tc, cmd);
	pool_t pool;

	if (outcome != NULL)
		return outcome;
	pool = pool_alloconly_create("team command outcome", 512);
	outcome = p_new(pool, struct imap_team_outcome, 1);
	outcome->cmd = cmd;
	outcome->pool = pool;
	p_array_init(&outcome->refusals, pool, 4);
	array_push_back(&tc->outcomes, &outcome);
	return outcome;
}

static void
imap_team_outcome_free(struct imap_team_client *tc,
		       struct imap_team_outcome *outcome)
{
	unsigned int idx = 0;

	while (array_idx_elem(&tc->outcomes, idx) != outcome)
		idx++;
	array_delete(&tc->outcomes, idx, 1);
	pool_unref(&outcome->pool);
}

static bool
imap_team_failures_changed(struct imap_team_client *tc, struct mail_user *user)
{
	unsigned int old = tc->failures;

	tc->failures = team_user_failures(user);
	return tc->failures != old;
}

static void imap_team_command_pre(struct client_command_context *cmd ATTR_UNUSED)
{
}

/* It isn't answered yet, and another may be carried out before it is. */
static void imap_team_command_post(struct client_command_context *cmd)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT(cmd->client);
	const ARRAY_TYPE(team_refusal) *refusals;
	const struct team_refusal *refusal;
	struct imap_team_outcome *outcome;
	struct team_refusal copy;

	if (tc == NULL || !tc->active || !array_is_created(&tc->outcomes) ||
	    cmd->state == CLIENT_COMMAND_STATE_DONE)
		return;
	T_BEGIN {
		if (imap_team_failures_changed(tc, cmd->client->user))
			imap_team_outcome_get(tc, cmd)->recorded = TRUE;
		refusals = team_user_take_refusals(cmd->client->user);
		array_foreach(refusals, refusal) {
			outcome = imap_team_outcome_get(tc, cmd);
			copy = *refusal;
			copy.guid = p_strdup(outcome->pool, refusal->guid);
			copy.holder = p_strdup(outcome->pool, refusal->holder);
			array_push_back(&outcome->refusals, &copy);
		}
	} T_END;
}

bool imap_team_outcome_take(struct client_command_context *cmd,
			    ARRAY_TYPE(team_refusal) *refusals)
{
	struct imap_team_client *tc = IMAP_TEAM_CONTEXT_REQUIRE(cmd->client);
	struct imap_team_outcome *outcome = imap_team_outcome_find(tc, cmd);
	const struct team_refusal *refusal;
	struct team_refusal copy;
	bool recorded = FALSE;

	if (cmd->executing) {
		recorded = imap_team_failures_changed(tc, cmd->client->user);
		array_append_array(refusals,
			team_user_take_refusals(cmd->client->user));
	}
	if (outcome == NULL)
		return recorded;
	array_foreach(&outcome->refusals, refusal) {
		copy = *refusal;
		copy.guid = t_strdup(refusal->guid);
		copy.holder = t_strdup(refusal->holder);
		array_push_back(refusals, &copy);
	}
	recorded = recorded || outcome->recorded;
	imap_team_outcome_free(tc, outcome);
	return recorded;
}

void imap_team_outcomes_init(struct imap_team_client *tc)
{
	i_array_init(&tc->outcomes, 4);
}

void imap_team_outcomes_deinit(struct imap_team_client *tc)
{
	while (array_count(&tc->outcomes) > 0) {
		imap_team_outcome_free(tc,
				       array_idx_elem(&tc->outcomes, 0));
	}
	array_free(&tc->outcomes);
}

void imap_team_outcome_hooks_add(void)
{
	command_hook_register(imap_team_command_pre, imap_team_command_post);
}

void imap_team_outcome_hooks_remove(void)
{
	command_hook_unregister(imap_team_command_pre, imap_team_command_post);
}
