/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_INTENTS_H
#define TEAM_INTENTS_H

/* Intents whose client went away without a word: after a while a gap record
   says that nobody knows whether they were carried out. Also forgets clients
   that have been away for long. */

struct team_service;

void intents_init(struct team_service *service);
void intents_deinit(void);

#endif
