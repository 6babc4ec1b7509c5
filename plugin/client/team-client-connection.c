/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's connection to the service: made again whenever it is lost, and
   what comes in on it. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "hostpid.h"
#include "ioloop.h"
#include "sleep.h"
#include "strescape.h"
#include "time-util.h"
#include "master-service.h"
#include "team-protocol.h"
#include "team-client-private.h"

void team_client_send_line(struct team_client *client, const char *line)
{
	buffer_append(client->conn.output, line, strlen(line));
	buffer_append_c(client->conn.output, '\n');
	client->spooled = FALSE;
}

void team_client_disconnect(struct team_client *client)
{
	struct team_request *request;

	io_remove(&client->io);
	team_client_io_disconnect(&client->conn);
	client->spool_is_old = client->spool_fd != -1;
	/* the answer comes anew; rows that the caller already has would come
	   twice */
	for (request = client->requests_head; request != NULL;
	     request = request->next) {
		if (request->answer != NULL &&
		    array_is_created(&request->answer->data))
			array_clear(&request->answer->data);
		if (request->delivered)
			request->stopped = TRUE;
	}
}

static struct team_session *
team_session_find(struct team_client *client, unsigned int sid)
{
	struct team_session *session;

	for (session = client->sessions; session != NULL;
	     session = session->next) {
		if (session->sid == sid)
			break;
	}
	return session;
}

/* The service takes it from the spool: it wouldn't know the session any
   more. */
static bool team_request_is_left(struct team_client *client,
				 const struct team_request *request)
{
	return request->spooled &&
		team_session_find(client, request->sid) == NULL;
}

int team_client_connect(struct team_client *client)
{
	struct team_session *session;
	const struct team_watch *watch;
	struct team_request *request, *next;

	if (client->conn.fd != -1)
		return 0;
	if (team_client_io_connect(&client->conn) < 0)
		return -1;

	team_client_send_line(client, t_strdup_printf("VERSION\t%s\t%u\t%u",
		TEAM_PROTOCOL_CLIENT, TEAM_PROTOCOL_MAJOR,
		TEAM_PROTOCOL_MINOR));
	team_client_send_line(client, t_strdup_printf("HELLO\t%s\t%s\tspool",
		client->client_id, my_pid));
	for (session = client->sessions; session != NULL;
	     session = session->next) {
		session->accepted = FALSE;
		team_client_send_line(client, session->line);
	}
	for (request = client->requests_head; request != NULL; request = next) {
		next = request->next;
		if (team_request_is_left(client, request)) {
			team_request_unlink(client, request);
			team_request_free(client, &request);
			continue;
		}
		request->refused = FALSE;
		team_client_send_line(client, request->line);
	}
	for (session = client->sessions; session != NULL;
	     session = session->next) {
		array_foreach(&session->watches, watch) {
			if (watch->ending)
				continue;
			team_session_send_watch(session, "WATCH", watch->guid,
						watch->uidvalidity);
		}
	}
	if (io_loop_get_root() != NULL) {
		client->io = io_add_to(io_loop_get_root(), client->conn.fd,
				       IO_READ, team_client_input, client);
	}
	return 0;
}

/* The intent that the request ends, if it wasn't taken. Answers come in order,
   so the request's is one to what came before the intent was sent again. */
static struct team_request *
team_request_refused_intent(struct team_client *client,
			    const struct team_request *request)
{
	struct team_request *intent;

	if (!request->ends)
		return NULL;
	for (intent = client->requests_head; intent != request;
	     intent = intent->next) {
		if (intent->late && intent->txn == request->txn)
			return intent;
	}
	return NULL;
}

/* It has happened, or was acknowledged. */
static bool team_request_is_owed(const struct team_request *request)
{
	return request->ends ||
		(request->spooled && request->state == REQUEST_KEPT);
}

static void
team_session_accepted(struct team_client *client, unsigned int sid)
{
	struct team_session *session = team_session_find(client, sid);

	if (session != NULL)
		session->accepted = TRUE;
}

