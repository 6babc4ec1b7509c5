/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections: handshake, lines in, and what becomes of them. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "ioloop.h"
#include "istream.h"
#include "llist.h"
#include "ostream.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "master-service.h"
#include "team-protocol.h"
#include "journal.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "intents.h"
#include "notices.h"
#include "service.h"
#include "session.h"
#include "spool.h"
#include "team-settings.h"

/* Unanswered requests of a client; above, its input waits. */
#define CLIENT_PENDING_MAX 1000
/* Output that waits in the process before the client is given up since it
   doesn't take anything. */
#define CLIENT_OUTPUT_MAX (64*1024*1024)
#define CLIENT_SESSIONS_MAX 10000

static struct team_service *clients_service;
static struct connection_list *clients;
static HASH_TABLE(char *, struct client *) clients_by_id;

static void client_destroy(struct connection *conn);

/* ---- output ---- */

static int client_flush(struct client *client)
{
	int ret;

	ret = o_stream_flush(client->conn.output);
	if (ret < 0) {
		client_destroy(&client->conn);
		return 1;
	}
	if (client_output_is_full(client))
		return ret;
	client_ref(client);
	if (client->query != NULL)
		command_query_continue(client);
	client_push_now(client);
	client_unref(&client);
	return ret;
}

/* ---- requests ---- */

void client_request_begin(struct client *client)
{
	client_ref(client);
	client->pending_count++;
}

static void client_resume(struct client *client)
{
	if (!client->closed && client->halted &&
	    client->pending_count < CLIENT_PENDING_MAX / 2) {
		client->halted = FALSE;
		connection_input_resume(&client->conn);
	}
}

void client_request_end(struct client *client)
{
	i_assert(client->pending_count > 0);
	client->pending_count--;
	client_resume(client);
	client_unref(&client);
}

static int client_session(struct client *client,
			  const struct team_request *req, const char **error_r)
{
	struct session *session = session_find(client->sessions, req->sid);

	if (req->cmd == TEAM_COMMAND_SESSION_END) {
		if (session != NULL) {
			/* records of requests that are staged are complete */
			session_free(&client->sessions, session);
			client->sessions_count--;
			clients_service->sessions_count--;
		}
		return 0;
	}
	if (session == NULL) {
		if (client->sessions_count >= CLIENT_SESSIONS_MAX) {
			*error_r = "too many sessions";
			return -1;
		}
		client->sessions_count++;
		session = session_create(&client->sessions, client, req->sid);
		clients_service->sessions_count++;
	}
	if (session_update(session, req->fields, error_r) < 0)
		return -1;
	return client->admin ? 0 :
		peer_check(&client->peer, session->colleague, error_r);
}

static void client_request(struct client *client,
			   const struct team_request *req)
{
	struct team_service *service = client->service;
	struct session *session = NULL;

	if (team_command_is_admin(req->cmd) && !client->admin) {
		client_send_no(client, req->id, TEAM_CODE_DENIED,
			       "only for administrators' socket "
			       TEAM_ADMIN_SOCKET_NAME);
		return;
	}
	if (req->sid != 0) {
		session = session_find(client->sessions, req->sid);
		if (session == NULL) {
			client_send_no(client, req->id, TEAM_CODE_INVALID,
				       "unknown session");
			return;
		}
	}
	switch (req->cmd) {
	case TEAM_COMMAND_EVENT:
		command_event(client, session, req);
		break;
	case TEAM_COMMAND_PREPARE:
		command_prepare(client, session, req);
		break;
	case TEAM_COMMAND_COMMIT:
		command_commit(client, session, req);
		break;
	case TEAM_COMMAND_ABORT:
		command_abort(client, session, req);
		break;
	case TEAM_COMMAND_SYNC:
		command_sync(client, session, req);
		break;
	case TEAM_COMMAND_KNOWN:
		command_known(client, session, req);
		break;
	case TEAM_COMMAND_PRIVATE:
		command_private(client, req);
		break;
	case TEAM_COMMAND_UNIDENTIFIED:
		command_unidentified(client, req);
		break;
	case TEAM_COMMAND_IDENTIFY:
		command_identify(client, req);
		break;
	case TEAM_COMMAND_RECOVER:
		command_recover(client, req);
		break;
	case TEAM_COMMAND_WATCH:
		if (!session_watch(session, service->boxes, req->guid,
				   req->uidvalidity)) {
			client_send_no(client, req->id, TEAM_CODE_INVALID,
				       "too many mailboxes are watched");
			break;
		}
		client_send_ok(client, req->id, NULL);
		notices_watched(service->notices, session, req->guid,
				req->uidvalidity);
		break;
	case TEAM_COMMAND_UNWATCH:
		session_unwatch(session, service->boxes, req->guid,
				req->uidvalidity);
		client_send_ok(client, req->id, NULL);
		break;
	case TEAM_COMMAND_CLAIM:
		command_claim(client, session, req);
		break;
	case TEAM_COMMAND_ADMIN_CLAIM:
		command_admin_claim(client, session, req);
		break;
	case TEAM_COMMAND_RENEW:
		command_renew(client, session, req);
		break;
	case TEAM_COMMAND_LOGOUT:
		command_logout(client, session, req);
		break;
	case TEAM_COMMAND_TELL:
		command_tell(client, session, req);
		break;
	case TEAM_COMMAND_LOOKUP:
		command_lookup(client, req);
		break;
	case TEAM_COMMAND_REPLY:
		command_reply(client, session, req);
		break;
	case TEAM_COMMAND_WHO:
		command_who(client, req);
		break;
	case TEAM_COMMAND_GUARD:
		command_guard(client, session, req);
		break;
	case TEAM_COMMAND_UNGUARD:
		command_unguard(client, session, req);
		break;
	case TEAM_COMMAND_STATUS:
		command_status(client, req);
		break;
	case TEAM_COMMAND_ROTATE_KEY:
		command_rotate_key(client, req);
		break;
	case TEAM_COMMAND_CUT:
		command_cut(client, req);
		break;
	case TEAM_COMMAND_QUERY:
		command_query(client, session, req);
		break;
	case TEAM_COMMAND_SESSION:
	case TEAM_COMMAND_SESSION_END:
		i_unreached();
	}
}

