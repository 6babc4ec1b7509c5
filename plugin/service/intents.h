/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_INTENTS_H
#define TEAM_INTENTS_H

/* Intents whose client went away without a word: after a while a gap record
   says that nobody knows whether they were carried out. Also forgets clients
   that have been away for long. */

struct ledger;
struct team_service;

/* The service's own intents stand in the ledger under this id. */
#define INTENTS_SERVICE_CLIENT "00000000000000000000000000000000"

/* Returns an id for the service's next intent, which is also its
   transaction's. */
uint64_t intents_service_id(struct ledger *ledger);

void intents_init(struct team_service *service);
void intents_deinit(void);

#endif
