/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks the service for what PostgreSQL knows of a mailbox. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "imap-seqset.h"
#include "imap-util.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-claims.h"
#include "team-replica-private.h"

/* While PostgreSQL is away it is not asked at every command */
#define SYNC_RETRY_SECS 1

static int
team_state_add_flag(struct team_mailbox *tbox, struct team_state *state,
		    const char *const *data)
{
	struct team_state_flag flag;

	if (str_array_length(data) < 5)
		return -1;
	i_zero(&flag);
	flag.flag = imap_parse_system_flag(data[1]);
	if (flag.flag == 0)
		flag.keyword = data[1];
	/* what is shared by now isn't the colleague's own any more */
	if (flag.keyword == NULL ?
	    (flag.flag & tbox->set->private_flags) == 0 :
	    !team_keyword_is_private(tbox, flag.keyword))
		return 0;
	p_array_init(&flag.uids, state->pool, 8);
	if (str_to_uint32(data[2], &flag.first_uid) < 0 ||
	    str_to_uint32(data[3], &flag.last_uid) < 0 ||
	    (*data[4] != '\0' &&
	     imap_seq_set_nostar_parse(data[4], &flag.uids) < 0))
		return -1;
	array_push_back(&state->flags, &flag);
	return 0;
}

static int
team_state_add_claims(struct team_mailbox *tbox,
		      struct team_claims_answer *answer, const char *const *data)
{
	if (str_array_length(data) < 3)
		return -1;
	answer->all = strcmp(data[1], "all") == 0;
	answer->cursor = data[2];
	/* it was asked for changes of what this session knows only */
	return answer->all || tbox->shown.cursor != NULL ? 0 : -1;
}

static int
team_state_add_claim(ARRAY_TYPE(team_claim) *claims, const char *const *data)
{
	struct team_claim claim;
	intmax_t since, until;

	if (str_array_length(data) < 5 ||
	    str_to_uint32(data[1], &claim.uid) < 0 ||
	    str_to_intmax(data[3], &since) < 0 ||
	    str_to_intmax(data[4], &until) < 0)
		return -1;
	claim.holder = data[2];
	claim.since = since;
	claim.until = until;
	array_push_back(claims, &claim);
	return 0;
}

/* A service that can't say has none. */
static int
team_state_parse_generations(const char *const *args,
			     struct team_generations *gens_r)
{
	if (str_array_length(args) < 4)
		return 0;
	return str_to_uint64(args[0], &gens_r->epoch) < 0 ||
		str_to_uint64(args[1], &gens_r->flags) < 0 ||
		str_to_uint64(args[2], &gens_r->own) < 0 ||
		str_to_uint64(args[3], &gens_r->box) < 0 ? -1 : 0;
}

static int
team_state_parse(struct team_mailbox *tbox, struct team_state *state,
		 const struct team_answer *answer)
{
	struct team_claims_answer claims;
	const char *const *data;
	int ret = 0;

	if (answer->args[0] == NULL ||
	    str_to_uint64(answer->args[0], &state->rev) < 0 ||
	    team_state_parse_generations(answer->args + 1,
					 &state->gens.gens) < 0)
		return -1;
	i_zero(&claims);
	t_array_init(&claims.claims, 8);
	t_array_init(&claims.unclaimed, 8);
	array_foreach_elem(&answer->data, data) {
		if (strcmp(data[0], "flag") == 0)
			ret = team_state_add_flag(tbox, state, data);
		else if (strcmp(data[0], "claim") == 0)
			ret = team_state_add_claim(&claims.claims, data);
		else if (strcmp(data[0], "claims") == 0)
			ret = team_state_add_claims(tbox, &claims, data);
		else if (strcmp(data[0], "unclaimed") == 0 && data[1] != NULL)
			ret = imap_seq_set_nostar_parse(data[1],
							&claims.unclaimed);
		else if (strcmp(data[0], "refill") == 0) {
			/* the answer has all, as if it had been asked for */
			state->cursor = 0;
			state->current = FALSE;
		} else if (strcmp(data[0], "lost") == 0)
			tbox->lost = TRUE;
		if (ret < 0)
			return -1;
	}
	if (claims.cursor == NULL)
		return -1;
	if (team_mailbox_apply_claims(tbox, &claims) < 0)
		mailbox_set_index_error(tbox->box);
	state->gens.claims_sum = tbox->shown.sum;
	return 0;
}

void team_state_free(struct team_state **_state)
{
	pool_t pool = (*_state)->pool;

	*_state = NULL;
	pool_unref(&pool);
}

static void team_state_retry_timeout(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;

	timeout_remove(&tbox->to_retry);
	if (box->notify_callback != NULL)
		box->notify_callback(box, box->notify_context);
}