int client_handle(struct client *client, const struct team_request *req,
		  const char **error_r)
{
	if (client->service->journal == NULL) {
		client_send_failing(client, req);
		return 0;
	}
	if (req->cmd == TEAM_COMMAND_SESSION ||
	    req->cmd == TEAM_COMMAND_SESSION_END)
		return client_session(client, req, error_r);
	if (!team_command_is_journalled(req->cmd)) {
		ledger_client_skip(ledger_get(client->service->ledger,
					      client->id), req->id);
	}
	client_request(client, req);
	return 0;
}

/* ---- input ---- */

bool client_id_is_valid(const char *id)
{
	return strlen(id) == TEAM_CLIENT_ID_LEN &&
		strspn(id, "0123456789abcdef") == TEAM_CLIENT_ID_LEN &&
		strcmp(id, INTENTS_SERVICE_CLIENT) != 0;
}

static int client_hello(struct client *client, const char *const *args,
			const char **error_r)
{
	struct team_service *service = client->service;
	struct client *old;
	int pid;

	if (str_array_length(args) < 3 || strcmp(args[0], "HELLO") != 0 ||
	    !client_id_is_valid(args[1]) || str_to_int(args[2], &pid) < 0) {
		*error_r = "HELLO expected";
		return -1;
	}
	/* what the client did on its last connection must be known now */
	if (service->journal != NULL)
		journal_flush(service->journal);
	old = hash_table_lookup(clients_by_id, args[1]);
	if (old != NULL)
		client_destroy(&old->conn);
	client->id = i_strdup(args[1]);
	client->pid = pid;
	hash_table_insert(clients_by_id, client->id, client);
	if (service->journal == NULL) {
		client_send_ready(client, -1);
		return 0;
	}
	client_send_ready(client, null_strcmp(args[3], "spool") == 0 ?
			  spool_begin(client) : -1);
	ledger_get(service->ledger, client->id)->last_seen = 0;
	return 0;
}

static int client_handshake(struct client *client, const char *const *args,
			    const char **error_r)
{
	unsigned int major, minor;

	if (client->conn.version_received)
		return client_hello(client, args, error_r);
	if (str_array_length(args) != 4 || strcmp(args[0], "VERSION") != 0 ||
	    str_to_uint(args[2], &major) < 0 ||
	    str_to_uint(args[3], &minor) < 0) {
		*error_r = "VERSION expected";
		return -1;
	}
	*error_r = NULL;
	return connection_verify_version(&client->conn, args[1], major, minor);
}

/* Returns -1 with an error if the connection has to be closed. */
static int client_line(struct client *client, const unsigned char *data,
		       size_t size, const char **error_r)
{
	struct team_request req;
	const char *const *args;
	int ret;

	args = team_line_split(data, size, error_r);
	if (args == NULL)
		return -1;
	if (client->id == NULL)
		return client_handshake(client, args, error_r);
	ret = team_request_parse(args, &req, error_r);
	if (ret < 0)
		return -1;
	if (ret == 0) {
		e_error(client->conn.event, "Invalid request: %s", *error_r);
		client_send_no(client, req.id, TEAM_CODE_INVALID, *error_r);
		return 0;
	}
	return client_handle(client, &req, error_r);
}

