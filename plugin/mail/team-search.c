/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Searches for private flags and keywords, live searches for any keyword, and
   MOVE, which sees only what it may move. */

#include "team-common.h"
#include "array.h"
#include "index-storage.h"
#include "mail-search.h"
#include "index-search-private.h"
#include "mail-storage-private.h"
#include "mail-index-private.h"
#include "team-claims.h"

#define TEAM_SEARCH_CONTEXT(obj) \
	MODULE_CONTEXT(obj, team_storage_module)

/* A search argument for private flags, or for a private keyword, and the messages
   that have them: they are looked up one after another, where Dovecot would look
   for each message's place in the private index. */
struct team_search_arg {
	struct mail_search_arg *arg;
	enum mail_search_arg_type type;
	ARRAY_TYPE(seq_range) uids;
};

struct team_search {
	union mail_search_module_context module_ctx;
	ARRAY(struct team_search_arg) args;
	/* for MOVE */
	bool moving;
	/* they are others right now */
	bool swapped;
	/* the arguments were made ready here */
	bool initialized;
};

/* NULL if there is nothing to do. */
static struct team_search *
team_search_find(struct team_mailbox *tbox, struct mail_search_context *ctx)
{
	/* most searches, FETCH's for one, are for numbers of messages */
	return tbox->searches == 0 ? NULL : TEAM_SEARCH_CONTEXT(ctx);
}

/* The private keyword's number in the private index, TEAM_KEYWORD_NONE if
   nothing has it. */
static unsigned int
team_search_pvt_keyword(struct team_mailbox *tbox, unsigned int idx)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(tbox->box->index);
	unsigned int pvt_idx;

	if (tbox->box->index_pvt == NULL ||
	    !mail_index_keyword_lookup(tbox->box->index_pvt,
				       array_idx_elem(names, idx), &pvt_idx))
		return TEAM_KEYWORD_NONE;
	return pvt_idx;
}

/* The part of the private index that is searched. Returns FALSE if there is
   none. */
static bool
team_search_pvt_range(struct mail_search_context *ctx, uint32_t *seq1_r,
		      uint32_t *seq2_r)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	struct index_search_context *ictx = (struct index_search_context *)ctx;
	uint32_t uid1, uid2;

	if (t->box->view_pvt == NULL || ictx->seq1 == 0 ||
	    ictx->seq1 > ictx->seq2)
		return FALSE;
	index_transaction_init_pvt(t);
	mail_index_lookup_uid(ictx->view, ictx->seq1, &uid1);
	mail_index_lookup_uid(ictx->view, ictx->seq2, &uid2);
	return mail_index_lookup_seq_range(t->view_pvt, uid1, uid2, seq1_r,
					   seq2_r);
}

static void
team_search_find_flags(struct mail_search_context *ctx, enum mail_flags flags,
		       ARRAY_TYPE(seq_range) *uids)
{
	const struct mail_index_record *rec;
	uint32_t seq, last;

	if (!team_search_pvt_range(ctx, &seq, &last))
		return;
	for (; seq <= last; seq++) {
		rec = mail_index_lookup(ctx->transaction->view_pvt, seq);
		if ((rec->flags & flags) == flags)
			seq_range_array_add(uids, rec->uid);
	}
}

static void
team_search_find_keyword(struct mail_search_context *ctx, unsigned int pvt_idx,
			 ARRAY_TYPE(seq_range) *uids)
{
	ARRAY_TYPE(keyword_indexes) indexes;
	uint32_t seq, last, uid;
	unsigned int idx;

	if (pvt_idx == TEAM_KEYWORD_NONE ||
	    !team_search_pvt_range(ctx, &seq, &last))
		return;
	t_array_init(&indexes, 16);
	for (; seq <= last; seq++) {
		mail_index_lookup_keywords(ctx->transaction->view_pvt, seq,
					   &indexes);
		array_foreach_elem(&indexes, idx) {
			if (idx != pvt_idx)
				continue;
			mail_index_lookup_uid(ctx->transaction->view_pvt, seq,
					      &uid);
			seq_range_array_add(uids, uid);
			break;
		}
	}
}

static struct team_search *team_search_get(struct team_search **search)
{
	if (*search == NULL) {
		*search = i_new(struct team_search, 1);
		i_array_init(&(*search)->args, 4);
	}
	return *search;
}

static bool
team_search_arg_is_private(struct team_mailbox *tbox,
			   const struct mail_search_arg *arg)
{
	const struct mail_keywords *keywords = arg->initialized.keywords;

	switch (arg->type) {
	case SEARCH_FLAGS:
		return arg->value.flags != 0 && (arg->value.flags &
			ENUM_NEGATE(tbox->set->private_flags)) == 0;
	case SEARCH_KEYWORDS:
		return keywords != NULL && keywords->count == 1 &&
			team_keyword_index_is_private(tbox, keywords->idx[0]);
	default:
		return FALSE;
	}
}

