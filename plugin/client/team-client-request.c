/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: what is journalled is kept until the service has acknowledged it,
   what is asked is waited for. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "llist.h"
#include "str.h"
#include "strescape.h"
#include "time-util.h"
#include "team-protocol.h"
#include "team-client-private.h"

void team_request_free(struct team_client *client,
		       struct team_request **_request)
{
	struct team_request *request = *_request;

	*_request = NULL;
	if (request->state == REQUEST_KEPT)
		client->kept_bytes -= request->line_len;
	i_free(request->line);
	i_free(request);
}

void team_request_unlink(struct team_client *client,
			 struct team_request *request)
{
	DLLIST2_REMOVE(&client->requests_head, &client->requests_tail, request);
}

/* Makes room for lines that nobody waits for. The oldest goes first: what it
   said is lost, and the log will say that something was. */
static void team_client_limit_kept(struct team_client *client)
{
	struct team_request *request, *next;

	for (request = client->requests_head;
	     request != NULL && client->kept_bytes > KEPT_BYTES_MAX;
	     request = next) {
		next = request->next;
		if (request->state != REQUEST_KEPT)
			continue;
		if (request->spooled) {
			/* the file has it: don't let it be cut off */
			team_spool_close(client);
		} else if (client->lost_count++ == 0) {
			i_error("team: The service at %s has been away for so "
				"long that records of this process must be "
				"dropped. Start it again: the log will have a "
				"gap.", client->conn.path);
		}
		team_request_unlink(client, request);
		team_request_free(client, &request);
	}
}

static struct team_request *
team_request_add(struct team_session *session, enum request_state state,
		 const char *cmd, uint64_t txn, const char *const *args)
{
	struct team_client *client = session->client;
	struct team_request *request;
	string_t *str = t_str_new(256);

	request = i_new(struct team_request, 1);
	request->id = ++client->last_id;
	request->txn = txn;
	request->sid = session->sid;
	i_gettimeofday(&request->created);
	request->state = state;
	request->ends = strcmp(cmd, "COMMIT") == 0 ||
		strcmp(cmd, "ABORT") == 0;

	str_printfa(str, "%s\t%"PRIu64"\t%u", cmd, request->id, session->sid);
	if (txn != 0)
		str_printfa(str, "\t%"PRIu64, txn);
	for (; args != NULL && *args != NULL; args++) {
		str_append_c(str, '\t');
		str_append_tabescaped(str, *args);
	}
	request->line = i_strdup(str_c(str));
	request->line_len = str_len(str);
	DLLIST2_APPEND(&client->requests_head, &client->requests_tail, request);
	if (state == REQUEST_KEPT) {
		client->kept_bytes += request->line_len;
		team_client_limit_kept(client);
	}
	return request;
}

static void
team_client_report_lost(struct team_client *client)
{
	const char *fields[4];
	unsigned int count = client->lost_count;

	if (count == 0 || client->sessions == NULL)
		return;
	client->lost_count = 0;
	fields[0] = "action=gap";
	fields[1] = "outcome=ok";
	fields[2] = t_strdup_printf("d.lost=%u", count);
	fields[3] = NULL;
	team_client_event(client->sessions, fields);
}

static void
team_request_send(struct team_client *client, struct team_request *request)
{
	if (client->conn.fd != -1)
		team_client_send_line(client, request->line);
}

/* Returns 0 once the request is answered, -1 if its time is up. */
static int
team_client_wait(struct team_client *client, struct team_request *request)
{
	struct timeval deadline;
	bool was_waiting = client->waiting;
	int ret = 0;

	client->waiting = TRUE;
	team_client_deadline(client, &deadline);
	while (request->state != REQUEST_ANSWERED && !request->stopped) {
		ret = team_client_step(client, &deadline);
		if (ret < 0)
			break;
		if (ret > 0 && request->callback != NULL)
			team_client_deadline(client, &deadline);
	}
	client->waiting = was_waiting;
	team_client_schedule(client);
	if (request->state == REQUEST_ANSWERED)
		return 0;
	if (ret < 0)
		client->away = TRUE;
	return -1;
}

static const char *team_client_away_error(struct team_client *client)
{
	return t_strdup_printf("The team service at %s didn't answer in time",
			       client->conn.path);
}

static struct team_request *
team_client_keep(struct team_session *session, const char *cmd, uint64_t txn,
		 const char *const *fields)
{
	struct team_client *client = session->client;
	struct team_request *request;

	request = team_request_add(session, REQUEST_KEPT, cmd, txn, fields);
	team_request_send(client, request);
	return request;
}

