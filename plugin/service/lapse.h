/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_LAPSE_H
#define TEAM_LAPSE_H

/* Claims whose time is up, by PostgreSQL's clock. */

struct lapses;
struct team_service;

struct lapses *lapses_init(struct team_service *service);
/* Nobody must call back any more: the shipper and the journal are closed. */
void lapses_deinit(struct lapses **lapses);

/* The time by PostgreSQL's clock as far as it is known, in seconds since the
   epoch. */
int64_t lapses_now(const struct lapses *lapses);
/* A claim ends at this time (0: none): lapses are looked for then, and every
   now and then in any case. */
void lapses_expect(struct lapses *lapses, int64_t until);
/* Looks for them now. */
void lapses_look(struct lapses *lapses);

#endif
