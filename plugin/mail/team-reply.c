/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A colleague who saves a draft that answers a team's message claims it; one who
   saves the reply to his sent mail has answered it. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "reply-ids.h"
#include "team-reply.h"
#include "team-claims.h"
#include "team-record.h"

enum team_reply team_reply_kind(struct mail_save_context *ctx)
{
	struct mailbox *box = ctx->transaction->box;

	if ((ctx->data.flags & MAIL_DRAFT) != 0 ||
	    mailbox_has_special_use(box, "\\Drafts"))
		return TEAM_REPLY_DRAFT;
	return mailbox_has_special_use(box, "\\Sent") ?
		TEAM_REPLY_SENT : TEAM_REPLY_NONE;
}

const char *team_reply_ids(const char *in_reply_to, const char *references)
{
	struct reply_ids *ids = t_new(struct reply_ids, 1);
	string_t *str = t_str_new(256);
	unsigned int i;

	reply_ids_parse(in_reply_to, references, ids);
	for (i = 0; i < ids->count; i++) {
		if (i > 0)
			str_append_c(str, '\n');
		str_append(str, ids->ids[i]);
	}
	return str_len(str) == 0 ? NULL : str_c(str);
}

static const char *team_reply_header(struct mail *mail, const char *name)
{
	const char *value;

	return mail_get_first_header(mail, name, &value) <= 0 ? NULL :
		t_strdup(value);
}

const char *team_reply_mail_ids(struct mail *mail)
{
	return team_reply_ids(team_reply_header(mail, "In-Reply-To"),
			      team_reply_header(mail, "References"));
}

void team_reply_saved(struct team_transaction *tt, struct mail *mail,
		      enum team_reply kind)
{
	struct team_saved_reply *reply;
	const char *ids = team_reply_mail_ids(mail);

	if (ids == NULL)
		return;
	reply = array_append_space(&tt->replies);
	reply->kind = kind;
	reply->uid = kind == TEAM_REPLY_DROPPED ? mail->uid : 0;
	reply->ids = p_strdup(tt->pool, ids);
	reply->message_id = p_strdup(tt->pool,
		team_reply_header(mail, "Message-ID"));
}

