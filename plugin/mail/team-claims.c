/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking claims and giving them back: PostgreSQL knows who holds what. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-storage-private.h"

bool team_mail_is_claimed_by_self(struct team_user *tuser, struct mail *mail)
{
	const char *const *keywords = mail_get_keywords(mail);

	return str_array_icase_find(keywords, tuser->claim_keyword);
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
		if (uids == &tt->answered) {
			array_clear(uids);
			return 0;
		}
		for (n = 0, seq_range_array_iter_init(&iter, uids);
		     seq_range_array_iter_nth(&iter, n, &uid); n++)
			team_transaction_refuse(tt, uid, NULL);
		array_clear(uids);
		return 0;
	}
	array_foreach_elem(&answer.data, data) {
		/* it was given back because of something else, which stands */
		if (uids == &tt->answered)
			break;
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

int team_transaction_claims(struct team_transaction *tt)
{
	if (array_count(&tt->takes) > 0) {
		if (team_claim_request(tt, "take", &tt->takes) < 0)
			return -1;
		team_transaction_show_claims(tt, &tt->takes,
					     tt->tuser->claim_keyword);
	}
	if (array_count(&tt->releases) > 0) {
		if (team_claim_request(tt, "release", &tt->releases) < 0)
			return -1;
		team_transaction_show_claims(tt, &tt->releases, NULL);
	}
	if (array_count(&tt->answered) > 0) {
		/* if it can't be given back now, it lapses */
		if (team_claim_request(tt, "release", &tt->answered) < 0)
			return -1;
		team_transaction_show_claims(tt, &tt->answered, NULL);
	}
	return 0;
}

void team_transaction_release_taken(struct team_transaction *tt)
{
	if (array_count(&tt->takes) > 0)
		(void)team_claim_request(tt, "release", &tt->takes);
}
