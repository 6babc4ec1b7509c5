/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LOOKUP: where messages with given Message-IDs are. */

#include "team-common.h"
#include "str.h"
#include "team-protocol.h"
#include "pg-conn.h"
#include "client.h"
#include "commands.h"
#include "service.h"

struct lookup_request {
	struct client *client;
	uint64_t id;
};

static void lookup_answer(const struct pg_answer *answer, void *context)
{
	struct lookup_request *lreq = context;
	int i, count;

	if (answer->error != NULL) {
		client_send_pg_error(lreq->client, lreq->id, answer->action,
				     answer->error);
	} else {
		count = PQntuples(answer->result);
		for (i = 0; i < count; i++) {
			const char *const fields[] = {
				"message", PQgetvalue(answer->result, i, 0),
				PQgetvalue(answer->result, i, 1),
				PQgetvalue(answer->result, i, 2),
				PQgetvalue(answer->result, i, 3), NULL
			};
			client_send_data(lreq->client, lreq->id, fields);
		}
		client_send_ok(lreq->client, lreq->id, NULL);
	}
	client_request_end(lreq->client);
	i_free(lreq);
}

void command_lookup(struct client *client, const struct team_request *req)
{
	const char *const *ids = t_strsplit(req->name, "\n");
	struct lookup_request *lreq = i_new(struct lookup_request, 1);
	string_t *array = t_str_new(256);
	const char *p;

	/* as text of a PostgreSQL array */
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
	const char *params[] = { str_c(array) };

	lreq->client = client;
	lreq->id = req->id;
	client_request_begin(client);
	pg_conn_request(client->service->requests, "message_find", params,
			N_ELEMENTS(params), lookup_answer, lreq);
}
