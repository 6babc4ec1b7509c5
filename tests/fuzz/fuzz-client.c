/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the service says to a mail process: whatever it is, every request comes
   to an end. The socket below the client is replaced by the input, and by a
   service that answers all that is asked once the input has been read. */

#include "team-common.h"
#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "hostpid.h"
#include "ioloop.h"
#include "istream.h"
#include "sleep.h"
#include "str.h"
#include "team-protocol.h"
#include "team-client-private.h"
#include "fuzz.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

static struct ioloop *fuzz_ioloop;
static const uint8_t *fuzz_data;
static size_t fuzz_size;
static string_t *fuzz_answers;

void team_client_io_init(struct team_client_io *io, const char *path)
{
	i_zero(io);
	io->path = i_strdup(path);
	io->fd = -1;
	io->output = buffer_create_dynamic(default_pool, 1024);
}

void team_client_io_deinit(struct team_client_io *io)
{
	team_client_io_disconnect(io);
	buffer_free(&io->output);
	i_free(io->path);
}

int team_client_io_connect(struct team_client_io *io)
{
	/* the ioloop wants one */
	io->fd = eventfd(0, EFD_CLOEXEC);
	FUZZ_CHECK(io->fd != -1);
	buffer_set_used_size(io->output, 0);
	return 0;
}

void team_client_io_disconnect(struct team_client_io *io)
{
	if (io->fd == -1)
		return;
	i_stream_unref(&io->input);
	i_close_fd(&io->fd);
	buffer_set_used_size(io->output, 0);
}

/* Answers the requests that the client has written. */
static void answer_all(struct team_client_io *io)
{
	const char *const *lines, *const *args;

	str_truncate(fuzz_answers, 0);
	lines = t_strsplit(t_strndup(io->output->data, io->output->used), "\n");
	for (; *lines != NULL; lines++) {
		args = t_strsplit(*lines, "\t");
		if (args[0] == NULL || args[1] == NULL ||
		    strcmp(args[0], "VERSION") == 0 ||
		    strcmp(args[0], "HELLO") == 0 ||
		    str_begins_with(args[0], "SESSION"))
			continue;
		str_printfa(fuzz_answers, "OK\t%s\n", args[1]);
	}
	buffer_set_used_size(io->output, 0);
}

int team_client_io_send(struct team_client_io *io ATTR_UNUSED)
{
	return 0;
}

int team_client_io_pump(struct team_client_io *io,
			unsigned int msecs ATTR_UNUSED)
{
	if (io->input != NULL)
		i_stream_unref(&io->input);
	if (fuzz_size > 0) {
			io->input = i_stream_create_from_data(fuzz_data, fuzz_size);
		fuzz_size = 0;
	} else T_BEGIN {
		answer_all(io);
		io->input = i_stream_create_from_data(str_data(fuzz_answers),
						      str_len(fuzz_answers));
	} T_END;
	(void)i_stream_read(io->input);
	return 1;
}

/* A spool: it is written only. */
int team_client_io_take_fd(struct team_client_io *io ATTR_UNUSED)
{
	return memfd_create("spool", MFD_CLOEXEC);
}

char *team_client_io_next_line(struct team_client_io *io)
{
	return io->input == NULL ? NULL : i_stream_next_line(io->input);
}

/* Instead of Dovecot's: nothing needs to be waited for. */
void i_sleep_msecs(unsigned int msecs ATTR_UNUSED)
{
}

static void push_callback(void *context ATTR_UNUSED, const char *guid,
			  uint32_t uidvalidity ATTR_UNUSED, const char *what)
{
	FUZZ_CHECK(guid != NULL && what != NULL);
}

static bool data_callback(void *context, const char *const *args)
{
	unsigned int *left = context;

	FUZZ_CHECK(args != NULL);
	return (*left)-- > 0;
}

static void ask(struct team_session *session, pool_t pool)
{
	static const char *const fields[] = {
		"action=flag", "outcome=ok", "uids=1", NULL
	};
	static const char *const *const records[] = { fields, fields };
	struct team_answer answer;
	const char *error;
	unsigned int lines = 3;
	uint64_t txn;

	team_session_watch(session, "guid", 1, TRUE);
	team_client_event(session, fields);
	(void)team_client_request(session, pool, "SYNC", fields, &answer,
				  &error);
	txn = team_client_prepare(session, records, 2, 0, NULL, &error);
	if (txn != 0)
		(void)team_client_commit(session, txn, fields, &error);
	(void)team_client_request_stream(session, pool, "QUERY", fields,
					 data_callback, &lines, &answer,
					 &error);
	FUZZ_CHECK(team_client_flush(session, &error) == 0);
}

static void ignore_error(const struct failure_context *ctx ATTR_UNUSED,
			 const char *format ATTR_UNUSED,
			 va_list args ATTR_UNUSED)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct team_session_info info = {
		.colleague = "alice", .user = "alice", .session_id = "s",
		.service = "imap",
	};
	struct team_client *client;
	struct team_session *session;
	pool_t pool;

	if (fuzz_answers == NULL) {
		lib_init();
		hostpid_init();
		fuzz_ioloop = io_loop_create();
		i_set_error_handler(ignore_error);
		i_set_info_handler(ignore_error);
		fuzz_answers = str_new(default_pool, 1024);
	}
	fuzz_data = data;
	fuzz_size = size;
	pool = pool_alloconly_create("fuzz", 1024);
	T_BEGIN {
		client = team_client_get("/nonexistent", "team", 1000);
		session = team_session_init(client, &info, push_callback, NULL);
		ask(session, pool);
		/* delivers what was pushed meanwhile */
		team_client_input(client);
		team_session_deinit(&session);
		team_client_unref(&client);
	} T_END;
	pool_unref(&pool);
	return 0;
}
