/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_REPLY_H
#define TEAM_REPLY_H

/* What answers a team's message: drafts, sent mail, mail about to be sent. */

#include "team-storage-private.h"

struct team_saved_reply {
	enum team_reply kind;
	/* Message-IDs that it answers, one a line, the nearest first */
	const char *ids;
	/* its own, or NULL */
	const char *message_id;
	/* of a draft that is expunged, otherwise 0 */
	uint32_t uid;
};

/* Where a message is that is answered. */
struct team_reply_place {
	const char *guid;
	uint32_t uidvalidity, uid;
	const char *mailbox;
};

enum team_reply team_reply_kind(struct mail_save_context *ctx);
/* A draft or sent message was saved, or a draft is expunged. */
void team_reply_saved(struct team_transaction *tt, struct mail *mail,
		      enum team_reply kind);
/* The transaction was committed: claims what is answered by drafts, gives back
   what was answered by drafts that are gone, marks as answered what is answered
   by sent messages. */
void team_replies_commit(struct team_transaction *tt);
/* The Message-IDs that a message with these headers answers, one a line, the
   nearest first, from the data stack; NULL if there are none. */
const char *team_reply_ids(const char *in_reply_to, const char *references);
/* The same of a mail's headers. */
const char *team_reply_mail_ids(struct mail *mail);
/* Reads a place from four fields of the service's answer. Returns 0 or -1. */
int team_reply_place_parse(const char *const *args,
			   struct team_reply_place *place_r);
/* Opens the mailbox, if the user may and it is still the same one. Returns it,
   to be freed, or NULL. */
struct mailbox *team_reply_place_open(struct team_user *tuser,
				      const struct team_reply_place *place);
/* Records a draft or reply; fields are further ones. */
void team_reply_record(struct team_user *tuser,
		       const struct team_reply_place *place,
		       enum team_reply kind, const char *outcome,
		       const char *const *fields);
/* Does what a draft or sent message does to the nearest of the messages that it
   answers, and records it with the further fields. */
void team_reply_handle(struct team_user *tuser, const char *ids,
		       enum team_reply kind, const char *const *fields);
/* Tells the user who holds what he answers; claim may be NULL. */
void team_reply_refused(struct team_transaction *tt,
			const struct team_claim *claim);


/* team-draft.c */
void team_draft_mail_hooks(struct mail_vfuncs *v);
/* Is there a draft in the mailbox, other than those that the transaction
   expunged, that answers the first of these messages? */
bool team_draft_exists(struct team_transaction *tt, const char *ids);

#endif
