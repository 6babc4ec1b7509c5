/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SYNC, KNOWN: what PostgreSQL knows. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "strnum.h"
#include "uidset.h"
#include "record.h"
#include "team-protocol.h"
#include "journal.h"
#include "pg-conn.h"
#include "shipper.h"
#include "box.h"
#include "client.h"
#include "generations.h"
#include "commands.h"
#include "service.h"
#include "session.h"
#include "state.h"
#include "unread.h"

#include <stdlib.h>

/* How long SYNC waits for changes that the colleague's other sessions have
   begun: until then nobody knows whether the private index has them. */
#define SYNC_INTENTS_MSECS 1000
#define SYNC_INTENTS_CHECK_MSECS 5
#define SYNC_CLIENT_GONE_SECS 1
/* How long SYNC waits until what this node did before has been shipped. */
#define SYNC_BARRIER_MSECS 3000
/* Longest UID set in one data line, escaping included: digits need none. */
#define SYNC_UIDSET_MAX (256*1024)

struct state_request {
	struct client *client;
	uint64_t id;
	char *guid, *colleague, *name;
	uint32_t uidvalidity;
	uint64_t cursor;
	/* SYNC: of claims */
	char *claims_cursor;
	/* KNOWN */
	bool known;

	/* SYNC: what is true of the answer at least */
	struct team_generations gens;
	/* SYNC: what the colleague's other processes had sent before */
	struct unread *unread;
	/* SYNC: intents that came after this are none of its business */
	uint64_t intents_before;
	uint64_t wait_until;
	struct timeout *to_intents;
	/* answers to come */
	unsigned int left;
	int64_t rev;
	enum pg_action action;
	char *error;
};

static struct state_request *
state_request_new(struct client *client, const struct session *session,
		  const struct team_request *req)
{
	struct state_request *sreq = i_new(struct state_request, 1);

	sreq->client = client;
	sreq->id = req->id;
	sreq->guid = i_strdup(req->guid);
	sreq->uidvalidity = req->uidvalidity;
	sreq->colleague = i_strdup(session->colleague);
	sreq->name = i_strdup(req->name);
	sreq->cursor = req->cursor;
	if (req->claims != NULL) {
		sreq->claims_cursor = i_strdup(state_claims_cursor(
			client->service->state, req->claims));
	}
	client_request_begin(client);
	return sreq;
}

static void state_request_free(struct state_request *sreq)
{
	client_request_end(sreq->client);
	unread_deinit(&sreq->unread);
	i_free(sreq->guid);
	i_free(sreq->colleague);
	i_free(sreq->name);
	i_free(sreq->claims_cursor);
	i_free(sreq->error);
	i_free(sreq);
}

void client_send_pg_error(struct client *client, uint64_t id,
			  enum pg_action action, const char *error)
{
	const char *misfit;

	if (action == PG_ACTION_GIVE_UP) {
		client_send_no(client, id, TEAM_CODE_INVALID, error);
		return;
	}
	if (action == PG_ACTION_SCHEMA) {
		misfit = pg_conn_schema_misfit(client->service->requests);
		error = misfit != NULL ? misfit : t_strconcat("The database's "
			"schema isn't as it should be, see doveadm team schema "
			"check: ", error, NULL);
	} else if (!pg_conn_is_misfit(client->service->requests)) {
		error = t_strconcat("PostgreSQL can't be reached: ", error,
				    NULL);
	}
	client_send_no(client, id, TEAM_CODE_UNAVAILABLE, error);
}

/* ---- SYNC ---- */

/* One data line, or as many as it takes. */
static void sync_send_uids(struct state_request *sreq, const char *what,
			   const struct team_uidset *set)
{
	const char *fields[3] = { what, NULL, NULL };
	size_t pos = 0;
	char *text;

	while (pos < set->count) {
		text = team_uidset_format_part(set, &pos, SYNC_UIDSET_MAX);
		fields[1] = text;
		client_send_data(sreq->client, sreq->id, fields);
		free(text);
	}
}

static void sync_send_known(struct state_request *sreq, const char *known)
{
	struct team_uidset set;
	const char *error;

	if (team_uidset_parse_multirange(known, &set, &error) < 0) {
		i_error("team.sync_mailbox returned something unexpected: %s",
			error);
		return;
	}
	sync_send_uids(sreq, "known", &set);
	team_uidset_free(&set);
}

static void sync_failed(struct state_request *sreq, enum pg_action action,
			const char *error)
{
	if (sreq->error != NULL)
		return;
	sreq->error = i_strdup(error);
	sreq->action = action;
}

static bool sync_answer_ok(struct state_request *sreq,
			   const struct pg_answer *answer)
{
	if (answer->error != NULL)
		sync_failed(sreq, answer->action, answer->error);
	return answer->error == NULL && sreq->error == NULL;
}

static const char *sync_ok_args(const struct state_request *sreq)
{
	const struct team_generations *gens = &sreq->gens;

	if (gens->epoch == 0)
		return t_strdup_printf("%"PRId64, sreq->rev);
	return t_strdup_printf("%"PRId64"\t%"PRIu64"\t%"PRIu64"\t%"PRIu64
			       "\t%"PRIu64, sreq->rev, gens->epoch,
			       gens->flags, gens->own, gens->box);
}

