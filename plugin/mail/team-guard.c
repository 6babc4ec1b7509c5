/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who holds messages that a transaction is about to delete, move or expunge.
   Those that nobody else holds are guarded: until it's done, nobody can claim
   them, on this node or another. */

#include "team-common.h"
#include "array.h"
#include "bsearch-insert-pos.h"
#include "mail-search.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-reply.h"
#include "team-claims.h"
#include "team-record.h"

/* What is guarded at once where the command doesn't name its messages: they
   come in order, so that the next ones need not be asked for singly. */
#define GUARD_WINDOW 1000
/* Otherwise so many, which fit into a line in any case. */
#define GUARD_UIDS_MAX 50000

void team_transaction_search(struct mailbox_transaction_context *t,
			     const struct mail_search_args *args)
{
	const struct mail_search_arg *arg;
	struct team_transaction *tt;

	if (!team_transaction_is(t, "STORE") &&
	    !team_transaction_is(t, "COPY") &&
	    !team_transaction_is(t, "MOVE") &&
	    !team_transaction_is(t, "EXPUNGE") &&
	    !team_transaction_is(t, "CLOSE"))
		return;
	for (arg = args->args; arg != NULL; arg = arg->next) {
		if (arg->match_not || (arg->type != SEARCH_SEQSET &&
				       arg->type != SEARCH_UIDSET))
			continue;
		tt = team_transaction_get(t);
		if (arg->type == SEARCH_UIDSET) {
			seq_range_array_merge(&tt->search_uids,
					      &arg->value.seqset);
		} else {
			mailbox_get_uid_range(t->box, &arg->value.seqset,
					      &tt->search_uids);
		}
		break;
	}
}

static int
team_claim_cmp(const uint32_t *uid, const struct team_claim *claim)
{
	return *uid < claim->uid ? -1 : *uid > claim->uid ? 1 : 0;
}

/* Stands against a change where claims aren't known. */
static const struct team_claim team_claim_unknown = { .holder = "" };

static void
team_transaction_add_held(struct team_transaction *tt, const char *const *data)
{
	struct team_claim claim;
	intmax_t since, until;
	unsigned int idx;

	if (str_array_length(data) < 5 || strcmp(data[0], "held") != 0 ||
	    str_to_uint32(data[1], &claim.uid) < 0 ||
	    str_to_intmax(data[3], &since) < 0 ||
	    str_to_intmax(data[4], &until) < 0)
		return;
	claim.holder = data[2];
	claim.since = since;
	claim.until = until;
	if (!array_bsearch_insert_pos(&tt->held, &claim.uid, team_claim_cmp,
				      &idx))
		array_insert(&tt->held, idx, &claim, 1);
}

static void
team_transaction_guard(struct team_transaction *tt,
		       const ARRAY_TYPE(seq_range) *uids)
{
	struct team_mailbox *tbox = tt->tbox;
	struct team_answer answer;
	const char *args[5], *const *data, *error;

	args[0] = tbox->guid;
	args[1] = t_strdup_printf("%u", tbox->uidvalidity);
	args[2] = "move";
	args[3] = team_uidset(uids);
	args[4] = NULL;
	if (team_client_request(team_user_session(tt->tuser), tt->pool, "GUARD",
				args, &answer, &error) < 0) {
		e_error(tt->tuser->user->event, "team: %s: %s is not changed",
			error, tbox->box->vname);
		tt->failed = TRUE;
		return;
	}
	if (answer.code != NULL) {
		e_error(tt->tuser->user->event, "team: claims in %s are not "
			"known (%s)", tbox->box->vname, answer.code);
		if (strcmp(answer.code, TEAM_CODE_UNAVAILABLE) != 0)
			tt->failed = TRUE;
		return;
	}
	if (tt->tuser->set->offline == TEAM_OFFLINE_REFUSE &&
	    null_strcmp(answer.args[0], TEAM_GUARD_KNOWN) == 0)
		tt->held_unknown = TRUE;
	array_foreach_elem(&answer.data, data)
		team_transaction_add_held(tt, data);
}

