/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A mailbox transaction: what it is about to do stands in the journal before
   it is done, and what became of it before anybody hears of it. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "imap-util.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-reply.h"
#include "team-claims.h"
#include "team-record.h"

struct team_transaction *
team_transaction_get(struct mailbox_transaction_context *t)
{
	struct team_transaction *tt = TEAM_BOX_CONTEXT(t);
	struct team_mailbox *tbox;
	pool_t pool;

	if (tt != NULL)
		return tt;
	tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	pool = pool_alloconly_create("team transaction", 2048);
	tt = p_new(pool, struct team_transaction, 1);
	tt->pool = pool;
	tt->t = t;
	tt->tbox = tbox;
	tt->tuser = tbox->tuser;
	team_change_init(&tt->change);
	p_array_init(&tt->save_keywords, pool, 2);
	p_array_init(&tt->changes, pool, 4);
	p_array_init(&tt->saves, pool, 2);
	p_array_init(&tt->messages, pool, 8);
	p_array_init(&tt->messages_uids, pool, 8);
	p_array_init(&tt->expunges, pool, 4);
	p_array_init(&tt->fetched, pool, 4);
	p_array_init(&tt->takes, pool, 4);
	p_array_init(&tt->releases, pool, 4);
	p_array_init(&tt->renewed, pool, 4);
	p_array_init(&tt->moved_claims, pool, 4);
	p_array_init(&tt->answered, pool, 4);
	p_array_init(&tt->replies, pool, 1);
	p_array_init(&tt->search_uids, pool, 4);
	p_array_init(&tt->guarded_uids, pool, 4);
	p_array_init(&tt->held, pool, 4);
	MODULE_CONTEXT_SET(t, team_storage_module, tt);
	if (team_mailbox_identify(tbox) < 0)
		tt->failed = TRUE;
	if (tt->tuser->kind == TEAM_SERVICE_DELIVERY) {
		/* a script stores in transactions of its own */
		team_user_set_service(tt->tuser, null_strcmp(t->reason,
			"mail_deliver_save") == 0 ? NULL : "sieve");
	}
	return tt;
}

bool team_transaction_is(struct mailbox_transaction_context *t, const char *cmd)
{
	const char *reason = t->reason;
	size_t len = strlen(cmd);

	if (reason == NULL)
		return FALSE;
	if (str_begins_with(reason, "UID "))
		reason += 4;
	return strncmp(reason, cmd, len) == 0 &&
		(reason[len] == '\0' || reason[len] == ' ');
}

/*
 * Rights
 */

/* The acl plugin is asked through what it makes of PERMANENTFLAGS: it drops
   what isn't allowed without a word, and what is dropped mustn't be
   recorded. */
static void team_transaction_ask_allowed(struct team_transaction *tt)
{
	struct mailbox *box = tt->tbox->box;
	struct mailbox_status status;

	if (tt->allowed_known)
		return;
	tt->allowed_known = TRUE;
	i_zero(&status);
	if (tt->tbox->module_ctx.super.get_status(box, STATUS_PERMANENT_FLAGS,
						  &status) < 0)
		return;
	tt->allowed_flags = status.permanent_flags;
	tt->allowed_keywords = status.permanent_keywords;
}

enum mail_flags team_transaction_shared_flags(struct team_transaction *tt)
{
	team_transaction_ask_allowed(tt);
	return tt->allowed_flags;
}

bool team_transaction_may_private(struct team_transaction *tt)
{
	team_transaction_ask_allowed(tt);
	return (tt->allowed_flags & MAIL_SEEN) != 0;
}

bool team_transaction_may_keywords(struct team_transaction *tt)
{
	team_transaction_ask_allowed(tt);
	return tt->allowed_keywords;
}

/*
 * Commit and rollback
 */

static void team_transaction_free(struct team_transaction *tt)
{
	tt->tuser->moved_mail = NULL;
	team_keyword_plan_free(tt);
	team_claim_moves_end(tt);
	team_transaction_unguard(tt);
	pool_unref(&tt->pool);
}

void team_transaction_rollback(struct mailbox_transaction_context *t)
{
	struct team_transaction *tt = TEAM_BOX_CONTEXT(t);
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);

	/* what was shown or refused was so all the same */
	if (tt != NULL && tbox->team) T_BEGIN {
		team_audit_record_fetched(tt);
		team_transaction_record_refused(tt);
	} T_END;
	tbox->module_ctx.super.transaction_rollback(t);
	if (tt != NULL) {
		tt->unchanged = TRUE;
		team_transaction_free(tt);
	}
}

