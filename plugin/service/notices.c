/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notices and TELL. All nodes know of all notices; which session shows one is
   for PostgreSQL to say, which gives it away once. */

#include "team-common.h"
#include "array.h"
#include "strnum.h"
#include "time-util.h"
#include "team-protocol.h"
#include "pg-conn.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "notices.h"
#include "service.h"
#include "session.h"

#include <time.h>

struct notice {
	int64_t id;
	const char *colleague, *guid, *text;
	uint32_t uidvalidity;
};

struct notices {
	struct team_service *service;
	/* of those that were read last */
	pool_t pool;
	ARRAY(struct notice) list;
	/* up to this sessions have been told */
	int64_t last_id;
	bool loading, load_again;
};

struct tell_request {
	struct client *client;
	uint64_t id;
};

struct notices *notices_init(struct team_service *service)
{
	struct notices *notices = i_new(struct notices, 1);

	notices->service = service;
	notices->pool = pool_alloconly_create("notices", 1024);
	p_array_init(&notices->list, notices->pool, 8);
	return notices;
}

void notices_deinit(struct notices **_notices)
{
	struct notices *notices = *_notices;

	*_notices = NULL;
	pool_unref(&notices->pool);
	i_free(notices);
}

/* ---- what there is ---- */

static const char *
notice_text(const char *mailbox, int64_t messages, const char *kind,
	    const char *holder, time_t at)
{
	const char *what, *when;

	what = messages <= 1 ? "a message that you had claimed is" :
		t_strdup_printf("%"PRId64" messages that you had claimed are",
				messages);
	if (*mailbox != '\0')
		what = t_strconcat(mailbox, ": ", what, NULL);
	when = t_strftime("%Y-%m-%d %H:%M", localtime(&at));
	if (strcmp(kind, "freed") == 0) {
		return t_strdup_printf("%s not claimed any more: an "
			"administrator released this at %s.", what, when);
	}
	return t_strdup_printf("%s now claimed by %s, since %s%s.", what, holder,
		when, strcmp(kind, "lapsed") == 0 ? ": your claim had lapsed" :
		"");
}

static bool notice_parse(struct notices *notices, const PGresult *result,
			 int row, struct notice *notice_r)
{
	int64_t messages, at;

	i_zero(notice_r);
	if (pg_get_int64(result, row, 0, &notice_r->id) < 0 ||
	    str_to_uint32(PQgetvalue(result, row, 3),
			  &notice_r->uidvalidity) < 0 ||
	    pg_get_int64(result, row, 5, &messages) < 0 ||
	    pg_get_int64(result, row, 8, &at) < 0)
		return FALSE;
	notice_r->colleague = p_strdup(notices->pool,
				       PQgetvalue(result, row, 1));
	notice_r->guid = p_strdup(notices->pool, PQgetvalue(result, row, 2));
	notice_r->text = p_strdup(notices->pool,
		notice_text(PQgetvalue(result, row, 4), messages,
			    PQgetvalue(result, row, 6),
			    PQgetvalue(result, row, 7), at));
	return TRUE;
}

static void notice_push(const struct notice *notice, struct session *session)
{
	if (strcmp(session->colleague, notice->colleague) == 0) {
		client_push_notice(session, notice->guid, notice->uidvalidity,
				   notice->id, notice->text);
	}
}

static void notice_push_all(struct notices *notices,
			    const struct notice *notice)
{
	struct box *box = box_find(notices->service->boxes, notice->guid,
				   notice->uidvalidity);
	struct watch *watch;

	if (box == NULL)
		return;
	for (watch = box->watches; watch != NULL; watch = watch->next)
		notice_push(notice, watch->session);
}

static void notices_answer(const struct pg_answer *answer, void *context)
{
	struct notices *notices = context;
	const struct notice *known;
	struct notice notice;
	int i, count;

	notices->loading = FALSE;
	if (answer->error != NULL) {
		/* with the next connection */
		notices->load_again = FALSE;
		return;
	}
	p_clear(notices->pool);
	p_array_init(&notices->list, notices->pool, 8);
	count = PQntuples(answer->result);
	for (i = 0; i < count; i++) T_BEGIN {
		if (notice_parse(notices, answer->result, i, &notice))
			array_push_back(&notices->list, &notice);
		else
			i_error("team.notices returned something unexpected");
	} T_END;
	array_foreach(&notices->list, known) {
		if (known->id > notices->last_id) {
			notices->last_id = known->id;
			notice_push_all(notices, known);
		}
	}
	if (notices->load_again) {
		notices->load_again = FALSE;
		notices_load(notices);
	}
}

void notices_load(struct notices *notices)
{
	if (notices->loading) {
		notices->load_again = TRUE;
		return;
	}
	notices->loading = TRUE;
	pg_conn_request(notices->service->requests, "notices", NULL, 0,
			notices_answer, notices);
}

void notices_watched(struct notices *notices, struct session *session,
		     const char *guid, uint32_t uidvalidity)
{
	const struct notice *notice;

	array_foreach(&notices->list, notice) {
		if (notice->uidvalidity == uidvalidity &&
		    strcmp(notice->guid, guid) == 0)
			notice_push(notice, session);
	}
}

/* ---- TELL ---- */

static void tell_answer(const struct pg_answer *answer, void *context)
{
	struct tell_request *treq = context;

	if (answer->error != NULL) {
		client_send_pg_error(treq->client, treq->id, answer->action,
				     answer->error);
	} else {
		client_send_ok(treq->client, treq->id,
			       PQntuples(answer->result) > 0 ?
			       TEAM_TELL_SHOW : NULL);
	}
	client_request_end(treq->client);
	i_free(treq);
}

void command_tell(struct client *client, struct session *session,
		  const struct team_request *req)
{
	struct tell_request *treq = i_new(struct tell_request, 1);
	const char *params[] = {
		session->colleague, t_strdup_printf("{%"PRIu64"}", req->notice)
	};

	treq->client = client;
	treq->id = req->id;
	client_request_begin(client);
	pg_conn_request(client->service->requests, "notice_tell", params,
			N_ELEMENTS(params), tell_answer, treq);
}
