/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GUARD and UNGUARD: messages that a session is about to delete, move or
   expunge. PostgreSQL says which of them others hold and lets nobody claim the
   rest until the guard ends: when the session says so, when it is gone, or by
   itself if this node is. */

#include "team-common.h"
#include "array.h"
#include "strnum.h"
#include "str.h"
#include "uidset.h"
#include "team-protocol.h"
#include "pg-conn.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "lapse.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

/* Longer than any command takes. */
#define GUARD_SECS "60"

struct guard_request {
	struct client *client;
	uint64_t id, sid;
	char *guid, *colleague, *uids;
	uint32_t uidvalidity;
};

static void guard_request_free(struct guard_request *greq)
{
	client_request_end(greq->client);
	i_free(greq->guid);
	i_free(greq->colleague);
	i_free(greq->uids);
	i_free(greq);
}

/* ---- ends ---- */

static void guard_ended(const struct pg_answer *answer ATTR_UNUSED,
			void *context ATTR_UNUSED)
{
	/* if it failed, the guard ends by itself */
}

static void guards_end(struct team_service *service, const char *ids)
{
	const char *params[] = { t_strdup_printf("{%s}", ids) };

	if (service->requests == NULL) {
		/* going down */
		return;
	}
	pg_conn_request(service->requests, "guard_end", params,
			N_ELEMENTS(params), guard_ended, NULL);
}

void session_guards_end(struct session *session, const char *guid,
			uint32_t uidvalidity)
{
	struct session_guard *guard;
	string_t *ids;
	unsigned int i;

	if (!array_is_created(&session->guards))
		return;
	T_BEGIN {
		ids = t_str_new(32);
		for (i = array_count(&session->guards); i > 0; i--) {
			guard = array_idx_modifiable(&session->guards, i - 1);
			if (guid != NULL &&
			    (guard->uidvalidity != uidvalidity ||
			     strcmp(guard->guid, guid) != 0))
				continue;
			if (str_len(ids) > 0)
				str_append_c(ids, ',');
			str_printfa(ids, "%"PRId64, guard->id);
			i_free(guard->guid);
			array_delete(&session->guards, i - 1, 1);
		}
		if (str_len(ids) > 0)
			guards_end(session->client->service, str_c(ids));
	} T_END;
	if (guid == NULL)
		array_free(&session->guards);
}

void command_unguard(struct client *client, struct session *session,
		     const struct team_request *req)
{
	session_guards_end(session, req->guid, req->uidvalidity);
	client_send_ok(client, req->id, NULL);
}

/* ---- begins ---- */

static void guard_send_held(struct guard_request *greq, const char *uid,
			    const char *holder, const char *since,
			    const char *until)
{
	const char *const fields[] = {
		"held", uid, holder, since, until, NULL
	};

	client_send_data(greq->client, greq->id, fields);
}

/* PostgreSQL is away: from what is known here. */
static void guard_from_known(struct guard_request *greq)
{
	struct box *box = box_find(greq->client->service->boxes, greq->guid,
				   greq->uidvalidity);
	const struct box_claim *claim;
	struct team_uidset set;
	int64_t now = lapses_now(greq->client->service->lapses);
	const char *error;

	if (box == NULL ||
	    team_uidset_parse(greq->uids, &set, &error) < 0)
		return;
	array_foreach(&box->claims, claim) {
		if (claim->until > now &&
		    strcmp(claim->holder, greq->colleague) != 0 &&
		    team_uidset_contains(&set, claim->uid)) {
			guard_send_held(greq,
				t_strdup_printf("%u", claim->uid),
				claim->holder,
				t_strdup_printf("%"PRId64, claim->since),
				t_strdup_printf("%"PRId64, claim->until));
		}
	}
	team_uidset_free(&set);
}

static void guard_begun(struct guard_request *greq, const PGresult *result,
			int row)
{
	struct session *session = greq->client->closed ? NULL :
		session_find(greq->client->sessions, greq->sid);
	struct session_guard *guard;
	int64_t id;

	if (pg_get_int64(result, row, 0, &id) < 0) {
		i_error("team.guard_begin returned something unexpected");
		return;
	}
	if (session == NULL) {
		/* it is gone meanwhile */
		guards_end(greq->client->service,
			   t_strdup_printf("%"PRId64, id));
		return;
	}
	if (!array_is_created(&session->guards))
		i_array_init(&session->guards, 2);
	guard = array_append_space(&session->guards);
	guard->id = id;
	guard->guid = i_strdup(greq->guid);
	guard->uidvalidity = greq->uidvalidity;
}

static void
guard_answer(const struct pg_answer *answer, void *context)
{
	struct guard_request *greq = context;
	const PGresult *result = answer->result;
	int i, count;

	if (answer->error != NULL && answer->action == PG_ACTION_GIVE_UP) {
		client_send_pg_error(greq->client, greq->id, answer->action,
				     answer->error);
		guard_request_free(greq);
		return;
	}
	if (answer->error != NULL) {
		guard_from_known(greq);
		client_send_ok(greq->client, greq->id, TEAM_GUARD_KNOWN);
	} else {
		count = PQntuples(result);
		for (i = 0; i < count; i++) {
			if (strcmp(PQgetvalue(result, i, 1), "guard") == 0) {
				guard_begun(greq, result, i);
				continue;
			}
			guard_send_held(greq, PQgetvalue(result, i, 0),
					PQgetvalue(result, i, 2),
					PQgetvalue(result, i, 3),
					PQgetvalue(result, i, 4));
		}
		client_send_ok(greq->client, greq->id, NULL);
	}
	guard_request_free(greq);
}

void command_guard(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct team_service *service = client->service;
	struct guard_request *greq = i_new(struct guard_request, 1);
	struct team_uidset set;
	const char *error;
	char *multirange;

	greq->client = client;
	greq->id = req->id;
	greq->sid = req->sid;
	greq->guid = i_strdup(req->guid);
	greq->uidvalidity = req->uidvalidity;
	greq->colleague = i_strdup(session->colleague);
	greq->uids = i_strdup(req->uids);
	client_request_begin(client);

	if (team_uidset_parse(req->uids, &set, &error) < 0)
		i_panic("the parser let an invalid UID set through: %s", error);
	multirange = team_uidset_format_multirange(&set);
	team_uidset_free(&set);
	const char *params[] = {
		req->guid, t_strdup_printf("%u", req->uidvalidity),
		session->colleague, multirange, GUARD_SECS
	};
	pg_conn_request(service->requests, "guard_begin", params,
			N_ELEMENTS(params), guard_answer, greq);
	free(multirange);
}
