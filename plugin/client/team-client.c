/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests, sessions and pushes between a process and the team service. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "hex-binary.h"
#include "hostpid.h"
#include "ioloop.h"
#include "istream.h"
#include "llist.h"
#include "randgen.h"
#include "sleep.h"
#include "str.h"
#include "strescape.h"
#include "time-util.h"
#include "team-protocol.h"
#include "team-client.h"
#include "team-client-io.h"

#include <unistd.h>

/* Between two attempts to connect within one request */
#define CONNECT_RETRY_MSECS 50
/* After a request's time was up, later ones wait only this long until the
   service answers again: a session must not hang at every command. */
#define AWAY_TIMEOUT_MSECS 100
/* What is kept for a service that is away; more than that is counted and
   reported as a gap. */
#define KEPT_BYTES_MAX (8*1024*1024)

enum request_state {
	/* somebody waits for the answer */
	REQUEST_WAITING,
	/* nobody waits; kept until the service has acknowledged it */
	REQUEST_KEPT,
	REQUEST_ANSWERED,
};

struct team_request {
	struct team_request *prev, *next;
	uint64_t id;
	enum request_state state;
	char *line;
	size_t line_len;

	pool_t pool;
	struct team_answer *answer;
	team_data_callback_t *callback;
	void *context;
	bool stopped;
};

struct team_watch {
	char *guid;
	uint32_t uidvalidity;
};

struct team_push {
	unsigned int sid;
	char *guid, *what;
	uint32_t uidvalidity;
};

struct team_session {
	struct team_session *prev, *next;
	struct team_client *client;
	unsigned int sid;
	char *line;
	ARRAY(struct team_watch) watches;
	team_push_callback_t *callback;
	void *context;
};

struct team_client {
	struct team_client *prev, *next;
	int refcount;

	struct team_client_io conn;
	struct io *io;
	struct timeout *to;
	unsigned int timeout_msecs;
	char client_id[TEAM_CLIENT_ID_LEN + 1];
	uint64_t last_id;
	unsigned int last_sid;

	struct team_session *sessions;
	struct team_request *requests_head, *requests_tail;
	ARRAY(struct team_push) pushes;
	size_t kept_bytes;
	unsigned int lost_count;

	bool ready;
	bool away;
	/* a request is being waited for: pushes are delivered later */
	bool waiting;
};

static struct team_client *team_clients = NULL;

static void team_client_input(struct team_client *client);
static void team_client_schedule(struct team_client *client);

/*
 * Connection
 */

static void team_client_send_line(struct team_client *client, const char *line)
{
	buffer_append(client->conn.output, line, strlen(line));
	buffer_append_c(client->conn.output, '\n');
}

static void
team_session_send_watch(struct team_session *session, const char *cmd,
			const char *guid, uint32_t uidvalidity)
{
	struct team_client *client = session->client;

	if (client->conn.fd == -1)
		return;
	team_client_send_line(client, t_strdup_printf(
		"%s\t%"PRIu64"\t%u\t%s\t%u", cmd, ++client->last_id,
		session->sid, guid, uidvalidity));
}

static void team_client_disconnect(struct team_client *client)
{
	struct team_request *request;

	io_remove(&client->io);
	team_client_io_disconnect(&client->conn);
	client->ready = FALSE;
	/* the answer comes anew */
	for (request = client->requests_head; request != NULL;
	     request = request->next) {
		if (request->answer != NULL &&
		    array_is_created(&request->answer->data))
			array_clear(&request->answer->data);
	}
}

