/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding out whether notifications come. */

#include "team-common.h"
#include "hex-binary.h"
#include "randgen.h"
#include "generations.h"
#include "listen.h"

static char listen_id[16 + 1];

/* What counts is the notification. */
static void listen_answer(const struct pg_answer *answer ATTR_UNUSED,
			  void *context ATTR_UNUSED)
{
}

void listen_begin(struct pg_conn *conn, int node_id)
{
	unsigned char id[8];
	const char *params[1];

	random_fill(id, sizeof(id));
	i_strocpy(listen_id, binary_to_hex(id, sizeof(id)), sizeof(listen_id));
	params[0] = t_strdup_printf("%d - 0 listen %s", node_id, listen_id);
	pg_conn_request(conn, "listen", params, N_ELEMENTS(params),
			listen_answer, NULL);
	/* from now on it can be asked who is here */
	params[0] = t_strdup_printf("%d", node_id);
	pg_conn_request(conn, "node_here", params, N_ELEMENTS(params),
			listen_answer, NULL);
}

void listen_heard(const char *id)
{
	if (id != NULL && strcmp(id, listen_id) == 0)
		generations_hear(TRUE);
}

void listen_lost(void *context ATTR_UNUSED)
{
	generations_hear(FALSE);
}
