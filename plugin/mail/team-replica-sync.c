/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private index in the sync of its mailbox: what came from elsewhere is
   shown, what was lost is filled anew, and its log is kept short. */

#include "team-common.h"
#include "array.h"
#include "index-storage.h"
#include "index-sync-private.h"
#include "mail-index-private.h"
#include "mail-transaction-log-private.h"
#include "team-recover.h"
#include "team-storage-private.h"
#include "team-replica-private.h"

/* Part of the private index's log that may be unsynced */
#define LOG_UNSYNCED_MAX (16*1024)

static void
team_replica_sync_view(struct mailbox *box,
		       enum mail_index_view_sync_flags flags,
		       ARRAY_TYPE(seq_range) *flag_updates,
		       ARRAY_TYPE(seq_range) *hidden_updates)
{
	struct index_mailbox_sync_pvt_context *pvt_ctx;

	if (index_mailbox_sync_pvt_init(box, FALSE, flags, &pvt_ctx) <= 0)
		return;
	(void)index_mailbox_sync_pvt_view(pvt_ctx, flag_updates,
					  hidden_updates);
	index_mailbox_sync_pvt_deinit(&pvt_ctx);
}

/* An index that was another folder's of the same name is emptied only if
   the number of messages or the next UID differ. */
void team_replica_empty_old(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	struct index_mailbox_sync_pvt_context *pvt_ctx;
	ARRAY_TYPE(seq_range) flag_updates, hidden_updates;
	uint32_t old, now = mail_index_get_header(box->view)->uid_validity;

	if (now == 0 || mailbox_open_index_pvt(box) <= 0)
		return;
	old = mail_index_get_header(box->view_pvt)->uid_validity;
	if (old == 0 || old == now)
		return;
	if (index_mailbox_sync_pvt_init(box, TRUE,
			MAIL_INDEX_VIEW_SYNC_FLAG_FIX_INCONSISTENT,
			&pvt_ctx) <= 0)
		return;
	T_BEGIN {
		t_array_init(&flag_updates, 16);
		t_array_init(&hidden_updates, 16);
		(void)index_mailbox_sync_pvt_view(pvt_ctx, &flag_updates,
						  &hidden_updates);
	} T_END;
	index_mailbox_sync_pvt_deinit(&pvt_ctx);
}

/* Shows what was written in the sync that is going on. */
static void
team_replica_show(struct team_mailbox *tbox,
		  struct index_mailbox_sync_context *ctx)
{
	enum mail_index_view_sync_flags flags = 0;

	if ((ctx->ctx.flags & MAILBOX_SYNC_FLAG_NO_EXPUNGES) != 0)
		flags |= MAIL_INDEX_VIEW_SYNC_FLAG_NOEXPUNGES;
	if ((ctx->ctx.flags & MAILBOX_SYNC_FLAG_FIX_INCONSISTENT) != 0)
		flags |= MAIL_INDEX_VIEW_SYNC_FLAG_FIX_INCONSISTENT;
	team_replica_sync_view(tbox->box, flags, &ctx->flag_updates,
			       &ctx->hidden_updates);
	if (ctx->expunges != NULL) {
		seq_range_array_remove_seq_range(&ctx->flag_updates,
						 ctx->expunges);
		seq_range_array_remove_seq_range(&ctx->hidden_updates,
						 ctx->expunges);
	}
	seq_range_array_remove_seq_range(&ctx->hidden_updates,
					 &ctx->flag_updates);
}

void team_replica_apply(struct team_mailbox *tbox, struct team_state **_state,
			struct mailbox_sync_context *sync_ctx)
{
	struct team_state *state = *_state;
	struct index_mailbox_sync_context *ctx =
		(struct index_mailbox_sync_context *)sync_ctx;
	ARRAY_TYPE(seq_range) changed_uids;

	/* the cursor may stay behind where nothing came */
	if (array_count(&state->flags) > 0 || !state->current) {
		p_array_init(&changed_uids, state->pool, 16);
		if (ctx->failed)
			team_state_retry(tbox);
		else
			(void)team_replica_bring(tbox, state, &changed_uids);
		if (array_count(&changed_uids) > 0)
			team_replica_show(tbox, ctx);
	} else {
		team_replica_bring_nothing(tbox, state);
	}
	team_state_free(_state);
}

/* What the client has been told stays true: only what is new since then
   doesn't come by itself. */
void team_replica_fill(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	ARRAY_TYPE(seq_range) changed_uids, flag_updates, hidden_updates;
	struct team_state *state;

	t_array_init(&changed_uids, 16);
	t_array_init(&flag_updates, 16);
	t_array_init(&hidden_updates, 16);
	state = team_replica_fetch(tbox);
	team_replica_sync_view(box,
		MAIL_INDEX_VIEW_SYNC_FLAG_FIX_INCONSISTENT, &flag_updates,
		&hidden_updates);
	if (state == NULL)
		return;
	(void)team_replica_bring(tbox, state, &changed_uids);
	team_replica_sync_view(box,
		MAIL_INDEX_VIEW_SYNC_FLAG_FIX_INCONSISTENT, &flag_updates,
		&hidden_updates);
	team_state_free(&state);
}

void team_replica_trim_log(struct team_mailbox *tbox)
{
	struct mail_index *index = tbox->box->index_pvt;
	struct mail_index_sync_ctx *sync_ctx;
	struct mail_index_transaction *trans;
	struct mail_index_sync_rec rec;
	struct mail_index_view *view;
	uint32_t file_seq;
	uoff_t offset;

	/* D3: nobody else drains it, and the site's limits don't reach it */
	if (index == NULL || index->log == NULL || index->map == NULL)
		return;
	mail_transaction_log_get_head(index->log, &file_seq, &offset);
	if (file_seq == index->map->hdr.log_file_seq &&
	    offset < index->map->hdr.log_file_tail_offset + LOG_UNSYNCED_MAX)
		return;
	mail_index_set_optimization_settings(index,
		&tbox->box->index->optimization_set);
	if (mail_index_sync_begin(index, &sync_ctx, &view, &trans, 0) < 0) {
		mailbox_set_index_error(tbox->box);
		return;
	}
	while (mail_index_sync_next(sync_ctx, &rec)) ;
	if (mail_index_sync_commit(&sync_ctx) < 0)
		mailbox_set_index_error(tbox->box);
}
