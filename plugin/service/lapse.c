/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lapses: PostgreSQL takes the claims whose time is up away and gives them to
   one node, which journals them. It gives what the log doesn't have then once
   more, so a node asks only when all that it has journalled was shipped. */

#include "team-common.h"
#include "ioloop.h"
#include "strnum.h"
#include "record.h"
#include "journal.h"
#include "journal-gap.h"
#include "pg-conn.h"
#include "shipper.h"
#include "auditors.h"
#include "box.h"
#include "lapse.h"
#include "service.h"
#include "state.h"

#define LAPSE_INTERVAL_SECS 30
#define LAPSE_RETRY_SECS 1
/* How long it waits until all is shipped. */
#define LAPSE_BARRIER_MSECS 3000
/* More than this is worth a warning. */
#define CLOCK_DIFFERENCE_MAX 5

struct lapses {
	struct team_service *service;
	struct timeout *to;
	/* when it is due, by PostgreSQL's clock */
	int64_t at;
	/* PostgreSQL's clock against this node's, in seconds */
	int64_t clock_ahead;
	/* being looked for, and records that are being journalled */
	bool looking, warned;
	unsigned int staged;
};

struct lapses *lapses_init(struct team_service *service)
{
	struct lapses *lapses = i_new(struct lapses, 1);

	lapses->service = service;
	lapses_expect(lapses, 0);
	return lapses;
}

void lapses_deinit(struct lapses **_lapses)
{
	struct lapses *lapses = *_lapses;

	*_lapses = NULL;
	timeout_remove(&lapses->to);
	i_free(lapses);
}

int64_t lapses_now(const struct lapses *lapses)
{
	return time(NULL) + lapses->clock_ahead;
}

void lapses_expect(struct lapses *lapses, int64_t until)
{
	int64_t now = lapses_now(lapses), at = now + LAPSE_INTERVAL_SECS;

	/* a second late, as its end is known in whole seconds */
	if (until != 0 && until + 1 < at)
		at = I_MAX(until + 1, now + 1);
	if (lapses->to != NULL && lapses->at <= at)
		return;
	timeout_remove(&lapses->to);
	lapses->at = at;
	lapses->to = timeout_add_short((at - now) * 1000, lapses_look, lapses);
}

static void lapses_done(struct lapses *lapses, bool retry)
{
	lapses->looking = FALSE;
	lapses_expect(lapses, retry ? lapses_now(lapses) + LAPSE_RETRY_SECS :
		      boxes_first_until(lapses->service->boxes));
}

/* What couldn't be journalled is given once more the next time. */
static void lapse_journalled(const char *error, void *context)
{
	struct lapses *lapses = context;

	i_assert(lapses->staged > 0);
	if (--lapses->staged == 0)
		lapses_done(lapses, error != NULL);
}

static void lapse_row(struct lapses *lapses, const PGresult *result, int row)
{
	struct team_service *service = lapses->service;
	struct team_record *record;
	const char *name = PQgetvalue(result, row, 2);
	uint32_t uid, uidvalidity;
	int64_t until, since;
	struct box *box;

	if (str_to_uint32(PQgetvalue(result, row, 1), &uidvalidity) < 0 ||
	    pg_get_uid(result, row, 3, &uid) < 0 ||
	    pg_get_int64(result, row, 5, &since) < 0 ||
	    pg_get_int64(result, row, 6, &until) < 0) {
		i_error("team.claim_lapse returned something unexpected");
		return;
	}
	box = box_find(service->boxes, PQgetvalue(result, row, 0), uidvalidity);
	record = service_record_new(service, "lapse", "ok", NULL);
	service_record_set(record, "colleague", PQgetvalue(result, row, 4));
	service_record_set(record, "mailbox", PQgetvalue(result, row, 0));
	service_record_set(record, "uidvalidity", PQgetvalue(result, row, 1));
	service_record_set(record, "name", *name != '\0' || box == NULL ||
			   box->name == NULL ? name : box->name);
	service_record_set(record, "uids", PQgetvalue(result, row, 3));
	service_record_set(record, "d.since",
			   journal_time_text(since * 1000000));
	service_record_set(record, "d.until",
			   journal_time_text(until * 1000000));
	lapses->staged++;
	service_record_journal(service, &record, lapse_journalled, lapses);
}

/* Sessions hear of it by the notification, like those of other nodes. */
static void lapses_answer(const struct pg_answer *answer, void *context)
{
	struct lapses *lapses = context;
	int i, count;

	if (answer->error != NULL) {
		if (answer->action != PG_ACTION_RECONNECT) {
			i_error("PostgreSQL: team.claim_lapse failed: %s",
				answer->error);
		}
		lapses_done(lapses, FALSE);
		return;
	}
	count = PQntuples(answer->result);
	/* callbacks come from the journal's flush */
	for (i = 0; i < count; i++) T_BEGIN {
		lapse_row(lapses, answer->result, i);
	} T_END;
	if (lapses->staged == 0)
		lapses_done(lapses, FALSE);
}

static void clock_answer(const struct pg_answer *answer, void *context)
{
	struct lapses *lapses = context;
	int64_t now, ahead;

	if (answer->error != NULL || PQntuples(answer->result) != 1 ||
	    pg_get_int64(answer->result, 0, 0, &now) < 0)
		return;
	ahead = now - time(NULL);
	/* whole seconds, and on its way for a while */
	if (ahead >= -1 && ahead <= 1)
		ahead = 0;
	if (!lapses->warned && (ahead < -CLOCK_DIFFERENCE_MAX ||
				ahead > CLOCK_DIFFERENCE_MAX)) {
		lapses->warned = TRUE;
		i_warning("PostgreSQL's clock is %"PRId64" seconds %s this "
			  "node's: claims go by PostgreSQL's, records by this "
			  "node's. Set both by NTP", ahead < 0 ? -ahead : ahead,
			  ahead < 0 ? "behind" : "ahead of");
	}
	lapses->clock_ahead = ahead;
}

/* otherwise the next time */
static void claim_forget_answer(const struct pg_answer *answer ATTR_UNUSED,
				void *context ATTR_UNUSED)
{
}

static void lapses_shipped(bool ok, void *context)
{
	struct lapses *lapses = context;
	struct team_service *service = lapses->service;
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper))
	};

	/* going down, it is NULL */
	if (!ok || service->requests == NULL ||
	    !pg_conn_is_ready(service->requests)) {
		lapses_done(lapses, TRUE);
		return;
	}
	pg_conn_request(service->requests, "clock", NULL, 0, clock_answer,
			lapses);
	pg_conn_request(service->requests, "claim_forget", NULL, 0,
			claim_forget_answer, lapses);
	auditor_changes_look(service);
	pg_conn_request(service->requests, "claim_lapse", params,
			N_ELEMENTS(params), lapses_answer, lapses);
}

void lapses_look(struct lapses *lapses)
{
	struct team_service *service = lapses->service;
	struct journal_status status;

	timeout_remove(&lapses->to);
	if (!pg_conn_is_ready(service->requests) || lapses->looking) {
		lapses_expect(lapses, 0);
		return;
	}
	lapses->looking = TRUE;
	journal_flush(service->journal);
	journal_get_status(service->journal, &status);
	(void)shipper_wait(service->shipper, status.last_seq,
			   LAPSE_BARRIER_MSECS, lapses_shipped, lapses);
}
