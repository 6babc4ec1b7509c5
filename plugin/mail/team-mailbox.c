/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks of the mailbox. */

#include "team-common.h"
#include "array.h"
#include "guid.h"
#include "hex-binary.h"
#include "llist.h"
#include "mail-namespace.h"
#include "mail-search.h"
#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "index-storage.h"
#include "mailbox-watch.h"
#include "mail-index-private.h"
#include "team-storage-private.h"

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

void team_mailbox_event(struct mailbox *box, const char *action)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT(box);
	const char *fields[6];

	if (tbox == NULL || !tbox->team || team_mailbox_identify(tbox) < 0 ||
	    tbox->uidvalidity == 0)
		return;
	fields[0] = t_strconcat("action=", action, NULL);
	fields[1] = "outcome=ok";
	fields[2] = t_strconcat("mailbox=", tbox->guid, NULL);
	fields[3] = t_strdup_printf("uidvalidity=%u", tbox->uidvalidity);
	fields[4] = t_strconcat("name=", box->vname, NULL);
	fields[5] = NULL;
	team_client_event(team_user_session(tbox->tuser), fields);
}

static enum mail_flags team_get_private_flags_mask(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	return tbox->tuser->set->private_flags;
}

/* D7: a public namespace gives new messages of a private index the shared
   flags. They would differ from what PostgreSQL knows and from node to
   node. */
static enum mail_namespace_type team_mask_public(struct mailbox *box)
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

	/* before the first sync of a mailbox nothing is known of it yet */
	if (mail_index_get_header(box->view)->uid_validity != 0) T_BEGIN {
		state = team_replica_fetch(tbox);
	} T_END;

	type = team_mask_public(box);
	ctx = tbox->module_ctx.super.sync_init(box, flags);
	box->list->ns->type = type;

	if (state != NULL)
		team_replica_apply(tbox, &state, ctx);
	team_replica_trim_log(tbox);
	return ctx;
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
	/* D1: Maildir watches only its mail folders */
	if (strcmp(box->storage->name, "maildir") == 0) {
		mailbox_watch_add(box, t_strconcat(box->index->filepath,
						   ".log", NULL));
		if (box->index_pvt != NULL) {
			mailbox_watch_add(box, t_strconcat(
				box->index_pvt->filepath, ".log", NULL));
		}
	}
}

static bool
team_search_next_nonblock(struct mail_search_context *ctx,
			  struct mail **mail_r, bool *tryagain_r)
{
	struct mailbox_transaction_context *t = ctx->transaction;
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(t->box);
	struct team_transaction *tt;
	const struct team_claim *claim;

	while (tbox->module_ctx.super.search_next_nonblock(ctx, mail_r,
							   tryagain_r)) {
		/* MOVE never sees the messages that it may not move: then its
		   answer fits what it did */
		if (!team_transaction_is(t, "MOVE") ||
		    (tbox->tuser->set->protects & TEAM_PROTECTS_MOVE) == 0)
			return TRUE;
		tt = team_transaction_get(t);
		claim = team_transaction_held(tt, (*mail_r)->uid);
		if (claim == NULL)
			return TRUE;
		seq_range_array_add(&tt->refused_moves, (*mail_r)->uid);
		team_transaction_refuse(tt, (*mail_r)->uid, claim);
	}
	return FALSE;
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

static int team_mailbox_open(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	if (tbox->module_ctx.super.open(box) < 0)
		return -1;
	tbox->stale = TRUE;
	team_mailbox_listed(tbox, TRUE);
	return 0;
}

static void team_mailbox_close(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	team_mailbox_watch(box, FALSE);
	team_mailbox_listed(tbox, FALSE);
	tbox->module_ctx.super.close(box);
}

static void team_mailbox_free(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	team_mailbox_listed(tbox, FALSE);
	array_free(&tbox->known_uids);
	tbox->module_ctx.super.free(box);
}

void team_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	struct team_user *tuser = TEAM_USER_CONTEXT(box->storage->user);
	struct team_mailbox *tbox;

	if (tuser == NULL || strcmp(box->storage->name, "virtual") == 0 ||
	    (!compat_list_has_private_index(box->list) &&
	     !team_user_is_active(box->storage->user)))
		return;

	tbox = p_new(box->pool, struct team_mailbox, 1);
	tbox->module_ctx.super = *v;
	box->vlast = &tbox->module_ctx.super;
	tbox->tuser = tuser;
	tbox->box = box;
	tbox->team = compat_list_has_private_index(box->list);
	i_array_init(&tbox->known_uids, 8);

	v->free = team_mailbox_free;
	team_save_hooks(v);
	if (tbox->team) {
		v->open = team_mailbox_open;
		v->close = team_mailbox_close;
		v->get_private_flags_mask = team_get_private_flags_mask;
		v->sync_init = team_sync_init;
		v->notify_changes = team_notify_changes;
		v->transaction_commit = team_box_transaction_commit;
		v->search_next_nonblock = team_search_next_nonblock;
	} else {
		v->transaction_commit = team_transaction_commit;
	}
	v->transaction_rollback = team_transaction_rollback;
	MODULE_CONTEXT_SET(box, team_storage_module, tbox);
}
