/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages that come: appended, delivered, copied, moved. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "imap-util.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-reply.h"
#include "team-claims.h"
#include "team-record.h"

/* Message-IDs of one record */
#define SAVE_GROUP_SIZE_MAX (TEAM_PROTOCOL_MAX_LINE / 2)
#define SAVE_GROUP_COUNT_MAX 5000

static struct team_save_group *
team_save_group_get(struct team_transaction *tt, unsigned int mailnum,
		    const char *action, const char *flags,
		    struct team_mailbox *src)
{
	struct team_save_group *group;
	unsigned int count;

	group = array_get_modifiable(&tt->saves, &count);
	if (count > 0) {
		group += count - 1;
		count = array_count(&group->messages);
		if (strcmp(group->action, action) == 0 &&
		    strcmp(group->flags, flags) == 0 &&
		    (src == NULL ? group->from == NULL :
		     group->from != NULL &&
		     strcmp(group->from, src->guid) == 0 &&
		     group->fromvalidity == src->uidvalidity) &&
		    group->first_mailnum + count == mailnum &&
		    count < SAVE_GROUP_COUNT_MAX &&
		    group->message_ids_size < SAVE_GROUP_SIZE_MAX)
			return group;
	}
	group = array_append_space(&tt->saves);
	group->action = action;
	group->flags = p_strdup(tt->pool, flags);
	group->first_mailnum = mailnum;
	p_array_init(&group->messages, tt->pool, 8);
	p_array_init(&group->fromuids, tt->pool, 8);
	if (src != NULL) {
		group->from = p_strdup(tt->pool, src->guid);
		group->fromname = p_strdup(tt->pool, src->box->vname);
		group->fromvalidity = src->uidvalidity;
		group->from_claimed = strcmp(action, "move") == 0 &&
			team_claim_mailbox_holder(src) != NULL;
	}
	return group;
}

static void
team_save_add(struct team_transaction *tt, unsigned int mailnum,
	      const char *action, const char *flags, struct team_mailbox *src,
	      uint32_t src_uid, const char *message_id)
{
	struct team_save_group *group;
	struct team_message_id *message;

	group = team_save_group_get(tt, mailnum, action, flags, src);
	message = array_append_space(&group->messages);
	message->message_id = p_strdup(tt->pool, message_id);
	group->message_ids_size +=
		message_id == NULL ? 0 : strlen(message_id) + 16;
	if (src != NULL)
		seq_range_array_add(&group->fromuids, src_uid);
}

/* A claim can't be had by saving a message with its keyword. */
static void
team_save_strip_keywords(struct team_user *tuser, struct mail_save_context *ctx)
{
	struct mail_keywords *keywords = ctx->data.keywords;
	const ARRAY_TYPE(keywords) *names;
	ARRAY_TYPE(keyword_indexes) keep;
	unsigned int i;

	ctx->data.flags &= ENUM_NEGATE(tuser->set->claim_system_flags);
	if (keywords == NULL)
		return;
	names = mail_index_get_keywords(keywords->index);
	t_array_init(&keep, keywords->count + 1);
	for (i = 0; i < keywords->count; i++) {
		if (!team_keyword_is_managed(tuser, array_idx_elem(names,
							keywords->idx[i])))
			array_push_back(&keep, &keywords->idx[i]);
	}
	if (array_count(&keep) == keywords->count)
		return;
	ctx->data.keywords = array_count(&keep) == 0 ? NULL :
		mailbox_keywords_create_from_indexes(ctx->transaction->box,
						     &keep);
	mailbox_keywords_unref(&keywords);
}

static const char *team_save_action(struct team_user *tuser)
{
	return tuser->kind == TEAM_SERVICE_DELIVERY ? "deliver" : "append";
}

static int team_save_begin(struct mail_save_context *ctx, struct istream *input)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	enum mail_flags pvt_flags;

	if (tbox->team && !ctx->copying_via_save) T_BEGIN {
		team_save_strip_keywords(tbox->tuser, ctx);
		team_save_take_keywords(ctx, ctx->transaction->save_count);
	} T_END;
	pvt_flags = ctx->data.pvt_flags;
	if (tbox->module_ctx.super.save_begin(ctx, input) < 0) {
		if (tbox->team && !ctx->copying_via_save) T_BEGIN {
			team_mailbox_record_failed(tbox, team_save_action(tbox->tuser),
						   NULL);
		} T_END;
		return -1;
	}
	/* the acl plugin takes away what only those who write may set */
	if (tbox->team && pvt_flags != ctx->data.pvt_flags &&
	    team_transaction_may_private(team_transaction_get(ctx->transaction)))
		ctx->data.pvt_flags = pvt_flags;
	return 0;
}

/* Flags and keywords that the message gets for all. */
static const char *
team_save_shared_flags(struct team_mailbox *tbox,
		       struct mail_save_context *ctx)
{
	const ARRAY_TYPE(keywords) *names;
	string_t *str = t_str_new(64);
	unsigned int i;

	imap_write_flags(str, ctx->data.flags & MAIL_FLAGS_NONRECENT &
			 ENUM_NEGATE(tbox->set->private_flags), NULL);
	if (ctx->data.keywords == NULL)
		return str_c(str);
	names = mail_index_get_keywords(ctx->data.keywords->index);
	for (i = 0; i < ctx->data.keywords->count; i++) {
		if (str_len(str) > 0)
			str_append_c(str, ' ');
		str_append(str, array_idx_elem(names,
					       ctx->data.keywords->idx[i]));
	}
	return str_c(str);
}

