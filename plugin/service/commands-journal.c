/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* EVENT, PREPARE, COMMIT, ABORT: what is answered once it stands in the
   journal. Answers come in the order of the requests. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "str.h"
#include "record.h"
#include "record-final.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "journal.h"
#include "journal-frame.h"
#include "shipper.h"
#include "client.h"
#include "generations.h"
#include "commands.h"
#include "service.h"
#include "session.h"

/* Records of a client's open intents. */
#define INTENTS_SIZE_MAX (JOURNAL_FRAME_MAX_SIZE / 4)
/* With team_commit=remote, how long an answer waits for PostgreSQL. */
#define REMOTE_COMMIT_MSECS 8000
#define REMOTE_WARN_SECS 60

struct journal_request {
	struct client *client;
	uint64_t id, sid;
	/* of the last record that has to be shipped for team_commit=remote */
	uint64_t seq;
	/* PREPARE: what is answered, 0 for nothing */
	uint64_t own;
	/* about which other sessions are told */
	ARRAY(char *) records;
};

/* ---- answers ---- */

static struct journal_request *
journal_request_new(struct client *client, const struct team_request *req)
{
	struct journal_request *jreq = i_new(struct journal_request, 1);

	jreq->client = client;
	jreq->id = req->id;
	jreq->sid = req->sid;
	i_array_init(&jreq->records, 1);
	client_request_begin(client);
	return jreq;
}

static void journal_request_free(struct journal_request *jreq)
{
	char *record;

	array_foreach_elem(&jreq->records, record)
		i_free(record);
	array_free(&jreq->records);
	client_request_end(jreq->client);
	i_free(jreq);
}

static void journal_request_answer(struct journal_request *jreq)
{
	client_send_ok(jreq->client, jreq->id, jreq->own == 0 ? NULL :
		       t_strdup_printf("%"PRIu64, jreq->own));
	journal_request_free(jreq);
}

static void remote_wait_done(bool ok, void *context)
{
	static time_t warned = 0;
	struct journal_request *jreq = context;

	if (!ok && ioloop_time >= warned + REMOTE_WARN_SECS) {
		/* it can't be undone, and it is journalled */
		warned = ioloop_time;
		e_warning(jreq->client->conn.event, "team_commit=remote: "
			"PostgreSQL doesn't have record %"PRIu64" yet",
			jreq->seq);
	}
	journal_request_answer(jreq);
}

static void journal_request_ok(struct journal_request *jreq)
{
	struct team_service *service = jreq->client->service;

	if (strcmp(service->set->team_commit, "remote") == 0) {
		(void)shipper_wait(service->shipper, jreq->seq,
				   REMOTE_COMMIT_MSECS, remote_wait_done,
				   jreq);
		return;
	}
	journal_request_answer(jreq);
}

static void journal_request_written(const char *error, void *context)
{
	struct journal_request *jreq = context;
	struct client *client = jreq->client;
	struct session *session;
	char *record;

	i_assert(client->staged_count > 0);
	client->staged_count--;
	if (error != NULL) {
		client_send_no(client, jreq->id, TEAM_CODE_JOURNAL, error);
		journal_request_free(jreq);
		return;
	}
	session = session_find(client->sessions, jreq->sid);
	array_foreach_elem(&jreq->records, record) T_BEGIN {
		notify_sessions(client->service, record, session);
	} T_END;
	journal_request_ok(jreq);
}

/* Before an answer is sent at once: those that wait come first. */
static void answer_staged(struct client *client)
{
	if (client->staged_count > 0)
		journal_flush(client->service->journal);
}

static void send_invalid(struct client *client, const struct team_request *req,
			 const char *error)
{
	answer_staged(client);
	e_error(client->conn.event, "Invalid request %"PRIu64": %s", req->id,
		error);
	client_send_no(client, req->id, TEAM_CODE_INVALID, error);
}

/* Refuses what is begun without room for it and its end: TRUE if it did. */
static bool refuse_without_room(struct client *client,
				const struct team_request *req)
{
	const char *const *field, *error;
	size_t size = 1024;

	for (field = req->fields; *field != NULL; field++)
		size += strlen(*field);
	error = journal_check_room(client->service->journal, size);
	if (error == NULL)
		return FALSE;
	answer_staged(client);
	client_send_no(client, req->id, TEAM_CODE_JOURNAL, error);
	return TRUE;
}

/* Answers a request that has been carried out before. Returns TRUE if it
   was. */
static bool request_is_done(struct client *client,
			    const struct team_request *req)
{
	struct team_service *service = client->service;
	struct journal_request *jreq;
	struct ledger_client *lclient;
	struct journal_status status;

	if (req->id <= client->staged_max_id)
		answer_staged(client);
	lclient = ledger_find(service->ledger, client->id);
	if (lclient == NULL || !ledger_client_is_done(lclient, req->id))
		return FALSE;
	answer_staged(client);
	journal_get_status(service->journal, &status);
	jreq = journal_request_new(client, req);
	jreq->seq = status.last_seq;
	journal_request_ok(jreq);
	return TRUE;
}

