/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers and pushes to clients. */

#include "team-common.h"
#include "fdpass.h"
#include "ioloop.h"
#include "llist.h"
#include "ostream.h"
#include "str.h"
#include "strescape.h"
#include "time-util.h"
#include "team-protocol.h"
#include "box.h"
#include "client.h"
#include "commands.h"
#include "service.h"
#include "session.h"

/* Output that waits in the process before more is held back. */
#define CLIENT_OUTPUT_FULL (256*1024)

/* A push wakes a process, which looks at the mailbox and tells its client. The
   more of them a change wakes, the longer they wait until the next one wakes
   them again, so that mailboxes that are busy and watched by many leave time
   for other work. At most as long as Dovecot itself has them wait. */
#define PUSH_INTERVAL_MSECS_EACH 2
#define PUSH_INTERVAL_MSECS_MAX 500

static struct client *push_clients;
static struct timeout *to_push;
/* when it comes */
static struct timeval push_due;

bool client_output_is_full(struct client *client)
{
	return client->conn.output != NULL &&
		o_stream_get_buffer_used_size(client->conn.output) >
		CLIENT_OUTPUT_FULL;
}

static void client_uncork(struct client *client)
{
	timeout_remove(&client->to_uncork);
	o_stream_uncork(client->conn.output);
}

/* Answers to what was journalled together go out together. */
static void client_send(struct client *client, string_t *str)
{
	if (client->closed)
		return;
	if (client->to_uncork == NULL && !o_stream_is_corked(client->conn.output)) {
		o_stream_cork(client->conn.output);
		client->to_uncork = timeout_add_short(0, client_uncork, client);
	}
	str_append_c(str, '\n');
	o_stream_nsend(client->conn.output, str_data(str), str_len(str));
	/* Who waits for room must hear of it. Without this nobody is called if
	   a client that reads fast takes everything while it's uncorked. */
	if (client_output_is_full(client))
		o_stream_set_flush_pending(client->conn.output, TRUE);
}

void client_send_ready(struct client *client, int spool_fd)
{
	struct ostream *output = client->conn.output;
	const char *line = t_strdup_printf("READY\t%s%s\n",
		str_tabescape(client->service->node),
		spool_fd == -1 ? "" : "\tspool");

	if (spool_fd != -1) {
		/* it goes along with bytes that aren't buffered */
		o_stream_uncork(output);
		if (o_stream_get_buffer_used_size(output) == 0 &&
		    fd_send(client->conn.fd_out, spool_fd, line,
			    strlen(line)) == (ssize_t)strlen(line))
			line = "";
		i_close_fd(&spool_fd);
	}
	o_stream_nsend_str(output, line);
}

void client_send_ok(struct client *client, uint64_t id, const char *args)
{
	T_BEGIN {
		string_t *str = t_str_new(64);

		str_printfa(str, "OK\t%"PRIu64, id);
		if (args != NULL) {
			str_append_c(str, '\t');
			str_append(str, args);
		}
		client_send(client, str);
	} T_END;
}

void client_send_no(struct client *client, uint64_t id, const char *code,
		    const char *text)
{
	T_BEGIN {
		string_t *str = t_str_new(128);

		str_printfa(str, "NO\t%"PRIu64"\t%s\t", id, code);
		str_append_tabescaped(str, text);
		client_send(client, str);
	} T_END;
}

void client_send_data(struct client *client, uint64_t id,
		      const char *const *fields)
{
	T_BEGIN {
		string_t *str = t_str_new(256);

		str_printfa(str, "D\t%"PRIu64, id);
		for (; *fields != NULL; fields++) {
			str_append_c(str, '\t');
			str_append_tabescaped(str, *fields);
		}
		client_send(client, str);
	} T_END;
}

void client_send_failing(struct client *client, const struct team_request *req)
{
	struct team_service *service = client->service;

	if (req->cmd == TEAM_COMMAND_PREPARE && client->refused_txn == 0)
		client->refused_txn = req->txn;
	if (req->cmd == TEAM_COMMAND_STATUS && client->admin)
		command_status(client, req);
	else if (req->cmd == TEAM_COMMAND_ABORT && req->fields[0] == NULL &&
		 client->refused_txn != 0 && req->txn >= client->refused_txn)
		client_send_ok(client, req->id, NULL);
	else if (team_command_is_journalled(req->cmd)) {
		service->refused++;
		client_send_no(client, req->id, TEAM_CODE_JOURNAL,
			       service->journal_error);
	} else if (req->cmd != TEAM_COMMAND_SESSION &&
		   req->cmd != TEAM_COMMAND_SESSION_END) {
		client_send_no(client, req->id, TEAM_CODE_UNAVAILABLE,
			       "the journal can't be written");
	}
}

