/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling this node's sessions about what another one of them did. */

#include "team-common.h"
#include "strnum.h"
#include "record.h"
#include "box.h"
#include "commands.h"
#include "service.h"
#include "session.h"

static bool action_changes_mailbox(const char *action)
{
	static const char *const actions[] = {
		"read", "flag", "append", "deliver", "copy", "move", "expunge",
		"create", "delete", "rename", "draft", NULL
	};

	return str_array_find(actions, action);
}

/* Did the record change nothing but the colleague's own flags? */
static bool record_is_private(const struct team_record *record,
			      const char *action)
{
	return (strcmp(action, "read") == 0 || strcmp(action, "flag") == 0) &&
		team_record_get(record, "add") == NULL &&
		team_record_get(record, "remove") == NULL;
}

static struct box *
record_box(struct team_service *service, const struct team_record *record,
	   const char *guid_key, const char *validity_key)
{
	const char *guid = team_record_get(record, guid_key);
	const char *validity = team_record_get(record, validity_key);
	uint32_t uidvalidity;

	if (guid == NULL || validity == NULL ||
	    str_to_uint32(validity, &uidvalidity) < 0)
		return NULL;
	return box_find(service->boxes, guid, uidvalidity);
}

void notify_sessions(struct team_service *service, const char *text,
		     const struct session *session)
{
	const char *error, *action, *outcome, *colleague = NULL;
	struct team_record *record;

	record = team_record_parse(text, strlen(text), &error);
	if (record == NULL)
		return;
	action = team_record_get(record, "action");
	outcome = team_record_get(record, "outcome");
	if (null_strcmp(outcome, "ok") == 0 &&
	    action_changes_mailbox(action)) {
		if (record_is_private(record, action)) {
			colleague = team_record_get(record, "colleague");
			if (colleague == NULL)
				colleague = "";
		}
		box_push(record_box(service, record, "mailbox", "uidvalidity"),
			 PUSH_CHANGED, session, colleague);
		if (strcmp(action, "move") == 0) {
			box_push(record_box(service, record, "from",
					    "fromvalidity"),
				 PUSH_CHANGED, session, NULL);
		}
	}
	team_record_free(&record);
}
