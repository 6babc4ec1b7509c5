/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A CLAIM on its way from the client to the journal, to PostgreSQL, to the
   journal and back. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "llist.h"
#include "str.h"
#include "strnum.h"
#include "uidset.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "pg-conn.h"
#include "shipper.h"
#include "box.h"
#include "claim-request.h"
#include "client.h"
#include "commands.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

/* Every message is a row in the database. */
#define CLAIM_UIDS_MAX 100000
/* Others delete or move a message for a moment only: then it is gone, or free
   to be claimed. */
#define CLAIM_RETRY_MSECS 20
#define CLAIM_RETRIES_MAX 25

static struct claim_request *claim_requests;

struct claim_request *
claim_request_new(struct client *client, struct session *session,
		  const struct team_request *req)
{
	struct team_service *service = client->service;
	struct claim_request *creq;
	struct team_uidset set;
	const char *error;
	pool_t pool;

	if (!pg_conn_is_hopeful(service->requests)) {
		error = pg_conn_last_error(service->requests);
		client_send_pg_error(client, req->id, PG_ACTION_RECONNECT,
				     error == NULL ? "no connection" : error);
		return NULL;
	}
	if (team_uidset_parse(req->uids, &set, &error) < 0)
		i_panic("the parser let an invalid UID set through: %s", error);
	if (team_uidset_size(&set) > CLAIM_UIDS_MAX) {
		client_send_no(client, req->id, TEAM_CODE_INVALID,
			t_strdup_printf("more than %d messages at once",
					CLAIM_UIDS_MAX));
		team_uidset_free(&set);
		return NULL;
	}
	pool = pool_alloconly_create("claim request", 1024);
	creq = p_new(pool, struct claim_request, 1);
	creq->pool = pool;
	creq->client = client;
	creq->id = req->id;
	creq->sid = req->sid;
	creq->guid = p_strdup(pool, req->guid);
	creq->uidvalidity = req->uidvalidity;
	creq->colleague = p_strdup(pool, session->colleague);
	creq->session = p_strdup(pool, session_get(session, "session"));
	creq->mids = p_strdup(pool, req->mids);
	creq->to = p_strdup(pool, req->to);
	creq->op = req->op;
	creq->uids = set;
	p_array_init(&creq->groups, pool, 2);
	DLLIST_PREPEND(&claim_requests, creq);
	client_request_begin(client);
	return creq;
}

void claim_request_free(struct claim_request **_creq)
{
	struct claim_request *creq = *_creq;
	struct claim_group *group;

	*_creq = NULL;
	DLLIST_REMOVE(&claim_requests, creq);
	timeout_remove(&creq->to_retry);
	client_request_end(creq->client);
	array_foreach_modifiable(&creq->groups, group)
		team_uidset_free(&group->uids);
	team_uidset_free(&creq->granted);
	team_uidset_free(&creq->renewed);
	team_uidset_free(&creq->uids);
	pool_unref(&creq->pool);
}

bool claim_request_is_under_way(uint64_t txn)
{
	const struct claim_request *creq;

	for (creq = claim_requests; creq != NULL; creq = creq->next) {
		if (creq->txn == txn)
			return TRUE;
	}
	return FALSE;
}

static struct box *claim_request_box(struct claim_request *creq)
{
	return box_get(creq->client->service->boxes, creq->guid,
		       creq->uidvalidity);
}

/* ---- asking PostgreSQL ---- */

static pg_callback_t claim_answer, claim_many_answer;

static void
claim_statement(struct claim_request *creq, const char *statement,
		const char *const *params, unsigned int params_count)
{
	/* the notification may come before the answer */
	claim_request_box(creq)->own_changes++;
	pg_conn_request(creq->client->service->requests, statement, params,
			params_count, strcmp(statement, "claim_many") == 0 ?
			claim_many_answer : claim_answer, creq);
}

static void
claim_take_request(struct claim_request *creq, const char *node,
		   const char *multirange)
{
	const char *params[] = {
		node, creq->guid, dec2str(creq->uidvalidity), creq->colleague,
		creq->session, multirange,
		dec2str(creq->client->service->set->claim_time),
		creq->op == TEAM_CLAIM_DRAFT ? "t" : "f"
	};

	/* first those that nobody claims */
	claim_statement(creq, creq->attempts == 1 &&
			team_uidset_size(&creq->uids) > 1 ?
			"claim_many" : "claim_try", params, N_ELEMENTS(params));
}

static void
claim_give_request(struct claim_request *creq, const char *node,
		   const char *multirange)
{
	const char *params[] = {
		node, creq->guid, dec2str(creq->uidvalidity),
		/* NULL is whoever has it */
		creq->op == TEAM_CLAIM_TAKEOVER ? NULL : creq->colleague,
		creq->to != NULL ? creq->to : creq->colleague,
		/* the new holder's session isn't this one */
		creq->to != NULL ? NULL : creq->session, multirange,
		dec2str(creq->client->service->set->claim_time)
	};

	claim_statement(creq, "claim_give", params, N_ELEMENTS(params));
}