static void client_send_push(struct client *client, struct watch *watch)
{
	static const struct {
		enum push_what what;
		const char *name;
	} whats[] = {
		{ PUSH_FLAGS, "flags" },
		{ PUSH_CLAIMS, "claims" },
		{ PUSH_CHANGED, "changed" },
	};
	unsigned int i;
	string_t *str;

	for (i = 0; i < N_ELEMENTS(whats); i++) T_BEGIN {
		if ((watch->pending & whats[i].what) != 0) {
			str = t_str_new(128);
			str_printfa(str, "PUSH\t%"PRIu64"\t%s\t%u\t%s",
				    watch->session->sid, watch->box->guid,
				    watch->box->uidvalidity, whats[i].name);
			client_send(client, str);
		}
	} T_END;
	watch->pending = 0;
}

static void client_send_pushes(struct client *client)
{
	struct session *session;
	struct watch *watch;

	o_stream_cork(client->conn.output);
	for (session = client->sessions; session != NULL;
	     session = session->next) {
		for (watch = session->watches; watch != NULL;
		     watch = watch->session_next) {
			if (watch->pending != 0)
				client_send_push(client, watch);
		}
	}
	o_stream_uncork(client->conn.output);
}

void client_push_remove(struct client *client)
{
	if (!client->push_pending)
		return;
	client->push_pending = FALSE;
	DLLIST_REMOVE_FULL(&push_clients, client, push_prev, push_next);
}

static void client_push_flush(void *context ATTR_UNUSED);

static void client_push_schedule(const struct timeval *due)
{
	int msecs;

	if (to_push != NULL && timeval_cmp(&push_due, due) <= 0)
		return;
	timeout_remove(&to_push);
	push_due = *due;
	msecs = timeval_diff_msecs(due, &ioloop_timeval);
	to_push = timeout_add_short(I_MAX(msecs, 0), client_push_flush, NULL);
}

/* When the client may be pushed again. */
static struct timeval client_push_due(struct client *client)
{
	struct timeval due = client->push_last;

	timeval_add_msecs(&due, client->push_interval_msecs);
	/* or the clock was set back */
	if (timeval_cmp(&due, &ioloop_timeval) < 0 ||
	    timeval_cmp(&client->push_last, &ioloop_timeval) > 0)
		due = ioloop_timeval;
	return due;
}

static void client_push_flush(void *context ATTR_UNUSED)
{
	struct client *client, *next;
	struct timeval due;

	timeout_remove(&to_push);
	for (client = push_clients; client != NULL; client = next) {
		next = client->push_next;
		/* it's told later, once, when it takes output again */
		if (client_output_is_full(client))
			continue;
		due = client_push_due(client);
		if (timeval_cmp(&due, &ioloop_timeval) > 0) {
			client_push_schedule(&due);
			continue;
		}
		client_push_remove(client);
		client_send_pushes(client);
		client->push_last = ioloop_timeval;
	}
}

void client_push_notice(struct session *session, const char *guid,
			uint32_t uidvalidity, int64_t id, const char *text)
{
	string_t *str;

	T_BEGIN {
		str = t_str_new(128);
		str_printfa(str, "PUSH\t%"PRIu64"\t%s\t%u\tnotice %"PRId64" ",
			    session->sid, guid, uidvalidity, id);
		str_append_tabescaped(str, text);
		client_send(session->client, str);
	} T_END;
}

void client_push_later(struct client *client, unsigned int others)
{
	struct timeval due;

	if (client->push_pending || client->closed)
		return;
	client->push_pending = TRUE;
	client->push_interval_msecs = I_MIN(others * PUSH_INTERVAL_MSECS_EACH,
					    PUSH_INTERVAL_MSECS_MAX);
	DLLIST_PREPEND_FULL(&push_clients, client, push_prev, push_next);
	due = client_push_due(client);
	client_push_schedule(&due);
}

void client_push_now(struct client *client)
{
	if (client->closed || !client->push_pending)
		return;
	client_push_remove(client);
	client_send_pushes(client);
}

void client_pushes_deinit(void)
{
	timeout_remove(&to_push);
}
