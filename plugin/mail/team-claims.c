/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims and the keywords that show them. PostgreSQL knows who holds what;
   the keywords in the shared index follow. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "imap-util.h"
#include "mail-index.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-storage-private.h"

#define CLAIM_KEYWORD_PREFIX "claimed-"

bool team_keyword_is_claim(struct team_user *tuser, const char *keyword)
{
	const char *const *names = tuser->set->claim_keywords;

	for (; *names != NULL; names++) {
		if (strcasecmp(*names, keyword) == 0)
			return TRUE;
	}
	return FALSE;
}

bool team_keyword_is_managed(struct team_user *tuser, const char *keyword)
{
	return strncasecmp(keyword, CLAIM_KEYWORD_PREFIX,
			   strlen(CLAIM_KEYWORD_PREFIX)) == 0 ||
		team_keyword_is_claim(tuser, keyword);
}

/*
 * In a transaction
 */

static struct mail_keywords *
team_claim_keywords_create(struct team_user *tuser, struct mail_index *index,
			   const char *holder_keyword)
{
	const char *names[3];

	names[0] = tuser->set->claim_keywords[0];
	names[1] = holder_keyword;
	names[2] = NULL;
	return mail_index_keywords_create(index, names);
}

/* Removes all managed keywords of a message but those in keep. Returns TRUE if
   it has all of keep. */
static bool
team_claim_keywords_clean(struct team_user *tuser, struct mail_index *index,
			  struct mail_index_view *view,
			  struct mail_index_transaction *trans, uint32_t seq,
			  const struct mail_keywords *keep)
{
	const ARRAY_TYPE(keywords) *names = mail_index_get_keywords(index);
	ARRAY_TYPE(keyword_indexes) indexes, remove;
	struct mail_keywords *keywords;
	unsigned int i, idx, kept = 0;

	t_array_init(&indexes, 16);
	t_array_init(&remove, 4);
	mail_index_lookup_keywords(view, seq, &indexes);
	array_foreach_elem(&indexes, idx) {
		if (!team_keyword_is_managed(tuser, array_idx_elem(names, idx)))
			continue;
		for (i = 0; keep != NULL && i < keep->count; i++) {
			if (keep->idx[i] == idx)
				break;
		}
		if (keep != NULL && i < keep->count)
			kept++;
		else
			array_push_back(&remove, &idx);
	}
	if (array_count(&remove) > 0) {
		keywords = mail_index_keywords_create_from_indexes(index,
								   &remove);
		mail_index_update_keywords(trans, seq, MODIFY_REMOVE, keywords);
		mail_index_keywords_unref(&keywords);
	}
	return keep != NULL && kept == keep->count;
}

/* Returns 0 with those whom a colleague holds refused and removed from uids;
   if the database is away all are. -1 if the service didn't answer. */
static int
team_claim_request(struct team_transaction *tt, const char *op,
		   ARRAY_TYPE(seq_range) *uids)
{
	struct team_mailbox *tbox = tt->tbox;
	const struct team_message_id *message;
	struct team_answer answer;
	struct team_claim claim;
	const char *args[6], *const *data, *error;
	struct seq_range_iter iter;
	string_t *mids = t_str_new(128);
	intmax_t since, until;
	unsigned int n;
	uint32_t uid;

	array_foreach(&tt->messages, message) {
		if (!seq_range_exists(uids, message->uid) ||
		    str_len(mids) > TEAM_PROTOCOL_MAX_LINE / 2)
			continue;
		if (str_len(mids) > 0)
			str_append_c(mids, '\n');
		str_printfa(mids, "%u %.1000s", message->uid,
			    message->message_id);
	}
	args[0] = tbox->guid;
	args[1] = t_strdup_printf("%u", tbox->uidvalidity);
	args[2] = op;
	args[3] = team_uidset(uids);
	args[4] = str_c(mids);
	args[5] = NULL;
	if (team_client_request(team_user_session(tt->tuser), tt->pool, "CLAIM",
				args, &answer, &error) < 0) {
		e_error(tt->tuser->user->event, "team: %s: claims in %s are "
			"not changed", error, tbox->box->vname);
		answer.code = TEAM_CODE_UNAVAILABLE;
	}
	if (answer.code != NULL) {
		for (n = 0, seq_range_array_iter_init(&iter, uids);
		     seq_range_array_iter_nth(&iter, n, &uid); n++)
			team_transaction_refuse(tt, uid, NULL);
		array_clear(uids);
		return 0;
	}
	array_foreach_elem(&answer.data, data) {
		if (str_array_length(data) < 5 || strcmp(data[0], "held") != 0 ||
		    str_to_uint32(data[1], &claim.uid) < 0 ||
		    str_to_intmax(data[3], &since) < 0 ||
		    str_to_intmax(data[4], &until) < 0)
			continue;
		claim.holder = data[2];
		claim.since = since;
		claim.until = until;
		team_transaction_refuse(tt, claim.uid, &claim);
		seq_range_array_remove(uids, claim.uid);
	}
	return 0;
}

