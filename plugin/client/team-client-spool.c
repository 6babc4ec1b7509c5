/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's end of the spool: what stands in it needn't be waited for. */

#include "team-common.h"
#include "str.h"
#include "time-util.h"
#include "team-protocol.h"
#include "team-client-generations.h"
#include "team-client-private.h"

#include <sys/stat.h>
#include <unistd.h>

void team_spool_open(struct team_client *client, int fd)
{
	i_assert(client->spool_fd == -1);

	fd_close_on_exec(fd, TRUE);
	client->spool_fd = fd;
	client->spool_size = 0;
	client->spool_generation++;
}

void team_spool_close(struct team_client *client)
{
	i_close_fd(&client->spool_fd);
	client->spool_is_old = FALSE;
}

/* A service that was told HELLO removes what the last connection's spool was,
   which shows before its READY does. */
static bool team_spool_is_taken(const struct team_client *client)
{
	struct stat st;

	return client->spool_is_old &&
		(fstat(client->spool_fd, &st) < 0 || st.st_nlink == 0);
}

/* Begins it anew when it is full and all that stands in it is in the journal
   as well. */
static bool
team_spool_make_room(struct team_client *client, struct team_request *request,
		     size_t size)
{
	if (client->spool_size + size <= TEAM_SPOOL_MAX_SIZE)
		return TRUE;
	if (size > TEAM_SPOOL_MAX_SIZE || client->requests_head != request ||
	    ftruncate(client->spool_fd, 0) < 0)
		return FALSE;
	client->spool_size = 0;
	client->spool_generation++;
	return TRUE;
}

bool team_spool_add(struct team_session *session, struct team_request *request)
{
	struct team_client *client = session->client;
	string_t *str;

	if (client->spool_fd == -1 ||
	    !team_spool_make_room(client, request, strlen(session->line) +
				  request->line_len + 2))
		return FALSE;
	str = t_str_new(512);
	if (session->spool_generation != client->spool_generation)
		str_printfa(str, "%s\n", session->line);
	str_printfa(str, "%s\n", request->line);
	if (pwrite(client->spool_fd, str_data(str), str_len(str),
		   client->spool_size) != (ssize_t)str_len(str)) {
		/* no part of it may stay */
		if (ftruncate(client->spool_fd, client->spool_size) < 0)
			team_spool_close(client);
		return FALSE;
	}
	client->spool_size += str_len(str);
	session->spool_generation = client->spool_generation;
	return !team_spool_is_taken(client);
}

static bool team_client_answers(struct team_client *client,
				const struct team_request *request)
{
	return !client->away &&
		timeval_diff_msecs(&request->created,
				   &client->requests_head->created) <
		SPOOLED_INTENT_MSECS;
}

bool team_spool_add_intent(struct team_session *session,
			   struct team_request *request)
{
	struct team_client *client = session->client;
	const struct team_generations_file *file;

	if (client->spool_fd == -1 || client->spool_is_old ||
	    !session->accepted || request->line_len > SPOOLED_INTENT_MAX ||
	    !team_client_answers(client, request))
		return FALSE;
	file = team_client_generations(client->base_dir);
	return file != NULL && atomic_load(&file->journal) != 0 &&
		team_spool_add(session, request);
}
