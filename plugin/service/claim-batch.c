/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims of single messages are asked for together: what comes while
   PostgreSQL works on a batch makes up the next one. Whatever isn't simply
   granted is asked for again by itself. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "str.h"
#include "strnum.h"
#include "team-settings.h"
#include "pg-conn.h"
#include "shipper.h"
#include "box.h"
#include "claim-request.h"
#include "client.h"
#include "service.h"
#include "session.h"
#include "state.h"

#define BATCH_MAX 500

struct batch_box {
	char *guid;
	uint32_t uidvalidity;
};

struct claim_batch {
	struct team_service *service;
	ARRAY(struct claim_request *) requests;
	/* with a notification to come */
	ARRAY(struct batch_box) boxes;
};

/* to be sent, and sent: one for the process */
static ARRAY(struct claim_request *) batch_waiting;
static struct timeout *to_batch;
static bool batch_sent;

static void claim_batch_send(struct team_service *service);

bool claim_batch_takes(const struct claim_request *creq)
{
	return !creq->admin && creq->attempts == 0 &&
		(creq->op == TEAM_CLAIM_TAKE || creq->op == TEAM_CLAIM_TRY ||
		 creq->op == TEAM_CLAIM_DRAFT) &&
		team_uidset_size(&creq->uids) == 1;
}

static void claim_batch_free(struct claim_batch **_batch)
{
	struct claim_batch *batch = *_batch;
	struct batch_box *bbox;

	*_batch = NULL;
	array_foreach_modifiable(&batch->boxes, bbox)
		i_free(bbox->guid);
	array_free(&batch->boxes);
	array_free(&batch->requests);
	i_free(batch);
}

static void claim_batch_add_box(struct claim_batch *batch,
				const struct claim_request *creq)
{
	struct batch_box *bbox;

	array_foreach_modifiable(&batch->boxes, bbox) {
		if (bbox->uidvalidity == creq->uidvalidity &&
		    strcmp(bbox->guid, creq->guid) == 0)
			return;
	}
	bbox = array_append_space(&batch->boxes);
	bbox->guid = i_strdup(creq->guid);
	bbox->uidvalidity = creq->uidvalidity;
	/* the notification may come before the answer */
	box_get(batch->service->boxes, bbox->guid,
		bbox->uidvalidity)->own_changes++;
}

/* unchanged: nobody is notified. */
static void claim_batch_end_boxes(struct claim_batch *batch, bool unchanged)
{
	const struct batch_box *bbox;
	struct box *box;

	array_foreach(&batch->boxes, bbox) {
		box = box_get(batch->service->boxes, bbox->guid,
			      bbox->uidvalidity);
		if (unchanged && box->own_changes > 0)
			box->own_changes--;
		box_check_unused(box);
	}
}

static void
claim_batch_granted(struct claim_batch *batch, const PGresult *result)
{
	struct claim_request **creqs;
	unsigned int count;
	int64_t n, since, until;
	struct box *box;
	int i, rows = PQntuples(result);

	creqs = array_get_modifiable(&batch->requests, &count);
	for (i = 0; i < rows; i++) {
		if (pg_get_int64(result, i, 0, &n) < 0 || n < 1 ||
		    n > (int64_t)count || creqs[n-1] == NULL ||
		    pg_get_int64(result, i, 1, &since) < 0 ||
		    pg_get_int64(result, i, 2, &until) < 0) {
			i_error("team.claim_batch returned something "
				"unexpected");
			continue;
		}
		box = box_get(batch->service->boxes, creqs[n-1]->guid,
			      creqs[n-1]->uidvalidity);
		claim_request_row(creqs[n-1], box,
				  creqs[n-1]->uids.ranges[0].first, "granted",
				  creqs[n-1]->colleague, since, until);
		state_claims_changed(box);
		claim_request_finish(creqs[n-1]);
		creqs[n-1] = NULL;
	}
}

