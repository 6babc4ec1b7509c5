/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks of the mailbox. */

#include "team-common.h"
#include "array.h"
#include "guid.h"
#include "hex-binary.h"
#include "ioloop.h"
#include "llist.h"
#include "mail-namespace.h"
#include "mail-search.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "index-storage.h"
#include "mail-index-private.h"
#include "mail-index-view-private.h"
#include "compat-acl.h"
#include "team-claims.h"
#include "team-record.h"
#include "team-recover.h"

struct team_storage_module team_storage_module =
	MODULE_CONTEXT_INIT(&mail_storage_module_register);

bool team_mailbox_is_team(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT(box);

	return tbox != NULL && tbox->team;
}

int team_mailbox_identify(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	struct mailbox_metadata metadata;
	const struct mail_index_header *hdr;

	if (tbox->guid[0] == '\0') {
		if (mailbox_get_metadata(box, MAILBOX_METADATA_GUID,
					 &metadata) < 0)
			return -1;
		i_strocpy(tbox->guid, guid_128_to_string(metadata.guid),
			  sizeof(tbox->guid));
	}
	hdr = mail_index_get_header(box->view);
	if (hdr->uid_validity != tbox->uidvalidity) {
		tbox->uidvalidity = hdr->uid_validity;
		array_clear(&tbox->known_uids);
		tbox->unknown_count = 0;
		tbox->gens.epoch = 0;
		tbox->stale = TRUE;
	}
	return 0;
}

const char *team_mailbox_guid(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT(box);

	if (tbox == NULL || !tbox->team || tbox->guid[0] == '\0')
		return NULL;
	return tbox->guid;
}

void team_mailbox_watch(struct mailbox *box, bool watch)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT(box);

	if (tbox == NULL || !tbox->team || watch == tbox->watched ||
	    tbox->uidvalidity == 0)
		return;
	tbox->watched = watch;
	team_session_watch(team_user_session(tbox->tuser), tbox->guid,
			   tbox->uidvalidity, watch);
}

static enum mail_flags team_get_private_flags_mask(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	enum mail_flags mask = tbox->set->private_flags;

	/* without a private flag the index isn't opened */
	return mask == 0 && tbox->opening_pvt ? MAIL_SEEN : mask;
}

/* Dovecot looks for the first unseen message from where it last knew all before
   to be seen, which it finds out only when every message is. That what stands
   in memory begins later from now on is as true of it as the old place was, and
   changes move it back. */
static void team_mailbox_skip_seen(struct mailbox *box)
{
	struct mail_index_header *hdr;
	uint32_t seq, uid;

	if (box->view_pvt == NULL)
		return;
	mail_index_lookup_first(box->view_pvt, 0, MAIL_SEEN, &seq);
	hdr = &box->view_pvt->map->hdr;
	uid = hdr->next_uid;
	if (seq != 0)
		mail_index_lookup_uid(box->view_pvt, seq, &uid);
	if (hdr->first_unseen_uid_lowwater < uid)
		hdr->first_unseen_uid_lowwater = uid;
}

/* Private flags need no more than the right to keep one's seen state. */
static int
team_get_status(struct mailbox *box, enum mailbox_status_items items,
		struct mailbox_status *status_r)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	if ((items & STATUS_FIRST_UNSEEN_SEQ) != 0 &&
	    (tbox->set->private_flags & MAIL_SEEN) != 0)
		team_mailbox_skip_seen(box);
	if (tbox->module_ctx.super.get_status(box, items, status_r) < 0)
		return -1;
	if ((items & STATUS_PERMANENT_FLAGS) == 0)
		;
	else if ((status_r->permanent_flags & MAIL_SEEN) != 0)
		status_r->permanent_flags |= tbox->set->private_flags;
	else
		status_r->permanent_flags &=
			ENUM_NEGATE(tbox->set->private_flags);
	return 0;
}

static bool
team_keyword_is_permanent(struct team_mailbox *tbox, unsigned int idx,
			  const char *name, const struct mailbox_status *status)
{
	if (team_keyword_index_is_private(tbox, idx))
		return (status->permanent_flags & MAIL_SEEN) != 0;
	return status->permanent_keywords &&
		!team_keyword_is_shown(tbox->tuser, name);
}

