/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLAIM: the journal gets to know that it is asked, PostgreSQL decides, the
   journal gets to know what it said, then comes the answer. So a claim that
   was granted while the service died doesn't go unrecorded. */

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
#include "intents.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

/* Every message is a row in the database. */
#define CLAIM_UIDS_MAX 100000

struct claim_request {
	struct client *client;
	uint64_t id, sid;
	char *guid, *colleague, *session, *mids, *to;
	uint32_t uidvalidity;
	enum team_claim_op op;
	/* an administrator is told about every message */
	bool admin;
	struct team_uidset uids;
	/* the service's intent */
	uint64_t txn;

	/* the answer */
	int64_t until;
	/* uids that this request took, to be given back if that can't be
	   journalled */
	struct team_uidset granted;
};

/* Messages with the same outcome. */
struct claim_group {
	const char *state, *holder;
	int64_t since, until;
	struct team_uidset uids;
};
ARRAY_DEFINE_TYPE(claim_group, struct claim_group);

static void claim_request_free(struct claim_request *creq)
{
	client_request_end(creq->client);
	team_uidset_free(&creq->granted);
	team_uidset_free(&creq->uids);
	i_free(creq->guid);
	i_free(creq->colleague);
	i_free(creq->session);
	i_free(creq->mids);
	i_free(creq->to);
	i_free(creq);
}

static void claim_undone(const struct pg_answer *answer,
			 void *context ATTR_UNUSED)
{
	if (answer->error != NULL) {
		i_error("Claims that couldn't be journalled weren't given "
			"back and last until they lapse: %s", answer->error);
	}
}

static void claim_release_request(struct claim_request *creq,
				  const struct team_uidset *uids,
				  pg_callback_t *callback, void *context)
{
	struct team_service *service = creq->client->service;
	char *multirange = team_uidset_format_multirange(uids);
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		creq->guid, t_strdup_printf("%u", creq->uidvalidity),
		creq->colleague, multirange
	};

	pg_conn_request(service->requests, "claim_release", params,
			N_ELEMENTS(params), callback, context);
	free(multirange);
}

static void claim_written(const char *error, void *context)
{
	struct claim_request *creq = context;

	if (error == NULL) {
		client_send_ok(creq->client, creq->id,
			       t_strdup_printf("%"PRId64, creq->until));
	} else {
		/* nothing may stand that isn't in the journal */
		if (creq->granted.count > 0) {
			claim_release_request(creq, &creq->granted,
					      claim_undone, NULL);
		}
		client_send_no(creq->client, creq->id, TEAM_CODE_JOURNAL,
			       error);
	}
	claim_request_free(creq);
}

/* ---- records ---- */

static struct team_record *
claim_record_new(struct claim_request *creq, const char *action,
		 const char *outcome, const struct team_uidset *set)
{
	struct team_service *service = creq->client->service;
	struct session *session = session_find(creq->client->sessions,
					       creq->sid);
	struct box *box = box_find(service->boxes, creq->guid,
				   creq->uidvalidity);
	struct team_record *record;
	char *uids;

	record = service_record_new(service, action, outcome, session);
	service_record_set(record, "colleague", creq->colleague);
	service_record_set(record, "mailbox", creq->guid);
	service_record_set(record, "uidvalidity",
			   t_strdup_printf("%u", creq->uidvalidity));
	if (box != NULL && box->name != NULL)
		service_record_set(record, "name", box->name);
	uids = team_uidset_format(set);
	service_record_set(record, "uids", uids);
	free(uids);
	return record;
}

static const char *claim_action(const struct claim_request *creq)
{
	switch (creq->op) {
	case TEAM_CLAIM_RELEASE:
		return "release";
	case TEAM_CLAIM_TAKEOVER:
		return "takeover";
	case TEAM_CLAIM_TAKE:
	case TEAM_CLAIM_GIVE:
		return "claim";
	}
	i_unreached();
}

