/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_AUDIT_STORY_H
#define TEAM_AUDIT_STORY_H

/* A message's life in plain words, row by row in the order of time. Knows the
   flags that the message had before each change, where the log has seen it
   come. */

struct team_audit_row {
	const char *colleague, *action, *mailbox, *uid, *outcome, *detail;
};

struct team_audit_story *team_audit_story_init(void);
void team_audit_story_deinit(struct team_audit_story **story);
/* Says what happened, e.g. "flags: \Answered -> \Answered done". Allocated from
   the data stack. */
const char *team_audit_story_tell(struct team_audit_story *story,
				  const struct team_audit_row *row);

#endif
