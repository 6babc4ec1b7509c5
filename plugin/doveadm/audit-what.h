/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_AUDIT_WHAT_H
#define TEAM_AUDIT_WHAT_H

struct detail_field {
	const char *key, *value;
};
ARRAY_DEFINE_TYPE(detail_field, struct detail_field);

/* Takes the detail column apart, without what is the same in every row of a
   session. Returns FALSE if it isn't a JSON object. */
bool team_audit_detail_read(const char *detail,
			    ARRAY_TYPE(detail_field) *fields);
/* Takes the field out, so that only the rest is left to show. Returns its value,
   "" if it isn't there. */
const char *
team_audit_detail_take(ARRAY_TYPE(detail_field) *fields, const char *key);

/* Says in a few words what a row of the audit log changed, from its detail
   column (a JSON object as PostgreSQL writes jsonb), e.g.
     +\Seen (private)
     from Team/INBOX uid 17
   Whatever it doesn't know is shown as key=value, so nothing is hidden. If
   detail isn't a JSON object, it is returned as it is. Allocated from the data
   stack. */
const char *team_audit_what(const char *detail);

#endif
