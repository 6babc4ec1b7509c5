/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection for requests: notifications and the known claims. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "randgen.h"
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
#include "commands.h"
#include "generations.h"
#include "lapse.h"
#include "listen.h"
#include "notices.h"
#include "service.h"
#include "session.h"
#include "state.h"

#include <stdlib.h>

#define STATE_TIMEOUT_MSECS 5000

static const struct pg_statement state_statements[] = {
	{ "sync_mailbox", "SELECT * FROM team.sync_mailbox($1, $2, $3)" },
	{ "unidentified", "SELECT team.unidentified($1, $2, $3)" },
	{ "identify", "SELECT FROM team.identify($1, $2, $3)" },
	{ "recover", "SELECT team.recover($1, $2, $3, $4)" },
	{ "sync_flags", "SELECT flag, first_uid, last_uid, uids "
	  "FROM team.sync_flags($1, $2, $3, $4, $5)" },
	{ "sync_claims",
	  "SELECT uid, holder, since, until, gone "
	  "FROM team.sync_claims($1, $2, $3)" },
	{ "private_known", "SELECT flags, keywords FROM team.private_known($1, "
	  "$2, $3, $4, $5, $6, timestamptz 'epoch' + $7::bigint * interval '1us')" },
	{ "node_here", "SELECT team.node_here($1)" },
	{ "who_ask", "SELECT team.who_ask($1, $2, $3)" },
	{ "who_tell", "SELECT team.who_tell($1, $2, $3)" },
	{ "who_read", "SELECT node, sessions FROM team.who_read($1)" },
	{ "claim_forget", "SELECT team.claim_forget('10 minutes')" },
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
	  "FROM team.claim_lapse($1)" },
	{ "clock", "SELECT extract(epoch FROM clock_timestamp())::bigint" },
	{ "notices",
	  "SELECT id, colleague, guid, uidvalidity, name, messages, kind, "
	  "holder, at FROM team.notices()" },
	{ "auditor_changes", "SELECT id, at, auditor, mailboxes, changed_by "
	  "FROM team.auditor_changes($1)" },
	{ "notice_tell", "SELECT id FROM team.notice_tell($1, $2)" },
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
	/* of the connection: cursors of another one say nothing */
	uint64_t epoch;
	bool was_ready;
};

struct claims_refresh {
	struct state *state;
	char *guid, *cursor;
	uint32_t uidvalidity;
};

static void claims_refresh(struct state *state, struct box *box);

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

void service_record_journal(struct team_service *service,
			    struct team_record **record,
			    journal_callback_t *callback, void *context)
{
	struct journal_entry entry;

	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_RECORDS;
	entry.at = journal_now(service->journal);
	entry.count = 1;
	entry.records = service_record_finish(record);
	(void)journal_stage(service->journal, &entry, FALSE, callback, context);
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
	lapses_expect(state->service->lapses, until);
}

void state_claim_remove(struct state *state ATTR_UNUSED, struct box *box,
			uint32_t uid)
{
	(void)box_claim_remove(box, uid);
}

const char *state_claims_cursor(struct state *state, const char *known)
{
	const char *cursor = strchr(known, '.');
	int64_t num;

	/* of this connection, or none */
	if (cursor == NULL || str_to_int64(cursor + 1, &num) < 0 ||
	    strcmp(t_strdup_until(known, cursor), dec2str(state->epoch)) != 0)
		return "0";
	return cursor + 1;
}

const char *state_claims_known(struct state *state, int64_t cursor)
{
	return t_strdup_printf("%"PRIu64".%"PRId64, state->epoch, cursor);
}

static int claims_parse(const PGresult *result, struct state_claims *claims_r)
{
	const char *error;

	i_zero(claims_r);
	if (PQntuples(result) < 1 ||
	    pg_get_int64(result, 0, 2, &claims_r->cursor) < 0)
		return -1;
	claims_r->all = strcmp(PQgetvalue(result, 0, 1), "all") == 0;
	return PQgetisnull(result, 0, 4) ? 0 : team_uidset_parse_multirange(
		PQgetvalue(result, 0, 4), &claims_r->gone, &error);
}