/* ---- staging ---- */

bool action_is_precious(const char *action)
{
	static const char *const actions[] = {
		"append", "deliver", "copy", "move", "expunge", "create",
		"delete", "rename", "claim", "release", NULL
	};

	return str_array_find(actions, action);
}

/* An intent needs to be on the disk only where what follows takes something
   away: a copy without its record is found, a removal isn't. */
static bool action_is_removal(const char *action)
{
	static const char *const actions[] = {
		"move", "expunge", "delete", "rename", NULL
	};

	return str_array_find(actions, action);
}

static void
stage_request(struct client *client, const struct team_request *req,
	      struct journal_entry *entry, bool sync,
	      struct journal_request *jreq)
{
	entry->client_id = client->id;
	entry->id = req->id;
	entry->txn = req->txn;
	client->staged_count++;
	client->staged_max_id = I_MAX(client->staged_max_id, req->id);
	jreq->seq = journal_stage(client->service->journal, entry, sync,
				  journal_request_written, jreq);
}

static int record_set_fields(struct team_record *record,
			     const char *const *fields, const char **error_r)
{
	for (; *fields != NULL; fields++) {
		if (team_record_set_field(record, *fields,
					  TEAM_RECORD_SOURCE_CLIENT,
					  error_r) < 0)
			return -1;
	}
	return 0;
}

static void record_set(struct team_record *record, const char *key,
		       const char *value)
{
	const char *error;

	if (team_record_set(record, key, value, TEAM_RECORD_SOURCE_JOURNAL,
			    &error) < 0)
		i_panic("%s=%s: %s", key, value, error);
}

/* Makes the record that an EVENT or PREPARE describes. */
static struct team_record *
request_record(struct client *client, struct session *session,
	       const struct team_request *req, uint64_t at,
	       const char **error_r)
{
	struct team_record *record = team_record_new();

	if (record_set_fields(record, req->fields, error_r) < 0 ||
	    record_final_check(record, error_r) < 0) {
		*error_r = t_strdup(*error_r);
		team_record_free(&record);
		return NULL;
	}
	session_fill_record(session, record);
	record_set(record, "at", t_strdup_printf("%"PRIu64, at));
	return record;
}

void command_event(struct client *client, struct session *session,
		   const struct team_request *req)
{
	struct journal *journal = client->service->journal;
	struct journal_request *jreq;
	struct team_record *record;
	struct journal_entry entry;
	const char *error;
	char *copy;
	bool erase;

	if (request_is_done(client, req) || refuse_without_room(client, req))
		return;
	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_RECORDS;
	entry.at = journal_now(journal);
	entry.count = 1;
	record = request_record(client, session, req, entry.at, &error);
	if (record == NULL) {
		send_invalid(client, req, error);
		return;
	}
	if (team_record_get(record, "outcome") == NULL)
		record_set(record, "outcome", "ok");
	generations_record(record, NULL);
	entry.records = record_text(record);
	jreq = journal_request_new(client, req);
	copy = i_strdup(entry.records);
	array_push_back(&jreq->records, &copy);
	erase = strcmp(team_record_get(record, "action"), "erase") == 0;
	stage_request(client, req, &entry, erase ||
		      action_is_precious(team_record_get(record, "action")),
		      jreq);
	if (erase) {
		/* the journal is to forget the person as well */
		journal_begin_segment(journal);
	}
	team_record_free(&record);
}

void command_prepare(struct client *client, struct session *session,
		     const struct team_request *req)
{
	struct team_service *service = client->service;
	struct ledger_client *lclient;
	struct journal_request *jreq;
	struct team_record *record;
	struct journal_entry entry;
	const char *error;

	if (request_is_done(client, req) || refuse_without_room(client, req))
		return;
	if (strcmp(service->set->team_commit, "remote") == 0 &&
	    !shipper_is_connected(service->shipper)) {
		answer_staged(client);
		client_send_no(client, req->id, TEAM_CODE_UNAVAILABLE,
			"PostgreSQL can't be reached, and team_commit=remote");
		return;
	}
	lclient = ledger_get(service->ledger, client->id);
	if (lclient->intents_size > INTENTS_SIZE_MAX) {
		send_invalid(client, req, "too many open intents");
		return;
	}
	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_PREPARE;
	entry.at = journal_now(service->journal);
	record = request_record(client, session, req, entry.at, &error);
	if (record == NULL) {
		send_invalid(client, req, error);
		return;
	}
	jreq = journal_request_new(client, req);
	generations_record(record, NULL);
	jreq->own = generations_record_own(record);
	/* What another of the colleague's sessions did before, or nobody knows
	   what, was overtaken: the private index isn't right any more. */
	if (req->own != 0 && req->own != jreq->own)
		generations_record(record, NULL);
	entry.records = record_text(record);
	stage_request(client, req, &entry,
		      action_is_removal(team_record_get(record, "action")),
		      jreq);
	team_record_free(&record);
}