static void
team_transaction_show_claims(struct team_transaction *tt,
			     const ARRAY_TYPE(seq_range) *uids, bool claimed)
{
	struct mailbox *box = tt->t->box;
	struct mail_keywords *keywords = NULL;
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t uid, seq;

	if (claimed) {
		keywords = team_claim_keywords_create(tt->tuser, box->index,
						      tt->tuser->claim_keyword);
	}
	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (!mail_index_lookup_seq(tt->t->view, uid, &seq))
			continue;
		if (!team_claim_keywords_clean(tt->tuser, box->index,
					       tt->t->view, tt->t->itrans, seq,
					       keywords) && claimed) {
			mail_index_update_keywords(tt->t->itrans, seq,
						   MODIFY_ADD, keywords);
		}
	}
	if (keywords != NULL)
		mail_index_keywords_unref(&keywords);
}

int team_transaction_claims(struct team_transaction *tt)
{
	if (array_count(&tt->takes) > 0) {
		if (team_claim_request(tt, "take", &tt->takes) < 0)
			return -1;
		team_transaction_show_claims(tt, &tt->takes, TRUE);
	}
	if (array_count(&tt->releases) > 0) {
		if (team_claim_request(tt, "release", &tt->releases) < 0)
			return -1;
		team_transaction_show_claims(tt, &tt->releases, FALSE);
	}
	return 0;
}

void team_transaction_release_taken(struct team_transaction *tt)
{
	if (array_count(&tt->takes) > 0)
		(void)team_claim_request(tt, "release", &tt->takes);
}

/*
 * In a mailbox
 */

static uint32_t
team_claims_hash(const ARRAY_TYPE(team_claim) *claims)
{
	const struct team_claim *claim;
	uint32_t hash = 1;

	/* the order of the answer says nothing */
	array_foreach(claims, claim)
		hash += (claim->uid * 2654435761U) ^ str_hash(claim->holder);
	return hash;
}

static const struct team_claim *
team_claims_find(const ARRAY_TYPE(team_claim) *claims, uint32_t uid)
{
	const struct team_claim *claim;

	array_foreach(claims, claim) {
		if (claim->uid == uid)
			return claim;
	}
	return NULL;
}

static void
team_mailbox_update_claims(struct team_mailbox *tbox,
			   struct mail_index_view *view,
			   struct mail_index_transaction *trans,
			   const ARRAY_TYPE(team_claim) *claims)
{
	struct mail_index *index = tbox->box->index;
	struct mail_keywords *keywords;
	const struct team_claim *claim;
	uint32_t seq, uid, count = mail_index_view_get_messages_count(view);

	for (seq = 1; seq <= count; seq++) T_BEGIN {
		mail_index_lookup_uid(view, seq, &uid);
		claim = team_claims_find(claims, uid);
		keywords = claim == NULL ? NULL :
			team_claim_keywords_create(tbox->tuser, index,
				team_claim_keyword(claim->holder));
		if (!team_claim_keywords_clean(tbox->tuser, index, view, trans,
					       seq, keywords) &&
		    keywords != NULL) {
			mail_index_update_keywords(trans, seq, MODIFY_ADD,
						   keywords);
		}
		if (keywords != NULL)
			mail_index_keywords_unref(&keywords);
	} T_END;
}

int team_mailbox_apply_claims(struct team_mailbox *tbox,
			      const ARRAY_TYPE(team_claim) *claims)
{
	struct mail_index *index = tbox->box->index;
	struct mail_index_view *view;
	struct mail_index_transaction *trans;
	uint32_t hash = team_claims_hash(claims);
	const void *data;
	size_t size;
	int ret = 0;

	if (mail_index_refresh(index) < 0)
		return -1;
	view = mail_index_view_open(index);
	mail_index_get_header_ext(view, tbox->claims_ext_id, &data, &size);
	/* 0 is what an index has that has never seen a claim */
	if (size < sizeof(hash) ? array_count(claims) > 0 :
	    memcmp(data, &hash, sizeof(hash)) != 0) {
		trans = mail_index_transaction_begin(view, 0);
		team_mailbox_update_claims(tbox, view, trans, claims);
		mail_index_update_header_ext(trans, tbox->claims_ext_id, 0,
					     &hash, sizeof(hash));
		ret = mail_index_transaction_commit(&trans);
	}
	mail_index_view_close(&view);
	return ret;
}