static int client_lines(struct client *client, const char **error_r)
{
	struct istream *input = client->conn.input;
	const unsigned char *data, *p;
	size_t size;
	int ret = 0;

	while (ret == 0 && !client->closed && !client->halted) {
		data = i_stream_get_data(input, &size);
		p = memchr(data, '\n', size);
		if (p == NULL)
			break;
		ret = client_line(client, data, p - data, error_r);
		if (!client->closed)
			i_stream_skip(input, p - data + 1);
		if (client->pending_count >= CLIENT_PENDING_MAX &&
		    !client->closed) {
			client->halted = TRUE;
			connection_input_halt(&client->conn);
		}
	}
	return ret;
}

static void client_input(struct connection *conn)
{
	struct client *client = container_of(conn, struct client, conn);
	struct istream *input = conn->input;
	struct ostream *output = conn->output;
	const char *error = NULL;
	int ret;

	client_ref(client);
	i_stream_ref(input);
	o_stream_ref(output);
	o_stream_cork(output);
	ret = i_stream_read(input);
	if (client_lines(client, &error) < 0) {
		if (error != NULL && !client->closed)
			e_error(conn->event, "Invalid input: %s", error);
		ret = -1;
	} else if (ret == -2 && i_stream_get_data_size(input) >=
		   TEAM_PROTOCOL_MAX_LINE && !client->halted) {
		e_error(conn->event, "Invalid input: line is longer than %d "
			"bytes", TEAM_PROTOCOL_MAX_LINE);
		ret = -1;
	}
	if (client->staged_count > 0)
		journal_flush_quick(client->service->journal);
	o_stream_uncork(output);
	if (ret == -1 && !client->closed && !client->halted)
		client_destroy(conn);
	o_stream_unref(&output);
	i_stream_unref(&input);
	client_unref(&client);
}

/* ---- life ---- */

void client_ref(struct client *client)
{
	i_assert(client->refcount > 0);
	client->refcount++;
}

void client_unref(struct client **_client)
{
	struct client *client = *_client;

	*_client = NULL;
	i_assert(client->refcount > 0);
	if (--client->refcount > 0)
		return;
	i_assert(client->closed);
	peer_deinit(&client->peer);
	i_free(client->id);
	i_free(client);
}

static void client_destroy(struct connection *conn)
{
	struct client *client = container_of(conn, struct client, conn);
	struct ledger_client *lclient;

	if (client->closed)
		return;
	client->closed = TRUE;
	if (client->query != NULL)
		command_query_abort(client);
	client_push_remove(client);
	timeout_remove(&client->to_uncork);
	o_stream_uncork(client->conn.output);
	while (client->sessions != NULL) {
		session_free(&client->sessions, client->sessions);
		clients_service->sessions_count--;
	}
	if (client->id != NULL) {
		hash_table_remove(clients_by_id, client->id);
		spool_end(client);
		lclient = ledger_find(client->service->ledger, client->id);
		if (lclient != NULL)
			lclient->last_seen = ioloop_time;
	}
	connection_deinit(conn);
	client_unref(&client);
	master_service_client_connection_destroyed(master_service);
}

void client_create(struct master_service_connection *conn)
{
	struct client *client = i_new(struct client, 1);

	client->refcount = 1;
	client->service = clients_service;
	client->admin = strcmp(conn->name, TEAM_ADMIN_SOCKET_NAME) == 0;
	peer_init(&client->peer, conn->fd, conn->listen_fd,
		  clients_service->set->team_trusted_users);
	connection_init_server(clients, &client->conn, conn->name, conn->fd,
			       conn->fd);
	o_stream_set_no_error_handling(client->conn.output, TRUE);
	o_stream_set_flush_callback(client->conn.output, client_flush, client);
}

static const struct connection_settings client_set = {
	.service_name_in = TEAM_PROTOCOL_CLIENT,
	.service_name_out = TEAM_PROTOCOL_SERVER,
	.major_version = TEAM_PROTOCOL_MAJOR,
	.minor_version = TEAM_PROTOCOL_MINOR,
	.input_max_size = TEAM_PROTOCOL_MAX_LINE,
	.output_max_size = CLIENT_OUTPUT_MAX,
	.client = FALSE,
};

static const struct connection_vfuncs client_vfuncs = {
	.destroy = client_destroy,
	.input = client_input,
};

void clients_init(struct team_service *service)
{
	clients_service = service;
	clients = connection_list_init(&client_set, &client_vfuncs);
	hash_table_create(&clients_by_id, default_pool, 0, str_hash, strcmp);
}

void clients_deinit(void)
{
	connection_list_deinit(&clients);
	client_pushes_deinit();
	hash_table_destroy(&clients_by_id);
}

unsigned int clients_count(void)
{
	return clients->connections_count;
}

struct client *clients_first(void)
{
	return clients->connections == NULL ? NULL :
		container_of(clients->connections, struct client, conn);
}

struct client *client_next(const struct client *client)
{
	return client->conn.next == NULL ? NULL :
		container_of(client->conn.next, struct client, conn);
}