void team_client_event(struct team_session *session, const char *const *fields)
{
	T_BEGIN {
		(void)team_client_keep(session, "EVENT", 0, fields);
	} T_END;
	team_client_schedule(session->client);
}

/* The service works on it meanwhile. Errors show when the answer is waited
   for. */
static void team_client_send_now(struct team_client *client)
{
	if (client->conn.fd != -1)
		(void)team_client_io_send(&client->conn);
	team_client_schedule(client);
}

void team_client_note(struct team_session *session, const char *const *fields)
{
	struct team_client *client = session->client;
	struct team_request *request;
	bool others = client->conn.output->used > 0 && !client->spooled;

	T_BEGIN {
		request = team_client_keep(session, "EVENT", 0, fields);
		request->spooled = team_spool_add(session, request);
	} T_END;
	if (request->spooled) {
		client->spooled = !others;
		team_client_schedule(client);
	} else
		team_client_send_now(client);
}

/* Is there a request up to the id that doesn't stand in the journal yet? */
static bool
team_client_has_waiting(struct team_client *client, uint64_t last_id)
{
	const struct team_request *request;

	for (request = client->requests_head;
	     request != NULL && request->id <= last_id; request = request->next) {
		if (!request->spooled)
			return TRUE;
	}
	return FALSE;
}

int team_client_flush(struct team_session *session, const char **error_r)
{
	struct team_client *client = session->client;
	struct team_request *last = client->requests_tail;
	struct timeval deadline;
	bool was_waiting = client->waiting;
	uint64_t last_id;

	if (last == NULL || !team_client_has_waiting(client, last->id))
		return 0;
	last_id = last->id;
	team_client_report_lost(client);
	client->waiting = TRUE;
	team_client_deadline(client, &deadline);
	while (team_client_has_waiting(client, last_id)) {
		if (team_client_step(client, &deadline) < 0)
			break;
	}
	client->waiting = was_waiting;
	team_client_schedule(client);
	if (!team_client_has_waiting(client, last_id))
		return 0;
	client->away = TRUE;
	*error_r = team_client_away_error(client);
	return -1;
}

/* Nobody waits for it any more. */
static void
team_request_keep(struct team_client *client, struct team_request *request)
{
	request->state = REQUEST_KEPT;
	client->kept_bytes += request->line_len;
}

static int
team_client_simple(struct team_session *session, struct team_request *request,
		   struct team_answer *answer, bool keep, const char **error_r)
{
	struct team_client *client = session->client;
	int ret;

	i_zero(answer);
	request->pool = unsafe_data_stack_pool;
	request->answer = answer;
	ret = team_client_wait(client, request);
	if (ret == 0) {
		if (answer->code != NULL) {
			*error_r = t_strdup_printf("%s: %s", answer->code,
				answer->args[0] == NULL ? "" : answer->args[0]);
			ret = -2;
		}
		team_request_free(client, &request);
		return ret;
	}
	request->answer = NULL;
	if (keep) {
		team_request_keep(client, request);
	} else {
		team_request_unlink(client, request);
		team_request_free(client, &request);
	}
	*error_r = team_client_away_error(client);
	return -1;
}

/* What was acknowledged has to stand in the journal before what comes after
   it. Returns FALSE if it can't be written yet. */
static bool team_client_catch_up(struct team_client *client)
{
	struct timeval deadline;
	bool was_waiting = client->waiting;

	if (!team_client_has_late(client))
		return TRUE;
	client->waiting = TRUE;
	i_gettimeofday(&deadline);
	timeval_add_msecs(&deadline, AWAY_TIMEOUT_MSECS);
	team_client_send_refused(client);
	while (team_client_has_late(client)) {
		if (team_client_step(client, &deadline) < 0)
			break;
	}
	client->waiting = was_waiting;
	team_client_schedule(client);
	return !team_client_has_late(client);
}

/* Sends the intent. Returns TRUE if its answer needn't be waited for. */
static bool
team_client_send_intent(struct team_session *session,
			struct team_request *request,
			enum team_prepare_flags flags)
{
	struct team_client *client = session->client;

	request->spooled = (flags & TEAM_PREPARE_AHEAD) != 0 &&
		team_spool_add_intent(session, request);
	team_request_send(client, request);
	if (!request->spooled)
		return FALSE;
	return (flags & TEAM_PREPARE_SEND) == 0 ||
		(client->conn.fd != -1 &&
		 team_client_io_send(&client->conn) == 0 &&
		 client->conn.output->used == 0);
}

