/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_AUDIT_READING_H
#define TEAM_AUDIT_READING_H

struct team_service;

/* Follows team_audit_reading. Where it was chosen otherwise before, that stands
   in the journal first. */
void audit_reading_init(struct team_service *service);
void audit_reading_deinit(void);

#endif