static void
claim_release_request(struct claim_request *creq, const char *node,
		      const char *multirange)
{
	const char *params[] = {
		node, creq->guid, dec2str(creq->uidvalidity), creq->colleague,
		multirange
	};

	claim_statement(creq, creq->op == TEAM_CLAIM_DROP ?
			"claim_drop" : "claim_release", params,
			N_ELEMENTS(params));
}

static void
claim_free_request(struct claim_request *creq, const char *node,
		   const char *multirange)
{
	const char *params[] = {
		node, creq->guid, dec2str(creq->uidvalidity), multirange
	};

	claim_statement(creq, "claim_free", params, N_ELEMENTS(params));
}

void claim_request_send(struct claim_request *creq)
{
	char *multirange = team_uidset_format_multirange(&creq->uids);

	creq->attempts++;
	T_BEGIN {
		const char *node = t_strdup_printf("%d",
			shipper_node_id(creq->client->service->shipper));

		switch (creq->op) {
		case TEAM_CLAIM_TAKE:
		case TEAM_CLAIM_TRY:
		case TEAM_CLAIM_DRAFT:
			claim_take_request(creq, node, multirange);
			break;
		case TEAM_CLAIM_TAKEOVER:
		case TEAM_CLAIM_GIVE:
			claim_give_request(creq, node, multirange);
			break;
		case TEAM_CLAIM_RELEASE:
		case TEAM_CLAIM_DROP:
			if (creq->admin)
				claim_free_request(creq, node, multirange);
			else
				claim_release_request(creq, node, multirange);
			break;
		}
	} T_END;
	free(multirange);
}

static void claim_prepared(const char *error, void *context)
{
	struct claim_request *creq = context;

	if (error != NULL) {
		client_send_no(creq->client, creq->id, TEAM_CODE_JOURNAL,
			       error);
		claim_request_free(&creq);
	} else if (claim_batch_takes(creq))
		claim_batch_add(creq);
	else
		claim_request_send(creq);
}

void claim_request_prepare(struct claim_request *creq)
{
	claim_journal_intent(creq, claim_prepared);
}

/* ---- what it says ---- */

static struct claim_group *
claim_group_get(struct claim_request *creq, const char *state,
		const char *holder, int64_t since, int64_t until)
{
	struct claim_group *group;

	array_foreach_modifiable(&creq->groups, group) {
		if (group->until == until && group->since == since &&
		    strcmp(group->state, state) == 0 &&
		    strcmp(group->holder, holder) == 0)
			return group;
	}
	group = array_append_space(&creq->groups);
	group->state = p_strdup(creq->pool, state);
	group->holder = p_strdup(creq->pool, holder);
	group->since = since;
	group->until = until;
	return group;
}

static void
claim_row_known(struct claim_request *creq, struct box *box, uint32_t uid,
		const char *state, const char *holder, int64_t since,
		int64_t until)
{
	struct state *cache = creq->client->service->state;

	if (strcmp(state, "released") == 0 || strcmp(state, "none") == 0)
		state_claim_remove(cache, box, uid);
	else if (strcmp(state, "taken") == 0) {
		state_claim_set(cache, box, uid, creq->to != NULL ?
				creq->to : creq->colleague, since, until);
	} else if (strcmp(state, "guarded") != 0)
		state_claim_set(cache, box, uid, holder, since, until);
}

void claim_request_row(struct claim_request *creq, struct box *box,
		       uint32_t uid, const char *state, const char *holder,
		       int64_t since, int64_t until)
{
	struct claim_group *group;
	bool held;

	claim_row_known(creq, box, uid, state, holder, since, until);
	if (strcmp(state, "none") == 0)
		return;
	if (strcmp(state, "guarded") == 0)
		state = "held";
	held = strcmp(state, "held") == 0;
	if (held || creq->admin) T_BEGIN {
		const char *const fields[] = {
			state, t_strdup_printf("%u", uid), holder,
			t_strdup_printf("%"PRId64, since),
			t_strdup_printf("%"PRId64, until), NULL
		};

		client_send_data(creq->client, creq->id, fields);
	} T_END;
	if (!held && strcmp(state, "released") != 0 && until > creq->until)
		creq->until = until;
	if (strcmp(state, "granted") == 0)
		team_uidset_add(&creq->granted, uid, uid);
	else if (strcmp(state, "renewed") == 0) {
		team_uidset_add(&creq->renewed, uid, uid);
		since = 0;
	}
	group = claim_group_get(creq, state, holder, since, until);
	team_uidset_add(&group->uids, uid, uid);
}

static void claim_undone(const struct pg_answer *answer,
			 void *context ATTR_UNUSED)
{
	if (answer->error != NULL) {
		i_error("Claims that couldn't be journalled weren't given "
			"back and last until they lapse: %s", answer->error);
	}
}