static void
team_transaction_guard_with(struct team_transaction *tt, uint32_t uid)
{
	ARRAY_TYPE(seq_range) uids, rest;

	t_array_init(&uids, 8);
	if (seq_range_exists(&tt->search_uids, uid)) {
		t_array_init(&rest, array_count(&tt->search_uids) + 1);
		array_append_array(&rest, &tt->search_uids);
		if (uid > 1)
			seq_range_array_remove_range(&rest, 1, uid - 1);
		team_uids_take(&rest, GUARD_UIDS_MAX, &uids);
	} else {
		seq_range_array_add_range(&uids, uid,
			I_MIN(uid, (uint32_t)-1 - GUARD_WINDOW) + GUARD_WINDOW);
	}
	seq_range_array_merge(&tt->guarded_uids, &uids);
	team_transaction_guard(tt, &uids);
}

const struct team_claim *
team_transaction_held(struct team_transaction *tt, uint32_t uid)
{
	unsigned int idx;

	if (!seq_range_exists(&tt->guarded_uids, uid)) T_BEGIN {
		team_transaction_guard_with(tt, uid);
	} T_END;
	if (!array_bsearch_insert_pos(&tt->held, &uid, team_claim_cmp, &idx))
		return tt->held_unknown ? &team_claim_unknown : NULL;
	return array_idx(&tt->held, idx);
}

void team_transaction_refuse(struct team_transaction *tt, uint32_t uid,
			     const struct team_claim *claim)
{
	struct team_refusal refusal;

	if (tt->reply != TEAM_REPLY_NONE) {
		team_reply_refused(tt, claim);
		return;
	}
	i_zero(&refusal);
	refusal.guid = tt->tbox->guid;
	refusal.uidvalidity = tt->tbox->uidvalidity;
	refusal.uid = uid;
	if (claim == &team_claim_unknown)
		refusal.unknown = TRUE;
	else if (claim != NULL) {
		refusal.holder = claim->holder;
		refusal.since = claim->since;
		refusal.until = claim->until;
	}
	team_user_add_refusal(tt->tuser, &refusal);
}

bool team_transaction_refuses_move(struct team_transaction *tt,
				   struct mail *mail)
{
	const struct team_claim *claim;

	if ((tt->tuser->set->protects & TEAM_PROTECTS_MOVE) == 0)
		return FALSE;
	claim = team_transaction_held(tt, mail->uid);
	if (claim == NULL)
		return FALSE;
	team_transaction_deny(tt, mail, "move", NULL, claim->holder);
	team_transaction_refuse(tt, mail->uid, claim);
	return TRUE;
}

/* The service doesn't ask PostgreSQL before it answers, but a claim that anybody
   asks for after this comes after the guard's end. */
static void team_guard_end(struct team_mailbox *tbox)
{
	struct team_answer answer;
	const char *args[3], *error;
	pool_t pool = pool_alloconly_create("team guard", 256);

	T_BEGIN {
		args[0] = tbox->guid;
		args[1] = t_strdup_printf("%u", tbox->uidvalidity);
		args[2] = NULL;
		if (team_client_request(team_user_session(tbox->tuser),
					pool, "UNGUARD", args,
					&answer, &error) < 0) {
			e_error(tbox->tuser->user->event, "team: %s: for a "
				"moment some messages in %s can't be claimed",
				error, tbox->box->vname);
		}
	} T_END;
	pool_unref(&pool);
}

void team_transaction_unguard(struct team_transaction *tt)
{
	if (array_count(&tt->guarded_uids) == 0)
		return;
	if (tt->expunging && !tt->unchanged) {
		/* they are there until the mailbox is synced */
		tt->tbox->guarded = TRUE;
		return;
	}
	team_guard_end(tt->tbox);
}

void team_mailbox_unguard(struct team_mailbox *tbox)
{
	if (!tbox->guarded)
		return;
	tbox->guarded = FALSE;
	team_guard_end(tbox);
}
