/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Team mailboxes seen through Dovecot's virtual plugin. That one changes flags
   in its own index first, answers OK, and changes the real mailbox later. Here
   they are changed in the real mailbox, whose rules then hold, and the virtual
   one learns of them as it learns of others' changes. */

#include "team-common.h"
#include "array.h"
#include "mail-index-transaction-private.h"
#include "mail-storage-private.h"
#include "team-storage-private.h"

bool team_mailbox_is_virtual(struct mailbox *box)
{
	return strcmp(box->storage->name, "virtual") == 0;
}

/* The virtual mailbox has to learn what its own session changed. */
static void team_virtual_unhide(struct mailbox_transaction_context *t)
{
	t->flags &= ENUM_NEGATE(MAILBOX_TRANSACTION_FLAG_HIDE);
	t->itrans->flags &= ENUM_NEGATE(MAIL_INDEX_TRANSACTION_FLAG_HIDE);
	if (t->itrans_pvt != NULL) {
		t->itrans_pvt->flags &=
			ENUM_NEGATE(MAIL_INDEX_TRANSACTION_FLAG_HIDE);
	}
}

void team_virtual_note(struct team_user *tuser, struct mail *mail,
		       struct mail *backend)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(backend->box);
	struct team_virtual_uid *vuid;
	const char *guid = NULL;
	unsigned int count;

	if (team_mailbox_identify(tbox) < 0)
		return;
	count = array_count(&tuser->virtual_uids);
	if (count > 0) {
		vuid = array_idx_modifiable(&tuser->virtual_uids, count - 1);
		if (vuid->uid == backend->uid && vuid->virtual_uid == mail->uid)
			return;
		if (strcmp(vuid->guid, tbox->guid) == 0)
			guid = vuid->guid;
	}
	vuid = array_append_space(&tuser->virtual_uids);
	vuid->guid = guid != NULL ? guid :
		p_strdup(tuser->refusals_pool, tbox->guid);
	vuid->uid = backend->uid;
	vuid->virtual_uid = mail->uid;
}

/* Returns the mail in the team's mailbox, or NULL if it isn't in one. */
static struct mail *team_virtual_backend(struct mail *mail)
{
	struct team_user *tuser =
		TEAM_USER_CONTEXT_REQUIRE(mail->box->storage->user);
	struct mail *backend;

	if (mail_get_backend_mail(mail, &backend) < 0 || backend == mail ||
	    !team_mailbox_is_team(backend->box))
		return NULL;
	team_virtual_note(tuser, mail, backend);
	team_virtual_unhide(backend->transaction);
	return backend;
}

/* As in the real mailbox, MOVE doesn't see what it may not move. */
static bool
team_virtual_search_next(struct mail_search_context *ctx, struct mail **mail_r,
			 bool *tryagain_r)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	struct mail *backend;

	while (tbox->module_ctx.super.search_next_nonblock(ctx, mail_r,
							   tryagain_r)) {
		if (!team_transaction_is(ctx->transaction, "MOVE"))
			return TRUE;
		backend = team_virtual_backend(*mail_r);
		if (backend == NULL || !team_transaction_refuses_move(
				team_transaction_get(backend->transaction),
				backend))
			return TRUE;
	}
	return FALSE;
}

void team_virtual_mailbox_hooks(struct mailbox_vfuncs *v)
{
	v->search_next_nonblock = team_virtual_search_next;
}

static void
team_virtual_update_flags(struct mail *_mail, enum modify_type modify_type,
			  enum mail_flags flags)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct mail *backend = team_virtual_backend(_mail);

	if (backend == NULL)
		mmail->super.update_flags(_mail, modify_type, flags);
	else
		mail_update_flags(backend, modify_type, flags);
}

static void
team_virtual_update_keywords(struct mail *_mail, enum modify_type modify_type,
			     struct mail_keywords *keywords)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct mail *backend = team_virtual_backend(_mail);
	const ARRAY_TYPE(keywords) *names;
	struct mail_keywords *backend_keywords;
	ARRAY_TYPE(const_string) list;
	unsigned int i;

	if (backend == NULL) {
		mmail->super.update_keywords(_mail, modify_type, keywords);
		return;
	}
	T_BEGIN {
		names = mail_index_get_keywords(keywords->index);
		t_array_init(&list, keywords->count + 1);
		for (i = 0; i < keywords->count; i++) {
			array_push_back(&list, array_idx(names,
							 keywords->idx[i]));
		}
		array_append_zero(&list);
		backend_keywords = mailbox_keywords_create_valid(backend->box,
			array_front(&list));
	} T_END;
	mail_update_keywords(backend, modify_type, backend_keywords);
	mailbox_keywords_unref(&backend_keywords);
}

static void team_virtual_expunge(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);

	(void)team_virtual_backend(_mail);
	mmail->super.expunge(_mail);
}

void team_virtual_mail_hooks(struct mail_vfuncs *v)
{
	v->update_flags = team_virtual_update_flags;
	v->update_keywords = team_virtual_update_keywords;
	v->expunge = team_virtual_expunge;
}

static int
team_virtual_uid_cmp(const struct team_virtual_uid *v1,
		     const struct team_virtual_uid *v2)
{
	if (v1->uid != v2->uid)
		return v1->uid < v2->uid ? -1 : 1;
	return strcmp(v1->guid, v2->guid);
}

void team_virtual_refusals(struct team_user *tuser,
			   ARRAY_TYPE(team_refusal) *refusals)
{
	const struct team_virtual_uid *vuid;
	struct team_virtual_uid key;
	struct team_refusal *refusal;

	if (array_count(&tuser->virtual_uids) == 0)
		return;
	array_sort(&tuser->virtual_uids, team_virtual_uid_cmp);
	array_foreach_modifiable(refusals, refusal) {
		i_zero(&key);
		key.guid = refusal->guid;
		key.uid = refusal->uid;
		vuid = array_bsearch(&tuser->virtual_uids, &key,
				     team_virtual_uid_cmp);
		if (vuid != NULL)
			refusal->virtual_uid = vuid->virtual_uid;
	}
}
