/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A claim goes with its message. PostgreSQL hears of a move by the log, after a
   moment: until then the one who moved the message, and holds it, claims it in
   its new place, where nobody else can be faster. */

#include "team-common.h"
#include "array.h"
#include "mail-storage-private.h"
#include "team-claims.h"
#include "team-record.h"

/* Others may add messages first: the UIDs to come are known only by then. */
#define GUARD_WINDOW 1000000

void team_claim_moves(struct team_transaction *tt, struct mail *mail,
		      unsigned int mailnum)
{
	struct team_mailbox *src = TEAM_BOX_CONTEXT_REQUIRE(mail->box);

	if (src->team && tt->tbox->team &&
	    /* these have rules of their own */
	    team_claim_mailbox_holder(src) == NULL &&
	    team_claim_mailbox_holder(tt->tbox) == NULL &&
	    team_mail_is_claimed_by_self(tt->tuser, mail))
		seq_range_array_add(&tt->moved_claims, mailnum);
}

static void
team_claim_moves_request(struct team_transaction *tt, const char *cmd,
			 uint32_t uidvalidity, const char *arg,
			 const char *uids)
{
	struct team_answer answer;
	const char *args[5], *error;

	args[0] = tt->tbox->guid;
	args[1] = dec2str(uidvalidity);
	args[2] = arg;
	args[3] = uids;
	args[4] = NULL;
	if (team_client_request(team_user_session(tt->tuser), tt->pool, cmd,
				args, &answer, &error) < 0) {
		e_error(tt->tuser->user->event, "team: %s: claims may follow "
			"late to %s", error, tt->tbox->box->vname);
	}
}

void team_claim_moves_prepare(struct team_transaction *tt)
{
	const struct mail_index_header *hdr;

	if (array_count(&tt->moved_claims) == 0 || tt->tbox->uidvalidity == 0)
		return;
	hdr = mail_index_get_header(tt->t->view);
	if (hdr->next_uid == 0 || hdr->next_uid > (uint32_t)-1 - GUARD_WINDOW)
		return;
	team_claim_moves_request(tt, "GUARD", tt->tbox->uidvalidity, "move",
		t_strdup_printf("%u:%u", hdr->next_uid,
				hdr->next_uid + GUARD_WINDOW));
	tt->moves_guarded = TRUE;
}

void team_claim_moves_commit(struct team_transaction *tt, uint32_t uidvalidity,
			     const ARRAY_TYPE(seq_range) *saved_uids)
{
	struct seq_range_iter iter, uid_iter;
	ARRAY_TYPE(seq_range) uids;
	uint32_t mailnum, uid;
	unsigned int n = 0;

	if (array_count(&tt->moved_claims) == 0)
		return;
	t_array_init(&uids, 8);
	seq_range_array_iter_init(&iter, &tt->moved_claims);
	seq_range_array_iter_init(&uid_iter, saved_uids);
	while (seq_range_array_iter_nth(&iter, n++, &mailnum)) {
		if (seq_range_array_iter_nth(&uid_iter, mailnum, &uid))
			seq_range_array_add(&uids, uid);
	}
	if (array_count(&uids) > 0) {
		team_claim_moves_request(tt, "CLAIM", uidvalidity, "take",
					 team_uidset(&uids));
	}
}

void team_claim_moves_end(struct team_transaction *tt)
{
	if (!tt->moves_guarded)
		return;
	tt->moves_guarded = FALSE;
	T_BEGIN {
		team_claim_moves_request(tt, "UNGUARD", tt->tbox->uidvalidity,
					 NULL, NULL);
	} T_END;
}
