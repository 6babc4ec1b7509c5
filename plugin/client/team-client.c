/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process's clients, their sessions, and what the ioloop does for them. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "hex-binary.h"
#include "ioloop.h"
#include "llist.h"
#include "randgen.h"
#include "str.h"
#include "strescape.h"
#include "team-protocol.h"
#include "team-client-private.h"

static struct team_client *team_clients = NULL;

void team_session_send_watch(struct team_session *session, const char *cmd,
			const char *guid, uint32_t uidvalidity)
{
	struct team_client *client = session->client;

	if (client->conn.fd == -1)
		return;
	team_client_send_line(client, t_strdup_printf(
		"%s\t%"PRIu64"\t%u\t%s\t%u", cmd, ++client->last_id,
		session->sid, guid, uidvalidity));
}
/*
 * The ioloop: pushes, and lines that nobody waits for
 */

static void team_client_deliver_pushes(struct team_client *client)
{
	struct team_session *session;
	struct team_push push;

	while (array_count(&client->pushes) > 0) {
		push = *array_front(&client->pushes);
		array_pop_front(&client->pushes);
		for (session = client->sessions; session != NULL;
		     session = session->next) {
			if (session->sid == push.sid)
				break;
		}
		if (session != NULL && session->callback != NULL) {
			session->callback(session->context, push.guid,
					  push.uidvalidity, push.what);
		}
		i_free(push.guid);
		i_free(push.what);
	}
}

void team_client_input(struct team_client *client)
{
	if (client->waiting)
		return;
	/* a callback may drop the last session */
	client->refcount++;
	if (client->conn.fd != -1)
		(void)team_client_pump(client, 0);
	if (client->conn.fd == -1 && client->sessions != NULL)
		(void)team_client_connect(client);
	team_client_deliver_pushes(client);
	team_client_schedule(client);
	team_client_unref(&client);
}

static void team_client_timeout(struct team_client *client)
{
	timeout_remove(&client->to);
	if (!client->waiting) {
		team_client_send_refused(client);
		team_client_input(client);
	}
}

/* Has the ioloop come back for what is left to do. */
void team_client_schedule(struct team_client *client)
{
	unsigned int msecs;

	if (client->waiting || io_loop_get_root() == NULL)
		return;
	if (array_count(&client->pushes) > 0)
		msecs = 0;
	else if (client->conn.fd != -1 && client->conn.output->used > 0) {
		msecs = client->away ? AWAY_TIMEOUT_MSECS :
			client->spooled ? SPOOLED_MSECS : 0;
	} else if ((client->conn.fd == -1 && client->sessions != NULL) ||
		   team_client_has_refused(client))
		msecs = 1000;
	else
		return;
	if (client->to != NULL && client->to_msecs <= msecs)
		return;
	timeout_remove(&client->to);
	client->to_msecs = msecs;
	client->to = timeout_add_short_to(io_loop_get_root(), msecs,
					  team_client_timeout, client);
}

/*
 * Clients and sessions
 */

struct team_client *team_client_get(const char *base_dir,
				    const char *socket_path,
				    unsigned int timeout_msecs)
{
	struct team_client *client;
	const char *path = *socket_path == '/' ? socket_path :
		t_strconcat(base_dir, "/", socket_path, NULL);
	unsigned char id[TEAM_CLIENT_ID_LEN / 2];

	for (client = team_clients; client != NULL; client = client->next) {
		if (strcmp(client->conn.path, path) == 0) {
			client->refcount++;
			return client;
		}
	}
	client = i_new(struct team_client, 1);
	client->refcount = 1;
	client->timeout_msecs = timeout_msecs;
	client->spool_fd = -1;
	client->base_dir = i_strdup(base_dir);
	random_fill(id, sizeof(id));
	i_strocpy(client->client_id, binary_to_hex(id, sizeof(id)),
		  sizeof(client->client_id));
	i_array_init(&client->pushes, 8);
	team_client_io_init(&client->conn, path);
	DLLIST_PREPEND(&team_clients, client);
	return client;
}

static void team_client_free(struct team_client *client)
{
	struct team_request *request, *next;
	struct team_push *push;

	DLLIST_REMOVE(&team_clients, client);
	timeout_remove(&client->to);
	timeout_remove(&client->to_unwatch);
	/* once the connection is gone the service takes it over */
	team_spool_close(client);
	team_client_disconnect(client);
	for (request = client->requests_head; request != NULL; request = next) {
		next = request->next;
		if (!request->spooled) {
			i_error("team: The service at %s did not take a record "
				"of this process: %.200s", client->conn.path,
				request->line);
		}
		team_request_free(client, &request);
	}
	array_foreach_modifiable(&client->pushes, push) {
		i_free(push->guid);
		i_free(push->what);
	}
	array_free(&client->pushes);
	team_client_io_deinit(&client->conn);
	i_free(client->base_dir);
	i_free(client);
}

void team_client_unref(struct team_client **_client)
{
	struct team_client *client = *_client;

	*_client = NULL;
	i_assert(client->refcount > 0);
	if (--client->refcount == 0)
		team_client_free(client);
}

