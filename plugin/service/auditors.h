/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_AUDITORS_H
#define TEAM_AUDITORS_H

/* What auditors may see is changed in the database: the log tells of it. */

struct team_service;

/* Asks which changes the log lacks, and journals them. All that was journalled
   before has to be shipped. */
void auditor_changes_look(struct team_service *service);

#endif