static void sync_answered(struct state_request *sreq)
{
	if (--sreq->left > 0)
		return;
	if (sreq->error != NULL)
		client_send_pg_error(sreq->client, sreq->id, sreq->action,
				     sreq->error);
	else
		client_send_ok(sreq->client, sreq->id, sync_ok_args(sreq));
	state_request_free(sreq);
}

static void
sync_mailbox_answer(const struct pg_answer *answer, void *context)
{
	struct state_request *sreq = context;
	int64_t history;

	if (sync_answer_ok(sreq, answer)) {
		/* older schemas know no histories */
		if (PQnfields(answer->result) <= 3 ||
		    pg_get_int64(answer->result, 0, 3, &history) < 0)
			history = 0;
		if (PQntuples(answer->result) != 1 ||
		    pg_get_int64(answer->result, 0, 0, &sreq->rev) < 0) {
			sync_failed(sreq, PG_ACTION_RETRY, "team.sync_mailbox "
				    "returned something unexpected");
		} else if (sreq->known) {
			sync_send_known(sreq, PQgetvalue(answer->result, 0, 1));
		} else if (PQnfields(answer->result) > 2 &&
			   *PQgetvalue(answer->result, 0, 2) == 't') {
			static const char *const fields[] = { "lost", NULL };

			client_send_data(sreq->client, sreq->id, fields);
		}
		sreq->rev |= history << TEAM_REV_BITS;
		generations_history(history);
	}
	sync_answered(sreq);
}

static void sync_send_flag(struct state_request *sreq, const PGresult *result,
			   int row)
{
	static const char *const refill[] = { "refill", NULL };
	struct team_uidset set;
	const char *error;
	char *text;

	if (*PQgetvalue(result, row, 0) == '\0') {
		client_send_data(sreq->client, sreq->id, refill);
		return;
	}
	if (team_uidset_parse_multirange(PQgetvalue(result, row, 3), &set,
					 &error) < 0) {
		sync_failed(sreq, PG_ACTION_RETRY, "team.sync_flags returned "
			    "something unexpected");
		return;
	}
	text = team_uidset_format(&set);
	team_uidset_free(&set);
	const char *const fields[] = {
		"flag", PQgetvalue(result, row, 0), PQgetvalue(result, row, 1),
		PQgetvalue(result, row, 2), text, NULL
	};
	client_send_data(sreq->client, sreq->id, fields);
	free(text);
}

static void
sync_flags_answer(const struct pg_answer *answer, void *context)
{
	struct state_request *sreq = context;
	int i, count;

	if (sync_answer_ok(sreq, answer)) {
		count = PQntuples(answer->result);
		for (i = 0; i < count; i++)
			sync_send_flag(sreq, answer->result, i);
	}
	sync_answered(sreq);
}

static void sync_send_claims(struct state_request *sreq, const PGresult *result,
			     const struct state_claims *claims)
{
	const char *const claims_fields[] = {
		"claims", claims->all ? "all" : "changed",
		state_claims_known(sreq->client->service->state,
				   claims->cursor), NULL
	};
	int i, count = PQntuples(result);

	client_send_data(sreq->client, sreq->id, claims_fields);
	sync_send_uids(sreq, "unclaimed", &claims->gone);
	for (i = 1; i < count; i++) {
		const char *const fields[] = {
			"claim", PQgetvalue(result, i, 0),
			PQgetvalue(result, i, 1), PQgetvalue(result, i, 2),
			PQgetvalue(result, i, 3), NULL
		};
		client_send_data(sreq->client, sreq->id, fields);
	}
}

static void
sync_claims_answer(const struct pg_answer *answer, void *context)
{
	struct state_request *sreq = context;
	struct team_service *service = sreq->client->service;
	struct state_claims claims;
	struct box *box;

	if (sync_answer_ok(sreq, answer)) {
		box = box_get(service->boxes, sreq->guid, sreq->uidvalidity);
		box_set_name(box, sreq->name);
		if (state_set_claims(service->state, box, sreq->claims_cursor,
				     answer->result, &claims) < 0) {
			sync_failed(sreq, PG_ACTION_RETRY, "team.sync_claims "
				    "returned something unexpected");
		} else
			sync_send_claims(sreq, answer->result, &claims);
		team_uidset_free(&claims.gone);
		box_check_unused(box);
	}
	sync_answered(sreq);
}