void team_reply_record(struct team_user *tuser,
		       const struct team_reply_place *place,
		       enum team_reply kind, const char *outcome,
		       const char *const *fields)
{
	ARRAY_TYPE(const_string) record;

	t_array_init(&record, 16);
	team_fields_add(&record, "action",
			kind == TEAM_REPLY_DRAFT ? "draft" : "reply");
	team_fields_add(&record, "outcome", outcome);
	team_fields_add(&record, "mailbox", place->guid);
	team_fields_add(&record, "uidvalidity",
			t_strdup_printf("%u", place->uidvalidity));
	team_fields_add(&record, "name", place->mailbox);
	team_fields_add(&record, "uids", t_strdup_printf("%u", place->uid));
	for (; fields != NULL && *fields != NULL; fields++)
		array_push_back(&record, fields);
	array_append_zero(&record);
	team_client_event(team_user_session(tuser), array_front(&record));
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
		if (kind == TEAM_REPLY_DRAFT &&
		    !team_transaction_may_keywords(tt)) {
			/* who may not claim it may answer it all the same */
		} else if (kind == TEAM_REPLY_DRAFT) {
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

int team_reply_place_parse(const char *const *args,
			   struct team_reply_place *place_r)
{
	i_zero(place_r);
	if (str_array_length(args) < 4 ||
	    str_to_uint32(args[1], &place_r->uidvalidity) < 0 ||
	    str_to_uint32(args[2], &place_r->uid) < 0)
		return -1;
	place_r->guid = args[0];
	place_r->mailbox = args[3];
	return 0;
}

struct mailbox *team_reply_place_open(struct team_user *tuser,
				      const struct team_reply_place *place)
{
	struct mail_namespace *ns =
		mail_namespace_find(tuser->user->namespaces, place->mailbox);
	struct mailbox *box = mailbox_alloc(ns->list, place->mailbox, 0);
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT(box);

	if (tbox != NULL && tbox->team && mailbox_open(box) == 0 &&
	    mailbox_sync(box, 0) == 0 && team_mailbox_identify(tbox) == 0 &&
	    strcmp(tbox->guid, place->guid) == 0 &&
	    tbox->uidvalidity == place->uidvalidity)
		return box;
	mailbox_free(&box);
	return NULL;
}

/* Gives back what only drafts claimed. The service tells all sessions. */
static int
team_reply_drop(struct mailbox *box, uint32_t uid)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	struct mailbox_transaction_context *t;
	struct team_answer answer;
	const char *args[5], *error;
	struct mail *mail;
	pool_t pool;
	bool found;

	t = mailbox_transaction_begin(box, 0, "reply");
	mail = mail_alloc(t, 0, NULL);
	found = mail_set_uid(mail, uid) && !mail->expunged;
	mail_free(&mail);
	mailbox_transaction_rollback(&t);
	if (!found)
		return 0;
	args[0] = tbox->guid;
	args[1] = dec2str(tbox->uidvalidity);
	args[2] = "drop";
	args[3] = dec2str(uid);
	args[4] = NULL;
	pool = pool_alloconly_create("team drop", 256);
	if (team_client_request(team_user_session(tbox->tuser), pool, "CLAIM",
				args, &answer, &error) < 0) {
		e_error(tbox->tuser->user->event, "team: %s: what a deleted "
			"draft claimed in %s isn't given back", error,
			box->vname);
	}
	pool_unref(&pool);
	return 1;
}

/* Returns 1 if the message was there, 0 if not, -1 on errors. */
static int
team_reply_to(struct team_user *tuser, const struct team_reply_place *place,
	      enum team_reply kind)
{
	/* who may not open it may not claim in it */
	struct mailbox *box = team_reply_place_open(tuser, place);
	int ret = 0;

	if (box == NULL)
		return 0;
	if (kind == TEAM_REPLY_DROPPED)
		ret = team_reply_drop(box, place->uid);
	else if (!mailbox_is_readonly(box))
		ret = team_reply_to_mail(box, place->uid, kind);
	mailbox_free(&box);
	return ret;
}

void team_reply_handle(struct team_user *tuser, const char *ids,
		       enum team_reply kind, const char *const *fields)
{
	struct team_reply_place place;
	struct team_answer answer;
	const char *args[2], *const *data, *error;
	pool_t pool = pool_alloconly_create("team reply", 1024);
	int ret = 0;

	args[0] = ids;
	args[1] = NULL;
	if (team_client_request(team_user_session(tuser), pool, "LOOKUP", args,
				&answer, &error) < 0) {
		e_error(tuser->user->event, "team: %s: it is not known what "
			"a message answers", error);
	} else if (answer.code == NULL) {
		/* the nearest one that is there */
		array_foreach_elem(&answer.data, data) T_BEGIN {
			if (ret == 0 && *data != NULL &&
			    team_reply_place_parse(data + 1, &place) == 0)
				ret = team_reply_to(tuser, &place, kind);
			if (ret > 0 && kind != TEAM_REPLY_DROPPED) {
				team_reply_record(tuser, &place, kind, "ok",
						  fields);
			}
			if (ret > 0)
				ret = -1;
		} T_END;
	}
	pool_unref(&pool);
}

static void
team_reply_commit(struct team_transaction *tt,
		  const struct team_saved_reply *reply)
{
	const char *fields[2];

	if (reply->kind == TEAM_REPLY_DROPPED &&
	    team_draft_exists(tt, reply->ids))
		return;
	fields[0] = reply->message_id == NULL ? NULL :
		t_strdup_printf("d.reply=%.1000s", reply->message_id);
	fields[1] = NULL;
	team_reply_handle(tt->tuser, reply->ids, reply->kind, fields);
}

void team_replies_commit(struct team_transaction *tt)
{
	const struct team_saved_reply *reply;

	array_foreach(&tt->replies, reply) T_BEGIN {
		team_reply_commit(tt, reply);
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
