/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LOOKUP: where messages with given Message-IDs are. REPLY: what stands against
   answering them. PRIVATE: which flags were private before. UNIDENTIFIED,
   IDENTIFY, RECOVER: which messages are the same under another UIDVALIDITY. */

#include "team-common.h"
#include "str.h"
#include "uidset.h"
#include "team-protocol.h"
#include "pg-conn.h"
#include "client.h"
#include "commands.h"
#include "service.h"
#include "session.h"

#include <stdlib.h>

struct lookup_request {
	struct client *client;
	uint64_t id;
	/* the answer's lines begin with it; may be NULL */
	const char *kind;
};

static void lookup_row(struct lookup_request *lreq, const PGresult *result,
		       int row)
{
	int i, count = PQnfields(result);
	const char **fields = t_new(const char *, count + 2), **field = fields;

	if (lreq->kind != NULL)
		*field++ = lreq->kind;
	for (i = 0; i < count; i++)
		*field++ = PQgetvalue(result, row, i);
	client_send_data(lreq->client, lreq->id, fields);
}

static void lookup_answer(const struct pg_answer *answer, void *context)
{
	struct lookup_request *lreq = context;
	int i, count;

	if (answer->error != NULL) {
		client_send_pg_error(lreq->client, lreq->id, answer->action,
				     answer->error);
	} else {
		count = PQnfields(answer->result) == 0 ? 0 :
			PQntuples(answer->result);
		for (i = 0; i < count; i++) T_BEGIN {
			lookup_row(lreq, answer->result, i);
		} T_END;
		client_send_ok(lreq->client, lreq->id, NULL);
	}
	client_request_end(lreq->client);
	i_free(lreq);
}

static void
lookup_send(struct client *client, uint64_t id, const char *kind,
	    const char *statement, const char *const *params,
	    unsigned int params_count)
{
	struct lookup_request *lreq = i_new(struct lookup_request, 1);

	lreq->client = client;
	lreq->id = id;
	lreq->kind = kind;
	client_request_begin(client);
	pg_conn_request(client->service->requests, statement, params,
			params_count, lookup_answer, lreq);
}

/* The lines as text of a PostgreSQL array. */
static const char *lookup_ids(const char *lines)
{
	const char *const *ids = t_strsplit(lines, "\n");
	string_t *array = t_str_new(256);
	const char *p;

	str_append_c(array, '{');
	for (; *ids != NULL; ids++) {
		if (str_len(array) > 1)
			str_append_c(array, ',');
		str_append_c(array, '"');
		for (p = *ids; *p != '\0'; p++) {
			if (*p == '"' || *p == '\\')
				str_append_c(array, '\\');
			str_append_c(array, *p);
		}
		str_append_c(array, '"');
	}
	str_append_c(array, '}');
	return str_c(array);
}

void command_lookup(struct client *client, const struct team_request *req)
{
	const char *params[] = { lookup_ids(req->name) };

	lookup_send(client, req->id, "message", "message_find", params,
		    N_ELEMENTS(params));
}

void command_reply(struct client *client, struct session *session,
		   const struct team_request *req)
{
	const char *params[] = {
		session->colleague, lookup_ids(req->name),
		t_strdup_printf("%u", req->seconds)
	};

	lookup_send(client, req->id, NULL, "reply_check", params,
		    N_ELEMENTS(params));
}

void command_private(struct client *client, const struct team_request *req)
{
	struct pg_conn *requests = client->service->requests;
	const char *params[] = {
		dec2str(pg_conn_node_id(requests)), req->guid,
		dec2str(req->uidvalidity), req->name, req->flags,
		req->keywords, req->since
	};

	if (!pg_conn_is_hopeful(requests)) {
		client_send_no(client, req->id, TEAM_CODE_UNAVAILABLE,
			       "PostgreSQL is away");
		return;
	}
	lookup_send(client, req->id, "was", "private_known", params,
		    N_ELEMENTS(params));
}

void command_unidentified(struct client *client,
			  const struct team_request *req)
{
	struct team_uidset set;
	const char *error;
	char *multirange;

	if (team_uidset_parse(req->uids, &set, &error) < 0)
		i_unreached();
	multirange = team_uidset_format_multirange(&set);
	team_uidset_free(&set);
	const char *params[] = {
		req->guid, dec2str(req->uidvalidity), multirange
	};

	lookup_send(client, req->id, "uids", "unidentified", params,
		    N_ELEMENTS(params));
	free(multirange);
}

void command_identify(struct client *client, const struct team_request *req)
{
	const char *params[] = {
		req->guid, dec2str(req->uidvalidity), req->name
	};

	lookup_send(client, req->id, NULL, "identify", params,
		    N_ELEMENTS(params));
}

void command_recover(struct client *client, const struct team_request *req)
{
	const char *params[] = {
		req->guid, dec2str(req->uidvalidity), req->name,
		req->last ? "true" : "false"
	};

	lookup_send(client, req->id, "recovered", "recover", params,
		    N_ELEMENTS(params));
}