bool team_mailbox_permanent_keywords(struct mailbox *box,
				     struct mailbox_status *status_r,
				     ARRAY_TYPE(const_string) *names_r)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	const ARRAY_TYPE(keywords) *names = mail_index_get_keywords(box->index);
	unsigned int i;

	team_keywords_refresh(tbox);
	if (!tbox->special_keywords)
		return FALSE;
	mailbox_get_open_status(box, STATUS_PERMANENT_FLAGS, status_r);
	for (i = 0; i < array_count(names); i++) {
		const char *name = array_idx_elem(names, i);

		if (team_keyword_is_permanent(tbox, i, name, status_r))
			array_push_back(names_r, &name);
	}
	return array_count(names_r) !=
		(status_r->permanent_keywords ? array_count(names) : 0);
}

/* D7: a public namespace gives new messages of a private index the shared
   flags. They would differ from what PostgreSQL knows and from node to
   node. */
enum mail_namespace_type team_mask_public(struct mailbox *box)
{
	enum mail_namespace_type type = box->list->ns->type;

	if (type == MAIL_NAMESPACE_TYPE_PUBLIC)
		box->list->ns->type = MAIL_NAMESPACE_TYPE_SHARED;
	return type;
}

static struct mailbox_sync_context *
team_sync_init(struct mailbox *box, enum mailbox_sync_flags flags)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	struct mailbox_sync_context *ctx;
	struct team_state *state = NULL;
	enum mail_namespace_type type;

	type = team_mask_public(box);
	team_replica_check(tbox, 0);
	team_replica_empty_old(tbox);
	team_mailbox_renew(tbox);
	/* before the first sync of a mailbox nothing is known of it yet */
	tbox->first_sync = mail_index_get_header(box->view)->uid_validity == 0;
	if (!tbox->first_sync) T_BEGIN {
		team_mailbox_record_select(tbox);
		state = team_replica_fetch(tbox);
	} T_END;

	ctx = tbox->module_ctx.super.sync_init(box, flags);
	box->list->ns->type = type;

	if (state != NULL)
		team_replica_apply(tbox, &state, ctx);
	team_keywords_refresh(tbox);
	team_replica_trim_log(tbox);
	return ctx;
}

/* The mailbox's indexes were made anew: what is known of its messages is asked
   for before anybody looks at them. */
static void team_mailbox_fill(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	enum mail_namespace_type type = team_mask_public(box);

	if (tbox->first_sync) {
		team_replica_empty_old(tbox);
		team_replica_fill(tbox);
	}
	tbox->first_sync = FALSE;
	if (tbox->lost && team_mailbox_recover(tbox)) {
		team_replica_distrust(tbox);
		tbox->next_sync = 0;
		team_replica_fill(tbox);
	}
	box->list->ns->type = type;
}

static int
team_sync_deinit(struct mailbox_sync_context *ctx,
		 struct mailbox_sync_status *status_r)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(ctx->box);
	int ret;

	ret = tbox->module_ctx.super.sync_deinit(ctx, status_r);
	team_mailbox_unguard(tbox);
	if (ret == 0) T_BEGIN {
		team_mailbox_fill(tbox);
	} T_END;
	team_mailbox_find_own_claims(tbox);
	return ret;
}

static int
team_box_transaction_commit(struct mailbox_transaction_context *t,
			    struct mail_transaction_commit_changes *changes_r)
{
	struct mailbox *box = t->box;
	enum mail_namespace_type type = team_mask_public(box);
	int ret;

	ret = team_transaction_commit(t, changes_r);
	box->list->ns->type = type;
	return ret;
}

static void team_notify_changes(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	tbox->module_ctx.super.notify_changes(box);
	if (box->notify_callback == NULL)
		return;
	team_mailbox_watch(box, TRUE);
	if (team_mailbox_is_maildir(box))
		team_maildir_watch_indexes(box);
}

