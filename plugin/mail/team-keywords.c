/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private keywords. They stand in the private index. Clients see them as
   keywords of the mailbox: the shared index knows their names in memory, and
   never hears which messages have them. */

#include "team-common.h"
#include "array.h"
#include "wildcard-match.h"
#include "index-mail.h"
#include "index-storage.h"
#include "index-sync-private.h"
#include "mail-index-private.h"
#include "mail-storage-private.h"
#include "team-claims.h"

bool team_keyword_fits(const char *keyword, const char *const *patterns)
{
	for (; *patterns != NULL; patterns++) {
		if (wildcard_match_icase(keyword, *patterns))
			return TRUE;
	}
	return FALSE;
}

bool team_keyword_is_private(struct team_mailbox *tbox, const char *keyword)
{
	/* claims are seen by all */
	return !team_keyword_is_managed(tbox->tuser, keyword) &&
		team_keyword_fits(keyword, tbox->set->private_keywords);
}

/* The index keeps a keyword as it was first written: that mustn't depend on the
   first client that claimed something. */
static void team_keywords_spell_claims(struct team_mailbox *tbox)
{
	const char *const *names = tbox->tuser->set->claim_keywords;
	unsigned int idx;

	for (; *names != NULL; names++)
		mail_index_keyword_lookup_or_create(tbox->box->index, *names,
						    &idx);
}

static void team_keywords_refresh_shared(struct team_mailbox *tbox)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(tbox->box->index);
	unsigned int i = array_count(&tbox->keyword_private);
	const char *name;
	bool is_private;

	if (i == 0)
		team_keywords_spell_claims(tbox);
	for (; i < array_count(names); i++) {
		name = array_idx_elem(names, i);
		is_private = team_keyword_is_private(tbox, name);
		array_push_back(&tbox->keyword_private, &is_private);
		if (is_private || team_keyword_is_shown(tbox->tuser, name))
			tbox->special_keywords = TRUE;
	}
}

static void team_keywords_refresh_pvt(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(box->index_pvt);
	unsigned int idx, i = array_count(&tbox->pvt_keywords);
	const char *name;

	for (; i < array_count(names); i++) {
		name = array_idx_elem(names, i);
		if (team_keyword_is_private(tbox, name))
			mail_index_keyword_lookup_or_create(box->index, name,
							    &idx);
		else
			idx = TEAM_KEYWORD_NONE;
		array_push_back(&tbox->pvt_keywords, &idx);
	}
}

void team_keywords_refresh(struct team_mailbox *tbox)
{
	if (tbox->box->index_pvt != NULL)
		team_keywords_refresh_pvt(tbox);
	team_keywords_refresh_shared(tbox);
}

void team_keywords_reset(struct team_mailbox *tbox)
{
	array_clear(&tbox->keyword_private);
	tbox->special_keywords = FALSE;
	array_clear(&tbox->pvt_keywords);
}

bool team_keyword_index_is_private(struct team_mailbox *tbox, unsigned int idx)
{
	team_keywords_refresh(tbox);
	return idx < array_count(&tbox->keyword_private) &&
		*array_idx(&tbox->keyword_private, idx);
}

/*
 * Mails
 */

uint32_t team_mail_pvt_seq(struct mail *mail)
{
	struct mail_private *pmail = (struct mail_private *)mail;
	struct mail_index_view *view;
	uint32_t uid = 0;

	if (pmail->seq_pvt != 0)
		return pmail->seq_pvt;
	if (mail->box->view_pvt == NULL || mail->saving || mail->uid == 0)
		return 0;
	index_transaction_init_pvt(mail->transaction);
	view = mail->transaction->view_pvt;
	/* both indexes have the same messages, most of the time */
	if (mail->seq <= mail_index_view_get_messages_count(view))
		mail_index_lookup_uid(view, mail->seq, &uid);
	if (uid == mail->uid)
		pmail->seq_pvt = mail->seq;
	else if (!mail_index_lookup_seq(view, mail->uid, &pmail->seq_pvt))
		pmail->seq_pvt = 0;
	return pmail->seq_pvt;
}

static enum mail_flags team_mail_get_flags(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(_mail->box);
	enum mail_flags flags;
	/* super would search for it */
	uint32_t seq = team_mail_pvt_seq(_mail);

	flags = mmail->super.get_flags(_mail);
	/* without it super takes the shared index's, which are the owner's */
	return seq != 0 || _mail->saving ? flags :
		flags & ENUM_NEGATE(tbox->set->private_flags);
}