static void
team_search_collect(struct team_search **search,
		    struct mail_search_context *ctx,
		    struct mail_search_arg *arg)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	struct team_search_arg *sarg;

	for (; arg != NULL; arg = arg->next) {
		if (arg->type == SEARCH_OR || arg->type == SEARCH_SUB) {
			team_search_collect(search, ctx, arg->value.subargs);
			continue;
		}
		if (!team_search_arg_is_private(tbox, arg))
			continue;
		sarg = array_append_space(&team_search_get(search)->args);
		sarg->arg = arg;
		sarg->type = arg->type;
		i_array_init(&sarg->uids, 32);
		if (arg->type == SEARCH_FLAGS) {
			team_search_find_flags(ctx, arg->value.flags,
					       &sarg->uids);
		} else T_BEGIN {
			team_search_find_keyword(ctx,
				team_search_pvt_keyword(tbox,
					arg->initialized.keywords->idx[0]),
				&sarg->uids);
		} T_END;
	}
}

static struct mail_search_context *
team_search_init(struct mailbox_transaction_context *t,
		 struct mail_search_args *args,
		 const enum mail_sort_type *sort_program,
		 enum mail_fetch_field wanted_fields,
		 struct mailbox_header_lookup_ctx *wanted_headers)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	struct mail_search_context *ctx;
	struct team_search *search = NULL;

	if (args->init_refcount == 0) {
		/* Dovecot looks with a live search's arguments for new
		   messages, and crashes if these name keywords or threads */
		mail_search_args_init(args, t->box, FALSE, NULL);
		team_search_get(&search)->initialized = TRUE;
	}
	team_transaction_search(t, args);
	ctx = tbox->module_ctx.super.search_init(t, args, sort_program,
						 wanted_fields, wanted_headers);
	team_search_collect(&search, ctx, args->args);
	if (team_transaction_is(t, "MOVE"))
		team_search_get(&search)->moving = TRUE;
	if (search != NULL) {
		MODULE_CONTEXT_SET(ctx, team_storage_module, search);
		tbox->searches++;
	}
	return ctx;
}

static int team_search_deinit(struct mail_search_context *ctx)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	struct team_search *search = team_search_find(tbox, ctx);
	struct mail_search_args *args = ctx->args;
	struct team_search_arg *sarg;
	int ret;

	if (search == NULL)
		return tbox->module_ctx.super.search_deinit(ctx);
	tbox->searches--;
	array_foreach_modifiable(&search->args, sarg)
		array_free(&sarg->uids);
	array_free(&search->args);
	ret = tbox->module_ctx.super.search_deinit(ctx);
	if (search->initialized)
		mail_search_args_deinit(args);
	i_free(search);
	return ret;
}

/* The arguments are shared with the search's saved result, which needs them as
   they are: they are others only while super looks at them. INTHREAD is a set
   of UIDs, too, but not one that is expected to stay the same, as UIDSET is. */
static void team_search_swap(struct team_search *search)
{
	struct team_search_arg *sarg;
	ARRAY_TYPE(seq_range) old;

	if (search == NULL || search->swapped)
		return;
	array_foreach_modifiable(&search->args, sarg) {
		old = sarg->arg->value.seqset;
		sarg->arg->value.seqset = sarg->uids;
		sarg->uids = old;
		sarg->arg->type = sarg->arg->type == SEARCH_INTHREAD ?
			sarg->type : SEARCH_INTHREAD;
	}
}

static bool team_search_next_update_seq(struct mail_search_context *ctx)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	struct team_search *search = team_search_find(tbox, ctx);
	bool ret;

	team_search_swap(search);
	ret = tbox->module_ctx.super.search_next_update_seq(ctx);
	team_search_swap(search);
	return ret;
}

static int
team_search_next_match_mail(struct mail_search_context *ctx, struct mail *mail)
{
	struct team_mailbox *tbox =
		TEAM_BOX_CONTEXT_REQUIRE(ctx->transaction->box);
	struct team_search *search = team_search_find(tbox, ctx);
	int ret;

	team_search_swap(search);
	ret = compat_search_match_mail(&tbox->module_ctx.super, ctx, mail);
	team_search_swap(search);
	return ret;
}

static bool
team_search_super_next(struct team_mailbox *tbox, struct team_search *search,
		       struct mail_search_context *ctx, struct mail **mail_r,
		       bool *tryagain_r)
{
	bool ret;

	/* it calls the two above, which then have nothing to do */
	team_search_swap(search);
	search->swapped = TRUE;
	ret = tbox->module_ctx.super.search_next_nonblock(ctx, mail_r,
							  tryagain_r);
	search->swapped = FALSE;
	team_search_swap(search);
	return ret;
}

static bool
team_search_next_nonblock(struct mail_search_context *ctx,
			  struct mail **mail_r, bool *tryagain_r)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	struct team_search *search = team_search_find(tbox, ctx);

	if (search == NULL) {
		return tbox->module_ctx.super.search_next_nonblock(ctx, mail_r,
								   tryagain_r);
	}
	while (team_search_super_next(tbox, search, ctx, mail_r, tryagain_r)) {
		/* MOVE never sees the messages that it may not move: then its
		   answer fits what it did */
		if (!search->moving ||
		    !team_transaction_refuses_move(team_transaction_get(t),
						   *mail_r))
			return TRUE;
	}
	return FALSE;
}

void team_search_hooks(struct mailbox_vfuncs *v)
{
	v->search_init = team_search_init;
	v->search_deinit = team_search_deinit;
	v->search_next_nonblock = team_search_next_nonblock;
	v->search_next_update_seq = team_search_next_update_seq;
	compat_search_set_match_hook(v, team_search_next_match_mail);
}