static const char *claim_record(struct claim_request *creq,
				const struct claim_group *group,
				bool with_mids)
{
	bool held = strcmp(group->state, "held") == 0;
	struct team_record *record;
	const char *action;

	if (strcmp(group->state, "renewed") == 0)
		action = "renew";
	else if (strcmp(group->state, "taken") == 0)
		action = "takeover";
	else
		action = claim_action(creq);
	record = claim_record_new(creq, action, held ? "refused" : "ok",
				  &group->uids);
	if (with_mids && creq->mids != NULL)
		service_record_set(record, "mids", creq->mids);
	if (held)
		service_record_set(record, "d.holder", group->holder);
	if (strcmp(group->state, "taken") == 0)
		service_record_set(record, "d.former", group->holder);
	else if (creq->admin && creq->op == TEAM_CLAIM_RELEASE)
		service_record_set(record, "d.holder", group->holder);
	if (creq->to != NULL)
		service_record_set(record, "d.for", creq->to);
	if (held || creq->op == TEAM_CLAIM_RELEASE) {
		service_record_set(record, "d.since",
			journal_time_text(group->since * 1000000));
	}
	service_record_set(record, "d.until",
			   journal_time_text(group->until * 1000000));
	return service_record_finish(&record);
}

static struct claim_group *
claim_group_get(ARRAY_TYPE(claim_group) *groups, const char *state,
		const char *holder, int64_t since, int64_t until)
{
	struct claim_group *group;

	array_foreach_modifiable(groups, group) {
		if (group->until == until && group->since == since &&
		    strcmp(group->state, state) == 0 &&
		    strcmp(group->holder, holder) == 0)
			return group;
	}
	group = array_append_space(groups);
	group->state = t_strdup(state);
	group->holder = t_strdup(holder);
	group->since = since;
	group->until = until;
	return group;
}

/* ---- the answer's rows ---- */

static void claim_row_known(struct claim_request *creq, struct box *box,
			    uint32_t uid, const char *state,
			    const char *holder, int64_t since, int64_t until)
{
	struct state *cache = creq->client->service->state;

	if (strcmp(state, "released") == 0 || strcmp(state, "none") == 0)
		state_claim_remove(cache, box, uid);
	else if (strcmp(state, "taken") == 0) {
		state_claim_set(cache, box, uid, creq->to != NULL ?
				creq->to : creq->colleague, since, until);
	}
	else
		state_claim_set(cache, box, uid, holder, since, until);
}

static int claim_row(struct claim_request *creq, struct box *box,
		     const PGresult *result, int row,
		     ARRAY_TYPE(claim_group) *groups, bool *changed)
{
	const char *state = PQgetvalue(result, row, 1);
	const char *holder = PQgetvalue(result, row, 2);
	struct claim_group *group;
	int64_t since = 0, until = 0;
	uint32_t uid;

	if (pg_get_uid(result, row, 0, &uid) < 0)
		return -1;
	if (strcmp(state, "none") == 0) {
		claim_row_known(creq, box, uid, state, holder, 0, 0);
		return 0;
	}
	if (pg_get_int64(result, row, 3, &since) < 0 ||
	    pg_get_int64(result, row, 4, &until) < 0)
		return -1;
	claim_row_known(creq, box, uid, state, holder, since, until);
	if (strcmp(state, "held") == 0 || creq->admin) {
		const char *const fields[] = {
			state, PQgetvalue(result, row, 0), holder,
			PQgetvalue(result, row, 3), PQgetvalue(result, row, 4),
			NULL
		};

		client_send_data(creq->client, creq->id, fields);
	}
	if (strcmp(state, "held") != 0) {
		*changed = TRUE;
		if (creq->op != TEAM_CLAIM_RELEASE && until > creq->until)
			creq->until = until;
	}
	if (strcmp(state, "granted") == 0)
		team_uidset_add(&creq->granted, uid, uid);
	group = claim_group_get(groups, state, holder,
				strcmp(state, "renewed") == 0 ? 0 : since,
				until);
	team_uidset_add(&group->uids, uid, uid);
	return 0;
}

static void claim_entry_init(struct claim_request *creq,
			     struct journal_entry *entry_r,
			     enum journal_entry_type type)
{
	i_zero(entry_r);
	entry_r->type = type;
	entry_r->client_id = INTENTS_SERVICE_CLIENT;
	entry_r->txn = creq->txn;
	entry_r->at = journal_now(creq->client->service->journal);
}

