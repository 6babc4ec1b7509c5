/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks of the mail: what is changed, and what a colleague's claim stands
   against. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "index-mail.h"
#include "mail-storage-private.h"
#include "compat-acl.h"
#include "team-reply.h"
#include "team-claims.h"
#include "team-record.h"

struct team_mail_module team_mail_module =
	MODULE_CONTEXT_INIT(&mail_module_register);

/* The client must be told that the message is not as it asked for. */
static void team_mail_correct(struct team_transaction *tt, struct mail *mail)
{
	struct team_refusal refusal;

	i_zero(&refusal);
	refusal.guid = tt->tbox->guid;
	refusal.uidvalidity = tt->tbox->uidvalidity;
	refusal.uid = mail->uid;
	refusal.correction = TRUE;
	team_user_add_refusal(tt->tuser, &refusal);
}

static void
team_mail_refuse_flags(struct team_transaction *tt, struct mail *mail,
		       enum mail_flags *add, enum mail_flags *remove)
{
	enum mail_flags flags = tt->tuser->set->protected_flags &
		ENUM_NEGATE(tt->tbox->set->private_flags);
	const struct team_claim *claim;

	/* taking back a deletion does no harm */
	if ((*add & flags) == 0 &&
	    (*remove & flags & ENUM_NEGATE(MAIL_DELETED)) == 0)
		return;
	claim = team_transaction_held(tt, mail->uid);
	if (claim == NULL)
		return;
	team_transaction_deny_flags(tt, mail, *add & flags,
		*remove & flags & ENUM_NEGATE(MAIL_DELETED), claim->holder);
	team_transaction_refuse(tt, mail->uid, claim);
	*add &= ENUM_NEGATE(flags);
	*remove &= ENUM_NEGATE(flags) | MAIL_DELETED;
}

/* Flags that are claims themselves, and the flag that says that the holder is
   done. */
static void
team_mail_claim_flags(struct team_transaction *tt, struct mail *mail,
		      enum modify_type modify_type, enum mail_flags flags,
		      enum mail_flags *add, enum mail_flags *remove)
{
	enum mail_flags claim_flags = tt->tuser->set->claim_system_flags;

	if (modify_type != MODIFY_REMOVE && (flags & claim_flags) != 0) {
		seq_range_array_add(&tt->takes, mail->uid);
		team_transaction_add_message(tt, mail, TRUE);
	} else if (modify_type == MODIFY_REMOVE ? (flags & claim_flags) != 0 :
		   ((*remove & claim_flags) != 0 &&
		    team_mail_is_claimed_by_self(tt->tuser, mail))) {
		seq_range_array_add(&tt->releases, mail->uid);
		team_transaction_add_message(tt, mail, TRUE);
	}
	if ((*add & MAIL_ANSWERED) != 0 &&
	    team_mail_is_claimed_by_self(tt->tuser, mail)) {
		seq_range_array_add(&tt->answered, mail->uid);
		team_transaction_add_message(tt, mail, TRUE);
	}
	*add &= ENUM_NEGATE(claim_flags);
	*remove &= ENUM_NEGATE(claim_flags);
}

static void
team_mail_change_flags(struct team_transaction *tt, struct mail *_mail,
		       enum modify_type modify_type, enum mail_flags flags)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	enum mail_flags past_acl =
		flags & ENUM_NEGATE(team_transaction_shared_flags(tt));

	flags &= ENUM_NEGATE(past_acl);
	if (((flags | past_acl) & tt->tbox->set->private_flags) != 0 &&
	    team_mail_pvt_seq(_mail) == 0)
		team_replica_distrust(tt->tbox);
	if (flags != 0)
		mmail->super.update_flags(_mail, modify_type, flags);
	if (past_acl != 0)
		team_mail_update_pvt_flags(_mail, modify_type, past_acl);
}

