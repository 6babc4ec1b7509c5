/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is recorded though it changes no message: downloads, and mailboxes that
   are created, deleted and renamed. */

#include "team-common.h"
#include "array.h"
#include "mail-storage-private.h"
#include "team-storage-private.h"

struct team_fetched {
	const char *guid;
	uint32_t uidvalidity;
	ARRAY_TYPE(seq_range) uids;
};

/*
 * Downloads
 */

/* Headers, previews, searches and copies read streams as well. */
static bool team_mail_is_download(struct mail_private *mail)
{
	static const char *const reasons[] = {
		"full mail", "mail body", "MIME part"
	};
	const char *reason = mail->get_stream_reason;
	unsigned int i;

	if (reason == NULL || mail->mail.saving ||
	    !team_transaction_is(mail->mail.transaction, "FETCH"))
		return FALSE;
	for (i = 0; i < N_ELEMENTS(reasons); i++) {
		if (strcmp(reason, reasons[i]) == 0)
			return TRUE;
	}
	return FALSE;
}

/* The messages of the mailbox that the session has downloaded. */
static struct team_fetched *team_fetched_get(struct team_mailbox *tbox)
{
	struct team_user *tuser = tbox->tuser;
	struct team_fetched *fetched;

	if (!array_is_created(&tuser->fetched))
		p_array_init(&tuser->fetched, tuser->user->pool, 4);
	array_foreach_modifiable(&tuser->fetched, fetched) {
		if (fetched->uidvalidity == tbox->uidvalidity &&
		    strcmp(fetched->guid, tbox->guid) == 0)
			return fetched;
	}
	fetched = array_append_space(&tuser->fetched);
	fetched->guid = p_strdup(tuser->user->pool, tbox->guid);
	fetched->uidvalidity = tbox->uidvalidity;
	p_array_init(&fetched->uids, tuser->user->pool, 8);
	return fetched;
}

void team_audit_body_read(struct mail_private *mail)
{
	struct team_transaction *tt;

	if (!team_mail_is_download(mail))
		return;
	tt = team_transaction_get(mail->mail.transaction);
	seq_range_array_add(&tt->fetched, mail->mail.uid);
}

/* Downloading shows a message that the log may not know, but isn't worth to
   open it once more. */
static void
team_audit_add_cached_messages(struct team_transaction *tt,
			       const ARRAY_TYPE(seq_range) *uids)
{
	struct seq_range_iter iter;
	struct mail *mail;
	unsigned int n = 0;
	uint32_t uid;

	mail = mail_alloc(tt->t, 0, NULL);
	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (seq_range_exists(&tt->tbox->known_uids, uid) ||
		    !mail_set_uid(mail, uid))
			continue;
		mail->lookup_abort = MAIL_LOOKUP_ABORT_NOT_IN_CACHE;
		team_transaction_add_message(tt, mail, FALSE);
	}
	mail_free(&mail);
}

void team_audit_record_fetched(struct team_transaction *tt)
{
	struct team_fetched *fetched;
	ARRAY_TYPE(seq_range) new_uids;

	if (array_count(&tt->fetched) == 0 || tt->tbox->uidvalidity == 0)
		return;
	fetched = team_fetched_get(tt->tbox);
	t_array_init(&new_uids, 8);
	array_append_array(&new_uids, &tt->fetched);
	seq_range_array_remove_seq_range(&new_uids, &fetched->uids);
	array_clear(&tt->fetched);
	if (array_count(&new_uids) == 0)
		return;
	seq_range_array_merge(&fetched->uids, &new_uids);
	team_audit_add_cached_messages(tt, &new_uids);
	team_record_messages(tt, "fetch", "ok", &new_uids);
}

/*
 * Mailboxes
 */

static void
team_audit_add_box(ARRAY_TYPE(const_string) *fields, struct team_mailbox *tbox)
{
	/* a mailbox that only holds others has none */
	if (tbox->box->view == NULL || team_mailbox_identify(tbox) < 0)
		return;
	team_fields_add(fields, "mailbox", tbox->guid);
	if (tbox->uidvalidity != 0) {
		team_fields_add(fields, "uidvalidity",
			       t_strdup_printf("%u", tbox->uidvalidity));
	}
}

