/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Downloads: who was sent the text of a message. */

#include "team-common.h"
#include "array.h"
#include "mail-storage-private.h"
#include "team-record.h"

struct team_fetched {
	const char *guid;
	uint32_t uidvalidity;
	ARRAY_TYPE(seq_range) uids;
};

/*
 * Downloads
 */

/* Headers, previews, searches and copies read streams as well: Dovecot says
   what a stream is for, through a virtual mailbox behind other words. */
static bool team_mail_is_download(struct mail_private *mail)
{
	static const char *const fetch_reasons[] = {
		"full mail", "mail body", "MIME part", "binary stream", NULL
	};
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(mail->mail.box);
	const char *reason = mail->get_stream_reason, *last;

	if (reason == NULL || mail->mail.saving)
		return FALSE;
	last = strrchr(reason, ':');
	if (last != NULL && last[1] == ' ')
		reason = last + 2;
	switch (tbox->tuser->kind) {
	case TEAM_SERVICE_DOVEADM:
		/* doveadm fetch, backup, sync */
		return strcmp(reason, "mail stream") == 0;
	case TEAM_SERVICE_POP3:
		/* how much of it TOP shows isn't known */
		return strcmp(reason, "RETR") == 0 ||
			strcmp(reason, "TOP") == 0;
	case TEAM_SERVICE_DELIVERY:
		return FALSE;
	case TEAM_SERVICE_OTHER:
		break;
	}
	return str_array_find(fetch_reasons, reason);
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
	if (tt->tuser->kind == TEAM_SERVICE_POP3) T_BEGIN {
		/* the transaction ends with the session */
		team_audit_record_fetched(tt);
		(void)team_user_flush(tt->tuser->user);
	} T_END;
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
	struct team_change no_change;
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
	team_change_init(&no_change);
	team_record_messages(tt, "fetch", "ok", NULL, &no_change, &new_uids);
}
