/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notifications, the known claims, and claims that lapse. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "str.h"
#include "strnum.h"
#include "record.h"
#include "team-settings.h"
#include "journal.h"
#include "journal-gap.h"
#include "uidset.h"
#include "box.h"
#include "claim-request.h"
#include "client.h"
#include "generations.h"
#include "listen.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

#define STATE_TIMEOUT_MSECS 5000
#define STATE_LAPSE_MSECS 30000

static const struct pg_statement state_statements[] = {
	{ "sync_mailbox",
	  "SELECT rev, known FROM team.sync_mailbox($1, $2, $3)" },
	{ "sync_flags",
	  "SELECT flag, first_uid, last_uid, uids "
	  "FROM team.sync_flags($1, $2, $3, $4, $5)" },
	{ "sync_claims",
	  "SELECT uid, holder, since, until FROM team.sync_claims($1, $2)" },
	{ "claim_try",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.claim_try($1, $2, $3, $4, $5, $6, $7, $8)" },
	{ "claim_batch",
	  "SELECT n, since, until "
	  "FROM team.claim_batch($1, $2, $3, $4, $5, $6, $7, $8)" },
	{ "claim_many", "SELECT uids, since, until "
	  "FROM team.claim_many($1, $2, $3, $4, $5, $6, $7, $8)" },
	{ "claim_drop",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.claim_drop($1, $2, $3, $4, $5)" },
	{ "claim_release",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.claim_release($1, $2, $3, $4, $5)" },
	{ "claim_renew",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.claim_renew($1, $2, $3, $4, $5, $6)" },
	{ "claim_give",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.claim_give($1, $2, $3, $4, $5, $6, $7, $8)" },
	{ "claim_free",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.claim_free($1, $2, $3, $4)" },
	{ "claim_logout",
	  "SELECT guid, uidvalidity, name, uid, holder, since, until "
	  "FROM team.claim_logout($1, $2, $3)" },
	{ "message_find",
	  "SELECT guid, uidvalidity, uid, name FROM team.message_find($1)" },
	{ "reply_check",
	  "SELECT state, guid, uidvalidity, uid, name, holder, since, until, "
	  "CASE WHEN told THEN 'told' ELSE '' END "
	  "FROM team.reply_check($1, $2, $3)" },
	{ "mailbox_find",
	  "SELECT guid, uidvalidity, name FROM team.mailbox_find($1)" },
	{ "guard_begin",
	  "SELECT uid, state, holder, since, until "
	  "FROM team.guard_begin($1, $2, $3, $4, $5)" },
	{ "guard_end", "SELECT team.guard_end($1)" },
	{ "claim_lapse",
	  "SELECT guid, uidvalidity, name, uid, holder, since, until "
	  "FROM team.claim_lapse()" },
	{ "claims",
	  "SELECT guid, uidvalidity, uid, holder, "
	  "extract(epoch FROM since)::bigint, "
	  "extract(epoch FROM until)::bigint FROM team.claims(NULL)" },
	LISTEN_STATEMENT,
	{ "add_note", "SELECT team.add_note($1, $2, $3)" },
	{ NULL, NULL }
};

struct state {
	struct team_service *service;
	struct timeout *to_lapse;
	/* when to_lapse is due, in seconds since the epoch */
	int64_t lapse_at;
	bool lapsing, was_ready;
};

struct claims_refresh {
	struct state *state;
	char *guid;
	uint32_t uidvalidity;
};

static void state_lapse(struct state *state);
static void claims_refresh(struct state *state, struct box *box);

int64_t state_now(void)
{
	return time(NULL);
}

/* ---- records ---- */

void service_record_set(struct team_record *record, const char *key,
			const char *value)
{
	const char *error;

	if (team_record_set(record, key, value, TEAM_RECORD_SOURCE_JOURNAL,
			    &error) < 0)
		i_error("Record lacks %s=%s: %s", key, value, error);
}

struct team_record *
service_record_new(struct team_service *service, const char *action,
		   const char *outcome, const struct session *session)
{
	struct team_record *record = team_record_new();

	service_record_set(record, "at", t_strdup_printf("%"PRIu64,
			   journal_now(service->journal)));
	service_record_set(record, "action", action);
	service_record_set(record, "outcome", outcome);
	if (session != NULL)
		session_fill_record(session, record);
	else
		service_record_set(record, "service", "team");
	return record;
}

const char *service_record_finish(struct team_record **record)
{
	char *text = team_record_format(*record);
	const char *copy = t_strdup(text);

	free(text);
	team_record_free(record);
	return copy;
}

/* ---- lapses ---- */

/* Makes sure that lapses are looked for when this claim has ended (0 = none),
   and every now and then. */
static void state_set_lapse_timer(struct state *state, int64_t until)
{
	int64_t now = state_now(), at = now + STATE_LAPSE_MSECS / 1000;

	/* a second late, as its end is known in whole seconds */
	if (until != 0 && until + 1 < at)
		at = I_MAX(until + 1, now + 1);
	if (state->to_lapse != NULL && state->lapse_at <= at)
		return;
	timeout_remove(&state->to_lapse);
	state->lapse_at = at;
	state->to_lapse = timeout_add_short((at - now) * 1000, state_lapse,
					    state);
}

static void state_lapse_row(struct state *state, const PGresult *result,
			    int row)
{
	struct team_service *service = state->service;
	struct team_record *record;
	struct journal_entry entry;
	const char *name;
	uint32_t uid, uidvalidity;
	int64_t until, since;
	struct box *box;

	if (str_to_uint32(PQgetvalue(result, row, 1), &uidvalidity) < 0 ||
	    pg_get_uid(result, row, 3, &uid) < 0 ||
	    pg_get_int64(result, row, 5, &since) < 0 ||
	    pg_get_int64(result, row, 6, &until) < 0) {
		i_error("team.claim_lapse returned something unexpected");
		return;
	}
	box = box_get(service->boxes, PQgetvalue(result, row, 0), uidvalidity);
	record = service_record_new(service, "lapse", "ok", NULL);
	service_record_set(record, "colleague", PQgetvalue(result, row, 4));
	service_record_set(record, "mailbox", PQgetvalue(result, row, 0));
	service_record_set(record, "uidvalidity", PQgetvalue(result, row, 1));
	name = PQgetvalue(result, row, 2);
	service_record_set(record, "name", *name != '\0' || box->name == NULL ?
			   name : box->name);
	service_record_set(record, "uids", PQgetvalue(result, row, 3));
	service_record_set(record, "d.since",
			   journal_time_text(since * 1000000));
	service_record_set(record, "d.until",
			   journal_time_text(until * 1000000));

	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_RECORDS;
	entry.at = journal_now(service->journal);
	entry.count = 1;
	entry.records = service_record_finish(&record);
	(void)journal_stage(service->journal, &entry, FALSE, NULL, NULL);
	(void)box_claim_remove(box, uid);
	state_claims_changed(box);
	box_check_unused(box);
}

static void
state_lapse_answer(const struct pg_answer *answer, void *context)
{
	struct state *state = context;
	int i, count;

	state->lapsing = FALSE;
	if (answer->error == NULL) {
		count = PQntuples(answer->result);
		for (i = 0; i < count; i++) T_BEGIN {
			state_lapse_row(state, answer->result, i);
		} T_END;
	} else if (answer->action != PG_ACTION_RECONNECT) {
		i_error("PostgreSQL: team.claim_lapse failed: %s",
			answer->error);
	}
	state_set_lapse_timer(state,
			      boxes_first_until(state->service->boxes));
}

static void state_lapse(struct state *state)
{
	timeout_remove(&state->to_lapse);
	if (!pg_conn_is_ready(state->service->requests) || state->lapsing) {
		state_set_lapse_timer(state, 0);
		return;
	}
	state->lapsing = TRUE;
	pg_conn_request(state->service->requests, "claim_lapse", NULL, 0,
			state_lapse_answer, state);
}

/* ---- known claims ---- */

void state_claims_changed(struct box *box)
{
	generations_changed(TEAM_GENERATION_BOX, box->guid, box->uidvalidity,
			    NULL);
	box_push(box, PUSH_CLAIMS, NULL, NULL);
}

void state_claim_set(struct state *state, struct box *box, uint32_t uid,
		     const char *holder, int64_t since, int64_t until)
{
	(void)box_claim_set(box, uid, holder, since, until);
	state_set_lapse_timer(state, until);
}

void state_claim_remove(struct state *state ATTR_UNUSED, struct box *box,
			uint32_t uid)
{
	(void)box_claim_remove(box, uid);
}

int state_set_claims(struct state *state, struct box *box,
		     const PGresult *result)
{
	int i, count = PQntuples(result);
	int64_t since, until, first_until = 0;
	uint32_t uid;

	box_claims_clear(box);
	for (i = 0; i < count; i++) {
		if (pg_get_uid(result, i, 0, &uid) < 0 ||
		    pg_get_int64(result, i, 2, &since) < 0 ||
		    pg_get_int64(result, i, 3, &until) < 0)
			return -1;
		(void)box_claim_set(box, uid, PQgetvalue(result, i, 1), since,
				    until);
		if (first_until == 0 || until < first_until)
			first_until = until;
	}
	state_set_lapse_timer(state, first_until);
	return 0;
}

static void
claims_refresh_answer(const struct pg_answer *answer, void *context)
{
	struct claims_refresh *refresh = context;
	struct box *box;
	bool again;

	box = box_get(refresh->state->service->boxes, refresh->guid,
		      refresh->uidvalidity);
	again = box->refresh_again;
	box->refreshing = box->refresh_again = FALSE;
	if (answer->error == NULL &&
	    state_set_claims(refresh->state, box, answer->result) < 0)
		i_error("team.sync_claims returned something unexpected");
	if (answer->error == NULL && again)
		claims_refresh(refresh->state, box);
	box_check_unused(box);
	i_free(refresh->guid);
	i_free(refresh);
}

/* Reads the mailbox's claims anew, one time after another. */
static void claims_refresh(struct state *state, struct box *box)
{
	const char *params[] = { box->guid, dec2str(box->uidvalidity) };
	struct claims_refresh *refresh;

	if (box->refreshing) {
		box->refresh_again = TRUE;
		return;
	}
	box->refreshing = TRUE;
	refresh = i_new(struct claims_refresh, 1);
	refresh->state = state;
	refresh->guid = i_strdup(box->guid);
	refresh->uidvalidity = box->uidvalidity;
	pg_conn_request(state->service->requests, "sync_claims", params,
			N_ELEMENTS(params), claims_refresh_answer, refresh);
}

static void box_forget_claims(struct box *box, void *context ATTR_UNUSED)
{
	box_claims_clear(box);
	box->own_changes = 0;
}

static void box_push_all(struct box *box, void *context ATTR_UNUSED)
{
	box_push(box, PUSH_FLAGS | PUSH_CLAIMS, NULL, NULL);
}

static void
claims_all_answer(const struct pg_answer *answer, void *context)
{
	struct state *state = context;
	struct boxes *boxes = state->service->boxes;
	int i, count;
	int64_t since, until;
	uint32_t uid, uidvalidity;

	if (answer->error != NULL)
		return;
	boxes_foreach(boxes, box_forget_claims, NULL);
	count = PQntuples(answer->result);
	for (i = 0; i < count; i++) {
		if (str_to_uint32(PQgetvalue(answer->result, i, 1),
				  &uidvalidity) < 0 ||
		    pg_get_uid(answer->result, i, 2, &uid) < 0 ||
		    pg_get_int64(answer->result, i, 4, &since) < 0 ||
		    pg_get_int64(answer->result, i, 5, &until) < 0)
			continue;
		(void)box_claim_set(box_get(boxes,
					PQgetvalue(answer->result, i, 0),
					uidvalidity),
				    uid, PQgetvalue(answer->result, i, 3),
				    since, until);
	}
	boxes_check_unused(boxes);
	/* some may have lapsed unseen */
	state_lapse(state);
}

/* ---- connection ---- */

static void state_ready(void *context, int node_id,
			int64_t hwm ATTR_UNUSED)
{
	struct state *state = context;

	listen_begin(state->service->requests, node_id);
	pg_conn_request(state->service->requests, "claims", NULL, 0,
			claims_all_answer, state);
	if (state->was_ready) {
		/* notifications were missed */
		boxes_foreach(state->service->boxes, box_push_all, NULL);
	}
	state->was_ready = TRUE;
}

static void state_claims_notified(struct state *state, struct box *box,
				  int node_id)
{
	/* before CLAIM has its answer somebody may see it already */
	generations_changed(TEAM_GENERATION_BOX, box->guid, box->uidvalidity,
			    NULL);
	if (box->own_changes > 0 &&
	    node_id == pg_conn_node_id(state->service->requests)) {
		/* what CLAIM did here is known already */
		box->own_changes--;
		return;
	}
	box_push(box, PUSH_CLAIMS, NULL, NULL);
	claims_refresh(state, box);
}

/* <former> TAB <by> TAB <uids>: the former holder is told. Names have blanks but
   no tabs. */
static void
state_notified_taken(const char *guid, uint32_t uidvalidity, const char *text)
{
	const char *const *args = t_strsplit(text, "\t");
	struct team_uidset set;
	const char *error, *what;
	uint64_t count;

	if (str_array_length(args) < 3)
		return;
	what = "A message that you had claimed";
	if (team_uidset_parse_multirange(args[2], &set, &error) == 0) {
		count = team_uidset_size(&set);
		if (count > 1) {
			what = t_strdup_printf("%"PRIu64" messages that you "
					       "had claimed", count);
		}
		team_uidset_free(&set);
	}
	clients_push_alert(args[0], guid, uidvalidity, *args[1] == '\0' ?
		t_strdup_printf("%s: an administrator released this.", what) :
		t_strdup_printf("%s: now claimed by %s.", what, args[1]));
}

/* <node id> <guid> <uidvalidity> claims | renewed | flags <colleague> |
   taken ... | listen <id> */
static void state_notified(void *context, const char *payload)
{
	struct state *state = context;
	const char *const *args = t_strsplit(payload, " ");
	const char *colleague;
	struct box *box;
	uint32_t uidvalidity;
	int node_id;

	if (str_array_length(args) < 4 || str_to_int(args[0], &node_id) < 0 ||
	    str_to_uint32(args[2], &uidvalidity) < 0) {
		i_warning("PostgreSQL: unknown notification: %s", payload);
		return;
	}
	box = box_find(state->service->boxes, args[1], uidvalidity);
	if (strcmp(args[3], "listen") == 0) {
		listen_heard(args[4]);
	} else if (strcmp(args[3], "claims") == 0) {
		box = box_get(state->service->boxes, args[1], uidvalidity);
		state_claims_notified(state, box, node_id);
		box_check_unused(box);
	} else if (strcmp(args[3], "renewed") == 0) {
		if (box != NULL &&
		    node_id != pg_conn_node_id(state->service->requests))
			claims_refresh(state, box);
	} else if (strcmp(args[3], "taken") == 0 && args[4] != NULL) {
		state_notified_taken(args[1], uidvalidity,
				     t_strarray_join(args + 4, " "));
	} else if (strcmp(args[3], "flags") == 0 && args[4] != NULL) {
		if (node_id == pg_conn_node_id(state->service->requests))
			return;
		/* the name may have blanks */
		colleague = t_strarray_join(args + 4, " ");
		generations_changed(TEAM_GENERATION_FLAGS, args[1],
				    uidvalidity, colleague);
		box_push(box, PUSH_FLAGS, NULL, colleague);
	}
}

struct state *state_init(struct team_service *service)
{
	static const struct pg_conn_callbacks callbacks = {
		.ready = state_ready,
		.lost = listen_lost,
		.notified = state_notified,
	};
	const struct pg_conn_settings set = {
		.name = "team",
		.conninfo = service->set->team_database,
		.node = service->node,
		.statements = state_statements,
		.channel = LISTEN_CHANNEL,
		.timeout_msecs = STATE_TIMEOUT_MSECS,
	};
	struct state *state = i_new(struct state, 1);

	state->service = service;
	service->requests = pg_conn_init(&set, &callbacks, state);
	state_set_lapse_timer(state, 0);
	return state;
}

void state_deinit(struct state **_state)
{
	struct state *state = *_state;

	*_state = NULL;
	claim_requests_deinit();
	pg_conn_deinit(&state->service->requests);
	timeout_remove(&state->to_lapse);
	i_free(state);
}