static void
team_mail_update_flags(struct mail *_mail, enum modify_type modify_type,
		       enum mail_flags flags)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct team_transaction *tt;
	struct team_change *change;
	enum mail_flags old, add, remove, private_flags, allowed;

	if (_mail->saving || (flags & ENUM_NEGATE(MAIL_FLAGS_NONRECENT)) != 0) {
		/* index internal */
		mmail->super.update_flags(_mail, modify_type, flags);
		return;
	}
	tt = team_transaction_get(_mail->transaction);
	team_mailbox_touch(_mail);
	private_flags = tt->tbox->set->private_flags;
	old = mail_get_flags(_mail) & MAIL_FLAGS_NONRECENT;
	add = modify_type == MODIFY_REMOVE ? 0 : flags & ENUM_NEGATE(old);
	remove = modify_type == MODIFY_ADD ? 0 :
		modify_type == MODIFY_REMOVE ? (flags & old) :
		(old & ENUM_NEGATE(flags));
	/* what isn't allowed is left out silently, as Dovecot does */
	allowed = (team_transaction_shared_flags(tt) &
		   ENUM_NEGATE(private_flags)) |
		(team_transaction_may_private(tt) ? private_flags : 0);
	team_transaction_deny_flags(tt, _mail, add & ENUM_NEGATE(allowed),
				    remove & ENUM_NEGATE(allowed), NULL);
	add &= allowed;
	remove &= allowed;
	team_mail_claim_flags(tt, _mail, modify_type, flags & allowed, &add,
			      &remove);
	team_mail_refuse_flags(tt, _mail, &add, &remove);
	if (add == 0 && remove == 0)
		return;

	change = team_transaction_begin_change(tt, _mail);
	change->pvt_add |= add & private_flags;
	change->pvt_remove |= remove & private_flags;
	change->add |= add & ENUM_NEGATE(private_flags);
	change->remove |= remove & ENUM_NEGATE(private_flags);
	/* D2: a native replace would also replace the private flags' shared
	   copies, which are the mail's owner's */
	if (add != 0)
		team_mail_change_flags(tt, _mail, MODIFY_ADD, add);
	if (remove != 0)
		team_mail_change_flags(tt, _mail, MODIFY_REMOVE, remove);
}

/* Changing the keywords frees the mail's own list. */
static const ARRAY_TYPE(keyword_indexes) *
team_mail_keywords_now(struct mail *mail)
{
	const ARRAY_TYPE(keyword_indexes) *old = mail_get_keyword_indexes(mail);
	ARRAY_TYPE(keyword_indexes) *copy = t_new(ARRAY_TYPE(keyword_indexes), 1);

	t_array_init(copy, array_count(old) + 1);
	array_append_array(copy, old);
	return copy;
}

struct team_keyword_update {
	struct team_transaction *tt;
	struct mail *mail;
	const ARRAY_TYPE(keywords) *names;
	const ARRAY_TYPE(keyword_indexes) *old;
	ARRAY_TYPE(keyword_indexes) add, remove, pvt_add, pvt_remove;
};

static bool
team_keyword_index_in(const ARRAY_TYPE(keyword_indexes) *indexes,
		      unsigned int idx)
{
	const unsigned int *p;

	array_foreach(indexes, p) {
		if (*p == idx)
			return TRUE;
	}
	return FALSE;
}

/* TRUE if a colleague holds the message and its claim protects the keyword. */
static bool
team_keyword_is_refused(struct team_transaction *tt, struct mail *mail,
			const char *name, bool add)
{
	const struct team_claim *claim;

	if (!team_keyword_fits(name, tt->tuser->set->protected_keywords))
		return FALSE;
	claim = team_transaction_held(tt, mail->uid);
	if (claim == NULL)
		return FALSE;
	team_transaction_deny_keyword(tt, mail, name, add, FALSE,
				      claim->holder);
	team_transaction_refuse(tt, mail->uid, claim);
	return TRUE;
}

static const char *
team_keyword_name(struct team_keyword_update *update, unsigned int idx)
{
	return array_idx_elem(update->names, idx);
}

/* What isn't allowed is left out silently, as Dovecot does. */
static void
team_keyword_push(struct team_keyword_update *update, unsigned int idx,
		  bool add)
{
	struct team_transaction *tt = update->tt;
	const char *name = team_keyword_name(update, idx);
	bool private = team_keyword_index_is_private(tt->tbox, idx);

	if (private ? !team_transaction_may_private(tt) :
	    !team_transaction_may_keywords(tt)) {
		team_transaction_deny_keyword(tt, update->mail, name, add,
					      private, NULL);
	} else if (private) {
		array_push_back(add ? &update->pvt_add : &update->pvt_remove,
				&idx);
	} else if (!team_keyword_is_refused(tt, update->mail, name, add)) {
		array_push_back(add ? &update->add : &update->remove, &idx);
	}
}

/* Everybody sees claims: they need the right to change keywords. */
static void
team_keyword_claim(struct team_keyword_update *update, unsigned int idx,
		   bool add)
{
	struct team_transaction *tt = update->tt;

	if (!team_transaction_may_keywords(tt)) {
		team_transaction_deny_keyword(tt, update->mail,
			team_keyword_name(update, idx), add, FALSE, NULL);
		return;
	}
	seq_range_array_add(add ? &tt->takes : &tt->releases,
			    update->mail->uid);
	team_transaction_add_message(tt, update->mail, TRUE);
}

