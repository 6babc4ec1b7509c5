/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_BOX_H
#define TEAM_BOX_H

/* What the service knows about mailboxes: who watches them, and the claims
   that it has heard of, so that GUARD can be answered while PostgreSQL is
   away. */

struct boxes;
struct team_uidset;

struct box_claim {
	uint32_t uid;
	char *holder;
	/* seconds since the epoch */
	int64_t since, until;
};

struct box {
	struct boxes *boxes;
	char *guid;
	uint32_t uidvalidity;
	/* as a session named it last, or NULL */
	char *name;
	/* of session.h */
	struct watch *watches;
	/* by UID */
	ARRAY(struct box_claim) claims;
	/* up to where they are known, on which connection; 0 if they have to be
	   read anew */
	uint64_t claims_epoch;
	int64_t claims_cursor;
	/* notifications to come about claims that were changed from here */
	unsigned int own_changes;
	/* the claims are being read; they changed again meanwhile */
	bool refreshing, refresh_again;
};

struct boxes *boxes_init(void);
/* There must be no watches left. */
void boxes_deinit(struct boxes **boxes);

/* Returns the mailbox or NULL. */
struct box *box_find(struct boxes *boxes, const char *guid,
		     uint32_t uidvalidity);
/* Returns the mailbox, new if need be. A new one goes again with
   box_check_unused(). */
struct box *box_get(struct boxes *boxes, const char *guid,
		    uint32_t uidvalidity);
void box_set_name(struct box *box, const char *name);
/* Frees the mailbox if there's nothing to know about it. */
void box_check_unused(struct box *box);

/* Adds or changes a claim. Returns TRUE if it wasn't known like that. */
bool box_claim_set(struct box *box, uint32_t uid, const char *holder,
		   int64_t since, int64_t until);
/* Returns TRUE if there was one. */
bool box_claim_remove(struct box *box, uint32_t uid);
void box_claims_remove(struct box *box, const struct team_uidset *uids);
void box_claims_clear(struct box *box);

/* Calls back for all mailboxes. The callback mustn't add or free any. */
typedef void box_callback_t(struct box *box, void *context);
void boxes_foreach(struct boxes *boxes, box_callback_t *callback,
		   void *context);
/* Frees all that there's nothing to know about. */
void boxes_check_unused(struct boxes *boxes);
/* Number of live claims. */
unsigned int boxes_claims_count(struct boxes *boxes, int64_t now);
/* When the first claim ends, or 0 if there are none. */
int64_t boxes_first_until(struct boxes *boxes);

#endif
