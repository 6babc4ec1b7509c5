/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Input that waits in sockets. */

#include "team-common.h"
#include "array.h"
#include "istream.h"
#include "client.h"
#include "session.h"
#include "unread.h"

#include <sys/ioctl.h>

struct unread_client {
	struct client *client;
	/* of its input, where what was there ends */
	uoff_t end;
};

struct unread {
	ARRAY(struct unread_client) clients;
};

static bool client_is_of(const struct client *client, const char *colleague)
{
	const struct session *session;

	for (session = client->sessions; session != NULL;
	     session = session->next) {
		if (strcmp(session->colleague, colleague) == 0)
			return TRUE;
	}
	return FALSE;
}

static size_t client_unread_size(const struct client *client)
{
	int queued;

	if (ioctl(client->conn.fd_in, FIONREAD, &queued) < 0)
		queued = 0;
	return i_stream_get_data_size(client->conn.input) + (size_t)queued;
}

static void unread_add(struct unread **unread, struct client *client,
		       size_t size)
{
	struct unread_client *uclient;

	if (*unread == NULL) {
		*unread = i_new(struct unread, 1);
		i_array_init(&(*unread)->clients, 4);
	}
	uclient = array_append_space(&(*unread)->clients);
	uclient->client = client;
	uclient->end = client->conn.input->v_offset + size;
	client_ref(client);
}

struct unread *unread_init(const struct client *except, const char *colleague)
{
	struct unread *unread = NULL;
	struct client *client;
	size_t size;

	for (client = clients_first(); client != NULL;
	     client = client_next(client)) {
		if (client == except || client->closed ||
		    !client_is_of(client, colleague))
			continue;
		size = client_unread_size(client);
		if (size > 0)
			unread_add(&unread, client, size);
	}
	return unread;
}

bool unread_is_left(struct unread *unread)
{
	const struct unread_client *uclient;

	array_foreach(&unread->clients, uclient) {
		if (!uclient->client->closed &&
		    uclient->client->conn.input->v_offset < uclient->end)
			return TRUE;
	}
	return FALSE;
}

void unread_deinit(struct unread **_unread)
{
	struct unread *unread = *_unread;
	struct unread_client *uclient;

	if (unread == NULL)
		return;
	*_unread = NULL;
	array_foreach_modifiable(&unread->clients, uclient)
		client_unref(&uclient->client);
	array_free(&unread->clients);
	i_free(unread);
}
