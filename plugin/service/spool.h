/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_SPOOL_H
#define TEAM_SERVICE_SPOOL_H

/* Spools: the ends of the journal that mail processes write themselves.

   A mail process gets the descriptor of a file of its own in the journal's
   folder. It writes there what has no effect but its record before it sends
   it, and then needn't wait for the answer: if it is killed, the service takes
   over what it wasn't sent; if the service is killed, the process sends it
   again; if both are, the service finds the file when it starts. The ledger
   tells what is in the journal already, so that nothing comes twice.

   What stands in a spool is worth what is sent on the socket, and no more: it
   is read as lines of a client that is the same system user. The file's name
   says who that is, which the process can't change. A lock that goes with the
   process's descriptor tells whether it is still there. */

struct client;
struct team_service;

/* Takes over what is left of former clients. */
void spools_init(struct team_service *service);
void spools_deinit(void);

/* Before the client's first request: takes over what it left on its last
   connection. Returns the descriptor of a new spool for it, the caller's, or -1
   if it gets none. */
int spool_begin(struct client *client);
/* The connection is gone: so is the spool, as soon as the process has let go
   of it and what stands in it is in the journal. */
void spool_end(const struct client *client);

#endif
