/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* STATUS, ROTATE-KEY, CUT */

#include "team-common.h"
#include "ioloop.h"
#include "team-protocol.h"
#include "journal.h"
#include "journal-gap.h"
#include "pg-conn.h"
#include "shipper.h"
#include "box.h"
#include "checkpoints.h"
#include "team-settings.h"
#include "client.h"
#include "commands.h"
#include "lapse.h"
#include "service.h"
#include "session.h"
#include "state.h"

struct status {
	struct client *client;
	uint64_t id;
};

static void status_send(struct status *status, const char *key,
			const char *value)
{
	const char *const fields[] = { key, value, NULL };

	client_send_data(status->client, status->id, fields);
}

static void status_send_num(struct status *status, const char *key,
			    uint64_t num)
{
	status_send(status, key, t_strdup_printf("%"PRIu64, num));
}

static void status_postgres(struct status *status,
			    const struct team_service *service,
			    const struct shipper_status *shipper)
{
	time_t away = pg_conn_away_since(service->requests);
	const char *error = pg_conn_last_error(service->requests);

	if (away == 0 || (shipper->away_since != 0 &&
			  shipper->away_since < away))
		away = shipper->away_since;
	if (error == NULL)
		error = shipper->last_error;
	if (shipper->connected && pg_conn_is_ready(service->requests))
		status_send(status, "postgres", "reachable");
	else if (away == 0)
		status_send(status, "postgres", "connecting");
	else {
		status_send(status, "postgres", t_strdup_printf(
			"away since %s",
			journal_time_text((uint64_t)away * 1000000)));
	}
	status_send(status, "postgres_error", error == NULL ? "" : error);
	status_send(status, "schema", pg_conn_schema(service->requests));
}

static void status_failing(struct status *status, uint64_t since,
			   const char *error)
{
	status_send(status, "journal", t_strdup_printf("failing since %s: %s",
		journal_time_text(since), error));
}

static void status_journal(struct status *status,
			   const struct journal_status *journal,
			   const struct shipper_status *shipper)
{
	uint64_t now = (uint64_t)ioloop_timeval.tv_sec * 1000000 +
		ioloop_timeval.tv_usec;
	uint64_t lag = shipper->oldest_at == 0 || shipper->oldest_at > now ?
		0 : now - shipper->oldest_at;

	if (journal->error == NULL)
		status_send(status, "journal", "writable");
	else
		status_failing(status, journal->error_since, journal->error);
	status_send_num(status, "journal_segments", journal->segments);
	status_send_num(status, "journal_bytes", journal->bytes);
	status_send_num(status, "journal_records",
			journal->last_seq - journal->shipped_seq);
	status_send(status, "lag_seconds", t_strdup_printf(
		"%"PRIu64".%03u", lag / 1000000,
		(unsigned int)(lag / 1000 % 1000)));
	/* the log's numbers, once it's known what they are */
	status_send(status, "seq", t_strdup_printf("%"PRId64,
		(int64_t)journal->last_seq + journal->base));
	status_send(status, "shipped_seq", t_strdup_printf("%"PRId64,
		(int64_t)journal->shipped_seq + journal->base));
}

static void count_watches(struct box *box, void *context)
{
	unsigned int *count = context;
	const struct watch *watch;

	for (watch = box->watches; watch != NULL; watch = watch->next)
		(*count)++;
}

void command_status(struct client *client, const struct team_request *req)
{
	struct team_service *service = client->service;
	struct status status = { .client = client, .id = req->id };
	struct journal_status journal;
	struct shipper_status shipper;
	unsigned int watches = 0;

	status_send(&status, "node", service->node);
	status_send(&status, "version", PACKAGE_VERSION);
	status_send_num(&status, "uptime_seconds",
			ioloop_time - service->started);
	if (service->journal == NULL) {
		status_failing(&status, (uint64_t)service->started * 1000000,
			       service->journal_error);
		client_send_ok(client, req->id, NULL);
		return;
	}
	journal_flush(service->journal);
	journal_get_status(service->journal, &journal);
	shipper_get_status(service->shipper, &shipper);
	boxes_foreach(service->boxes, count_watches, &watches);

	status_postgres(&status, service, &shipper);
	status_journal(&status, &journal, &shipper);
	status_send_num(&status, "checkpoint_size",
			checkpoints_last_size(service->checkpoints));
	status_send(&status, "checkpoint_dir",
		    service->set->team_journal_dir);
	status_send_num(&status, "clients", clients_count());
	status_send_num(&status, "sessions", service->sessions_count);
	status_send_num(&status, "watches", watches);
	status_send_num(&status, "claims",
			boxes_claims_count(service->boxes, lapses_now(service->lapses)));
	status_send_num(&status, "intents",
			ledger_intents_count(service->ledger));
	client_send_ok(client, req->id, NULL);
}

void command_rotate_key(struct client *client, const struct team_request *req)
{
	const char *error;

	if (checkpoints_rotate_key(client->service->checkpoints, &error) < 0) {
		i_error("The key can't be changed: %s", error);
		client_send_no(client, req->id, TEAM_CODE_JOURNAL, error);
	} else {
		i_info("Checkpoints are signed by a new key from now on");
		client_send_ok(client, req->id, NULL);
	}
}

void command_cut(struct client *client, const struct team_request *req)
{
	struct checkpoints *checkpoints = client->service->checkpoints;
	const char *fields[2] = { NULL, NULL }, *error;

	if (checkpoints_sign_cut(checkpoints, req->origin, req->tree,
				 req->first, &fields[0], &error) < 0) {
		i_error("A cut of %s can't be signed: %s", req->origin, error);
		client_send_no(client, req->id, TEAM_CODE_INVALID, error);
		return;
	}
	i_info("Signed that records of %s may be dropped: %s from record "
	       "%"PRIu64" on", req->origin, t_strcut(req->tree, ' '),
	       req->first);
	client_send_data(client, req->id, fields);
	client_send_ok(client, req->id, NULL);
}
