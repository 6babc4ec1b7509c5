/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private index as a replica of what PostgreSQL knows of the colleague's
   flags. Its header says up to which revision it has been brought; an index
   that was lost, reset or renamed says 0 and is filled anew. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "imap-seqset.h"
#include "imap-util.h"
#include "index-storage.h"
#include "index-sync-private.h"
#include "mail-index-private.h"
#include "mail-transaction-log.h"
#include "team-protocol.h"
#include "team-storage-private.h"

#define REPLICA_EXT_NAME "team-replica"

/* While PostgreSQL is away it is not asked at every command */
#define SYNC_RETRY_SECS 1
/* Part of the private index's log that may be unsynced */
#define LOG_UNSYNCED_MAX (16*1024)

struct team_replica_header {
	uint64_t rev;
	uint32_t uidvalidity;
	/* which flags were private then */
	uint32_t private_id;
};

struct team_state_flag {
	/* or a keyword */
	enum mail_flags flag;
	const char *keyword;
	uint32_t first_uid, last_uid;
	ARRAY_TYPE(seq_range) uids;
};

struct team_state {
	pool_t pool;
	uint64_t cursor, rev;
	ARRAY(struct team_state_flag) flags;
};

static void team_replica_register(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;

	if (box->index_pvt != NULL) {
		tbox->replica_ext_id = mail_index_ext_register(box->index_pvt,
			REPLICA_EXT_NAME, sizeof(struct team_replica_header),
			0, 0);
	}
}

static uint64_t team_replica_cursor(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	const struct team_replica_header *hdr;
	struct mail_index_view *view;
	const void *data;
	size_t size;
	uint64_t rev = 0;

	if (mailbox_open_index_pvt(box) <= 0 ||
	    mail_index_refresh(box->index_pvt) < 0)
		return 0;
	team_replica_register(tbox);
	view = mail_index_view_open(box->index_pvt);
	mail_index_get_header_ext(view, tbox->replica_ext_id, &data, &size);
	hdr = data;
	if (size >= sizeof(*hdr) && hdr->uidvalidity == tbox->uidvalidity &&
	    hdr->private_id == tbox->tuser->set->private_id &&
	    mail_index_get_header(view)->uid_validity == tbox->uidvalidity)
		rev = hdr->rev;
	mail_index_view_close(&view);
	return rev;
}

/*
 * The service's answer
 */

static int
team_state_add_flag(struct team_mailbox *tbox, struct team_state *state,
		    const char *const *data)
{
	struct team_user *tuser = tbox->tuser;
	struct team_state_flag flag;

	if (str_array_length(data) < 5)
		return -1;
	i_zero(&flag);
	flag.flag = imap_parse_system_flag(data[1]);
	if (flag.flag == 0)
		flag.keyword = data[1];
	/* what is shared by now isn't the colleague's own any more */
	if (flag.keyword == NULL ?
	    (flag.flag & tuser->set->private_flags) == 0 :
	    !team_keyword_is_private(tuser, flag.keyword))
		return 0;
	p_array_init(&flag.uids, state->pool, 8);
	if (str_to_uint32(data[2], &flag.first_uid) < 0 ||
	    str_to_uint32(data[3], &flag.last_uid) < 0 ||
	    (*data[4] != '\0' &&
	     imap_seq_set_nostar_parse(data[4], &flag.uids) < 0))
		return -1;
	array_push_back(&state->flags, &flag);
	return 0;
}

static int
team_state_add_claim(ARRAY_TYPE(team_claim) *claims, const char *const *data)
{
	struct team_claim claim;
	intmax_t since, until;

	if (str_array_length(data) < 5 ||
	    str_to_uint32(data[1], &claim.uid) < 0 ||
	    str_to_intmax(data[3], &since) < 0 ||
	    str_to_intmax(data[4], &until) < 0)
		return -1;
	claim.holder = data[2];
	claim.since = since;
	claim.until = until;
	array_push_back(claims, &claim);
	return 0;
}