static int team_save_finish(struct mail_save_context *ctx)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	struct mail *dest_mail = ctx->copying_via_save ? NULL : ctx->dest_mail;
	const char *message_id, *flags;
	unsigned int mailnum = t->save_count;
	enum team_reply reply = tbox->team || dest_mail == NULL ?
		TEAM_REPLY_NONE : team_reply_kind(ctx);

	flags = dest_mail == NULL || !tbox->team ? "" :
		team_save_shared_flags(tbox, ctx);
	if (tbox->module_ctx.super.save_finish(ctx) < 0)
		return -1;
	if (reply != TEAM_REPLY_NONE) T_BEGIN {
		team_reply_saved(team_transaction_get(t), dest_mail, reply);
	} T_END;
	if (dest_mail == NULL || !tbox->team)
		return 0;
	T_BEGIN {
		(void)team_mail_get_message_id(dest_mail, &message_id);
		team_save_add(team_transaction_get(t), mailnum,
			      team_save_action(tbox->tuser), flags, NULL, 0,
			      message_id);
	} T_END;
	return 0;
}

static int
team_copy_recorded(struct mail_save_context *ctx, struct mail *mail,
		   struct team_mailbox *src)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	struct team_user *tuser = tbox->tuser;
	const struct team_claim *claim;
	struct team_transaction *src_tt;
	const char *message_id;
	unsigned int mailnum = t->save_count;
	uint32_t uid = mail->uid;
	bool moving = ctx->moving;

	if (ctx->copy_src_mail != mail && src->team)
		team_virtual_note(tuser, ctx->copy_src_mail, mail);
	if (src->team && moving &&
	    (tuser->set->protects & TEAM_PROTECTS_MOVE) != 0) {
		src_tt = team_transaction_get(mail->transaction);
		claim = team_transaction_held(src_tt, uid);
		if (claim != NULL) {
			team_transaction_deny(src_tt, mail, "move", NULL,
					      claim->holder);
			team_transaction_refuse(src_tt, uid, claim);
			mail_storage_set_error(t->box->storage,
				MAIL_ERROR_INUSE, *claim->holder == '\0' ?
				"claims aren't known right now" :
				t_strconcat("claimed by ", claim->holder, NULL));
			mailbox_save_cancel(&ctx);
			return -1;
		}
	}
	(void)team_mail_get_message_id(mail, &message_id);
	/* if a claim comes along, PostgreSQL says so */
	if (src->team || tbox->team)
		team_save_strip_keywords(tuser, ctx);
	if (tbox->team)
		team_save_take_keywords(ctx, mailnum);
	/* what it says afterwards is about this copy */
	if (mail->box->storage != t->box->storage)
		mail_storage_clear_error(mail->box->storage);
	if (team_maildir_copy(tbox, ctx, mail) < 0) {
		team_mailbox_record_failed(tbox, moving ? "move" : "copy",
					   mail);
		return -1;
	}
	team_save_add(team_transaction_get(t), mailnum,
		      moving ? "move" : "copy", "", src, uid, message_id);
	if (moving) {
		team_claim_moves(team_transaction_get(t), mail, mailnum);
		tuser->moved_mail = mail;
		tuser->moved_uid = uid;
	}
	return 0;
}

/* What is delivered, or imported, comes out of something that is no mailbox of
   anybody: for the log the message is new. */
static int
team_copy_from_nowhere(struct mail_save_context *ctx, struct mail *mail)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	const char *action = team_save_action(tbox->tuser);
	const char *message_id, *flags;
	unsigned int mailnum = t->save_count;

	(void)team_mail_get_message_id(mail, &message_id);
	team_save_strip_keywords(tbox->tuser, ctx);
	team_save_take_keywords(ctx, mailnum);
	flags = team_save_shared_flags(tbox, ctx);
	if (tbox->module_ctx.super.copy(ctx, mail) < 0) {
		team_mailbox_record_failed(tbox, action, NULL);
		return -1;
	}
	team_save_add(team_transaction_get(t), mailnum, action, flags, NULL, 0,
		      message_id);
	return 0;
}

static int team_copy(struct mail_save_context *ctx, struct mail *mail)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	struct team_mailbox *src = TEAM_BOX_CONTEXT(mail->box);
	int ret;

	if (src != NULL && (team_mailbox_identify(src) < 0 ||
			    src->uidvalidity == 0))
		src = NULL;
	if (!tbox->team && (src == NULL || !src->team))
		return tbox->module_ctx.super.copy(ctx, mail);
	T_BEGIN {
		ret = src != NULL ? team_copy_recorded(ctx, mail, src) :
			team_copy_from_nowhere(ctx, mail);
	} T_END;
	return ret;
}

static struct mailbox_transaction_context *
team_transaction_begin(struct mailbox *box,
		       enum mailbox_transaction_flags flags, const char *reason)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	if (tbox->team)
		/* this one is counted already */
		team_replica_check(tbox, 1);
	if (tbox->team && tbox->tuser->kind == TEAM_SERVICE_POP3 &&
	    !tbox->open_recorded) T_BEGIN {
		team_mailbox_record_open(tbox);
	} T_END;
	/* the records name the messages */
	return tbox->module_ctx.super.transaction_begin(box,
		flags | (tbox->team ? MAILBOX_TRANSACTION_FLAG_ASSIGN_UIDS : 0),
		reason);
}

void team_save_hooks(struct mailbox_vfuncs *v)
{
	v->transaction_begin = team_transaction_begin;
	v->save_begin = team_save_begin;
	v->save_finish = team_save_finish;
	v->copy = team_copy;
}
