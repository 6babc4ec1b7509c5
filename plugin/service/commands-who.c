/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* WHO: the sessions that have a mailbox open, on all nodes. All are asked
   through PostgreSQL, this one too, and what they answer is read when all that
   are there have. */

#include "team-common.h"
#include "hex-binary.h"
#include "ioloop.h"
#include "llist.h"
#include "randgen.h"
#include "str.h"
#include "strescape.h"
#include "pg-conn.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "service.h"
#include "session.h"

/* How long a node may take. */
#define WHO_WAIT_MSECS 2000

struct who_request {
	struct who_request *prev, *next;
	struct client *client;
	uint64_t id;
	char request[16 + 1];
	struct timeout *to;
	/* the last reading: nobody is waited for any more */
	bool late, reading, read_again;
};

static struct who_request *who_requests;

/* ---- answering ---- */

struct who_sessions {
	string_t *str;
	const char *mailbox;
};

static void who_append(string_t *str, const struct session *session,
		       const char *key)
{
	const char *value = session_get(session, key);

	str_append_c(str, '\t');
	if (value != NULL)
		str_append_tabescaped(str, value);
}

static void who_box(struct box *box, void *context)
{
	struct who_sessions *sessions = context;
	const struct watch *watch;

	if (strcmp(box->guid, sessions->mailbox) != 0 &&
	    null_strcmp(box->name, sessions->mailbox) != 0)
		return;
	for (watch = box->watches; watch != NULL; watch = watch->next) {
		str_append_tabescaped(sessions->str,
				      watch->session->colleague);
		str_printfa(sessions->str, "\t%"PRId64, watch->since);
		who_append(sessions->str, watch->session, "client");
		who_append(sessions->str, watch->session, "ip");
		who_append(sessions->str, watch->session, "service");
		who_append(sessions->str, watch->session, "session");
		str_append_c(sessions->str, '\n');
	}
}

/* Whoever asked gives up after a while. */
static void who_told(const struct pg_answer *answer ATTR_UNUSED,
		     void *context ATTR_UNUSED)
{
}

void who_asked(struct team_service *service, const char *request,
	       const char *mailbox)
{
	struct who_sessions sessions = {
		.str = t_str_new(1024), .mailbox = mailbox
	};
	const char *params[3];

	boxes_foreach(service->boxes, who_box, &sessions);
	params[0] = t_strdup_printf("%d", pg_conn_node_id(service->requests));
	params[1] = request;
	params[2] = str_c(sessions.str);
	pg_conn_request(service->requests, "who_tell", params,
			N_ELEMENTS(params), who_told, NULL);
}

/* ---- asking ---- */

static void who_request_free(struct who_request *wreq)
{
	DLLIST_REMOVE(&who_requests, wreq);
	timeout_remove(&wreq->to);
	client_request_end(wreq->client);
	i_free(wreq);
}

static void who_send_node(struct who_request *wreq, const char *node,
			  const char *sessions)
{
	const char *const *lines = t_strsplit(sessions, "\n");
	const char *const *fields;
	const char *data[8];
	unsigned int i;

	for (; *lines != NULL; lines++) {
		fields = t_strsplit_tabescaped(*lines);
		if (str_array_length(fields) != 6)
			continue;
		for (i = 0; i < 6; i++)
			data[i] = fields[i];
		data[6] = node;
		data[7] = NULL;
		client_send_data(wreq->client, wreq->id, data);
	}
}

static void who_finish(struct who_request *wreq, const PGresult *result)
{
	string_t *missing = t_str_new(64);
	int i, count = PQntuples(result);

	for (i = 0; i < count; i++) T_BEGIN {
		if (!PQgetisnull(result, i, 1)) {
			who_send_node(wreq, PQgetvalue(result, i, 0),
				      PQgetvalue(result, i, 1));
		} else {
			str_append_c(missing, str_len(missing) == 0 ? '\t' : ' ');
			str_append_tabescaped(missing,
					      PQgetvalue(result, i, 0));
		}
	} T_END;
	client_send_ok(wreq->client, wreq->id, str_len(missing) == 0 ? NULL :
		       str_c(missing) + 1);
	who_request_free(wreq);
}

static void who_read(struct who_request *wreq);

static void who_read_answer(const struct pg_answer *answer, void *context)
{
	struct who_request *wreq = context;
	int i, count;

	wreq->reading = FALSE;
	if (answer->error != NULL) {
		client_send_pg_error(wreq->client, wreq->id, answer->action,
				     answer->error);
		who_request_free(wreq);
		return;
	}
	count = PQntuples(answer->result);
	for (i = 0; i < count && !wreq->late; i++) {
		if (!PQgetisnull(answer->result, i, 1))
			continue;
		/* not all yet */
		if (wreq->read_again)
			who_read(wreq);
		return;
	}
	who_finish(wreq, answer->result);
}

static void who_read(struct who_request *wreq)
{
	const char *params[] = { wreq->request };

	wreq->read_again = wreq->reading;
	if (wreq->reading)
		return;
	wreq->reading = TRUE;
	pg_conn_request(wreq->client->service->requests, "who_read", params,
			N_ELEMENTS(params), who_read_answer, wreq);
}

static void who_timeout(struct who_request *wreq)
{
	timeout_remove(&wreq->to);
	wreq->late = TRUE;
	who_read(wreq);
}

void who_answered(const char *request)
{
	struct who_request *wreq;

	for (wreq = who_requests; wreq != NULL; wreq = wreq->next) {
		if (strcmp(wreq->request, request) == 0) {
			who_read(wreq);
			return;
		}
	}
}

static void who_ask_answer(const struct pg_answer *answer, void *context)
{
	struct who_request *wreq = context;

	if (answer->error != NULL) {
		client_send_pg_error(wreq->client, wreq->id, answer->action,
				     answer->error);
		who_request_free(wreq);
		return;
	}
	wreq->to = timeout_add(WHO_WAIT_MSECS, who_timeout, wreq);
}

void command_who(struct client *client, const struct team_request *req)
{
	struct team_service *service = client->service;
	struct who_request *wreq = i_new(struct who_request, 1);
	unsigned char random[8];
	const char *params[3];

	random_fill(random, sizeof(random));
	i_strocpy(wreq->request, binary_to_hex(random, sizeof(random)),
		  sizeof(wreq->request));
	wreq->client = client;
	wreq->id = req->id;
	DLLIST_PREPEND(&who_requests, wreq);
	client_request_begin(client);
	params[0] = t_strdup_printf("%d", pg_conn_node_id(service->requests));
	params[1] = wreq->request;
	params[2] = req->name;
	pg_conn_request(service->requests, "who_ask", params,
			N_ELEMENTS(params), who_ask_answer, wreq);
}

void who_deinit(void)
{
	/* those with a request under way have been answered */
	while (who_requests != NULL)
		who_request_free(who_requests);
}
