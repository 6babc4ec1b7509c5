/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLOCK_H
#define TEAM_CLOCK_H

struct journal;

/* Looks after the wall clock: that somebody set it stands in the log. */
void clock_init(struct journal *journal);
void clock_deinit(void);

#endif
