/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_INDEX_H
#define TEAM_INDEX_H

/* Keeps the indexes of those whom one process serves apart. */

/* A mailbox whose index could be given to another whom the process serves. */
struct team_index_box {
	struct team_index_box *prev, *next;
	struct mailbox *box;
	/* the colleague, "" outside the team's mailboxes */
	const char *who;
};

/* Other mailboxes than the team's: those call the functions below. */
void team_index_mailbox_allocated(struct mailbox *box);
void team_index_box_init(struct team_index_box *ibox, struct mailbox *box,
			 const char *who);
/* To be called before the mailbox is opened. Returns 0 or -1. */
int team_index_box_open(struct team_index_box *ibox);
/* The mailbox is freed. */
void team_index_box_deinit(struct team_index_box *ibox);
void team_index_deinit(void);

#endif