void team_state_retry(struct team_mailbox *tbox)
{
	tbox->stale = TRUE;
	tbox->next_sync = ioloop_time + SYNC_RETRY_SECS;
	/* in IDLE no command comes that would ask again */
	if (tbox->box->notify_callback != NULL && tbox->to_retry == NULL) {
		tbox->to_retry = timeout_add(SYNC_RETRY_SECS * 1000 + 100,
					     team_state_retry_timeout, tbox);
	}
}

struct team_state *team_state_new(void)
{
	pool_t pool = pool_alloconly_create("team state", 1024);
	struct team_state *state = p_new(pool, struct team_state, 1);

	state->pool = pool;
	p_array_init(&state->flags, pool, 8);
	return state;
}

/* Asks for what came after the state's cursor. Returns 1, 0 if the answer was
   NO, -1 on errors; error_r is for the log. */
static int
team_state_request(struct team_mailbox *tbox, struct team_state *state,
		   const char **error_r)
{
	struct team_answer answer;
	const char *args[6];

	args[0] = tbox->guid;
	args[1] = t_strdup_printf("%u", tbox->uidvalidity);
	args[2] = t_strdup_printf("%"PRIu64, state->cursor);
	args[3] = tbox->box->vname;
	args[4] = tbox->shown.cursor == NULL ? "0" : tbox->shown.cursor;
	args[5] = NULL;
	if (team_client_request(team_user_session(tbox->tuser), state->pool,
				"SYNC", args, &answer, error_r) < 0)
		return -1;
	if (answer.code != NULL) {
		*error_r = t_strdup_printf("%s: %s", answer.code,
			answer.args[0] == NULL ? "" : answer.args[0]);
		return 0;
	}
	if (team_state_parse(tbox, state, &answer) < 0) {
		*error_r = "The service's answer is not understood";
		return -1;
	}
	return 1;
}

struct team_state *
team_state_get_all(struct team_mailbox *tbox, const char **error_r)
{
	struct team_state *state = team_state_new();

	if (team_state_request(tbox, state, error_r) <= 0)
		team_state_free(&state);
	return state;
}

/* FALSE if what the replica was brought up with belongs to another history of
   the database. */
static bool team_state_continues(const struct team_state *state)
{
	return state->cursor == 0 ||
		(TEAM_REV_HISTORY(state->rev) ==
		 TEAM_REV_HISTORY(state->cursor) && state->rev >= state->cursor);
}

struct team_state *team_replica_fetch(struct team_mailbox *tbox)
{
	struct event *event = tbox->tuser->user->event;
	struct team_state *state;
	const char *error;
	int ret;

	if (team_mailbox_identify(tbox) < 0 || tbox->uidvalidity == 0)
		return NULL;
	if (!tbox->stale && team_generations_flags_changed(tbox))
		tbox->stale = TRUE;
	if (!tbox->stale || ioloop_time < tbox->next_sync)
		return NULL;
	if (team_replica_holds(tbox)) {
		tbox->stale = FALSE;
		return NULL;
	}

	state = team_state_new();
	team_replica_begin(tbox, state);
	if (state->current && team_generations_hold(tbox, &state->old_gens)) {
		tbox->stale = FALSE;
		team_state_free(&state);
		return NULL;
	}

	team_private_set_tell(tbox);
	ret = team_state_request(tbox, state, &error);
	if (ret > 0 && !team_state_continues(state)) {
		/* the database was set back: all of it, then */
		tbox->refetch = TRUE;
		team_state_free(&state);
		state = team_state_new();
		team_replica_begin(tbox, state);
		ret = team_state_request(tbox, state, &error);
	}
	if (ret > 0) {
		tbox->stale = FALSE;
		return state;
	}
	if (ret == 0) {
		e_debug(event, "team: %s: %s is shown as it was last known",
			error, tbox->box->vname);
	} else {
		e_error(event, "team: %s: %s is shown as it was last known",
			error, tbox->box->vname);
	}
	team_state_retry(tbox);
	team_state_free(&state);
	return NULL;
}

void team_state_ask_known(struct team_mailbox *tbox)
{
	struct team_answer answer;
	const char *args[4], *const *data, *error;
	pool_t pool = pool_alloconly_create("team known messages", 1024);

	args[0] = tbox->guid;
	args[1] = t_strdup_printf("%u", tbox->uidvalidity);
	args[2] = tbox->box->vname;
	args[3] = NULL;
	/* without an answer they are told of once more, which does no harm */
	if (team_client_request(team_user_session(tbox->tuser), pool, "KNOWN",
				args, &answer, &error) == 0) {
		array_foreach_elem(&answer.data, data) {
			if (strcmp(data[0], "known") == 0 && data[1] != NULL &&
			    *data[1] != '\0' &&
			    imap_seq_set_nostar_parse(data[1],
						      &tbox->known_uids) < 0)
				break;
		}
	}
	pool_unref(&pool);
}
