/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A colleague who saves a draft that answers a team's message claims it; one who
   saves the reply to his sent mail has answered it. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "reply-ids.h"
#include "team-storage-private.h"

enum team_reply team_reply_kind(struct mail_save_context *ctx)
{
	struct mailbox *box = ctx->transaction->box;

	if ((ctx->data.flags & MAIL_DRAFT) != 0 ||
	    mailbox_has_special_use(box, "\\Drafts"))
		return TEAM_REPLY_DRAFT;
	return mailbox_has_special_use(box, "\\Sent") ?
		TEAM_REPLY_SENT : TEAM_REPLY_NONE;
}

void team_reply_saved(struct team_transaction *tt, struct mail *mail,
		      enum team_reply kind)
{
	struct reply_ids *ids;
	const char *in_reply_to, *references;
	struct team_saved_reply *reply;
	string_t *str;
	unsigned int i;

	if (mail_get_first_header(mail, "In-Reply-To", &in_reply_to) <= 0)
		in_reply_to = NULL;
	in_reply_to = t_strdup(in_reply_to);
	if (mail_get_first_header(mail, "References", &references) <= 0)
		references = NULL;
	ids = t_new(struct reply_ids, 1);
	reply_ids_parse(in_reply_to, references, ids);
	if (ids->count == 0)
		return;
	str = t_str_new(256);
	for (i = 0; i < ids->count; i++) {
		if (i > 0)
			str_append_c(str, '\n');
		str_append(str, ids->ids[i]);
	}
	reply = array_append_space(&tt->replies);
	reply->kind = kind;
	reply->ids = p_strdup(tt->pool, str_c(str));
}

/* Returns 1 if the message was there, 0 if not, -1 on errors. */
static int
team_reply_to_mail(struct mailbox *box, uint32_t uid, enum team_reply kind)
{
	struct mailbox_transaction_context *t;
	struct team_transaction *tt;
	struct mail *mail;
	int ret = 0;

	t = mailbox_transaction_begin(box, 0, "reply");
	mail = mail_alloc(t, MAIL_FETCH_FLAGS, NULL);
	if (mail_set_uid(mail, uid) && !mail->expunged) {
		tt = team_transaction_get(t);
		tt->reply = kind;
		if (kind == TEAM_REPLY_DRAFT) {
			seq_range_array_add(&tt->takes, uid);
			team_transaction_add_message(tt, mail, TRUE);
		} else {
			mail_update_flags(mail, MODIFY_ADD, MAIL_ANSWERED);
		}
		ret = 1;
	}
	mail_free(&mail);
	if (ret == 0)
		mailbox_transaction_rollback(&t);
	else if (mailbox_transaction_commit(&t) < 0)
		ret = -1;
	return ret;
}

static int
team_reply_to(struct team_user *tuser, const char *const *data,
	      enum team_reply kind)
{
	struct mail_namespace *ns;
	struct team_mailbox *tbox;
	struct mailbox *box;
	uint32_t uidvalidity, uid;
	int ret = 0;

	if (str_array_length(data) < 5 ||
	    str_to_uint32(data[2], &uidvalidity) < 0 ||
	    str_to_uint32(data[3], &uid) < 0)
		return 0;
	ns = mail_namespace_find(tuser->user->namespaces, data[4]);
	box = mailbox_alloc(ns->list, data[4], 0);
	tbox = TEAM_BOX_CONTEXT(box);
	/* who may not open it may not claim in it */
	if (tbox != NULL && tbox->team && mailbox_open(box) == 0 &&
	    mailbox_sync(box, 0) == 0 && team_mailbox_identify(tbox) == 0 &&
	    strcmp(tbox->guid, data[1]) == 0 &&
	    tbox->uidvalidity == uidvalidity && !mailbox_is_readonly(box))
		ret = team_reply_to_mail(box, uid, kind);
	mailbox_free(&box);
	return ret;
}

static void
team_reply_handle(struct team_transaction *tt,
		  const struct team_saved_reply *reply)
{
	struct team_answer answer;
	const char *args[2], *const *data, *error;

	args[0] = reply->ids;
	args[1] = NULL;
	if (team_client_request(team_user_session(tt->tuser), tt->pool,
				"LOOKUP", args, &answer, &error) < 0) {
		e_error(tt->tuser->user->event, "team: %s: it is not known "
			"what a message in %s answers", error,
			tt->tbox->box->vname);
		return;
	}
	if (answer.code != NULL)
		return;
	array_foreach_elem(&answer.data, data) {
		int ret;

		T_BEGIN {
			ret = team_reply_to(tt->tuser, data, reply->kind);
		} T_END;
		/* the nearest one that is there */
		if (ret != 0)
			break;
	}
}

void team_replies_commit(struct team_transaction *tt)
{
	const struct team_saved_reply *reply;

	array_foreach(&tt->replies, reply) T_BEGIN {
		team_reply_handle(tt, reply);
	} T_END;
}

void team_reply_refused(struct team_transaction *tt,
			const struct team_claim *claim)
{
	ARRAY_TYPE(team_refusal) refusals;
	struct team_refusal *refusal;

	/* without PostgreSQL there is nothing to tell */
	if (claim == NULL)
		return;
	t_array_init(&refusals, 1);
	refusal = array_append_space(&refusals);
	refusal->guid = tt->tbox->guid;
	refusal->uid = claim->uid;
	refusal->holder = claim->holder;
	refusal->since = claim->since;
	refusal->until = claim->until;
	team_user_add_alert(tt->tuser, t_strdup_printf(
		"The message that you answer is %s. Your %s is saved.",
		team_refusals_text(&refusals),
		tt->reply == TEAM_REPLY_DRAFT ? "draft" : "reply"));
}