static void sync_barrier_done(bool ok, void *context)
{
	struct state_request *sreq = context;
	struct team_service *service = sreq->client->service;
	const char *uidvalidity = t_strdup_printf("%u", sreq->uidvalidity);
	const char *mailbox_params[] = {
		sreq->guid, uidvalidity, sreq->name
	};
	/* not for any node: the replica may have lost what this one did */
	const char *flags_params[] = {
		"-1", sreq->guid, uidvalidity, sreq->colleague,
		t_strdup_printf("%"PRIu64, TEAM_REV_NUMBER(sreq->cursor))
	};
	const char *claims_params[] = {
		sreq->guid, uidvalidity, sreq->claims_cursor
	};

	if (!ok || !pg_conn_is_hopeful(service->requests)) {
		sreq->left = 1;
		sync_failed(sreq, PG_ACTION_RECONNECT, ok ?
			    "the connection was lost" :
			    "it doesn't have this node's changes yet");
		sync_answered(sreq);
		return;
	}
	/* the revision first: flags that are changed meanwhile are read then,
	   and once more the next time */
	sreq->left = 3;
	pg_conn_request(service->requests, "sync_mailbox", mailbox_params,
			N_ELEMENTS(mailbox_params), sync_mailbox_answer, sreq);
	pg_conn_request(service->requests, "sync_flags", flags_params,
			N_ELEMENTS(flags_params), sync_flags_answer, sreq);
	pg_conn_request(service->requests, "sync_claims", claims_params,
			N_ELEMENTS(claims_params), sync_claims_answer, sreq);
}

struct sync_intents {
	const struct state_request *sreq;
	bool found;
};

static void sync_find_intents(struct ledger_client *lclient, void *context)
{
	struct sync_intents *intents = context;
	const struct state_request *sreq = intents->sreq;
	const struct ledger_intent *intent;
	struct team_record *record;
	const char *error;

	/* a process that is gone changes nothing any more */
	if (lclient->last_seen != 0 &&
	    lclient->last_seen + SYNC_CLIENT_GONE_SECS < ioloop_time)
		return;
	for (intent = lclient->intents; intent != NULL && !intents->found;
	     intent = intent->next) {
		if (intent->given_up || intent->at >= sreq->intents_before)
			continue;
		record = team_record_parse(intent->record,
					   strlen(intent->record), &error);
		if (record == NULL)
			continue;
		if (null_strcmp(team_record_get(record, "mailbox"),
				sreq->guid) == 0 &&
		    null_strcmp(team_record_get(record, "colleague"),
				sreq->colleague) == 0)
			intents->found = TRUE;
		team_record_free(&record);
	}
}

static bool sync_has_intents(struct state_request *sreq)
{
	struct team_service *service = sreq->client->service;
	struct sync_intents intents = { .sreq = sreq };

	journal_flush(service->journal);
	if (ledger_intents_count(service->ledger) == 0)
		return FALSE;
	ledger_foreach(service->ledger, sync_find_intents, &intents);
	return intents.found;
}

/* From now on the answer may lack what is changed. */
static void sync_set_begin(struct state_request *sreq)
{
	struct journal *journal = sreq->client->service->journal;

	unread_deinit(&sreq->unread);
	journal_flush(journal);
	sreq->intents_before = journal_now(journal) + 1;
	generations_get(sreq->guid, sreq->uidvalidity, sreq->colleague,
			&sreq->gens);
}

/* Is what the colleague's other sessions do to be waited for? */
static bool sync_has_begun_before(struct state_request *sreq)
{
	if (sreq->unread != NULL) {
		if (unread_is_left(sreq->unread))
			return TRUE;
		sync_set_begin(sreq);
	}
	return sync_has_intents(sreq);
}

static void sync_begin(struct state_request *sreq)
{
	struct team_service *service = sreq->client->service;
	struct journal_status status;

	if (sync_has_begun_before(sreq)) {
		if (journal_now(service->journal) > sreq->wait_until) {
			timeout_remove(&sreq->to_intents);
			client_send_no(sreq->client, sreq->id,
				       TEAM_CODE_UNAVAILABLE, "the colleague's "
				       "other session isn't done yet");
			state_request_free(sreq);
			return;
		}
		if (sreq->to_intents == NULL) {
			sreq->to_intents =
				timeout_add_short(SYNC_INTENTS_CHECK_MSECS,
						  sync_begin, sreq);
		}
		return;
	}
	timeout_remove(&sreq->to_intents);
	journal_get_status(service->journal, &status);
	(void)shipper_wait(service->shipper, status.last_seq,
			   SYNC_BARRIER_MSECS, sync_barrier_done, sreq);
}

void command_sync(struct client *client, struct session *session,
		  const struct team_request *req)
{
	struct team_service *service = client->service;
	struct state_request *sreq = state_request_new(client, session, req);

	sreq->wait_until = journal_now(service->journal) +
		SYNC_INTENTS_MSECS * 1000;
	sreq->unread = unread_init(client, sreq->colleague);
	if (sreq->unread == NULL)
		sync_set_begin(sreq);
	sync_begin(sreq);
}

void command_known(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct team_service *service = client->service;
	struct state_request *sreq = state_request_new(client, session, req);
	const char *params[] = {
		sreq->guid, dec2str(sreq->uidvalidity), sreq->name
	};

	sreq->known = TRUE;
	sreq->left = 1;
	if (!pg_conn_is_hopeful(service->requests)) {
		sync_failed(sreq, PG_ACTION_RECONNECT, "it is away");
		sync_answered(sreq);
		return;
	}
	pg_conn_request(service->requests, "sync_mailbox", params,
			N_ELEMENTS(params), sync_mailbox_answer, sreq);
}
