/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLAIMS_H
#define TEAM_CLAIMS_H

/* Claims in mail processes: asking for them, showing them, and guarding what
   they protect. */

#include "team-storage-private.h"

/* team-guard.c */
/* The command names these messages: if it needs to, it guards them at once. */
void team_transaction_search(struct mailbox_transaction_context *t,
			     const struct mail_search_args *args);
/* Returns the claim of a colleague that stands against changing the message,
   or NULL: then nobody can claim it until the transaction ends. */
const struct team_claim *
team_transaction_held(struct team_transaction *tt, uint32_t uid);
/* Remembers to tell the client. claim is NULL if claims can't be had. */
void team_transaction_refuse(struct team_transaction *tt, uint32_t uid,
			     const struct team_claim *claim);
/* The transaction is over. */
void team_transaction_unguard(struct team_transaction *tt);
/* The mailbox was synced or is closed. */
void team_mailbox_unguard(struct team_mailbox *tbox);

/* team-claim-show.c */
/* Does setting the keyword claim a message? */
bool team_keyword_is_claim(struct team_user *tuser, const char *keyword);
/* Does it show who holds a message? */
bool team_keyword_is_shown(struct team_user *tuser, const char *keyword);
/* Is it one that only claims set and remove? */
bool team_keyword_is_managed(struct team_user *tuser, const char *keyword);
/* Writes to the transaction that somebody claimed the messages, or nobody if
   holder_keyword is NULL. */
void team_transaction_show_claims(struct team_transaction *tt,
				  const ARRAY_TYPE(seq_range) *uids,
				  const char *holder_keyword);
/* The sum of the claims that the shared index shows. */
uint32_t team_claims_shown_sum(struct team_mailbox *tbox);
/* What a claim adds to the sum. */
uint32_t team_claim_sum(uint32_t uid, const char *holder_keyword);
/* Brings the keywords of the shared index in line with the claims, which are
   in the order of UIDs and have this sum. Returns 0 or -1. */
int team_mailbox_show_claims(struct team_mailbox *tbox,
			     const ARRAY_TYPE(team_claim) *claims,
			     uint32_t sum);

/* team-claims-seen.c */
/* What the service says about a mailbox's claims. */
struct team_claims_answer {
	/* these are all, otherwise what became of those that were changed */
	bool all;
	/* NULL if it says nothing */
	const char *cursor;
	ARRAY_TYPE(team_claim) claims;
	ARRAY_TYPE(seq_range) unclaimed;
};
/* Brings what was seen last up to the answer and shows it. Returns 0, or -1 if
   that can't be done now. */
int team_mailbox_apply_claims(struct team_mailbox *tbox,
			      const struct team_claims_answer *answer);
void team_mailbox_forget_claims(struct team_mailbox *tbox);

/* team-claims.c */
/* Does the message show that the user holds it? */
bool team_mail_is_claimed_by_self(struct team_user *tuser, struct mail *mail);
/* Asks for the claims that the transaction wants and writes the keywords of
   those granted; the others are refused. */
void team_transaction_claims(struct team_transaction *tt);
/* Moves the first max messages of uids to part. */
void team_uids_take(ARRAY_TYPE(seq_range) *uids, unsigned int max,
		    ARRAY_TYPE(seq_range) *part);
/* Gives back what the transaction took, since it can't be committed. */
void team_transaction_release_taken(struct team_transaction *tt);
/* "claimed-<colleague>" as a keyword. */
const char *team_claim_keyword(const char *colleague);

/* team-claim-mailbox.c */
/* The colleague whose the mailbox's messages are, or NULL. */
const char *team_claim_mailbox_holder(struct team_mailbox *tbox);
/* The mailbox couldn't be opened: makes it if it is such a folder and somebody
   wants to save in it. Returns TRUE if it is there now, to be opened. */
bool team_claim_mailbox_create(struct team_mailbox *tbox);
/* Messages were saved. */
void team_claim_mailbox_saved(struct team_transaction *tt,
			      const struct team_save_group *group,
			      uint32_t uidvalidity);

/* team-claim-move.c */
/* The mail is moved to be the mailnum-th message of the transaction. */
void team_claim_moves(struct team_transaction *tt, struct mail *mail,
		      unsigned int mailnum);
/* Before the transaction is committed: sees to it that nobody can claim what
   its user holds in its new place before he does. */
void team_claim_moves_prepare(struct team_transaction *tt);
/* The transaction is over. */
void team_claim_moves_end(struct team_transaction *tt);
/* It was committed: claims it there. */
void team_claim_moves_commit(struct team_transaction *tt, uint32_t uidvalidity,
			     const ARRAY_TYPE(seq_range) *saved_uids);

/* team-lease.c */
/* The user reads or changes the message: if he holds it, the claim is renewed
   when team_mailbox_renew() is called. */
void team_mailbox_touch(struct mail *mail);
/* To be called after a sync. */
void team_mailbox_find_own_claims(struct team_mailbox *tbox);
void team_mailbox_renew(struct team_mailbox *tbox);
void team_user_add_alert(struct team_user *tuser, const char *text);
/* "<number> <text>": an alert, unless another of the user's sessions shows
   it. */
void team_user_add_notice(struct team_user *tuser, const char *notice);
void team_user_free_notices(struct team_user *tuser);
/* Gives back what was claimed, if it is set so. */
void team_user_logout(struct team_user *tuser);

#endif