/* Shared keywords that are private ones by now don't count. */
static void
team_keywords_remove_private(struct team_mailbox *tbox,
			     ARRAY_TYPE(keyword_indexes) *indexes)
{
	unsigned int i = 0;

	while (i < array_count(indexes)) {
		if (team_keyword_index_is_private(tbox,
						  *array_idx(indexes, i)))
			array_delete(indexes, i, 1);
		else
			i++;
	}
}

static void
team_keywords_add_private(struct team_mailbox *tbox, struct mail *mail,
			  ARRAY_TYPE(keyword_indexes) *indexes)
{
	uint32_t seq = team_mail_pvt_seq(mail);
	unsigned int pvt_idx, idx;

	if (seq == 0)
		return;
	mail_index_lookup_keywords(mail->transaction->view_pvt, seq,
				   &tbox->found_keywords);
	array_foreach_elem(&tbox->found_keywords, pvt_idx) {
		if (pvt_idx >= array_count(&tbox->pvt_keywords))
			team_keywords_refresh(tbox);
		i_assert(pvt_idx < array_count(&tbox->pvt_keywords));
		idx = *array_idx(&tbox->pvt_keywords, pvt_idx);
		if (idx != TEAM_KEYWORD_NONE)
			array_push_back(indexes, &idx);
	}
}

static const ARRAY_TYPE(keyword_indexes) *
team_mail_get_keyword_indexes(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(_mail->box);
	struct index_mail_data *data = &((struct index_mail *)_mail)->data;
	const ARRAY_TYPE(keyword_indexes) *indexes;

	if (array_is_created(&data->keyword_indexes))
		return &data->keyword_indexes;
	indexes = mmail->super.get_keyword_indexes(_mail);
	if (_mail->saving || !array_is_created(&data->keyword_indexes))
		return indexes;

	if (array_count(&data->keyword_indexes) > 0)
		team_keywords_remove_private(tbox, &data->keyword_indexes);
	if (_mail->box->index_pvt != NULL &&
	    array_count(mail_index_get_keywords(_mail->box->index_pvt)) > 0)
		team_keywords_add_private(tbox, _mail, &data->keyword_indexes);
	return &data->keyword_indexes;
}

static const char *const *team_mail_get_keywords(struct mail *_mail)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);

	/* super takes the numbers that are there */
	(void)team_mail_get_keyword_indexes(_mail);
	return mmail->super.get_keywords(_mail);
}

void team_keywords_mail_hooks(struct mail_vfuncs *v)
{
	v->get_flags = team_mail_get_flags;
	v->get_keywords = team_mail_get_keywords;
	v->get_keyword_indexes = team_mail_get_keyword_indexes;
}

void team_mail_update_pvt_flags(struct mail *mail, enum modify_type modify_type,
				enum mail_flags flags)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(mail->box);
	uint32_t seq = team_mail_pvt_seq(mail);

	if (seq == 0) {
		team_replica_distrust(tbox);
		return;
	}
	mail_index_update_flags(mail->transaction->itrans_pvt, seq,
				modify_type, flags);
	mail_index_update_flags(mail->transaction->itrans, mail->seq,
		MODIFY_ADD, (enum mail_flags)
		MAIL_INDEX_MAIL_FLAG_UPDATE_MODSEQ);
}

struct mail_keywords *
team_pvt_keywords_create(struct team_mailbox *tbox,
			 const ARRAY_TYPE(keyword_indexes) *indexes)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(tbox->box->index);
	ARRAY_TYPE(keyword_indexes) pvt;
	unsigned int idx, pvt_idx;

	t_array_init(&pvt, 8);
	array_foreach_elem(indexes, idx) {
		mail_index_keyword_lookup_or_create(tbox->box->index_pvt,
			array_idx_elem(names, idx), &pvt_idx);
		array_push_back(&pvt, &pvt_idx);
	}
	return mail_index_keywords_create_from_indexes(tbox->box->index_pvt,
						       &pvt);
}

static void team_mail_forget_keywords(struct mail *mail)
{
	struct index_mail_data *data = &((struct index_mail *)mail)->data;

	if (array_is_created(&data->keyword_indexes))
		array_free(&data->keyword_indexes);
	/* not freed: somebody may still look at it */
	i_zero(&data->keywords);
}

void team_mail_set_pvt_keywords(struct mail *mail, uint32_t seq,
				enum modify_type modify_type,
				struct mail_keywords *keywords)
{
	team_mail_forget_keywords(mail);
	mail_index_update_keywords(mail->transaction->itrans_pvt, seq,
				   modify_type, keywords);
	mail_index_update_flags(mail->transaction->itrans, mail->seq,
		MODIFY_ADD, (enum mail_flags)
		MAIL_INDEX_MAIL_FLAG_UPDATE_MODSEQ);
}