static int team_client_connect(struct team_client *client)
{
	struct team_session *session;
	const struct team_watch *watch;
	struct team_request *request;

	if (client->conn.fd != -1)
		return 0;
	if (team_client_io_connect(&client->conn) < 0)
		return -1;

	team_client_send_line(client, t_strdup_printf("VERSION\t%s\t%u\t%u",
		TEAM_PROTOCOL_CLIENT, TEAM_PROTOCOL_MAJOR,
		TEAM_PROTOCOL_MINOR));
	team_client_send_line(client, t_strdup_printf("HELLO\t%s\t%s",
		client->client_id, my_pid));
	for (session = client->sessions; session != NULL;
	     session = session->next)
		team_client_send_line(client, session->line);
	for (request = client->requests_head; request != NULL;
	     request = request->next)
		team_client_send_line(client, request->line);
	for (session = client->sessions; session != NULL;
	     session = session->next) {
		array_foreach(&session->watches, watch) {
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

/*
 * Requests
 */

static void
team_request_free(struct team_client *client, struct team_request **_request)
{
	struct team_request *request = *_request;

	*_request = NULL;
	if (request->state == REQUEST_KEPT)
		client->kept_bytes -= request->line_len;
	i_free(request->line);
	i_free(request);
}

static void
team_request_unlink(struct team_client *client, struct team_request *request)
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
		if (client->lost_count++ == 0) {
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
	request->state = state;

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
team_request_finish(struct team_client *client, struct team_request *request,
		    const char *code, const char *const *args)
{
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
		client->ready = TRUE;
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
static int team_client_pump(struct team_client *client, unsigned int msecs)
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

static unsigned int msecs_left(const struct timeval *deadline)
{
	struct timeval now;
	int msecs;

	i_gettimeofday(&now);
	msecs = timeval_diff_msecs(deadline, &now);
	return msecs < 0 ? 0 : msecs;
}

/* One step towards an answer: connects, or reads. Returns 1 after progress, 0
   if there was none, -1 once the time is up. */
static int
team_client_step(struct team_client *client, struct timeval *deadline)
{
	unsigned int left = msecs_left(deadline);
	int ret;

	if (team_client_connect(client) < 0) {
		if (left == 0)
			return -1;
		i_sleep_msecs(I_MIN(left, CONNECT_RETRY_MSECS));
		return 0;
	}
	ret = team_client_pump(client, left);
	if (ret > 0)
		return 1;
	if (ret < 0 && (left = msecs_left(deadline)) > 0) {
		/* it was just killed, or it doesn't want us: don't spin */
		i_sleep_msecs(I_MIN(left, CONNECT_RETRY_MSECS));
	}
	return msecs_left(deadline) == 0 ? -1 : 0;
}

static void
team_client_deadline(struct team_client *client, struct timeval *deadline_r)
{
	i_gettimeofday(deadline_r);
	timeval_add_msecs(deadline_r, client->away ? AWAY_TIMEOUT_MSECS :
			  client->timeout_msecs);
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
	if (client->conn.fd != -1)
		team_client_send_line(client, request->line);
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

static void
team_client_keep(struct team_session *session, const char *cmd, uint64_t txn,
		 const char *const *fields)
{
	struct team_client *client = session->client;
	struct team_request *request;

	request = team_request_add(session, REQUEST_KEPT, cmd, txn, fields);
	if (client->conn.fd != -1)
		team_client_send_line(client, request->line);
	team_client_schedule(client);
}

void team_client_event(struct team_session *session, const char *const *fields)
{
	T_BEGIN {
		team_client_keep(session, "EVENT", 0, fields);
	} T_END;
}

int team_client_flush(struct team_session *session, const char **error_r)
{
	struct team_client *client = session->client;
	struct team_request *last = client->requests_tail;
	struct timeval deadline;
	bool was_waiting = client->waiting;
	uint64_t last_id;

	if (last == NULL)
		return 0;
	last_id = last->id;
	team_client_report_lost(client);
	client->waiting = TRUE;
	team_client_deadline(client, &deadline);
	while (client->requests_head != NULL &&
	       client->requests_head->id <= last_id) {
		if (team_client_step(client, &deadline) < 0)
			break;
	}
	client->waiting = was_waiting;
	team_client_schedule(client);
	if (client->requests_head == NULL ||
	    client->requests_head->id > last_id)
		return 0;
	client->away = TRUE;
	*error_r = team_client_away_error(client);
	return -1;
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
		request->state = REQUEST_KEPT;
		client->kept_bytes += request->line_len;
	} else {
		team_request_unlink(client, request);
		team_request_free(client, &request);
	}
	*error_r = team_client_away_error(client);
	return -1;
}

uint64_t team_client_prepare(struct team_session *session,
			     const char *const *const *records,
			     unsigned int records_count, const char **error_r)
{
	struct team_client *client = session->client;
	struct team_request *request = NULL;
	struct team_answer answer;
	uint64_t txn = client->last_id + 1;
	unsigned int i;
	int ret;

	i_assert(records_count > 0);
	for (i = 0; i < records_count; i++) {
		/* all but the last are answered before it, since journalled
		   requests are answered in order */
		request = team_request_add(session, i + 1 < records_count ?
					   REQUEST_KEPT : REQUEST_WAITING,
					   "PREPARE", txn, records[i]);
		if (i + 1 < records_count && client->conn.fd != -1)
			team_client_send_line(client, request->line);
	}
	ret = team_client_simple(session, request, &answer, TRUE, error_r);
	if (ret == 0)
		return txn;
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
	return team_client_simple(session, request, &answer, TRUE,
				  error_r) == 0 ? 0 : -1;
}

void team_client_abort(struct team_session *session, uint64_t txn,
		       const char *const *fields)
{
	T_BEGIN {
		team_client_keep(session, "ABORT", txn, fields);
	} T_END;
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
	ret = team_client_wait(client, request);
	if (ret < 0) {
		if (request->stopped) {
			*error_r = "Stopped";
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

static void team_client_work(struct team_client *client)
{
	timeout_remove(&client->to);
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

static void team_client_input(struct team_client *client)
{
	team_client_work(client);
}

/* Has the ioloop come back for what is left to do. */
static void team_client_schedule(struct team_client *client)
{
	unsigned int msecs;

	if (client->to != NULL || client->waiting || io_loop_get_root() == NULL)
		return;
	if (array_count(&client->pushes) > 0)
		msecs = 0;
	else if (client->conn.fd != -1 && client->conn.output->used > 0)
		msecs = client->away ? AWAY_TIMEOUT_MSECS : 0;
	else if (client->conn.fd == -1 && client->sessions != NULL)
		msecs = 1000;
	else
		return;
	client->to = timeout_add_short_to(io_loop_get_root(), msecs,
					  team_client_work, client);
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
	team_client_disconnect(client);
	for (request = client->requests_head; request != NULL; request = next) {
		next = request->next;
		i_error("team: The service at %s did not take a record of this "
			"process: %.200s", client->conn.path, request->line);
		team_request_free(client, &request);
	}
	array_foreach_modifiable(&client->pushes, push) {
		i_free(push->guid);
		i_free(push->what);
	}
	array_free(&client->pushes);
	team_client_io_deinit(&client->conn);
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

void team_session_watch(struct team_session *session, const char *guid,
			uint32_t uidvalidity, bool watch)
{
	struct team_watch *old, new_watch;
	unsigned int i, count;

	old = array_get_modifiable(&session->watches, &count);
	for (i = 0; i < count; i++) {
		if (old[i].uidvalidity == uidvalidity &&
		    strcmp(old[i].guid, guid) == 0)
			break;
	}
	if (watch == (i < count))
		return;
	if (watch) {
		i_zero(&new_watch);
		new_watch.guid = i_strdup(guid);
		new_watch.uidvalidity = uidvalidity;
		array_push_back(&session->watches, &new_watch);
		(void)team_client_connect(session->client);
	} else {
		i_free(old[i].guid);
		array_delete(&session->watches, i, 1);
	}
	team_session_send_watch(session, watch ? "WATCH" : "UNWATCH", guid,
				uidvalidity);
	team_client_schedule(session->client);
}