static int
team_state_parse(struct team_mailbox *tbox, struct team_state *state,
		 const struct team_answer *answer)
{
	ARRAY_TYPE(team_claim) claims;
	const char *const *data;
	int ret = 0;

	if (answer->args[0] == NULL ||
	    str_to_uint64(answer->args[0], &state->rev) < 0)
		return -1;
	t_array_init(&claims, 8);
	array_foreach_elem(&answer->data, data) {
		if (strcmp(data[0], "flag") == 0)
			ret = team_state_add_flag(tbox, state, data);
		else if (strcmp(data[0], "claim") == 0)
			ret = team_state_add_claim(&claims, data);
		else if (strcmp(data[0], "known") == 0 && data[1] != NULL &&
			 *data[1] != '\0')
			ret = imap_seq_set_nostar_parse(data[1],
							&tbox->known_uids);
		if (ret < 0)
			return -1;
	}
	if (team_mailbox_apply_claims(tbox, &claims) < 0)
		mailbox_set_index_error(tbox->box);
	return 0;
}

static void team_state_free(struct team_state **_state)
{
	pool_t pool = (*_state)->pool;

	*_state = NULL;
	pool_unref(&pool);
}

struct team_state *team_replica_fetch(struct team_mailbox *tbox)
{
	struct team_user *tuser = tbox->tuser;
	struct team_state *state;
	struct team_answer answer;
	const char *args[5], *error;
	pool_t pool;

	if (team_mailbox_identify(tbox) < 0 || tbox->uidvalidity == 0 ||
	    !tbox->stale ||
	    ioloop_time < tbox->next_sync)
		return NULL;

	pool = pool_alloconly_create("team state", 1024);
	state = p_new(pool, struct team_state, 1);
	state->pool = pool;
	p_array_init(&state->flags, pool, 8);
	team_replica_register(tbox);
	state->cursor = tbox->refetch ? 0 : team_replica_cursor(tbox);

	args[0] = tbox->guid;
	args[1] = t_strdup_printf("%u", tbox->uidvalidity);
	args[2] = t_strdup_printf("%"PRIu64, state->cursor);
	args[3] = tbox->box->vname;
	args[4] = NULL;
	if (team_client_request(team_user_session(tuser), pool, "SYNC", args,
				&answer, &error) < 0) {
		e_error(tuser->user->event, "team: %s: %s is shown as it was "
			"last known", error, tbox->box->vname);
	} else if (answer.code != NULL) {
		e_debug(tuser->user->event, "team: %s: %s is shown as it was "
			"last known", answer.code, tbox->box->vname);
	} else if (team_state_parse(tbox, state, &answer) < 0) {
		e_error(tuser->user->event, "team: The service's answer about "
			"%s is not understood", tbox->box->vname);
	} else {
		tbox->stale = tbox->refetch = FALSE;
		return state;
	}
	tbox->next_sync = ioloop_time + SYNC_RETRY_SECS;
	team_state_free(&state);
	return NULL;
}

/*
 * The private index
 */

static bool
team_replica_has(struct mail_index_view *view, uint32_t seq,
		 const struct mail_keywords *keywords)
{
	ARRAY_TYPE(keyword_indexes) indexes;
	unsigned int idx;
	bool has = FALSE;

	T_BEGIN {
		t_array_init(&indexes, 16);
		mail_index_lookup_keywords(view, seq, &indexes);
		array_foreach_elem(&indexes, idx) {
			if (idx == keywords->idx[0])
				has = TRUE;
		}
	} T_END;
	return has;
}

static void
team_replica_apply_flag(struct mail_index_view *view,
			struct mail_index_transaction *trans,
			const struct team_state_flag *flag,
			ARRAY_TYPE(seq_range) *changed_uids)
{
	const struct mail_index_record *rec;
	struct mail_keywords *keywords = NULL;
	const char *names[2];
	uint32_t seq, seq1, seq2;
	bool want;

	if (!mail_index_lookup_seq_range(view, flag->first_uid, flag->last_uid,
					 &seq1, &seq2))
		return;
	if (flag->keyword != NULL) {
		names[0] = flag->keyword;
		names[1] = NULL;
		keywords = mail_index_keywords_create(
			mail_index_view_get_index(view), names);
	}
	for (seq = seq1; seq <= seq2; seq++) {
		rec = mail_index_lookup(view, seq);
		want = seq_range_exists(&flag->uids, rec->uid);
		if (keywords != NULL) {
			if (want == team_replica_has(view, seq, keywords))
				continue;
			mail_index_update_keywords(trans, seq,
				want ? MODIFY_ADD : MODIFY_REMOVE, keywords);
		} else {
			if (want == ((rec->flags & flag->flag) != 0))
				continue;
			mail_index_update_flags(trans, seq,
				want ? MODIFY_ADD : MODIFY_REMOVE, flag->flag);
		}
		seq_range_array_add(changed_uids, rec->uid);
	}
	if (keywords != NULL)
		mail_index_keywords_unref(&keywords);
}

