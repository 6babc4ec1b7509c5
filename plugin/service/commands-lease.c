/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RENEW: the holder works on what he claimed. LOGOUT: he has gone. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "strnum.h"
#include "record.h"
#include "uidset.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "journal.h"
#include "journal-gap.h"
#include "pg-conn.h"
#include "shipper.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "lapse.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

/* A claim isn't renewed more often, and at least when half of it is over. */
#define RENEW_SECS 60

struct lease_request {
	struct client *client;
	uint64_t id, sid;
	char *guid;
	uint32_t uidvalidity;
};

static void lease_request_free(struct lease_request *lreq)
{
	client_request_end(lreq->client);
	i_free(lreq->guid);
	i_free(lreq);
}

static struct team_record *
lease_record(struct lease_request *lreq, const char *action, const char *guid,
	     const char *uidvalidity, const char *name, const char *uids)
{
	struct session *session = lreq->client->closed ? NULL :
		session_find(lreq->client->sessions, lreq->sid);
	struct team_record *record =
		service_record_new(lreq->client->service, action, "ok",
				   session);

	service_record_set(record, "mailbox", guid);
	service_record_set(record, "uidvalidity", uidvalidity);
	if (name != NULL && *name != '\0')
		service_record_set(record, "name", name);
	service_record_set(record, "uids", uids);
	return record;
}

/* ---- RENEW ---- */

static void renew_answer(const struct pg_answer *answer, void *context)
{
	struct lease_request *lreq = context;
	struct team_service *service = lreq->client->service;
	const PGresult *result = answer->result;
	struct team_record *record;
	struct team_uidset set;
	const char *holder = NULL;
	int64_t since, until = 0;
	struct box *box;
	uint32_t uid;
	char *uids;
	int i, count;

	if (answer->error != NULL) {
		/* the next time */
		lease_request_free(lreq);
		return;
	}
	i_zero(&set);
	box = box_get(service->boxes, lreq->guid, lreq->uidvalidity);
	count = PQntuples(result);
	for (i = 0; i < count; i++) {
		if (pg_get_uid(result, i, 0, &uid) < 0 ||
		    pg_get_int64(result, i, 3, &since) < 0 ||
		    pg_get_int64(result, i, 4, &until) < 0)
			continue;
		holder = PQgetvalue(result, i, 2);
		state_claim_set(service->state, box, uid, holder, since,
				until);
		team_uidset_add(&set, uid, uid);
	}
	if (holder != NULL) {
		uids = team_uidset_format(&set);
		record = lease_record(lreq, "renew", lreq->guid,
			t_strdup_printf("%u", lreq->uidvalidity), box->name,
			uids);
		free(uids);
		service_record_set(record, "colleague", holder);
		service_record_set(record, "d.until",
				   journal_time_text(until * 1000000));
		service_record_journal(service, &record, NULL, NULL);
	}
	team_uidset_free(&set);
	box_check_unused(box);
	lease_request_free(lreq);
}

void command_renew(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct team_service *service = client->service;
	struct box *box = box_find(service->boxes, req->guid, req->uidvalidity);
	unsigned int lease = service->set->claim_time;
	int64_t now = lapses_now(service->lapses);
	struct lease_request *lreq;
	struct box_claim *claim;
	struct team_uidset set, due;
	const char *error;
	char *multirange;

	client_send_ok(client, req->id, NULL);
	if (box == NULL || team_uidset_parse(req->uids, &set, &error) < 0)
		return;
	i_zero(&due);
	array_foreach_modifiable(&box->claims, claim) {
		if (claim->until - now <= (int64_t)lease -
		    (int64_t)I_MIN(RENEW_SECS, lease / 2) &&
		    strcmp(claim->holder, session->colleague) == 0 &&
		    team_uidset_contains(&set, claim->uid)) {
			team_uidset_add(&due, claim->uid, claim->uid);
			/* not once more before the answer, which sets it
			   right */
			claim->until = now + lease;
		}
	}
	team_uidset_free(&set);
	if (due.count == 0)
		return;
	lreq = i_new(struct lease_request, 1);
	lreq->client = client;
	lreq->sid = req->sid;
	lreq->guid = i_strdup(req->guid);
	lreq->uidvalidity = req->uidvalidity;
	client_request_begin(client);
	multirange = team_uidset_format_multirange(&due);
	team_uidset_free(&due);
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		req->guid, t_strdup_printf("%u", req->uidvalidity),
		session->colleague, multirange, t_strdup_printf("%u", lease)
	};
	pg_conn_request(service->requests, "claim_renew", params,
			N_ELEMENTS(params), renew_answer, lreq);
	free(multirange);
}

/* ---- LOGOUT ---- */

static void logout_answer(const struct pg_answer *answer, void *context)
{
	struct lease_request *lreq = context;
	struct team_service *service = lreq->client->service;
	const PGresult *result = answer->result;
	struct team_record *record;
	uint32_t uid, uidvalidity;
	struct box *box;
	int i, count;

	if (answer->error != NULL) {
		client_send_pg_error(lreq->client, lreq->id, answer->action,
				     answer->error);
		lease_request_free(lreq);
		return;
	}
	count = PQntuples(result);
	for (i = 0; i < count; i++) {
		if (str_to_uint32(PQgetvalue(result, i, 1), &uidvalidity) < 0 ||
		    pg_get_uid(result, i, 3, &uid) < 0)
			continue;
		record = lease_record(lreq, "release", PQgetvalue(result, i, 0),
				      PQgetvalue(result, i, 1),
				      PQgetvalue(result, i, 2),
				      PQgetvalue(result, i, 3));
		service_record_set(record, "colleague",
				   PQgetvalue(result, i, 4));
		service_record_journal(service, &record, NULL, NULL);
		box = box_get(service->boxes, PQgetvalue(result, i, 0),
			      uidvalidity);
		state_claim_remove(service->state, box, uid);
		state_claims_changed(box);
		box_check_unused(box);
	}
	client_send_ok(lreq->client, lreq->id, NULL);
	lease_request_free(lreq);
}

void command_logout(struct client *client, struct session *session,
		    const struct team_request *req)
{
	struct team_service *service = client->service;
	const char *name = session_get(session, "session");
	struct lease_request *lreq;

	if (name == NULL) {
		client_send_ok(client, req->id, NULL);
		return;
	}
	lreq = i_new(struct lease_request, 1);
	lreq->client = client;
	lreq->id = req->id;
	lreq->sid = req->sid;
	client_request_begin(client);
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		session->colleague, name
	};
	pg_conn_request(service->requests, "claim_logout", params,
			N_ELEMENTS(params), logout_answer, lreq);
}