/* Nothing may stand that isn't in the journal. */
static void claim_undo(struct claim_request *creq)
{
	struct team_service *service = creq->client->service;
	char *multirange = team_uidset_format_multirange(&creq->granted);
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		creq->guid, dec2str(creq->uidvalidity), creq->colleague,
		multirange
	};

	pg_conn_request(service->requests, "claim_release", params,
			N_ELEMENTS(params), claim_undone, NULL);
	free(multirange);
}

static void claim_written(const char *error, void *context)
{
	struct claim_request *creq = context;
	char *uids;

	if (error == NULL && creq->renewed.count > 0 && !creq->admin) {
		uids = team_uidset_format(&creq->renewed);
		const char *const fields[] = { "renewed", uids, NULL };
		client_send_data(creq->client, creq->id, fields);
		free(uids);
	}
	if (error == NULL) {
		client_send_ok(creq->client, creq->id,
			       t_strdup_printf("%"PRId64, creq->until));
	} else {
		if (creq->granted.count > 0)
			claim_undo(creq);
		client_send_no(creq->client, creq->id, TEAM_CODE_JOURNAL,
			       error);
	}
	claim_request_free(&creq);
}

void claim_request_finish(struct claim_request *creq)
{
	T_BEGIN {
		claim_journal_outcome(creq, claim_written);
	} T_END;
}

void claim_request_fail(struct claim_request *creq,
			const struct pg_answer *answer)
{
	/* otherwise it's given up after a while: nobody knows */
	if (!answer->unknown)
		claim_journal_drop(creq);
	client_send_pg_error(creq->client, creq->id, answer->action,
			     answer->error);
	claim_request_free(&creq);
}

static void claim_retry(struct claim_request *creq)
{
	timeout_remove(&creq->to_retry);
	claim_request_send(creq);
}

/* Returns 1 if the message is claimed, given back or taken by this, 0 if not,
   -1 on errors. guarded: what has to be asked for again. */
static int
claim_result_row(struct claim_request *creq, struct box *box,
		 const PGresult *result, int row, struct team_uidset *guarded)
{
	const char *state = PQgetvalue(result, row, 1);
	int64_t since = 0, until = 0;
	uint32_t uid;

	if (pg_get_uid(result, row, 0, &uid) < 0 ||
	    (strcmp(state, "none") != 0 &&
	     (pg_get_int64(result, row, 3, &since) < 0 ||
	      pg_get_int64(result, row, 4, &until) < 0)))
		return -1;
	if (strcmp(state, "guarded") == 0 &&
	    creq->attempts <= CLAIM_RETRIES_MAX) {
		team_uidset_add(guarded, uid, uid);
		return 0;
	}
	claim_request_row(creq, box, uid, state, PQgetvalue(result, row, 2),
			  since, until);
	return strcmp(state, "none") != 0 && strcmp(state, "held") != 0 &&
		strcmp(state, "guarded") != 0 ? 1 : 0;
}

static void
claim_many_answer(const struct pg_answer *answer, void *context)
{
	struct claim_request *creq = context;
	struct box *box = claim_request_box(creq);

	if (answer->error == NULL && PQntuples(answer->result) == 1) {
		if (claim_many_granted(creq, box, answer->result) < 0)
			i_error("team.claim_many returned something unexpected");
		box_push(box, PUSH_CLAIMS, NULL, NULL);
	} else if (box->own_changes > 0) {
		/* no notification comes */
		box->own_changes--;
	}
	box_check_unused(box);
	if (answer->error != NULL)
		claim_request_fail(creq, answer);
	else if (creq->uids.count > 0)
		claim_request_send(creq);
	else
		claim_request_finish(creq);
}

static void
claim_answer(const struct pg_answer *answer, void *context)
{
	struct claim_request *creq = context;
	struct box *box = claim_request_box(creq);
	struct team_uidset guarded;
	bool changed = FALSE;
	int i, count, ret;

	i_zero(&guarded);
	count = answer->error != NULL ? 0 : PQntuples(answer->result);
	for (i = 0; i < count; i++) {
		ret = claim_result_row(creq, box, answer->result, i, &guarded);
		if (ret < 0)
			i_error("team.claim_* returned something unexpected");
		else if (ret > 0)
			changed = TRUE;
	}
	if (changed)
		state_claims_changed(box);
	else if (box->own_changes > 0) {
		/* no notification comes */
		box->own_changes--;
	}
	box_check_unused(box);
	if (answer->error != NULL)
		claim_request_fail(creq, answer);
	else if (guarded.count > 0) {
		team_uidset_free(&creq->uids);
		creq->uids = guarded;
		creq->to_retry = timeout_add_short(CLAIM_RETRY_MSECS,
						   claim_retry, creq);
	} else
		claim_request_finish(creq);
}

void claim_requests_deinit(void)
{
	struct claim_request *creq, *next;

	claim_batch_deinit();
	for (creq = claim_requests; creq != NULL; creq = next) {
		next = creq->next;
		if (creq->to_retry != NULL)
			claim_request_free(&creq);
	}
}