static int
team_replica_write(struct team_mailbox *tbox, const struct team_state *state,
		   ARRAY_TYPE(seq_range) *changed_uids)
{
	struct mail_index *index = tbox->box->index_pvt;
	const struct team_state_flag *flag;
	struct team_replica_header hdr;
	struct mail_index_transaction *trans;
	struct mail_index_view *view;
	int ret;

	if (mail_index_refresh(index) < 0)
		return -1;
	team_replica_register(tbox);
	view = mail_index_view_open(index);
	trans = mail_index_transaction_begin(view,
		MAIL_INDEX_TRANSACTION_FLAG_AVOID_FLAG_UPDATES);
	array_foreach(&state->flags, flag)
		team_replica_apply_flag(view, trans, flag, changed_uids);
	i_zero(&hdr);
	hdr.rev = state->rev;
	hdr.uidvalidity = tbox->uidvalidity;
	hdr.private_id = tbox->tuser->set->private_id;
	mail_index_update_header_ext(trans, tbox->replica_ext_id, 0, &hdr,
				     sizeof(hdr));
	ret = mail_index_transaction_commit(&trans);
	mail_index_view_close(&view);
	return ret;
}

int team_replica_update_modseqs(struct team_mailbox *tbox,
				const ARRAY_TYPE(seq_range) *uids)
{
	struct mail_index_transaction *trans;
	struct mail_index_view *view;
	struct seq_range_iter iter;
	unsigned int n = 0;
	uint32_t uid, seq;
	int ret;

	if (array_count(uids) == 0)
		return 0;
	view = mail_index_view_open(tbox->box->index);
	trans = mail_index_transaction_begin(view, 0);
	seq_range_array_iter_init(&iter, uids);
	while (seq_range_array_iter_nth(&iter, n++, &uid)) {
		if (mail_index_lookup_seq(view, uid, &seq)) {
			mail_index_update_flags(trans, seq, MODIFY_ADD,
				(enum mail_flags)
				MAIL_INDEX_MAIL_FLAG_UPDATE_MODSEQ);
		}
	}
	ret = mail_index_transaction_commit(&trans);
	mail_index_view_close(&view);
	return ret;
}

/* Shows what was written in the sync that is going on. */
static void
team_replica_show(struct team_mailbox *tbox,
		  struct index_mailbox_sync_context *ctx)
{
	struct index_mailbox_sync_pvt_context *pvt_ctx;
	enum mail_index_view_sync_flags flags = 0;

	if ((ctx->ctx.flags & MAILBOX_SYNC_FLAG_NO_EXPUNGES) != 0)
		flags |= MAIL_INDEX_VIEW_SYNC_FLAG_NOEXPUNGES;
	if ((ctx->ctx.flags & MAILBOX_SYNC_FLAG_FIX_INCONSISTENT) != 0)
		flags |= MAIL_INDEX_VIEW_SYNC_FLAG_FIX_INCONSISTENT;
	if (index_mailbox_sync_pvt_init(tbox->box, FALSE, flags, &pvt_ctx) <= 0)
		return;
	(void)index_mailbox_sync_pvt_view(pvt_ctx, &ctx->flag_updates,
					  &ctx->hidden_updates);
	index_mailbox_sync_pvt_deinit(&pvt_ctx);
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

	/* the cursor may stay behind where nothing came from elsewhere */
	if (array_count(&state->flags) == 0 && state->cursor != 0) {
		team_state_free(_state);
		return;
	}
	p_array_init(&changed_uids, state->pool, 16);
	if (ctx->failed || mailbox_open_index_pvt(tbox->box) <= 0 ||
	    team_replica_write(tbox, state, &changed_uids) < 0 ||
	    team_replica_update_modseqs(tbox, &changed_uids) < 0) {
		/* the cursor wasn't moved: it is tried again */
		tbox->stale = TRUE;
		tbox->next_sync = ioloop_time + SYNC_RETRY_SECS;
	} else if (array_count(&changed_uids) > 0) {
		team_replica_show(tbox, ctx);
	}
	team_state_free(_state);
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