int state_set_claims(struct state *state, struct box *box,
		     const char *asked, const PGresult *result,
		     struct state_claims *claims_r)
{
	int i, count = PQntuples(result);
	int64_t since, until, asked_cursor, first_until = 0;
	uint32_t uid;

	if (claims_parse(result, claims_r) < 0 ||
	    str_to_int64(asked, &asked_cursor) < 0)
		return -1;
	if (claims_r->all)
		box_claims_clear(box);
	else
		box_claims_remove(box, &claims_r->gone);
	for (i = 1; i < count; i++) {
		if (pg_get_uid(result, i, 0, &uid) < 0 ||
		    pg_get_int64(result, i, 2, &since) < 0 ||
		    pg_get_int64(result, i, 3, &until) < 0)
			return -1;
		(void)box_claim_set(box, uid, PQgetvalue(result, i, 1), since,
				    until);
		if (first_until == 0 || until < first_until)
			first_until = until;
	}
	/* who asked may have known more than is known here */
	if (claims_r->all || (box->claims_epoch == state->epoch &&
			      asked_cursor <= box->claims_cursor)) {
		box->claims_epoch = state->epoch;
		box->claims_cursor = claims_r->cursor;
	}
	lapses_expect(state->service->lapses, first_until);
	return 0;
}

static void
claims_refresh_answer(const struct pg_answer *answer, void *context)
{
	struct claims_refresh *refresh = context;
	struct state_claims claims;
	struct box *box;
	bool again;

	box = box_get(refresh->state->service->boxes, refresh->guid,
		      refresh->uidvalidity);
	again = box->refresh_again;
	box->refreshing = box->refresh_again = FALSE;
	if (answer->error == NULL) {
		if (state_set_claims(refresh->state, box, refresh->cursor,
				     answer->result, &claims) < 0) {
			i_error("team.sync_claims returned something "
				"unexpected");
		}
		team_uidset_free(&claims.gone);
	}
	if (answer->error == NULL && again)
		claims_refresh(refresh->state, box);
	box_check_unused(box);
	i_free(refresh->guid);
	i_free(refresh->cursor);
	i_free(refresh);
}

/* Reads what changed of the mailbox's claims, one time after another. */
static void claims_refresh(struct state *state, struct box *box)
{
	const char *params[] = {
		box->guid, dec2str(box->uidvalidity),
		box->claims_epoch != state->epoch ? "0" :
			t_strdup_printf("%"PRId64, box->claims_cursor)
	};
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
	refresh->cursor = i_strdup(params[2]);
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
	lapses_look(state->service->lapses);
}

/* ---- connection ---- */

static void state_ready(void *context, int node_id,
			int64_t hwm ATTR_UNUSED)
{
	struct state *state = context;

	state->epoch++;
	listen_begin(state->service->requests, node_id);
	pg_conn_request(state->service->requests, "claims", NULL, 0,
			claims_all_answer, state);
	notices_load(state->service->notices);
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

/* <node id> <guid> <uidvalidity> claims | renewed | flags <colleague> |
   notice | who <request> <mailbox> | whois <request> | listen <id> |
   auditor */
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
	} else if (strcmp(args[3], "who") == 0 && args[4] != NULL &&
		   args[5] != NULL) {
		/* the name may have blanks */
		who_asked(state->service, args[4],
			  t_strarray_join(args + 5, " "));
	} else if (strcmp(args[3], "whois") == 0 && args[4] != NULL) {
		who_answered(args[4]);
	} else if (strcmp(args[3], "auditor") == 0) {
		/* with the lapses, as these wait until all is shipped */
		lapses_look(state->service->lapses);
	} else if (strcmp(args[3], "notice") == 0) {
		notices_load(state->service->notices);
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
	random_fill(&state->epoch, sizeof(state->epoch));
	/* a number that others can parse */
	state->epoch &= INT64_MAX >> 8;
	service->requests = pg_conn_init(&set, &callbacks, state);
	return state;
}

void state_deinit(struct state **_state)
{
	struct state *state = *_state;

	*_state = NULL;
	claim_requests_deinit();
	pg_conn_deinit(&state->service->requests);
	who_deinit();
	i_free(state);
}
