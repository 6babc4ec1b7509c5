/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_UNREAD_H
#define TEAM_UNREAD_H

/* What a colleague's processes had sent by a certain time, and the service
   hasn't read yet. Nobody waited for an answer to an intent that stands in the
   spool, so what it leads to may be seen before it is read. */

struct client;
struct unread;

/* Notes what there is on all connections with a session of the colleague,
   except one. Returns NULL if there is nothing. */
struct unread *unread_init(const struct client *except, const char *colleague);
/* Is some of it still not read? */
bool unread_is_left(struct unread *unread);
void unread_deinit(struct unread **unread);

#endif
