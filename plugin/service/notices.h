/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_NOTICES_H
#define TEAM_NOTICES_H

/* What former holders of claims have to be told when they look at the mailbox
   again: once, on whichever node. */

struct notices;
struct session;
struct box;
struct team_service;

struct notices *notices_init(struct team_service *service);
void notices_deinit(struct notices **notices);

/* Reads anew what there is to tell, and tells the sessions that are there. */
void notices_load(struct notices *notices);
/* The session has begun to watch the mailbox. */
void notices_watched(struct notices *notices, struct session *session,
		     const char *guid, uint32_t uidvalidity);

#endif