/* Nothing came of it. */
static void claim_drop_intent(struct claim_request *creq)
{
	struct journal_entry entry;

	claim_entry_init(creq, &entry, JOURNAL_ENTRY_ABORT);
	(void)journal_stage(creq->client->service->journal, &entry, FALSE,
			    NULL, NULL);
}

static void claim_journal(struct claim_request *creq,
			  ARRAY_TYPE(claim_group) *groups)
{
	string_t *records = t_str_new(512);
	struct journal_entry entry;
	struct claim_group *group;

	claim_entry_init(creq, &entry, JOURNAL_ENTRY_RECORDS);
	entry.resolves = JOURNAL_RESOLVES_DONE;
	array_foreach_modifiable(groups, group) {
		if (entry.count++ > 0)
			str_append_c(records, '\n');
		str_append(records, claim_record(creq, group,
						 entry.count == 1));
		team_uidset_free(&group->uids);
	}
	if (entry.count == 0) {
		/* nothing was there to be released */
		claim_drop_intent(creq);
		claim_written(NULL, creq);
		return;
	}
	entry.records = str_c(records);
	(void)journal_stage(creq->client->service->journal, &entry, TRUE,
			    claim_written, creq);
}

/* No notification comes. */
static void claim_unchanged(struct box *box)
{
	if (box->own_changes > 0)
		box->own_changes--;
}

static void
claim_answer(const struct pg_answer *answer, void *context)
{
	struct claim_request *creq = context;
	struct team_service *service = creq->client->service;
	ARRAY_TYPE(claim_group) groups;
	struct box *box;
	int i, count;
	bool changed = FALSE;

	box = box_get(service->boxes, creq->guid, creq->uidvalidity);
	if (answer->error != NULL) {
		claim_unchanged(box);
		box_check_unused(box);
		/* otherwise it's given up after a while: nobody knows */
		if (!answer->unknown)
			claim_drop_intent(creq);
		client_send_pg_error(creq->client, creq->id, answer->action,
				     answer->error);
		claim_request_free(creq);
		return;
	}
	t_array_init(&groups, 8);
	count = PQntuples(answer->result);
	for (i = 0; i < count; i++) {
		if (claim_row(creq, box, answer->result, i, &groups,
			      &changed) < 0)
			i_error("team.claim_* returned something unexpected");
	}
	if (changed)
		box_push(box, PUSH_CLAIMS, NULL, NULL);
	else
		claim_unchanged(box);
	claim_journal(creq, &groups);
	box_check_unused(box);
}

/* ---- requests ---- */

static void
claim_take_request(struct claim_request *creq, const char *multirange)
{
	struct team_service *service = creq->client->service;
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		creq->guid, t_strdup_printf("%u", creq->uidvalidity),
		creq->colleague, creq->session, multirange,
		t_strdup_printf("%u", service->set->team_claim_time)
	};

	pg_conn_request(service->requests, "claim_take", params,
			N_ELEMENTS(params), claim_answer, creq);
}

static void
claim_give_request(struct claim_request *creq, const char *multirange)
{
	struct team_service *service = creq->client->service;
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		creq->guid, t_strdup_printf("%u", creq->uidvalidity),
		/* NULL is whoever has it */
		creq->op == TEAM_CLAIM_TAKEOVER ? NULL : creq->colleague,
		creq->to != NULL ? creq->to : creq->colleague,
		/* the new holder's session isn't this one */
		creq->to != NULL ? NULL : creq->session, multirange,
		t_strdup_printf("%u", service->set->team_claim_time)
	};

	pg_conn_request(service->requests, "claim_give", params,
			N_ELEMENTS(params), claim_answer, creq);
}

static void
claim_free_request(struct claim_request *creq, const char *multirange)
{
	struct team_service *service = creq->client->service;
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		creq->guid, t_strdup_printf("%u", creq->uidvalidity),
		multirange
	};

	pg_conn_request(service->requests, "claim_free", params,
			N_ELEMENTS(params), claim_answer, creq);
}