/* Nothing was changed: the client may think otherwise. */
static void team_transaction_correct(struct team_transaction *tt)
{
	struct team_mailbox *tbox = tt->tbox;
	const struct team_change *change;
	struct team_refusal refusal;
	struct seq_range_iter iter;
	unsigned int n;

	i_zero(&refusal);
	refusal.guid = tbox->guid;
	refusal.uidvalidity = tbox->uidvalidity;
	refusal.correction = TRUE;
	array_foreach(&tt->changes, change) {
		seq_range_array_iter_init(&iter, &change->uids);
		for (n = 0; n < 1000; n++) {
			if (!seq_range_array_iter_nth(&iter, n, &refusal.uid))
				break;
			team_user_add_refusal(tt->tuser, &refusal);
		}
	}
}

static void
team_transaction_no_changes(struct mail_transaction_commit_changes *changes_r)
{
	i_zero(changes_r);
	changes_r->pool = pool_alloconly_create("team no changes", 64);
	p_array_init(&changes_r->saved_uids, changes_r->pool, 1);
}

/* Nothing is changed. Reading goes on: only the client must be told that what
   it reads is not marked as read. */
static int
team_transaction_fail(struct team_transaction *tt,
		      struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox_transaction_context *t = tt->t;
	struct mailbox *box = t->box;
	struct team_mailbox *tbox = tt->tbox;
	bool reading = team_transaction_is(t, "FETCH");

	team_transaction_correct(tt);
	tbox->module_ctx.super.transaction_rollback(t);
	tt->unchanged = TRUE;
	team_transaction_free(tt);
	if (!reading) {
		mail_storage_set_error(box->storage, MAIL_ERROR_UNAVAILABLE,
				       TEAM_ERRSTR_NOT_RECORDED);
		return -1;
	}
	team_transaction_no_changes(changes_r);
	return 0;
}

/* IMAP waits for the journal before its answer, and has to look for what others
   did meanwhile. Nothing else may depend on what was done. */
static bool team_transaction_may_end_later(struct team_transaction *tt)
{
	return tt->tuser->defer_refusals && !tt->expunging &&
		array_count(&tt->saves) == 0 && array_count(&tt->takes) == 0 &&
		array_count(&tt->releases) == 0 &&
		array_count(&tt->answered) == 0 &&
		array_count(&tt->guarded_uids) == 0;
}

static int
team_transaction_prepare(struct team_transaction *tt, uint64_t *txn_r)
{
	ARRAY_TYPE(const_char_pp) records;
	enum team_prepare_flags flags = 0;
	unsigned int own_count;
	uint64_t own, next;
	const char *error = "";

	*txn_r = 0;
	if (tt->failed)
		return -1;
	t_array_init(&records, 8);
	own_count = team_transaction_records(tt, &records);
	if (team_transaction_may_end_later(tt))
		flags |= TEAM_PREPARE_AHEAD;
	/* other sessions of the colleague have the same private index */
	if (own_count > 0)
		flags |= TEAM_PREPARE_SEND;
	if (array_count(&records) > 0) {
		/* the service may count them as soon as they are sent */
		own = next = team_generations_own_next(tt, own_count);
		*txn_r = team_client_prepare(team_user_session(tt->tuser),
					     array_front(&records),
					     array_count(&records), flags,
					     &own, &error);
		if (*txn_r == 0)
			tt->failed = TRUE;
		else
			team_generations_own_change(tt, own, next, own_count);
	}
	if (!tt->failed && team_saves_prepare(tt, &error) < 0)
		tt->failed = TRUE;
	if (!tt->failed)
		return 0;
	e_error(tt->tuser->user->event, "team: %s: %s is not changed", error,
		tt->tbox->box->vname);
	return -1;
}