static uint64_t
team_audit_prepare(struct team_mailbox *tbox, ARRAY_TYPE(const_string) *fields)
{
	const char *const *record, *error;
	uint64_t txn;

	array_append_zero(fields);
	record = array_front(fields);
	txn = team_client_prepare(team_user_session(tbox->tuser), &record, 1,
				  NULL, &error);
	if (txn == 0) {
		e_error(tbox->tuser->user->event, "team: %s: %s is not changed",
			error, tbox->box->vname);
		mail_storage_set_error(tbox->box->storage,
				       MAIL_ERROR_UNAVAILABLE,
				       TEAM_ERRSTR_NOT_RECORDED);
	}
	return txn;
}

static void
team_audit_finish(struct team_mailbox *tbox, uint64_t txn, int ret,
		  ARRAY_TYPE(const_string) *fields)
{
	struct team_session *session = team_user_session(tbox->tuser);
	const char *error;

	if (ret < 0) {
		array_clear(fields);
		team_fields_add(fields, "outcome", "failed");
		team_fields_add(fields, "d.error",
			mailbox_get_last_internal_error(tbox->box, NULL));
	}
	array_append_zero(fields);
	if (ret < 0)
		team_client_abort(session, txn, array_front(fields));
	else if (team_client_commit(session, txn, array_front(fields),
				    &error) < 0) {
		e_error(tbox->tuser->user->event, "team: %s: the record about "
			"%s is kept and sent again", error, tbox->box->vname);
	}
}

static int
team_mailbox_create(struct mailbox *box, const struct mailbox_update *update,
		    bool directory)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	ARRAY_TYPE(const_string) fields;
	uint64_t txn;
	int ret;

	t_array_init(&fields, 8);
	team_fields_add(&fields, "action", "create");
	team_fields_add(&fields, "name", box->vname);
	txn = team_audit_prepare(tbox, &fields);
	if (txn == 0)
		return -1;
	ret = tbox->module_ctx.super.create_box(box, update, directory);
	array_clear(&fields);
	team_fields_add(&fields, "outcome", "ok");
	if (ret == 0)
		team_audit_add_box(&fields, tbox);
	team_audit_finish(tbox, txn, ret, &fields);
	return ret;
}

static int team_mailbox_delete(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	ARRAY_TYPE(const_string) fields;
	uint64_t txn;
	int ret;

	t_array_init(&fields, 8);
	team_fields_add(&fields, "action", "delete");
	team_fields_add(&fields, "name", box->vname);
	team_audit_add_box(&fields, tbox);
	if (box->view != NULL) {
		team_fields_add(&fields, "d.messages", t_strdup_printf("%u",
			mail_index_view_get_messages_count(box->view)));
	}
	txn = team_audit_prepare(tbox, &fields);
	if (txn == 0)
		return -1;
	ret = tbox->module_ctx.super.delete_box(box);
	array_clear(&fields);
	team_fields_add(&fields, "outcome", "ok");
	team_audit_finish(tbox, txn, ret, &fields);
	return ret;
}

/* The mailbox itself must stay closed while it is renamed. */
static void
team_audit_add_renamed(ARRAY_TYPE(const_string) *fields, struct mailbox *src)
{
	struct mailbox *box = mailbox_alloc(src->list, src->vname,
					    MAILBOX_FLAG_READONLY);

	if (mailbox_open(box) == 0)
		team_audit_add_box(fields, TEAM_BOX_CONTEXT_REQUIRE(box));
	mailbox_free(&box);
}

static int team_mailbox_rename(struct mailbox *src, struct mailbox *dest)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(src);
	ARRAY_TYPE(const_string) fields;
	uint64_t txn;
	int ret;

	t_array_init(&fields, 8);
	team_fields_add(&fields, "action", "rename");
	team_fields_add(&fields, "name", dest->vname);
	team_fields_add(&fields, "fromname", src->vname);
	team_audit_add_renamed(&fields, src);
	txn = team_audit_prepare(tbox, &fields);
	if (txn == 0)
		return -1;
	ret = tbox->module_ctx.super.rename_box(src, dest);
	array_clear(&fields);
	team_fields_add(&fields, "outcome", "ok");
	team_audit_finish(tbox, txn, ret, &fields);
	return ret;
}

void team_audit_mailbox_hooks(struct mailbox_vfuncs *v)
{
	v->create_box = team_mailbox_create;
	v->delete_box = team_mailbox_delete;
	v->rename_box = team_mailbox_rename;
}