static void
team_request_finish(struct team_client *client, struct team_request *request,
		    const char *code, const char *const *args)
{
	struct team_request *intent =
		team_request_refused_intent(client, request);

	if ((team_request_is_owed(request) &&
	     null_strcmp(code, TEAM_CODE_JOURNAL) == 0) ||
	    (intent != NULL && (code != NULL || !intent->refused))) {
		/* the log must get to know */
		request->refused = request->late = TRUE;
		return;
	}
	if (intent != NULL) {
		/* not begun, and given up */
		team_request_unlink(client, intent);
		team_request_free(client, &intent);
	}
	if (code == NULL)
		team_session_accepted(client, request->sid);
	team_request_unlink(client, request);
	if (request->state == REQUEST_KEPT) {
		if (code != NULL) {
			i_error("team: The service refused a record (%s: %s): "
				"%.200s", code, args[0] == NULL ? "" : args[0],
				request->line);
		}
		team_request_free(client, &request);
		return;
	}
	if (request->answer != NULL) {
		request->answer->code = p_strdup(request->pool, code);
		request->answer->args = p_strarray_dup(request->pool, args);
	}
	request->state = REQUEST_ANSWERED;
}

static struct team_request *
team_request_find(struct team_client *client, uint64_t id)
{
	struct team_request *request;

	for (request = client->requests_head; request != NULL;
	     request = request->next) {
		if (request->id == id)
			return request;
	}
	return NULL;
}

static void
team_request_data(struct team_request *request, const char *const *args)
{
	const char *const *dup;

	if (request->callback != NULL) {
		request->delivered = TRUE;
		if (!request->stopped &&
		    !request->callback(request->context, args))
			request->stopped = TRUE;
	} else if (request->answer != NULL) {
		dup = p_strarray_dup(request->pool, args);
		array_push_back(&request->answer->data, &dup);
	}
}

static void
team_client_push(struct team_client *client, const char *const *args)
{
	struct team_push push;

	i_zero(&push);
	if (str_array_length(args) < 4 ||
	    str_to_uint(args[0], &push.sid) < 0 ||
	    str_to_uint32(args[2], &push.uidvalidity) < 0)
		return;
	push.guid = i_strdup(args[1]);
	push.what = i_strdup(args[3]);
	array_push_back(&client->pushes, &push);
}

static void
team_client_ready(struct team_client *client, const char *const *args)
{
	int fd = team_client_io_take_fd(&client->conn);

	/* the service has taken over what the old one has */
	team_spool_close(client);
	if (fd != -1 && args[0] != NULL && null_strcmp(args[1], "spool") == 0)
		team_spool_open(client, fd);
	else
		i_close_fd(&fd);
}

/* Returns -1 if the line shows that the other side doesn't speak our
   protocol. */
static int team_client_line(struct team_client *client, char *line)
{
	const char *const *args = t_strsplit_tabescaped_inplace(line);
	const char *cmd = args[0] == NULL ? "" : args[0];
	struct team_request *request;
	unsigned int major;
	uint64_t id;

	if (strcmp(cmd, "VERSION") == 0) {
		if (str_array_length(args) < 4 ||
		    strcmp(args[1], TEAM_PROTOCOL_SERVER) != 0 ||
		    str_to_uint(args[2], &major) < 0 ||
		    major != TEAM_PROTOCOL_MAJOR) {
			i_error("team: %s is not a team service of protocol "
				"version %u: restart Dovecot so that service "
				"and plugins are of one version",
				client->conn.path, TEAM_PROTOCOL_MAJOR);
			return -1;
		}
		return 0;
	}
	if (strcmp(cmd, "READY") == 0) {
		team_client_ready(client, args + 1);
		return 0;
	}
	if (strcmp(cmd, "PUSH") == 0) {
		team_client_push(client, args + 1);
		return 0;
	}
	if (args[0] == NULL || args[1] == NULL || str_to_uint64(args[1], &id) < 0)
		return -1;
	client->away = FALSE;
	/* an answer may come after the one who asked gave up */
	request = team_request_find(client, id);
	if (request == NULL)
		return 0;
	if (strcmp(cmd, "D") == 0)
		team_request_data(request, args + 2);
	else if (strcmp(cmd, "OK") == 0)
		team_request_finish(client, request, NULL, args + 2);
	else if (strcmp(cmd, "NO") == 0 && args[2] != NULL)
		team_request_finish(client, request, args[2], args + 3);
	else
		return -1;
	return 0;
}