/* Makes the final record of an intent. */
static int resolve_intent(const struct ledger_intent *intent,
			  const struct team_request *req, const char *at,
			  const char *outcome, string_t *dest, bool *sync,
			  const char **error_r)
{
	struct team_record *record, *prepared;
	int ret = 0;

	record = team_record_parse(intent->record, strlen(intent->record),
				   error_r);
	if (record == NULL)
		return -1;
	prepared = team_record_dup(record);
	if (record_set_fields(record, req->fields, error_r) < 0)
		ret = -1;
	else {
		if (team_record_get(record, "outcome") == NULL)
			record_set(record, "outcome", outcome);
		if (intent->given_up)
			record_set(record, "d.late", "yes");
		record_set(record, "at", at);
		ret = team_record_check(record, error_r);
	}
	if (ret == 0) {
		generations_record(record, prepared);
		if (str_len(dest) > 0)
			str_append_c(dest, '\n');
		str_append(dest, record_text(record));
		if (action_is_precious(team_record_get(record, "action")))
			*sync = TRUE;
	} else {
		*error_r = t_strdup(*error_r);
	}
	team_record_free(&prepared);
	team_record_free(&record);
	return ret;
}

static int resolve_txn(struct client *client, const struct team_request *req,
		       const struct ledger_intent *intent,
		       struct journal_entry *entry, const char *outcome,
		       bool *sync_r, const char **error_r)
{
	const char *at = t_strdup_printf("%"PRIu64, entry->at);
	string_t *records = t_str_new(1024);

	*sync_r = FALSE;
	for (; intent != NULL; intent = ledger_intent_next(intent)) {
		if (resolve_intent(intent, req, at, outcome, records, sync_r,
				   error_r) < 0)
			return -1;
		entry->count++;
	}
	if (str_len(records) > JOURNAL_FRAME_MAX_SIZE - 1024) {
		*error_r = "transaction is too large";
		return -1;
	}
	entry->records = str_c(records);
	return 0;
}

static void resolve_request(struct client *client,
			    const struct team_request *req,
			    const struct ledger_intent *intent,
			    const char *outcome)
{
	struct journal_request *jreq;
	struct journal_entry entry;
	const char *const *records, *error;
	char *copy;
	bool sync;

	i_zero(&entry);
	entry.type = JOURNAL_ENTRY_RECORDS;
	entry.resolves = JOURNAL_RESOLVES_DONE;
	entry.at = journal_now(client->service->journal);
	if (resolve_txn(client, req, intent, &entry, outcome, &sync,
			&error) < 0) {
		send_invalid(client, req, error);
		return;
	}
	jreq = journal_request_new(client, req);
	records = t_strsplit(entry.records, "\n");
	for (; *records != NULL; records++) {
		copy = i_strdup(*records);
		array_push_back(&jreq->records, &copy);
	}
	stage_request(client, req, &entry, sync, jreq);
}

/* The intent may have been refused, and be sent again. */
static void send_unknown_txn(struct client *client,
			     const struct team_request *req)
{
	struct journal_status status;

	journal_get_status(client->service->journal, &status);
	if (status.error == NULL)
		send_invalid(client, req, "unknown transaction");
	else
		client_send_no(client, req->id, TEAM_CODE_JOURNAL,
			       status.error);
}

static struct ledger_intent *
request_intent(struct client *client, const struct team_request *req)
{
	struct ledger_client *lclient;

	/* its PREPAREs may have come just now */
	answer_staged(client);
	lclient = ledger_find(client->service->ledger, client->id);
	return lclient == NULL ? NULL :
		ledger_client_find_txn(lclient, req->txn);
}

void command_commit(struct client *client, struct session *session ATTR_UNUSED,
		    const struct team_request *req)
{
	const struct ledger_intent *intent;

	if (request_is_done(client, req))
		return;
	intent = request_intent(client, req);
	if (intent == NULL)
		send_unknown_txn(client, req);
	else
		resolve_request(client, req, intent, "ok");
}

void command_abort(struct client *client, struct session *session ATTR_UNUSED,
		   const struct team_request *req)
{
	const struct ledger_intent *intent;
	struct journal_entry entry;

	if (request_is_done(client, req))
		return;
	intent = request_intent(client, req);
	if (intent == NULL && req->fields[0] == NULL) {
		/* it wasn't prepared, and nothing is to be recorded */
		answer_staged(client);
		client_send_ok(client, req->id, NULL);
	} else if (intent == NULL)
		send_unknown_txn(client, req);
	else if (str_array_find(req->fields, "outcome=ok"))
		send_invalid(client, req, "ABORT can't have outcome=ok");
	else if (req->fields[0] != NULL)
		resolve_request(client, req, intent, "failed");
	else {
		i_zero(&entry);
		entry.type = JOURNAL_ENTRY_ABORT;
		entry.at = journal_now(client->service->journal);
		stage_request(client, req, &entry, FALSE,
			      journal_request_new(client, req));
	}
}