static void claim_batch_answer(const struct pg_answer *answer, void *context)
{
	struct claim_batch *batch = context;
	struct team_service *service = batch->service;
	struct claim_request *creq;

	batch_sent = FALSE;
	if (answer->error == NULL)
		claim_batch_granted(batch, answer->result);
	claim_batch_end_boxes(batch, answer->error != NULL ||
			      PQntuples(answer->result) == 0);
	array_foreach_elem(&batch->requests, creq) {
		if (creq == NULL)
			continue;
		if (answer->error != NULL && answer->action != PG_ACTION_GIVE_UP)
			claim_request_fail(creq, answer);
		else
			claim_request_send(creq);
	}
	claim_batch_free(&batch);
	if (service->requests != NULL && array_is_created(&batch_waiting) &&
	    array_count(&batch_waiting) > 0)
		claim_batch_send(service);
}

/* An element of a PostgreSQL array in text form. */
static void batch_append(string_t *str, const char *value)
{
	str_append_c(str, str_len(str) == 0 ? '{' : ',');
	str_append_c(str, '"');
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			str_append_c(str, '\\');
		str_append_c(str, *value);
	}
	str_append_c(str, '"');
}

static void claim_batch_request(struct claim_batch *batch)
{
	struct team_service *service = batch->service;
	struct claim_request *creq;
	string_t *arrays[6];
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(arrays); i++)
		arrays[i] = t_str_new(1024);
	array_foreach_elem(&batch->requests, creq) {
		batch_append(arrays[0], creq->guid);
		batch_append(arrays[1], dec2str(creq->uidvalidity));
		batch_append(arrays[2], creq->colleague);
		batch_append(arrays[3], creq->session == NULL ? "" :
			     creq->session);
		batch_append(arrays[4], dec2str(creq->uids.ranges[0].first));
		batch_append(arrays[5], creq->op == TEAM_CLAIM_DRAFT ?
			     "t" : "f");
	}
	for (i = 0; i < N_ELEMENTS(arrays); i++)
		str_append_c(arrays[i], '}');
	const char *params[] = {
		t_strdup_printf("%d", shipper_node_id(service->shipper)),
		str_c(arrays[0]), str_c(arrays[1]), str_c(arrays[2]),
		str_c(arrays[3]), str_c(arrays[4]), str_c(arrays[5]),
		t_strdup_printf("%u", service->set->claim_time)
	};

	pg_conn_request(service->requests, "claim_batch", params,
			N_ELEMENTS(params), claim_batch_answer, batch);
}

static void claim_batch_send(struct team_service *service)
{
	struct claim_batch *batch = i_new(struct claim_batch, 1);
	struct claim_request *creq;
	unsigned int count = I_MIN(array_count(&batch_waiting), BATCH_MAX);

	batch->service = service;
	i_array_init(&batch->requests, count);
	i_array_init(&batch->boxes, 4);
	array_append(&batch->requests, array_front(&batch_waiting), count);
	array_delete(&batch_waiting, 0, count);
	array_foreach_elem(&batch->requests, creq)
		claim_batch_add_box(batch, creq);
	batch_sent = TRUE;
	T_BEGIN {
		claim_batch_request(batch);
	} T_END;
}

static void claim_batch_begin(struct team_service *service)
{
	timeout_remove(&to_batch);
	if (!batch_sent && array_count(&batch_waiting) > 0)
		claim_batch_send(service);
}

void claim_batch_add(struct claim_request *creq)
{
	if (!array_is_created(&batch_waiting))
		i_array_init(&batch_waiting, 32);
	array_push_back(&batch_waiting, &creq);
	/* others may come with the same input */
	if (!batch_sent && to_batch == NULL) {
		to_batch = timeout_add_short(0, claim_batch_begin,
					     creq->client->service);
	}
}

void claim_batch_deinit(void)
{
	struct claim_request *creq;

	timeout_remove(&to_batch);
	if (!array_is_created(&batch_waiting))
		return;
	array_foreach_elem(&batch_waiting, creq)
		claim_request_free(&creq);
	array_free(&batch_waiting);
}