static const char *const *
team_fields_with_own(const char *const *fields, uint64_t own)
{
	ARRAY_TYPE(const_string) args;
	const char *field = t_strdup_printf("own=%"PRIu64, own);

	t_array_init(&args, 32);
	array_push_back(&args, &field);
	array_append(&args, fields, str_array_length(fields));
	array_append_zero(&args);
	return array_front(&args);
}

uint64_t team_client_prepare(struct team_session *session,
			     const char *const *const *records,
			     unsigned int records_count,
			     enum team_prepare_flags flags, uint64_t *own,
			     const char **error_r)
{
	struct team_client *client = session->client;
	struct team_request *request = NULL;
	struct team_answer answer;
	const char *const *fields;
	uint64_t txn;
	unsigned int i;
	int ret;

	i_assert(records_count > 0);
	if (!team_client_catch_up(client)) {
		*error_r = t_strdup_printf("The journal of the team service at "
			"%s can't be written", client->conn.path);
		return 0;
	}
	if (records_count > 1)
		flags &= ENUM_NEGATE(TEAM_PREPARE_AHEAD);
	txn = client->last_id + 1;
	for (i = 0; i < records_count; i++) {
		fields = records[i];
		if ((flags & TEAM_PREPARE_AHEAD) != 0 && own != NULL &&
		    *own != 0)
			fields = team_fields_with_own(fields, *own);
		/* all but the last are answered before it, since journalled
		   requests are answered in order */
		request = team_request_add(session, i + 1 < records_count ?
					   REQUEST_KEPT : REQUEST_WAITING,
					   "PREPARE", txn, fields);
		if (i + 1 < records_count)
			team_request_send(client, request);
	}
	if (own != NULL)
		*own = 0;
	if (team_client_send_intent(session, request, flags)) {
		team_request_keep(client, request);
		team_client_schedule(client);
		return txn;
	}
	ret = team_client_simple(session, request, &answer, TRUE, error_r);
	if (ret == 0) {
		if (own != NULL && answer.args[0] != NULL &&
		    str_to_uint64(answer.args[0], own) < 0)
			*own = 0;
		return txn;
	}
	/* it may have been journalled, or may yet be */
	team_client_abort(session, txn, NULL);
	return 0;
}

int team_client_commit(struct team_session *session, uint64_t txn,
		       const char *const *fields, const char **error_r)
{
	struct team_request *request;
	struct team_answer answer;

	request = team_request_add(session, REQUEST_WAITING, "COMMIT", txn,
				   fields);
	team_request_send(session->client, request);
	return team_client_simple(session, request, &answer, TRUE,
				  error_r) == 0 ? 0 : -1;
}

static void
team_client_end(struct team_session *session, const char *cmd, uint64_t txn,
		const char *const *fields)
{
	struct team_request *request;

	T_BEGIN {
		request = team_client_keep(session, cmd, txn, fields);
		request->spooled = team_spool_add(session, request);
	} T_END;
	team_client_send_now(session->client);
}

void team_client_commit_later(struct team_session *session, uint64_t txn)
{
	team_client_end(session, "COMMIT", txn, NULL);
}

void team_client_abort(struct team_session *session, uint64_t txn,
		       const char *const *fields)
{
	team_client_end(session, "ABORT", txn, fields);
}

int team_client_request_stream(struct team_session *session, pool_t pool,
			       const char *cmd, const char *const *args,
			       team_data_callback_t *callback, void *context,
			       struct team_answer *answer_r,
			       const char **error_r)
{
	struct team_client *client = session->client;
	struct team_request *request;
	int ret;

	i_zero(answer_r);
	p_array_init(&answer_r->data, pool, 8);
	request = team_request_add(session, REQUEST_WAITING, cmd, 0, args);
	request->pool = pool;
	request->answer = answer_r;
	request->callback = callback;
	request->context = context;
	team_request_send(client, request);
	ret = team_client_wait(client, request);
	if (ret < 0) {
		if (request->stopped) {
			*error_r = t_strdup_printf("The answer of the team "
				"service at %s broke off", client->conn.path);
			team_client_disconnect(client);
		} else {
			*error_r = team_client_away_error(client);
		}
		if (request->state != REQUEST_ANSWERED)
			team_request_unlink(client, request);
	}
	team_request_free(client, &request);
	return ret;
}

int team_client_request(struct team_session *session, pool_t pool,
			const char *cmd, const char *const *args,
			struct team_answer *answer_r, const char **error_r)
{
	return team_client_request_stream(session, pool, cmd, args, NULL, NULL,
					  answer_r, error_r);
}
