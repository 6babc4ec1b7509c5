/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private index as a replica of what PostgreSQL knows of the colleague's
   flags. Its header says up to which revision it has been brought; an index
   that was lost, reset or renamed says 0 and is filled anew. What this node
   did itself is fetched, too: it is there already, unless the index fell back
   to an older state. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "index-storage.h"
#include "mail-index-private.h"
#include "mail-transaction-log.h"
#include "team-hash.h"
#include "team-storage-private.h"
#include "team-replica-private.h"

#define REPLICA_EXT_NAME "team-replica"

/* So often the state is asked for again because of messages that can't be seen
   here yet. */
#define AHEAD_TRIES_MAX 30

struct team_replica_header {
	uint64_t rev;
	uint32_t uidvalidity;
	/* which flags were private, in which mailbox */
	uint32_t private_id;
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

static uint32_t team_replica_private_id(struct team_mailbox *tbox)
{
	return tbox->set->private_id ^ team_hash(tbox->guid);
}

/* As the index is known to this process. */
static void
team_replica_read(struct team_mailbox *tbox, struct team_state *state)
{
	struct mailbox *box = tbox->box;
	const struct team_replica_header *hdr;
	const void *data;
	size_t size;

	team_replica_register(tbox);
	team_generations_read(tbox, &state->old_gens);
	mail_index_get_header_ext(box->view_pvt, tbox->replica_ext_id, &data,
				  &size);
	hdr = data;
	if (size < sizeof(*hdr) || hdr->uidvalidity != tbox->uidvalidity ||
	    box->index_pvt->map->hdr.uid_validity != tbox->uidvalidity)
		return;
	state->replica = TRUE;
	if (!tbox->refetch &&
	    hdr->private_id == team_replica_private_id(tbox)) {
		state->cursor = hdr->rev;
		state->current = TRUE;
	}
}

bool team_replica_holds(struct team_mailbox *tbox)
{
	struct team_state state;

	if (tbox->box->view_pvt == NULL)
		return FALSE;
	i_zero(&state);
	team_replica_read(tbox, &state);
	return state.current && team_generations_hold(tbox, &state.old_gens);
}

void team_replica_begin(struct team_mailbox *tbox, struct team_state *state)
{
	struct mailbox *box = tbox->box;

	if (tbox->set->private_flags == 0 &&
	    *tbox->set->private_keywords == NULL) {
		/* there is no private index, and nothing to bring into it */
		state->current = TRUE;
		return;
	}
	if (mailbox_open_index_pvt(box) <= 0 ||
	    mail_index_refresh(box->index_pvt) < 0)
		return;
	mail_transaction_log_get_head(box->index_pvt->log, &state->log_seq,
				      &state->log_offset);
	team_replica_read(tbox, state);
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
		if (array_is_created(&flag->skip) &&
		    seq_range_exists(&flag->skip, rec->uid))
			continue;
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

bool team_state_flag_equals(const struct team_state_flag *f1,
			    const struct team_state_flag *f2)
{
	return f1->flag == f2->flag &&
		(f1->keyword == NULL ? f2->keyword == NULL :
		 f2->keyword != NULL &&
		 strcasecmp(f1->keyword, f2->keyword) == 0);
}

/* Takes the flag from all messages of which the answer doesn't speak. */
static void
team_replica_apply_but(const struct team_state *state,
		       struct mail_index_view *view,
		       struct mail_index_transaction *trans,
		       struct team_state_flag *flag,
		       ARRAY_TYPE(seq_range) *changed_uids)
{
	const struct team_state_flag *told;

	/* applied already: what is told stays */
	t_array_init(&flag->uids, 1);
	t_array_init(&flag->skip, 8);
	array_foreach(&state->flags, told) {
		if (team_state_flag_equals(told, flag)) {
			seq_range_array_add_range(&flag->skip, told->first_uid,
						  told->last_uid);
		}
	}
	team_replica_apply_flag(view, trans, flag, changed_uids);
}

/* Between what was asked and now: did another session change the colleague's
   flags? Then the answer may be older than what is here. */
static bool
team_replica_was_changed(struct mail_index *index,
			 const struct team_state *state)
{
	struct mail_transaction_log_view *log_view;
	const struct mail_transaction_header *hdr;
	const struct mail_index_record *rec, *end;
	const void *data;
	const char *reason;
	uint32_t head_seq;
	uoff_t head_offset;
	bool reset, changed = FALSE;

	mail_transaction_log_get_head(index->log, &head_seq, &head_offset);
	if (head_seq == state->log_seq && head_offset == state->log_offset)
		return FALSE;
	log_view = mail_transaction_log_view_open(index->log);
	if (mail_transaction_log_view_set(log_view, state->log_seq,
					  state->log_offset, head_seq,
					  head_offset, &reset, &reason) <= 0)
		changed = TRUE;
	while (!changed &&
	       mail_transaction_log_view_next(log_view, &hdr, &data) > 0) {
		switch (hdr->type & MAIL_TRANSACTION_TYPE_MASK) {
		case MAIL_TRANSACTION_FLAG_UPDATE:
		case MAIL_TRANSACTION_KEYWORD_UPDATE:
		case MAIL_TRANSACTION_KEYWORD_RESET:
			changed = TRUE;
			break;
		case MAIL_TRANSACTION_APPEND:
			rec = data;
			end = CONST_PTR_OFFSET(data, hdr->size);
			for (; rec < end; rec++) {
				if (rec->flags != 0)
					changed = TRUE;
			}
			break;
		}
	}
	mail_transaction_log_view_close(&log_view);
	return changed;
}

static void
team_replica_apply_all(struct team_mailbox *tbox,
		       const struct team_state *state,
		       struct mail_index_view *view,
		       struct mail_index_transaction *trans,
		       ARRAY_TYPE(seq_range) *changed_uids)
{
	static const enum mail_flags flags[] = {
		MAIL_ANSWERED, MAIL_FLAGGED, MAIL_DELETED, MAIL_SEEN, MAIL_DRAFT
	};
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(tbox->box->index_pvt);
	const struct team_state_flag *flag;
	struct team_state_flag none;
	unsigned int i;

	array_foreach(&state->flags, flag)
		team_replica_apply_flag(view, trans, flag, changed_uids);
	if (state->cursor == 0 && state->replica) {
		/* what PostgreSQL doesn't name isn't there */
		i_zero(&none);
		none.first_uid = 1;
		none.last_uid = (uint32_t)-1;
		for (i = 0; i < N_ELEMENTS(flags); i++) {
			none.flag = flags[i] & tbox->set->private_flags;
			if (none.flag != 0)
				team_replica_apply_but(state, view, trans,
						       &none, changed_uids);
		}
		none.flag = 0;
		for (i = 0; i < array_count(names); i++) {
			none.keyword = array_idx_elem(names, i);
			if (team_keyword_is_private(tbox, none.keyword))
				team_replica_apply_but(state, view, trans,
						       &none, changed_uids);
		}
	}
}

/* Messages of which PostgreSQL knows, and this node's index doesn't yet. */
static bool
team_replica_is_ahead(const struct team_state *state,
		      struct mail_index_view *view)
{
	uint32_t next_uid = mail_index_get_header(view)->next_uid;
	const struct team_state_flag *flag;
	const struct seq_range *range;
	unsigned int count;

	array_foreach(&state->flags, flag) {
		range = array_get(&flag->uids, &count);
		if (count > 0 && range[count - 1].seq2 >= next_uid)
			return TRUE;
	}
	return FALSE;
}

/* Returns 1 if it was written, 0 if something stands against it now, -1 if it
   can't be. */
static int
team_replica_write(struct team_mailbox *tbox, const struct team_state *state,
		   ARRAY_TYPE(seq_range) *changed_uids)
{
	struct mail_index *index = tbox->box->index_pvt;
	struct team_replica_header hdr;
	struct mail_index_sync_ctx *sync_ctx;
	struct mail_index_transaction *trans;
	struct mail_index_sync_rec rec;
	struct mail_index_view *view;
	int ret = 1;

	/* locks out the colleague's other sessions */
	if (mail_index_sync_begin(index, &sync_ctx, &view, &trans, 0) <= 0)
		return -1;
	if (team_replica_was_changed(index, state)) {
		mail_index_sync_rollback(&sync_ctx);
		return 0;
	}
	while (mail_index_sync_next(sync_ctx, &rec)) ;
	team_replica_register(tbox);
	team_replica_apply_all(tbox, state, view, trans, changed_uids);
	if (team_replica_is_ahead(state, view) &&
	    tbox->ahead_count++ < AHEAD_TRIES_MAX)
		ret = 0;
	else {
		tbox->ahead_count = 0;
		i_zero(&hdr);
		hdr.rev = state->rev;
		hdr.uidvalidity = tbox->uidvalidity;
		hdr.private_id = team_replica_private_id(tbox);
		mail_index_update_header_ext(trans, tbox->replica_ext_id, 0,
					     &hdr, sizeof(hdr));
		team_generations_write(tbox, trans, &state->gens);
	}
	if (mail_index_sync_commit(&sync_ctx) < 0)
		return -1;
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

int team_replica_bring(struct team_mailbox *tbox, struct team_state *state,
		       ARRAY_TYPE(seq_range) *changed_uids)
{
	int ret;

	if (mailbox_open_index_pvt(tbox->box) <= 0)
		ret = -1;
	else {
		ret = team_replica_write(tbox, state, changed_uids);
		if (ret >= 0 &&
		    team_replica_update_modseqs(tbox, changed_uids) < 0)
			ret = -1;
	}
	/* the cursor wasn't moved: it is tried again */
	if (ret > 0) {
		tbox->refetch = FALSE;
		tbox->gens = state->gens.gens;
	} else
		team_state_retry(tbox);
	return ret;
}

void team_replica_bring_nothing(struct team_mailbox *tbox,
				const struct team_state *state)
{
	tbox->gens = state->gens.gens;
	if (memcmp(&state->gens, &state->old_gens, sizeof(state->gens)) != 0 &&
	    tbox->box->index_pvt != NULL &&
	    team_generations_update(tbox, &state->gens) < 0)
		mailbox_set_index_error(tbox->box);
}
