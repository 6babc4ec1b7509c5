/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keywords that show claims in the shared index.

   The index's header has a sum over all claims that its keywords show. Whoever
   changes keywords changes it along in the same transaction, so a session that
   knows the claims behind a sum needs to look only at those that are new, gone
   or another's. Where the sum is that of no claims it knows, since sessions
   wrote at the same moment or one of them died, it looks at every message. */

#include "team-common.h"
#include "array.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "team-hash.h"
#include "team-claims.h"

#define CLAIM_KEYWORD_PREFIX "claimed-"
#define CLAIMS_EXT_NAME "team-claims"

bool team_keyword_is_claim(struct team_user *tuser, const char *keyword)
{
	const char *const *names = tuser->set->claim_keywords;

	for (; *names != NULL; names++) {
		if (strcasecmp(*names, keyword) == 0)
			return TRUE;
	}
	return FALSE;
}

static bool team_keyword_is_holder(const char *keyword)
{
	return strncasecmp(keyword, CLAIM_KEYWORD_PREFIX,
			   strlen(CLAIM_KEYWORD_PREFIX)) == 0;
}

bool team_keyword_is_shown(struct team_user *tuser, const char *keyword)
{
	return team_keyword_is_holder(keyword) &&
		!team_keyword_is_claim(tuser, keyword);
}

bool team_keyword_is_managed(struct team_user *tuser, const char *keyword)
{
	return team_keyword_is_holder(keyword) ||
		team_keyword_is_claim(tuser, keyword);
}

/*
 * The sum
 */

uint32_t team_claim_sum(uint32_t uid, const char *holder_keyword)
{
	uint32_t hash = (uid * 2654435761U) ^ team_hash_icase(holder_keyword);

	/* so that exchanging two holders isn't the same sum */
	hash ^= hash >> 15;
	hash *= 2246822519U;
	return hash ^ (hash >> 13);
}

static uint32_t
team_claims_index_sum(struct team_mailbox *tbox, struct mail_index_view *view)
{
	const void *data;
	uint32_t sum = 0;
	size_t size;

	tbox->claims_ext_id = mail_index_ext_register(tbox->box->index,
		CLAIMS_EXT_NAME, sizeof(sum), 0, 0);
	mail_index_get_header_ext(view, tbox->claims_ext_id, &data, &size);
	/* an index that has never seen a claim has none */
	if (size >= sizeof(sum))
		memcpy(&sum, data, sizeof(sum));
	return sum;
}

uint32_t team_claims_shown_sum(struct team_mailbox *tbox)
{
	return team_claims_index_sum(tbox, tbox->box->view);
}

/*
 * One message
 */

struct team_claim_show {
	struct team_mailbox *tbox;
	/* what is shown now */
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	uint32_t sum;
};

static void
team_claim_show_keywords(struct team_claim_show *show, uint32_t trans_seq,
			 enum modify_type modify_type,
			 const ARRAY_TYPE(keyword_indexes) *indexes)
{
	struct mail_index *index = show->tbox->box->index;
	struct mail_keywords *keywords;

	if (array_count(indexes) == 0)
		return;
	keywords = mail_index_keywords_create_from_indexes(index, indexes);
	mail_index_update_keywords(show->trans, trans_seq, modify_type,
				   keywords);
	mail_index_keywords_unref(&keywords);
}

static void
team_claim_wanted(struct team_claim_show *show, const char *holder_keyword,
		  ARRAY_TYPE(keyword_indexes) *wanted)
{
	const char *const *names = show->tbox->tuser->set->claim_keywords;
	unsigned int idx;

	t_array_init(wanted, 4);
	if (holder_keyword == NULL)
		return;
	for (; *names != NULL; names++) {
		mail_index_keyword_lookup_or_create(show->tbox->box->index,
						    *names, &idx);
		array_push_back(wanted, &idx);
	}
	mail_index_keyword_lookup_or_create(show->tbox->box->index,
					    holder_keyword, &idx);
	array_push_back(wanted, &idx);
}

static bool
team_indexes_remove(ARRAY_TYPE(keyword_indexes) *indexes, unsigned int idx)
{
	const unsigned int *p;

	array_foreach(indexes, p) {
		if (*p == idx) {
			array_delete(indexes,
				     array_foreach_idx(indexes, p), 1);
			return TRUE;
		}
	}
	return FALSE;
}

/* The message shows the claim of the holder, or none if NULL. seq is of the
   view, trans_seq of the transaction. */
static void
team_claim_show_one(struct team_claim_show *show, uint32_t seq,
		    uint32_t trans_seq, uint32_t uid,
		    const char *holder_keyword)
{
	struct team_user *tuser = show->tbox->tuser;
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(show->tbox->box->index);
	enum mail_flags old, flags = tuser->set->claim_system_flags;
	ARRAY_TYPE(keyword_indexes) indexes, wanted, remove;
	unsigned int idx;
	const char *name;

	t_array_init(&indexes, 16);
	t_array_init(&remove, 4);
	team_claim_wanted(show, holder_keyword, &wanted);
	mail_index_lookup_keywords(show->view, seq, &indexes);
	array_foreach_elem(&indexes, idx) {
		name = array_idx_elem(names, idx);
		if (!team_keyword_is_managed(tuser, name))
			continue;
		if (team_keyword_is_holder(name))
			show->sum -= team_claim_sum(uid, name);
		if (!team_indexes_remove(&wanted, idx))
			array_push_back(&remove, &idx);
	}
	if (holder_keyword != NULL)
		show->sum += team_claim_sum(uid, holder_keyword);
	team_claim_show_keywords(show, trans_seq, MODIFY_REMOVE, &remove);
	team_claim_show_keywords(show, trans_seq, MODIFY_ADD, &wanted);

	if (flags != 0) {
		old = mail_index_lookup(show->view, seq)->flags & flags;
		if (old != (holder_keyword != NULL ? flags : 0)) {
			mail_index_update_flags(show->trans, trans_seq,
				holder_keyword != NULL ? MODIFY_ADD :
				MODIFY_REMOVE, flags);
		}
	}
}

