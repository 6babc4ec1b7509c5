/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of auditors' limits. One that couldn't be journalled, or whose record
   got lost with this process, is given once more the next time. */

#include "team-common.h"
#include "record.h"
#include "journal.h"
#include "journal-gap.h"
#include "pg-conn.h"
#include "shipper.h"
#include "auditors.h"
#include "service.h"
#include "state.h"

static void auditor_change_row(struct team_service *service,
			       const PGresult *result, int row)
{
	struct team_record *record;
	int64_t at;

	if (pg_get_int64(result, row, 1, &at) < 0) {
		i_error("team.auditor_changes returned something unexpected");
		return;
	}
	record = service_record_new(service, "acl", "ok", NULL);
	service_record_set(record, "d.change", PQgetvalue(result, row, 0));
	service_record_set(record, "d.at", journal_time_text(at * 1000000));
	service_record_set(record, "d.auditor", PQgetvalue(result, row, 2));
	service_record_set(record, "d.mailboxes",
			   PQgetisnull(result, row, 3) ? "all" :
			   PQgetvalue(result, row, 3));
	service_record_set(record, "d.by", PQgetvalue(result, row, 4));
	service_record_journal(service, &record, NULL, NULL);
}

static void auditor_changes_answer(const struct pg_answer *answer,
				   void *context)
{
	struct team_service *service = context;
	int i;

	if (answer->error != NULL) {
		if (answer->action != PG_ACTION_RECONNECT) {
			i_error("PostgreSQL: team.auditor_changes failed: %s",
				answer->error);
		}
		return;
	}
	for (i = 0; i < PQntuples(answer->result); i++) T_BEGIN {
		auditor_change_row(service, answer->result, i);
	} T_END;
}

void auditor_changes_look(struct team_service *service)
{
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper))
	};

	pg_conn_request(service->requests, "auditor_changes", params,
			N_ELEMENTS(params), auditor_changes_answer, service);
}
