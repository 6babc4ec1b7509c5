/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLOCK_H
#define TEAM_CLOCK_H

struct team_service;

/* Looks after the wall clock: that somebody set it stands in the log, also if it
   was while the service was down. */
void clock_init(const struct team_service *service);
void clock_deinit(void);

#endif