static void team_claim_show_end(struct team_claim_show *show)
{
	mail_index_update_header_ext(show->trans, show->tbox->claims_ext_id, 0,
				     &show->sum, sizeof(show->sum));
}

/*
 * A transaction's own claims
 */

void team_transaction_show_claims(struct team_transaction *tt,
				  const ARRAY_TYPE(seq_range) *uids,
				  const char *holder_keyword)
{
	struct mail_index *index = tt->t->box->index;
	struct team_claim_show show;
	struct seq_range_iter iter;
	uint32_t uid, seq, trans_seq;
	unsigned int n = 0;

	if (array_count(uids) == 0)
		return;
	/* the sum and the keywords behind it as they are now */
	(void)mail_index_refresh(index);
	i_zero(&show);
	show.tbox = tt->tbox;
	show.view = mail_index_view_open(index);
	show.trans = tt->t->itrans;
	show.sum = team_claims_index_sum(tt->tbox, show.view);
	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) T_BEGIN {
		if (mail_index_lookup_seq(show.view, uid, &seq) &&
		    mail_index_lookup_seq(tt->t->view, uid, &trans_seq)) {
			team_claim_show_one(&show, seq, trans_seq, uid,
					    holder_keyword);
		}
	} T_END;
	team_claim_show_end(&show);
	mail_index_view_close(&show.view);
}

/*
 * The mailbox's claims
 */

static void
team_claim_show_uid(struct team_claim_show *show, uint32_t uid,
		    const struct team_claim *claim)
{
	const char *keyword;
	uint32_t seq;

	if (!mail_index_lookup_seq(show->view, uid, &seq))
		return;
	T_BEGIN {
		keyword = claim == NULL ? NULL :
			team_claim_keyword(claim->holder);
		team_claim_show_one(show, seq, seq, uid, keyword);
	} T_END;
}

/* Both lists are in the order of UIDs. */
static void
team_claims_show_changed(struct team_claim_show *show,
			 const ARRAY_TYPE(team_claim) *claims)
{
	const struct team_claim *new_claims, *old_claims;
	unsigned int i = 0, j = 0, new_count, old_count;

	new_claims = array_get(claims, &new_count);
	old_claims = array_get(&show->tbox->shown.list, &old_count);
	while (i < new_count || j < old_count) {
		if (j == old_count || (i < new_count &&
				new_claims[i].uid < old_claims[j].uid)) {
			team_claim_show_uid(show, new_claims[i].uid,
					    &new_claims[i]);
			i++;
		} else if (i == new_count ||
			   new_claims[i].uid > old_claims[j].uid) {
			team_claim_show_uid(show, old_claims[j].uid, NULL);
			j++;
		} else {
			/* names are there once */
			if (new_claims[i].holder != old_claims[j].holder) {
				team_claim_show_uid(show, new_claims[i].uid,
						    &new_claims[i]);
			}
			i++; j++;
		}
	}
}

static bool
team_claim_shows(struct team_claim_show *show, uint32_t seq,
		 ARRAY_TYPE(keyword_indexes) *indexes)
{
	struct team_user *tuser = show->tbox->tuser;
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(show->tbox->box->index);
	unsigned int idx;

	if ((mail_index_lookup(show->view, seq)->flags &
	     tuser->set->claim_system_flags) != 0)
		return TRUE;
	mail_index_lookup_keywords(show->view, seq, indexes);
	array_foreach_elem(indexes, idx) {
		if (team_keyword_is_managed(tuser, array_idx_elem(names, idx)))
			return TRUE;
	}
	return FALSE;
}

static void
team_claims_show_all(struct team_claim_show *show,
		     const ARRAY_TYPE(team_claim) *claims)
{
	ARRAY_TYPE(keyword_indexes) indexes;
	const struct team_claim *claim;
	unsigned int i = 0, count;
	uint32_t seq, uid, seq_count;

	t_array_init(&indexes, 64);
	claim = array_get(claims, &count);
	seq_count = mail_index_view_get_messages_count(show->view);
	for (seq = 1; seq <= seq_count; seq++) {
		mail_index_lookup_uid(show->view, seq, &uid);
		while (i < count && claim[i].uid < uid)
			i++;
		if (i < count && claim[i].uid == uid)
			team_claim_show_uid(show, uid, &claim[i]);
		else if (team_claim_shows(show, seq, &indexes))
			team_claim_show_uid(show, uid, NULL);
	}
}

int team_mailbox_show_claims(struct team_mailbox *tbox,
			     const ARRAY_TYPE(team_claim) *claims,
			     uint32_t sum)
{
	struct mail_index *index = tbox->box->index;
	struct team_claim_show show;
	uint32_t old_sum;
	int ret = 0;

	if (mail_index_refresh(index) < 0)
		return -1;
	i_zero(&show);
	show.tbox = tbox;
	show.view = mail_index_view_open(index);
	old_sum = team_claims_index_sum(tbox, show.view);
	if (old_sum != sum) {
		show.trans = mail_index_transaction_begin(show.view, 0);
		if (tbox->shown.cursor != NULL && tbox->shown.sum == old_sum)
			team_claims_show_changed(&show, claims);
		else
			team_claims_show_all(&show, claims);
		show.sum = sum;
		team_claim_show_end(&show);
		ret = mail_index_transaction_commit(&show.trans);
	}
	mail_index_view_close(&show.view);
	return ret;
}