static void
team_transaction_finish(struct team_transaction *tt, uint64_t txn, int ret,
			struct mail_transaction_commit_changes *changes,
			const struct mail_save_private_changes *pvt_saves,
			unsigned int pvt_saves_count)
{
	struct team_session *session = team_user_session(tt->tuser);
	const char *error, *fields[3];

	if (ret < 0) {
		error = mailbox_get_last_internal_error(tt->tbox->box, NULL);
		fields[0] = "outcome=failed";
		fields[1] = t_strconcat("d.error=", error, NULL);
		fields[2] = NULL;
		tt->tuser->failures++;
		team_saves_abort(tt, error);
		if (txn != 0)
			team_client_abort(session, txn, fields);
		return;
	}
	if (array_count(&tt->save_keywords) > 0 &&
	    team_save_apply_keywords(tt->tbox, &tt->save_keywords,
				     &changes->saved_uids) < 0)
		mailbox_set_index_error(tt->tbox->box);
	team_saves_commit(tt, changes, pvt_saves, pvt_saves_count);
	team_replies_commit(tt);
	if (txn == 0)
		;
	else if (team_transaction_may_end_later(tt))
		team_client_commit_later(session, txn);
	else if (team_client_commit(session, txn, NULL, &error) < 0) {
		e_error(tt->tuser->user->event, "team: %s: the record of a "
			"change of %s is kept and sent again", error,
			tt->tbox->box->vname);
	}
	seq_range_array_merge(&tt->tbox->known_uids, &tt->messages_uids);
}

/* D5: the private part is written when the shared one has been. It fails
   nothing, since it stands in the journal. */
static int
team_transaction_commit_parts(struct team_transaction *tt,
			      struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox_transaction_context *t = tt->t;
	struct mail_index_transaction *itrans_pvt = t->itrans_pvt;
	int ret;

	t->itrans_pvt = NULL;
	ret = tt->tbox->module_ctx.super.transaction_commit(t, changes_r);
	if (itrans_pvt == NULL)
		;
	else if (ret < 0)
		mail_index_transaction_rollback(&itrans_pvt);
	else
		team_replica_commit(tt->tbox, &itrans_pvt);
	return ret;
}

static int
team_transaction_commit_recorded(struct team_transaction *tt,
				 struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox_transaction_context *t = tt->t;
	struct mailbox *box = t->box;
	struct team_mailbox *tbox = tt->tbox;
	struct mail_save_private_changes *pvt_saves = NULL;
	unsigned int pvt_saves_count = 0;
	const ARRAY_TYPE(team_refusal) *refusals;
	bool reading = team_transaction_is(t, "FETCH");
	uint64_t txn;
	int ret;

	team_transaction_end_change(tt);
	team_audit_record_fetched(tt);
	if (!tt->failed)
		team_transaction_claims(tt);
	if (team_transaction_prepare(tt, &txn) < 0) {
		team_transaction_release_taken(tt);
		team_saves_abort(tt, NULL);
		return team_transaction_fail(tt, changes_r);
	}
	team_saves_need_private(tt);
	team_claim_moves_prepare(tt);
	/* super frees the transaction */
	if (array_is_created(&t->pvt_saves)) {
		pvt_saves_count = array_count(&t->pvt_saves);
		pvt_saves = p_memdup(tt->pool, array_front(&t->pvt_saves),
				     pvt_saves_count * sizeof(*pvt_saves));
	}
	if (array_count(&tt->changes) > 0 || array_count(&tt->takes) > 0)
		tbox->changed = TRUE;
	ret = team_transaction_commit_parts(tt, changes_r);
	team_transaction_finish(tt, txn, ret, changes_r, pvt_saves,
				pvt_saves_count);
	if (ret < 0) {
		team_transaction_release_taken(tt);
		team_transaction_correct(tt);
	}
	team_transaction_record_refused(tt);
	team_transaction_free(tt);
	if (ret < 0 && reading) {
		/* Dovecot would disconnect the client */
		pool_unref(&changes_r->pool);
		team_transaction_no_changes(changes_r);
		ret = 0;
	}

	if (ret == 0 && !tbox->tuser->defer_refusals &&
	    array_count(&tbox->tuser->refusals) > 0) {
		refusals = team_user_take_refusals(tbox->tuser->user);
		const char *text = team_refusals_text(refusals);
		if (text != NULL) {
			mail_storage_set_error(box->storage, MAIL_ERROR_INUSE,
					       text);
			ret = -1;
		}
	}
	return ret;
}

int team_transaction_commit(struct mailbox_transaction_context *t,
			    struct mail_transaction_commit_changes *changes_r)
{
	struct team_transaction *tt = TEAM_BOX_CONTEXT(t);
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	int ret;

	if (tt == NULL)
		return tbox->module_ctx.super.transaction_commit(t, changes_r);
	T_BEGIN {
		ret = team_transaction_commit_recorded(tt, changes_r);
	} T_END;
	return ret;
}