static void
team_keyword_add(struct team_keyword_update *update, unsigned int idx)
{
	struct team_transaction *tt = update->tt;
	const char *name = team_keyword_name(update, idx);

	if (team_keyword_is_claim(tt->tuser, name)) {
		team_keyword_claim(update, idx, TRUE);
	} else if (team_keyword_is_managed(tt->tuser, name)) {
		/* only a claim sets it */
		if (!team_keyword_index_in(update->old, idx))
			team_mail_correct(tt, update->mail);
	} else if (!team_keyword_index_in(update->old, idx)) {
		team_keyword_push(update, idx, TRUE);
	}
}

static void
team_keyword_remove(struct team_keyword_update *update, unsigned int idx)
{
	struct team_transaction *tt = update->tt;
	const char *name = team_keyword_name(update, idx);

	if (team_keyword_is_claim(tt->tuser, name)) {
		team_keyword_claim(update, idx, FALSE);
	} else if (team_keyword_is_managed(tt->tuser, name)) {
		if (team_keyword_index_in(update->old, idx))
			team_mail_correct(tt, update->mail);
	} else if (team_keyword_index_in(update->old, idx)) {
		team_keyword_push(update, idx, FALSE);
	}
}

/* What replacing the keywords takes away. A claim goes only if it is the
   colleague's own: a client that replaces flags can't know of claims that came
   a moment ago. */
static void
team_keyword_replace(struct team_keyword_update *update,
		     const struct mail_keywords *keywords)
{
	struct team_user *tuser = update->tt->tuser;
	const unsigned int *p;
	const char *name;
	unsigned int i;
	bool own = FALSE;

	array_foreach(update->old, p) {
		name = team_keyword_name(update, *p);
		if (strcasecmp(name, tuser->claim_keyword) == 0)
			own = TRUE;
	}
	array_foreach(update->old, p) {
		for (i = 0; i < keywords->count; i++) {
			if (keywords->idx[i] == *p)
				break;
		}
		name = team_keyword_name(update, *p);
		if (i == keywords->count &&
		    (own ? !team_keyword_is_managed(tuser, name) ||
			   team_keyword_is_claim(tuser, name) :
		     !team_keyword_is_managed(tuser, name)))
			team_keyword_remove(update, *p);
	}
}

static const char *
team_keyword_update_names(struct team_keyword_update *update,
			  const ARRAY_TYPE(keyword_indexes) *indexes,
			  const char *before)
{
	string_t *str = t_str_new(64);
	const unsigned int *p;

	str_append(str, before);
	array_foreach(indexes, p) {
		if (str_len(str) > 0)
			str_append_c(str, ' ');
		str_append(str, team_keyword_name(update, *p));
	}
	return p_strdup(update->tt->pool, str_c(str));
}

static void
team_keyword_update_super(struct team_keyword_update *update,
			  enum modify_type modify_type,
			  const ARRAY_TYPE(keyword_indexes) *indexes)
{
	struct mail_private *mail = (struct mail_private *)update->mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct mail_keywords *keywords;

	keywords = mailbox_keywords_create_from_indexes(update->mail->box,
							indexes);
	mmail->super.update_keywords(update->mail, modify_type, keywords);
	mailbox_keywords_unref(&keywords);
}

static void
team_keyword_update_apply(struct team_keyword_update *update)
{
	struct team_transaction *tt = update->tt;
	struct team_change *change;

	if (array_count(&update->add) == 0 &&
	    array_count(&update->remove) == 0 &&
	    array_count(&update->pvt_add) == 0 &&
	    array_count(&update->pvt_remove) == 0)
		return;
	change = team_transaction_begin_change(tt, update->mail);
	if (array_count(&update->add) > 0) {
		change->add_keywords = team_keyword_update_names(
			update, &update->add, change->add_keywords);
		team_keyword_update_super(update, MODIFY_ADD, &update->add);
	}
	if (array_count(&update->remove) > 0) {
		change->remove_keywords = team_keyword_update_names(
			update, &update->remove, change->remove_keywords);
		team_keyword_update_super(update, MODIFY_REMOVE,
					  &update->remove);
	}
	if (array_count(&update->pvt_add) > 0) {
		change->pvt_add_keywords = team_keyword_update_names(
			update, &update->pvt_add, change->pvt_add_keywords);
		team_mail_update_pvt_keywords(update->mail, MODIFY_ADD,
					      &update->pvt_add);
	}
	if (array_count(&update->pvt_remove) > 0) {
		change->pvt_remove_keywords = team_keyword_update_names(
			update, &update->pvt_remove,
			change->pvt_remove_keywords);
		team_mail_update_pvt_keywords(update->mail, MODIFY_REMOVE,
					      &update->pvt_remove);
	}
}

