/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A draft that is deleted without a newer one in its place gives back what it
   had claimed. Clients save a draft anew by appending the new one and expunging
   the old one, which keeps the claim. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "mail-storage-private.h"
#include "team-reply.h"
#include "team-storage-private.h"

/* So many of the newest messages are looked at. */
#define DRAFTS_MAX 1000

static bool team_mail_is_draft(struct mail *mail)
{
	return (mail_get_flags(mail) & MAIL_DRAFT) != 0 ||
		mailbox_has_special_use(mail->box, "\\Drafts");
}

static void team_draft_expunge(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);

	if (!_mail->expunged && team_mail_is_draft(_mail)) T_BEGIN {
		team_reply_saved(team_transaction_get(_mail->transaction),
				 _mail, TEAM_REPLY_DROPPED);
	} T_END;
	mmail->super.expunge(_mail);
}

void team_draft_mail_hooks(struct mail_vfuncs *v)
{
	v->expunge = team_draft_expunge;
}

static bool team_draft_was_dropped(struct team_transaction *tt, uint32_t uid)
{
	const struct team_saved_reply *reply;

	array_foreach(&tt->replies, reply) {
		if (reply->kind == TEAM_REPLY_DROPPED && reply->uid == uid)
			return TRUE;
	}
	return FALSE;
}

static bool
team_draft_answers(struct mail *mail, const char *id)
{
	const char *ids;

	if (mail->expunged || (mail_get_flags(mail) & MAIL_DELETED) != 0 ||
	    !team_mail_is_draft(mail))
		return FALSE;
	ids = team_reply_mail_ids(mail);
	return ids != NULL && str_array_find(t_strsplit(ids, "\n"), id);
}

bool team_draft_exists(struct team_transaction *tt, const char *ids)
{
	/* opened anew: another session may have saved the newer draft */
	struct mailbox *box = mailbox_alloc(tt->tbox->box->list,
					    tt->tbox->box->vname,
					    MAILBOX_FLAG_READONLY);
	const char *id = t_strcut(ids, '\n');
	struct mailbox_transaction_context *t;
	struct mailbox_status status;
	struct mail *mail;
	uint32_t seq, first;
	bool found = FALSE;

	if (mailbox_open(box) < 0) {
		mailbox_free(&box);
		return FALSE;
	}
	mailbox_get_open_status(box, STATUS_MESSAGES, &status);
	t = mailbox_transaction_begin(box, 0, "drafts");
	mail = mail_alloc(t, MAIL_FETCH_FLAGS, NULL);
	first = status.messages > DRAFTS_MAX ?
		status.messages - DRAFTS_MAX + 1 : 1;
	for (seq = status.messages; seq >= first && !found; seq--) T_BEGIN {
		mail_set_seq(mail, seq);
		found = !team_draft_was_dropped(tt, mail->uid) &&
			team_draft_answers(mail, id);
	} T_END;
	mail_free(&mail);
	mailbox_transaction_rollback(&t);
	mailbox_free(&box);
	return found;
}