static void team_mailbox_listed(struct team_mailbox *tbox, bool listed)
{
	if (tbox->listed == listed)
		return;
	tbox->listed = listed;
	if (listed)
		DLLIST_PREPEND(&tbox->tuser->boxes, tbox);
	else
		DLLIST_REMOVE(&tbox->tuser->boxes, tbox);
}

static int team_mailbox_try_open(struct team_mailbox *tbox)
{
	return team_index_box_open(&tbox->ibox) < 0 ? -1 :
		tbox->module_ctx.super.open(tbox->box);
}

static int team_mailbox_open(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	if (team_mailbox_try_open(tbox) < 0 &&
	    (!team_claim_mailbox_create(tbox) ||
	     team_mailbox_try_open(tbox) < 0))
		return -1;
	if (tbox->set->private_flags != 0 ||
	    *tbox->set->private_keywords != NULL)
		team_replica_open(tbox);
	tbox->stale = TRUE;
	team_mailbox_listed(tbox, TRUE);
	return 0;
}

static void team_mailbox_close(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	T_BEGIN {
		team_mailbox_tell_guids(tbox);
	} T_END;
	team_mailbox_unguard(tbox);
	team_mailbox_renew(tbox);
	team_mailbox_watch(box, FALSE);
	team_mailbox_listed(tbox, FALSE);
	team_keywords_reset(tbox);
	tbox->own_claim_idx = TEAM_KEYWORD_NONE;
	tbox->gens.epoch = 0;
	team_mailbox_forget_claims(tbox);
	tbox->open_recorded = FALSE;
	tbox->settings_told = FALSE;
	timeout_remove(&tbox->to_retry);
	tbox->module_ctx.super.close(box);
}

static void team_mailbox_free(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	team_mailbox_listed(tbox, FALSE);
	if (tbox->team)
		team_index_box_deinit(&tbox->ibox);
	array_free(&tbox->known_uids);
	array_free(&tbox->touched_uids);
	tbox->module_ctx.super.free(box);
}

void team_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	struct team_user *tuser = TEAM_USER_CONTEXT(box->storage->user);
	struct team_mailbox *tbox;

	if (tuser == NULL ||
	    (!compat_list_has_private_index(box->list) &&
	     !team_user_is_active(box->storage->user)))
		return;

	tbox = p_new(box->pool, struct team_mailbox, 1);
	tbox->module_ctx.super = *v;
	box->vlast = &tbox->module_ctx.super;
	tbox->tuser = tuser;
	tbox->set = team_user_namespace_settings(tuser, box->list->ns);
	tbox->box = box;
	tbox->team = !team_mailbox_is_virtual(box) &&
		compat_list_has_private_index(box->list);
	if (tbox->team) {
		compat_acl_watch(box->list, &team_acl_callbacks);
		team_index_box_init(&tbox->ibox, box, tuser->colleague);
	}
	i_array_init(&tbox->known_uids, 8);
	i_array_init(&tbox->touched_uids, 8);
	p_array_init(&tbox->keyword_private, box->pool, 8);
	p_array_init(&tbox->pvt_keywords, box->pool, 8);
	p_array_init(&tbox->found_keywords, box->pool, 8);

	tbox->own_claim_idx = TEAM_KEYWORD_NONE;
	v->free = team_mailbox_free;
	MODULE_CONTEXT_SET(box, team_storage_module, tbox);
	if (team_mailbox_is_virtual(box)) {
		team_virtual_mailbox_hooks(v);
		return;
	}
	team_save_hooks(v);
	if (tbox->team) {
		v->open = team_mailbox_open;
		v->close = team_mailbox_close;
		v->get_private_flags_mask = team_get_private_flags_mask;
		v->get_status = team_get_status;
		v->sync_init = team_sync_init;
		v->sync_deinit = team_sync_deinit;
		v->notify_changes = team_notify_changes;
		v->transaction_commit = team_box_transaction_commit;
		team_search_hooks(v);
		team_audit_mailbox_hooks(v);
	} else {
		v->transaction_commit = team_transaction_commit;
	}
	v->transaction_rollback = team_transaction_rollback;
}