static void
team_mail_update_keywords(struct mail *_mail, enum modify_type modify_type,
			  struct mail_keywords *keywords)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct team_keyword_update update;
	struct team_transaction *tt;
	unsigned int i;

	if (_mail->saving) {
		mmail->super.update_keywords(_mail, modify_type, keywords);
		return;
	}
	tt = team_transaction_get(_mail->transaction);
	team_mailbox_touch(_mail);
	if (team_keyword_plan_update(tt, _mail, modify_type, keywords))
		return;
	T_BEGIN {
		i_zero(&update);
		update.tt = tt;
		update.mail = _mail;
		update.names = mail_index_get_keywords(_mail->box->index);
		update.old = team_mail_keywords_now(_mail);
		t_array_init(&update.add, 8);
		t_array_init(&update.remove, 8);
		t_array_init(&update.pvt_add, 8);
		t_array_init(&update.pvt_remove, 8);
		for (i = 0; i < keywords->count; i++) {
			if (modify_type == MODIFY_REMOVE)
				team_keyword_remove(&update, keywords->idx[i]);
			else
				team_keyword_add(&update, keywords->idx[i]);
		}
		if (modify_type == MODIFY_REPLACE)
			team_keyword_replace(&update, keywords);
		team_keyword_update_apply(&update);
	} T_END;
}

static void team_mail_expunge(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct team_transaction *tt = team_transaction_get(_mail->transaction);
	struct team_user *tuser = tt->tuser;
	const struct team_claim *claim;

	if (tuser->moved_mail == _mail && tuser->moved_uid == _mail->uid) {
		/* the move is recorded where the message has gone to */
		tuser->moved_mail = NULL;
		tt->expunging = TRUE;
		mmail->super.expunge(_mail);
		return;
	}
	claim = (tuser->set->protects & TEAM_PROTECTS_EXPUNGE) == 0 ? NULL :
		team_transaction_held(tt, _mail->uid);
	if (claim != NULL) {
		team_transaction_deny(tt, _mail, "expunge", NULL,
				      claim->holder);
		team_transaction_refuse(tt, _mail->uid, claim);
		return;
	}
	if (!compat_mailbox_may_expunge(_mail->box)) {
		/* Dovecot leaves it where it is and says OK */
		team_transaction_deny(tt, _mail, "expunge", NULL, NULL);
		mmail->super.expunge(_mail);
		return;
	}
	team_transaction_add_message(tt, _mail, TRUE);
	seq_range_array_add(&tt->expunges, _mail->uid);
	tt->expunging = TRUE;
	mmail->super.expunge(_mail);
}

static int
team_mail_get_stream(struct mail *_mail, bool get_body,
		     struct message_size *hdr_size,
		     struct message_size *body_size, struct istream **stream_r)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);

	/* who reads works on it */
	if (get_body && !_mail->saving)
		team_mailbox_touch(_mail);
	if (mmail->super.get_stream(_mail, get_body, hdr_size, body_size,
				    stream_r) < 0)
		return -1;
	if (get_body)
		team_audit_body_read(mail);
	return 0;
}

void team_mail_allocated(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	struct mail_vfuncs *v = mail->vlast;
	union mail_module_context *mmail;

	if (TEAM_BOX_CONTEXT(_mail->box) == NULL)
		return;
	mmail = p_new(mail->pool, union mail_module_context, 1);
	mmail->super = *v;
	mail->vlast = &mmail->super;
	MODULE_CONTEXT_SET_SELF(mail, team_mail_module, mmail);
	if (team_mailbox_is_virtual(_mail->box)) {
		team_virtual_mail_hooks(v);
		return;
	}
	team_maildir_mail_hooks(_mail, v);
	if (!team_mailbox_is_team(_mail->box)) {
		team_draft_mail_hooks(v);
		return;
	}
	team_keywords_mail_hooks(v);
	v->get_stream = team_mail_get_stream;
	v->update_flags = team_mail_update_flags;
	v->update_keywords = team_mail_update_keywords;
	v->expunge = team_mail_expunge;
}