static void
str_append_session_key(string_t *str, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	str_append_c(str, '\t');
	str_append_tabescaped(str, t_strconcat(key, "=", value, NULL));
}

struct team_session *
team_session_init(struct team_client *client,
		  const struct team_session_info *info,
		  team_push_callback_t *callback, void *context)
{
	struct team_session *session;

	session = i_new(struct team_session, 1);
	session->client = client;
	session->sid = ++client->last_sid;
	session->callback = callback;
	session->context = context;
	i_array_init(&session->watches, 4);
	client->refcount++;
	DLLIST_PREPEND(&client->sessions, session);
	team_session_update(session, info);
	return session;
}

void team_session_update(struct team_session *session,
			 const struct team_session_info *info)
{
	string_t *str = t_str_new(256);

	str_printfa(str, "SESSION\t%u", session->sid);
	str_append_session_key(str, "colleague", info->colleague);
	str_append_session_key(str, "user", info->user);
	str_append_session_key(str, "session", info->session_id);
	str_append_session_key(str, "service", info->service);
	str_append_session_key(str, "ip", info->ip);
	str_append_session_key(str, "tls", info->tls ? "yes" : "no");
	str_append_session_key(str, "client", info->client_name);
	i_free(session->line);
	session->line = i_strdup(str_c(str));
	session->spool_generation = 0;
	session->accepted = FALSE;

	if (session->client->conn.fd != -1)
		team_client_send_line(session->client, session->line);
}

void team_session_deinit(struct team_session **_session)
{
	struct team_session *session = *_session;
	struct team_client *client = session->client;
	struct team_watch *watch;
	const char *error;

	*_session = NULL;
	if (team_client_flush(session, &error) < 0)
		i_error("team: %s: records of the session are kept for now", error);
	if (client->conn.fd != -1) {
		team_client_send_line(client, t_strdup_printf(
			"SESSION-END\t%u", session->sid));
		(void)team_client_pump(client, 0);
	}
	DLLIST_REMOVE(&client->sessions, session);
	array_foreach_modifiable(&session->watches, watch)
		i_free(watch->guid);
	array_free(&session->watches);
	i_free(session->line);
	i_free(session);
	team_client_unref(&client);
}

static void team_session_end_watches(struct team_session *session)
{
	struct team_watch *watch;
	unsigned int i = 0;

	while (i < array_count(&session->watches)) {
		watch = array_idx_modifiable(&session->watches, i);
		if (!watch->ending) {
			i++;
			continue;
		}
		team_session_send_watch(session, "UNWATCH", watch->guid,
					watch->uidvalidity);
		i_free(watch->guid);
		array_delete(&session->watches, i, 1);
	}
}

static void team_client_end_watches(struct team_client *client)
{
	struct team_session *session;

	timeout_remove(&client->to_unwatch);
	for (session = client->sessions; session != NULL;
	     session = session->next)
		team_session_end_watches(session);
	team_client_schedule(client);
}

static struct team_watch *
team_session_find_watch(struct team_session *session, const char *guid,
			uint32_t uidvalidity)
{
	struct team_watch *watch;

	array_foreach_modifiable(&session->watches, watch) {
		if (watch->uidvalidity == uidvalidity &&
		    strcmp(watch->guid, guid) == 0)
			return watch;
	}
	return NULL;
}

static void team_session_begin_watch(struct team_session *session,
				     const char *guid, uint32_t uidvalidity)
{
	struct team_watch *watch;

	(void)team_client_connect(session->client);
	team_client_end_watches(session->client);
	watch = array_append_space(&session->watches);
	watch->guid = i_strdup(guid);
	watch->uidvalidity = uidvalidity;
	team_session_send_watch(session, "WATCH", guid, uidvalidity);
	team_client_schedule(session->client);
}

void team_session_watch(struct team_session *session, const char *guid,
			uint32_t uidvalidity, bool watch)
{
	struct team_client *client = session->client;
	struct team_watch *old =
		team_session_find_watch(session, guid, uidvalidity);

	if (old != NULL)
		old->ending = !watch;
	else if (watch)
		team_session_begin_watch(session, guid, uidvalidity);
	if (watch || old == NULL || client->to_unwatch != NULL)
		return;
	if (io_loop_get_root() == NULL)
		team_client_end_watches(client);
	else {
		client->to_unwatch = timeout_add_short_to(io_loop_get_root(),
			UNWATCH_MSECS, team_client_end_watches, client);
	}
}

void team_session_renew(struct team_session *session, const char *guid,
			uint32_t uidvalidity, const char *uids)
{
	struct team_client *client = session->client;

	if (client->conn.fd == -1 || strlen(uids) > TEAM_PROTOCOL_MAX_LINE / 2)
		return;
	team_client_send_line(client, t_strdup_printf(
		"RENEW\t%"PRIu64"\t%u\t%s\t%u\t%s", ++client->last_id,
		session->sid, guid, uidvalidity, uids));
	team_client_schedule(client);
}