/* Reads and handles what there is, waiting at most msecs for it. Returns 1 if
   lines were handled, 0 if not, -1 if the connection is gone. */
int team_client_pump(struct team_client *client, unsigned int msecs)
{
	char *line;
	int ret;

	if ((ret = team_client_io_pump(&client->conn, msecs)) > 0) {
		while ((line = team_client_io_next_line(&client->conn)) != NULL) {
			T_BEGIN {
				if (team_client_line(client, line) < 0)
					ret = -1;
			} T_END;
			if (ret < 0)
				break;
		}
	}
	if (ret < 0)
		team_client_disconnect(client);
	return ret;
}

bool team_client_has_refused(struct team_client *client)
{
	struct team_request *request;

	for (request = client->requests_head; request != NULL;
	     request = request->next) {
		if (request->refused)
			return TRUE;
	}
	return FALSE;
}

bool team_client_has_late(struct team_client *client)
{
	struct team_request *request;

	for (request = client->requests_head; request != NULL;
	     request = request->next) {
		if (request->late)
			return TRUE;
	}
	return FALSE;
}

void team_client_send_refused(struct team_client *client)
{
	struct team_request *request;

	for (request = client->requests_head; request != NULL &&
	     client->conn.fd != -1; request = request->next) {
		if (!request->refused)
			continue;
		if (team_request_is_left(client, request)) {
			/* that lets it have the spool */
			team_client_disconnect(client);
			break;
		}
		team_client_send_line(client, request->line);
		request->refused = FALSE;
	}
}

static unsigned int msecs_left(const struct timeval *deadline)
{
	struct timeval now;
	int msecs;

	i_gettimeofday(&now);
	msecs = timeval_diff_msecs(deadline, &now);
	return msecs < 0 ? 0 : msecs;
}

/* Dovecot is being stopped: if nobody listens, nobody will. */
static bool team_client_is_left_alone(void)
{
	return master_service != NULL &&
		master_service_is_master_stopped(master_service);
}

int team_client_step(struct team_client *client, struct timeval *deadline)
{
	unsigned int left = msecs_left(deadline);
	int ret;

	if (team_client_connect(client) < 0) {
		if (left == 0 || team_client_is_left_alone())
			return -1;
		i_sleep_msecs(I_MIN(left, CONNECT_RETRY_MSECS));
		return 0;
	}
	ret = team_client_pump(client, left);
	if (ret > 0) {
		if (team_client_has_refused(client)) {
			i_sleep_msecs(I_MIN(msecs_left(deadline),
					    CONNECT_RETRY_MSECS));
			team_client_send_refused(client);
			return msecs_left(deadline) == 0 ? -1 : 1;
		}
		return 1;
	}
	if (ret < 0 && (left = msecs_left(deadline)) > 0) {
		/* it was just killed, or it doesn't want us: don't spin */
		i_sleep_msecs(I_MIN(left, CONNECT_RETRY_MSECS));
	}
	return msecs_left(deadline) == 0 ? -1 : 0;
}

void team_client_deadline(struct team_client *client,
			  struct timeval *deadline_r)
{
	i_gettimeofday(deadline_r);
	timeval_add_msecs(deadline_r, client->away ? AWAY_TIMEOUT_MSECS :
			  client->timeout_msecs);
}
