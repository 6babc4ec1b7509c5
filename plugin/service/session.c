/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions and their watches. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "llist.h"
#include "record.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "session.h"

/* Mail clients keep a few mailboxes open. */
#define SESSION_WATCHES_MAX 10000

static const char *const session_keys[] = {
	"colleague", "user", "session", "service", "ip", "tls", "client"
};

struct session *session_find(struct session *sessions, uint64_t sid)
{
	for (; sessions != NULL; sessions = sessions->next) {
		if (sessions->sid == sid)
			return sessions;
	}
	return NULL;
}

struct session *session_create(struct session **sessions,
			       struct client *client, uint64_t sid)
{
	struct session *session = i_new(struct session, 1);

	session->client = client;
	session->sid = sid;
	session->colleague = "";
	DLLIST_PREPEND(sessions, session);
	return session;
}

static int session_key_find(const char *field, unsigned int *idx_r)
{
	unsigned int i;
	size_t len;

	for (i = 0; i < N_ELEMENTS(session_keys); i++) {
		len = strlen(session_keys[i]);
		if (strncmp(field, session_keys[i], len) == 0 &&
		    field[len] == '=') {
			*idx_r = i;
			return 0;
		}
	}
	return -1;
}

int session_update(struct session *session, const char *const *fields,
		   const char **error_r)
{
	struct team_record *record = team_record_new();
	const char *const *f, *value;
	unsigned int i;
	int ret = 0;

	/* the record's own checks hold for its values */
	for (f = fields; *f != NULL && ret == 0; f++) {
		if (session_key_find(*f, &i) < 0) {
			*error_r = t_strdup_printf("unknown key: %s", *f);
			ret = -1;
		} else {
			ret = team_record_set_field(record, *f,
				TEAM_RECORD_SOURCE_JOURNAL, error_r);
		}
	}
	team_record_free(&record);
	if (ret < 0)
		return -1;
	for (f = fields; *f != NULL; f++) {
		if (session_key_find(*f, &i) < 0)
			continue;
		i_free(session->fields[i]);
		value = strchr(*f, '=');
		i_assert(value != NULL);
		if (value[1] != '\0')
			session->fields[i] = i_strdup(*f);
	}
	session->colleague = session->fields[0] == NULL ? "" :
		strchr(session->fields[0], '=') + 1;
	return 0;
}

static void watch_free(struct watch *watch)
{
	struct box *box = watch->box;

	watch->session->watches_count--;
	DLLIST_REMOVE(&box->watches, watch);
	DLLIST_REMOVE_FULL(&watch->session->watches, watch, session_prev,
			   session_next);
	i_free(watch);
	box_check_unused(box);
}

void session_free(struct session **sessions, struct session *session)
{
	unsigned int i;

	session_guards_end(session, NULL, 0);
	DLLIST_REMOVE(sessions, session);
	while (session->watches != NULL)
		watch_free(session->watches);
	for (i = 0; i < N_ELEMENTS(session->fields); i++)
		i_free(session->fields[i]);
	i_free(session);
}

void session_fill_record(const struct session *session,
			 struct team_record *record)
{
	const char *error;
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(session->fields); i++) {
		if (session->fields[i] != NULL &&
		    team_record_set_field(record, session->fields[i],
					  TEAM_RECORD_SOURCE_JOURNAL,
					  &error) < 0)
			i_panic("session's field was checked: %s", error);
	}
}

const char *session_get(const struct session *session, const char *key)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(session_keys); i++) {
		if (strcmp(session_keys[i], key) == 0) {
			return session->fields[i] == NULL ? NULL :
				strchr(session->fields[i], '=') + 1;
		}
	}
	i_unreached();
}

static struct watch *watch_find(const struct session *session,
				const struct box *box)
{
	struct watch *watch;

	for (watch = session->watches; watch != NULL;
	     watch = watch->session_next) {
		if (watch->box == box)
			return watch;
	}
	return NULL;
}

bool session_watch(struct session *session, struct boxes *boxes,
		   const char *guid, uint32_t uidvalidity)
{
	struct box *box = box_find(boxes, guid, uidvalidity);
	struct watch *watch;

	if (box != NULL && watch_find(session, box) != NULL)
		return TRUE;
	if (session->watches_count >= SESSION_WATCHES_MAX)
		return FALSE;
	session->watches_count++;
	box = box_get(boxes, guid, uidvalidity);
	watch = i_new(struct watch, 1);
	watch->session = session;
	watch->box = box;
	watch->since = ioloop_time;
	DLLIST_PREPEND(&box->watches, watch);
	DLLIST_PREPEND_FULL(&session->watches, watch, session_prev,
			    session_next);
	return TRUE;
}

void session_unwatch(struct session *session, struct boxes *boxes,
		     const char *guid, uint32_t uidvalidity)
{
	struct box *box = box_find(boxes, guid, uidvalidity);
	struct watch *watch = box == NULL ? NULL : watch_find(session, box);

	if (watch != NULL)
		watch_free(watch);
}

static bool watch_is_told(const struct watch *watch,
			  const struct session *except, const char *colleague)
{
	return watch->session != except &&
		(colleague == NULL ||
		 strcmp(watch->session->colleague, colleague) == 0);
}

void box_push(struct box *box, enum push_what what,
	      const struct session *except, const char *colleague)
{
	struct watch *watch;
	unsigned int count = 0;

	if (box == NULL)
		return;
	for (watch = box->watches; watch != NULL; watch = watch->next) {
		if (watch_is_told(watch, except, colleague))
			count++;
	}
	for (watch = box->watches; watch != NULL; watch = watch->next) {
		if (!watch_is_told(watch, except, colleague))
			continue;
		watch->pending |= what;
		client_push_later(watch->session->client, count);
	}
}