void team_mail_update_pvt_keywords(struct mail *mail,
				   enum modify_type modify_type,
				   const ARRAY_TYPE(keyword_indexes) *indexes)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(mail->box);
	struct mail_keywords *keywords;
	uint32_t seq = team_mail_pvt_seq(mail);

	if (seq == 0) {
		team_mail_forget_keywords(mail);
		/* it comes from PostgreSQL when the private index is back */
		team_replica_distrust(tbox);
		return;
	}
	keywords = team_pvt_keywords_create(tbox, indexes);
	team_mail_set_pvt_keywords(mail, seq, modify_type, keywords);
	mail_index_keywords_unref(&keywords);
}

/*
 * Saving
 */

static void
team_save_remember(struct team_transaction *tt, unsigned int mailnum,
		   const ARRAY_TYPE(const_string) *names)
{
	struct team_save_keywords *save;
	const char **copy;
	unsigned int i, count;

	/* one that was given up had the same number */
	save = array_get_modifiable(&tt->save_keywords, &count);
	for (; count > 0 && save[count - 1].mailnum >= mailnum; count--)
		array_pop_back(&tt->save_keywords);
	if (array_count(names) == 0)
		return;
	copy = p_new(tt->pool, const char *, array_count(names) + 1);
	for (i = 0; i < array_count(names); i++)
		copy[i] = p_strdup(tt->pool, array_idx_elem(names, i));
	save = array_append_space(&tt->save_keywords);
	save->mailnum = mailnum;
	save->names = copy;
}

void team_save_take_keywords(struct mail_save_context *ctx,
			     unsigned int mailnum)
{
	struct mailbox *box = ctx->transaction->box;
	struct team_transaction *tt = team_transaction_get(ctx->transaction);
	struct mail_keywords *keywords = ctx->data.keywords;
	const ARRAY_TYPE(keywords) *names = mail_index_get_keywords(box->index);
	ARRAY_TYPE(keyword_indexes) keep;
	ARRAY_TYPE(const_string) taken;
	const char *name;
	unsigned int i;

	t_array_init(&taken, 8);
	t_array_init(&keep, 8);
	for (i = 0; keywords != NULL && i < keywords->count; i++) {
		name = array_idx_elem(names, keywords->idx[i]);
		if (team_keyword_is_private(tt->tbox, name))
			array_push_back(&taken, &name);
		else
			array_push_back(&keep, &keywords->idx[i]);
	}
	team_save_remember(tt, mailnum, &taken);
	if (array_count(&taken) == 0)
		return;
	ctx->data.keywords = array_count(&keep) == 0 ? NULL :
		mailbox_keywords_create_from_indexes(box, &keep);
	mailbox_keywords_unref(&keywords);
}

static int
team_save_write_keywords(struct team_mailbox *tbox,
			 const ARRAY_TYPE(team_save_keywords) *saves,
			 const ARRAY_TYPE(seq_range) *saved_uids,
			 ARRAY_TYPE(seq_range) *changed_uids)
{
	struct mail_index *index = tbox->box->index_pvt;
	const struct team_save_keywords *save;
	struct mail_index_transaction *trans;
	struct mail_index_view *view;
	struct mail_keywords *keywords;
	struct seq_range_iter iter;
	uint32_t uid, seq;
	int ret = 0;

	view = mail_index_view_open(index);
	trans = mail_index_transaction_begin(view,
		MAIL_INDEX_TRANSACTION_FLAG_AVOID_FLAG_UPDATES);
	seq_range_array_iter_init(&iter, saved_uids);
	array_foreach(saves, save) {
		if (!seq_range_array_iter_nth(&iter, save->mailnum, &uid) ||
		    !mail_index_lookup_seq(view, uid, &seq)) {
			ret = -1;
			continue;
		}
		keywords = mail_index_keywords_create(index, save->names);
		mail_index_update_keywords(trans, seq, MODIFY_ADD, keywords);
		mail_index_keywords_unref(&keywords);
		seq_range_array_add(changed_uids, uid);
	}
	if (mail_index_transaction_commit(&trans) < 0)
		ret = -1;
	mail_index_view_close(&view);
	return ret;
}

int team_save_apply_keywords(struct team_mailbox *tbox,
			     const ARRAY_TYPE(team_save_keywords) *saves,
			     const ARRAY_TYPE(seq_range) *saved_uids)
{
	ARRAY_TYPE(seq_range) changed_uids;

	t_array_init(&changed_uids, 8);
	if (mailbox_open_index_pvt(tbox->box) <= 0 ||
	    mail_index_refresh(tbox->box->index_pvt) < 0 ||
	    team_save_write_keywords(tbox, saves, saved_uids,
				     &changed_uids) < 0) {
		team_replica_distrust(tbox);
		return -1;
	}
	return team_replica_update_modseqs(tbox, &changed_uids);
}
