/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_AUDIT_WHAT_H
#define TEAM_AUDIT_WHAT_H

/* Says in a few words what a row of the audit log changed, from its detail
   column (a JSON object as PostgreSQL writes jsonb), e.g.
     +\Seen (private)
     from Team/INBOX uid 17
   Whatever it doesn't know is shown as key=value, so nothing is hidden. If
   detail isn't a JSON object, it is returned as it is. Allocated from the data
   stack. */
const char *team_audit_what(const char *detail);

#endif
