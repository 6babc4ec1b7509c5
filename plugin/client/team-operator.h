/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_OPERATOR_H
#define TEAM_OPERATOR_H

/* Who runs doveadm on this host, as "doveadm:<login>", allocated from the data
   stack. network: the command came from elsewhere. */
const char *team_operator_doveadm(bool network);

#endif
