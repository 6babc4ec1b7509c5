/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLAIM and ADMIN-CLAIM. */

#include "team-common.h"
#include "strnum.h"
#include "team-protocol.h"
#include "pg-conn.h"
#include "box.h"
#include "claim-request.h"
#include "client.h"
#include "commands.h"
#include "journal.h"
#include "service.h"
#include "shipper.h"

/* How long to wait until PostgreSQL has what was done before. */
#define ADMIN_SHIPPED_MSECS 3000

void command_claim(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct claim_request *creq = claim_request_new(client, session, req);

	if (creq != NULL)
		claim_request_prepare(creq);
}

static void
admin_mailbox_answer(const struct pg_answer *answer, void *context)
{
	struct claim_request *creq = context;
	struct box *box;

	if (answer->error != NULL) {
		client_send_pg_error(creq->client, creq->id, answer->action,
				     answer->error);
		claim_request_free(&creq);
		return;
	}
	if (PQntuples(answer->result) != 1 ||
	    str_to_uint32(PQgetvalue(answer->result, 0, 1),
			  &creq->uidvalidity) < 0) {
		client_send_no(creq->client, creq->id, TEAM_CODE_INVALID,
			       "no such mailbox is known");
		claim_request_free(&creq);
		return;
	}
	creq->guid = p_strdup(creq->pool,
			      PQgetvalue(answer->result, 0, 0));
	box = box_get(creq->client->service->boxes, creq->guid,
		      creq->uidvalidity);
	box_set_name(box, PQgetvalue(answer->result, 0, 2));
	claim_request_prepare(creq);
}

static void admin_claim_shipped(bool ok, void *context)
{
	struct claim_request *creq = context;
	const char *params[] = { creq->mailbox };

	if (!ok) {
		client_send_pg_error(creq->client, creq->id,
				     PG_ACTION_RECONNECT,
				     "it doesn't have this node's changes yet");
		claim_request_free(&creq);
		return;
	}
	pg_conn_request(creq->client->service->requests, "mailbox_find",
			params, N_ELEMENTS(params), admin_mailbox_answer,
			creq);
}

void command_admin_claim(struct client *client, struct session *session,
			 const struct team_request *req)
{
	struct team_service *service = client->service;
	struct claim_request *creq = claim_request_new(client, session, req);
	struct journal_status status;

	if (creq == NULL)
		return;
	creq->admin = TRUE;
	creq->mailbox = p_strdup(creq->pool, req->name);
	/* what was just made has to be known by its name */
	journal_flush(service->journal);
	journal_get_status(service->journal, &status);
	(void)shipper_wait(service->shipper, status.last_seq,
			   ADMIN_SHIPPED_MSECS, admin_claim_shipped, creq);
}