static void claim_request_send(struct claim_request *creq)
{
	char *multirange = team_uidset_format_multirange(&creq->uids);

	switch (creq->op) {
	case TEAM_CLAIM_TAKE:
		claim_take_request(creq, multirange);
		break;
	case TEAM_CLAIM_TAKEOVER:
	case TEAM_CLAIM_GIVE:
		claim_give_request(creq, multirange);
		break;
	case TEAM_CLAIM_RELEASE:
		if (creq->admin)
			claim_free_request(creq, multirange);
		else {
			claim_release_request(creq, &creq->uids, claim_answer,
					      creq);
		}
		break;
	}
	free(multirange);
}

static void claim_prepared(const char *error, void *context)
{
	struct claim_request *creq = context;
	struct box *box;

	if (error != NULL) {
		client_send_no(creq->client, creq->id, TEAM_CODE_JOURNAL,
			       error);
		claim_request_free(creq);
		return;
	}
	/* the notification may come before the answer */
	box = box_get(creq->client->service->boxes, creq->guid,
		      creq->uidvalidity);
	box->own_changes++;
	claim_request_send(creq);
}

/* Journals the intent; then PostgreSQL is asked. */
static void claim_prepare(struct claim_request *creq)
{
	struct team_service *service = creq->client->service;
	struct journal_entry entry;
	struct team_record *record;

	creq->txn = intents_service_id(service->ledger);
	claim_entry_init(creq, &entry, JOURNAL_ENTRY_PREPARE);
	entry.id = creq->txn;
	record = claim_record_new(creq, claim_action(creq), "ok", &creq->uids);
	entry.records = service_record_finish(&record);
	(void)journal_stage(service->journal, &entry, FALSE, claim_prepared,
			    creq);
}

/* Returns NULL if it has been answered. */
static struct claim_request *
claim_request_new(struct client *client, struct session *session,
		  const struct team_request *req)
{
	struct team_service *service = client->service;
	struct claim_request *creq;
	struct team_uidset set;
	const char *error;

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
	creq = i_new(struct claim_request, 1);
	creq->client = client;
	creq->id = req->id;
	creq->sid = req->sid;
	creq->guid = i_strdup(req->guid);
	creq->uidvalidity = req->uidvalidity;
	creq->colleague = i_strdup(session->colleague);
	creq->session = i_strdup(session_get(session, "session"));
	creq->mids = i_strdup(req->mids);
	creq->to = i_strdup(req->to);
	creq->op = req->op;
	creq->uids = set;
	client_request_begin(client);
	return creq;
}

void command_claim(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct claim_request *creq = claim_request_new(client, session, req);

	if (creq != NULL)
		claim_prepare(creq);
}

static void
admin_mailbox_answer(const struct pg_answer *answer, void *context)
{
	struct claim_request *creq = context;
	struct box *box;

	if (answer->error != NULL) {
		client_send_pg_error(creq->client, creq->id, answer->action,
				     answer->error);
		claim_request_free(creq);
		return;
	}
	if (PQntuples(answer->result) != 1 ||
	    str_to_uint32(PQgetvalue(answer->result, 0, 1),
			  &creq->uidvalidity) < 0) {
		client_send_no(creq->client, creq->id, TEAM_CODE_INVALID,
			       "no such mailbox is known");
		claim_request_free(creq);
		return;
	}
	creq->guid = i_strdup(PQgetvalue(answer->result, 0, 0));
	box = box_get(creq->client->service->boxes, creq->guid,
		      creq->uidvalidity);
	box_set_name(box, PQgetvalue(answer->result, 0, 2));
	claim_prepare(creq);
}

void command_admin_claim(struct client *client, struct session *session,
			 const struct team_request *req)
{
	struct claim_request *creq = claim_request_new(client, session, req);
	const char *params[] = { req->name };

	if (creq == NULL)
		return;
	creq->admin = TRUE;
	pg_conn_request(client->service->requests, "mailbox_find", params,
			N_ELEMENTS(params), admin_mailbox_answer, creq);
}
