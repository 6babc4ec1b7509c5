/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking claims and giving them back: PostgreSQL knows who holds what. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "imap-seqset.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "compat-acl.h"
#include "team-reply.h"
#include "team-claims.h"
#include "team-record.h"

/* In one request: it takes a fraction of the time that a command waits. */
#define CLAIM_UIDS_MAX 10000

bool team_mail_is_claimed_by_self(struct team_user *tuser, struct mail *mail)
{
	const char *const *keywords = mail_get_keywords(mail);

	return str_array_icase_find(keywords, tuser->claim_keyword);
}

static void
team_transaction_add_renewed(struct team_transaction *tt, const char *uids)
{
	ARRAY_TYPE(seq_range) set;

	t_array_init(&set, 8);
	if (imap_seq_set_nostar_parse(uids, &set) == 0)
		seq_range_array_merge(&tt->renewed, &set);
}

static void
team_claim_request_some(struct team_transaction *tt, const char *op,
		   ARRAY_TYPE(seq_range) *uids, ARRAY_TYPE(team_claim) *held)
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
		team_mids_add(mids, message->uid, message->message_id);
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
			if (held != NULL)
				team_transaction_refuse(tt, uid, NULL);
		array_clear(uids);
		return;
	}
	array_foreach_elem(&answer.data, data) {
		if (str_array_length(data) == 2 &&
		    strcmp(data[0], "renewed") == 0)
			team_transaction_add_renewed(tt, data[1]);
		if (str_array_length(data) < 5 || strcmp(data[0], "held") != 0 ||
		    str_to_uint32(data[1], &claim.uid) < 0 ||
		    str_to_intmax(data[3], &since) < 0 ||
		    str_to_intmax(data[4], &until) < 0)
			continue;
		claim.holder = data[2];
		claim.since = since;
		claim.until = until;
		seq_range_array_remove(uids, claim.uid);
		if (held != NULL)
			array_push_back(held, &claim);
	}
}

void team_uids_take(ARRAY_TYPE(seq_range) *uids, unsigned int max,
		    ARRAY_TYPE(seq_range) *part)
{
	const struct seq_range *range;
	unsigned int left = max;

	array_clear(part);
	array_foreach(uids, range) {
		if (range->seq2 - range->seq1 >= left) {
			if (left > 0) {
				seq_range_array_add_range(part, range->seq1,
					range->seq1 + left - 1);
			}
			break;
		}
		seq_range_array_add_range(part, range->seq1, range->seq2);
		left -= range->seq2 - range->seq1 + 1;
	}
	seq_range_array_remove_seq_range(uids, part);
}

/* Removes those that a colleague holds from uids and adds them to held. If claims
   can't be had now, all are removed and, if held isn't NULL, refused. */
static void
team_claim_request(struct team_transaction *tt, const char *op,
		   ARRAY_TYPE(seq_range) *uids, ARRAY_TYPE(team_claim) *held)
{
	ARRAY_TYPE(seq_range) rest, part;

	t_array_init(&rest, array_count(uids) + 1);
	t_array_init(&part, 8);
	array_append_array(&rest, uids);
	array_clear(uids);
	while (array_count(&rest) > 0) {
		team_uids_take(&rest, CLAIM_UIDS_MAX, &part);
		team_claim_request_some(tt, op, &part, held);
		seq_range_array_merge(uids, &part);
	}
}

static void
team_claims_refuse(struct team_transaction *tt,
		   const ARRAY_TYPE(team_claim) *held)
{
	const struct team_claim *claim;

	array_foreach(held, claim)
		team_transaction_refuse(tt, claim->uid, claim);
}

/* Who may administer the mailbox may take over. */
static bool team_transaction_may_take_over(struct team_transaction *tt)
{
	/* saving a draft is no wish to take something from somebody */
	return tt->reply == TEAM_REPLY_NONE &&
		compat_mailbox_may_administer(tt->t->box,
					      tt->tuser->colleague);
}

static void
team_transaction_take_over(struct team_transaction *tt,
			   const ARRAY_TYPE(team_claim) *held)
{
	ARRAY_TYPE(team_claim) still_held;
	ARRAY_TYPE(seq_range) uids;
	const struct team_claim *claim;

	t_array_init(&uids, 8);
	t_array_init(&still_held, 8);
	array_foreach(held, claim)
		seq_range_array_add(&uids, claim->uid);
	team_claim_request(tt, "takeover", &uids, &still_held);
	team_claims_refuse(tt, &still_held);
	seq_range_array_merge(&tt->takes, &uids);
}

/* Another session may have moved or expunged messages just before they were
   claimed: such claims are given back. */
static void team_transaction_drop_gone(struct team_transaction *tt)
{
	struct mail_index_view *view;
	ARRAY_TYPE(seq_range) gone;
	struct seq_range_iter iter;
	uint32_t uid, seq;
	unsigned int n;

	if (array_count(&tt->takes) == 0 ||
	    mail_index_refresh(tt->t->box->index) < 0)
		return;
	t_array_init(&gone, 8);
	view = mail_index_view_open(tt->t->box->index);
	for (n = 0, seq_range_array_iter_init(&iter, &tt->takes);
	     seq_range_array_iter_nth(&iter, n, &uid); n++) {
		if (!mail_index_lookup_seq(view, uid, &seq))
			seq_range_array_add(&gone, uid);
	}
	mail_index_view_close(&view);
	if (array_count(&gone) == 0)
		return;
	seq_range_array_remove_seq_range(&tt->takes, &gone);
	team_claim_request(tt, "release", &gone, NULL);
}

static void team_transaction_take(struct team_transaction *tt)
{
	ARRAY_TYPE(team_claim) held;
	bool may_take_over = team_transaction_may_take_over(tt);

	t_array_init(&held, 8);
	team_claim_request(tt, tt->reply == TEAM_REPLY_DRAFT ? "draft" :
			   may_take_over ? "try" : "take", &tt->takes, &held);
	if (array_count(&held) == 0)
		;
	else if (may_take_over)
		team_transaction_take_over(tt, &held);
	else
		team_claims_refuse(tt, &held);
}

void team_transaction_claims(struct team_transaction *tt)
{
	ARRAY_TYPE(team_claim) held;

	t_array_init(&held, 8);
	if (array_count(&tt->takes) > 0) {
		team_transaction_take(tt);
		team_transaction_drop_gone(tt);
		team_transaction_show_claims(tt, &tt->takes,
					     tt->tuser->claim_keyword);
	}
	if (array_count(&tt->releases) > 0) {
		team_claim_request(tt, "release", &tt->releases, &held);
		team_claims_refuse(tt, &held);
		team_transaction_show_claims(tt, &tt->releases, NULL);
	}
	if (array_count(&tt->answered) > 0) {
		/* given back because of something else, which stands. If that
		   can't be done now, they lapse. */
		team_claim_request(tt, "release", &tt->answered, NULL);
		team_transaction_show_claims(tt, &tt->answered, NULL);
	}
}

void team_transaction_release_taken(struct team_transaction *tt)
{
	/* what was held before still is */
	seq_range_array_remove_seq_range(&tt->takes, &tt->renewed);
	if (array_count(&tt->takes) > 0)
		team_claim_request(tt, "release", &tt->takes, NULL);
}
