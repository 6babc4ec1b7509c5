/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NOTIFY for mailboxes that aren't selected. Dovecot compares how many messages
   its list of mailboxes says are unread: that doesn't know of private flags. */

#include "team-common.h"
#include "hash.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-iter.h"
#include "mailbox-list-notify.h"
#include "mailbox-list-private.h"
#include "team-storage-private.h"

#define TEAM_LIST_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, team_list_module)

struct team_list {
	union mailbox_list_module_context module_ctx;
	/* mailboxes' names and how many unread messages were last told of,
	   and 1; created when first needed */
	HASH_TABLE(char *, void *) unseen;
	/* the client wants to know of every change */
	bool modseqs;
	struct mailbox_list_notify_rec rec;
};

static MODULE_CONTEXT_DEFINE_INIT(team_list_module,
				  &mailbox_list_module_register);

static bool team_list_counts_unseen(struct mailbox_list *list)
{
	struct team_user *tuser = TEAM_USER_CONTEXT(list->ns->user);
	const struct team_settings *set;

	if (tuser == NULL || !compat_list_has_private_index(list))
		return FALSE;
	set = team_user_namespace_settings(tuser, list->ns);
	return (set->private_flags & MAIL_SEEN) != 0;
}

/* Only where changes have numbers does the list hear of a change that the
   shared flags don't show. Once a client has wanted these, that's so. */
static void team_list_number_changes(struct mailbox_list *list)
{
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	struct mailbox_status status;
	struct mailbox *box;

	iter = mailbox_list_iter_init(list, "*",
				      MAILBOX_LIST_ITER_SKIP_ALIASES |
				      MAILBOX_LIST_ITER_NO_AUTO_BOXES);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NOSELECT |
				    MAILBOX_NONEXISTENT)) != 0)
			continue;
		box = mailbox_alloc(list, info->vname, 0);
		/* the list knows it, so that few have to be opened */
		if (mailbox_get_status(box, STATUS_HIGHESTMODSEQ,
				       &status) == 0 &&
		    status.highest_modseq <= 1 &&
		    mailbox_enable(box, MAILBOX_FEATURE_CONDSTORE) == 0)
			(void)mailbox_sync(box, 0);
		mailbox_free(&box);
	}
	/* one that can't be looked at isn't told of */
	(void)mailbox_list_iter_deinit(&iter);
}

/* TRUE if it isn't the number that was last told, or can't be had. */
static bool
team_list_unseen_changed(struct mailbox_list *list, const char *vname)
{
	struct team_list *tlist = TEAM_LIST_CONTEXT(list);
	struct mailbox *box = mailbox_alloc(list, vname, 0);
	struct mailbox_status status;
	char *name;
	void *value;
	bool changed = TRUE;

	/* it may be new */
	(void)mailbox_enable(box, MAILBOX_FEATURE_CONDSTORE);
	if (mailbox_sync(box, 0) == 0 &&
	    mailbox_get_status(box, STATUS_UNSEEN, &status) == 0) {
		if (hash_table_lookup_full(tlist->unseen, vname, &name,
					   &value))
			changed = POINTER_CAST_TO(value, uint32_t) !=
				status.unseen + 1;
		else
			name = p_strdup(list->pool, vname);
		hash_table_update(tlist->unseen, name,
				  POINTER_CAST(status.unseen + 1));
	}
	mailbox_free(&box);
	return changed;
}

static int
team_list_notify_init(struct mailbox_list *list,
		      enum mailbox_list_notify_event mask,
		      struct mailbox_list_notify **notify_r)
{
	struct team_list *tlist = TEAM_LIST_CONTEXT(list);

	if (tlist->module_ctx.super.notify_init == NULL)
		return -1;
	tlist->modseqs = (mask & MAILBOX_LIST_NOTIFY_MODSEQ_CHANGES) != 0;
	if ((mask & MAILBOX_LIST_NOTIFY_SEEN_CHANGES) != 0 &&
	    team_list_counts_unseen(list)) {
		mask |= MAILBOX_LIST_NOTIFY_MODSEQ_CHANGES;
		if (!hash_table_is_created(tlist->unseen))
			hash_table_create(&tlist->unseen, list->pool, 0,
					  str_hash, strcmp);
		T_BEGIN {
			team_list_number_changes(list);
		} T_END;
	}
	return tlist->module_ctx.super.notify_init(list, mask, notify_r);
}

static int
team_list_notify_next(struct mailbox_list_notify *notify,
		      const struct mailbox_list_notify_rec **rec_r)
{
	struct team_list *tlist = TEAM_LIST_CONTEXT(notify->list);
	const struct mailbox_list_notify_rec *rec;
	int ret;

	while ((ret = tlist->module_ctx.super.notify_next(notify, rec_r)) > 0) {
		rec = *rec_r;
		if (!hash_table_is_created(tlist->unseen) ||
		    (rec->events & MAILBOX_LIST_NOTIFY_STATUS) == 0)
			break;
		if (team_list_unseen_changed(notify->list, rec->vname)) {
			tlist->rec = *rec;
			tlist->rec.events |= MAILBOX_LIST_NOTIFY_SEEN_CHANGES;
			*rec_r = &tlist->rec;
			break;
		}
		/* a colleague's own change */
		if (rec->events != MAILBOX_LIST_NOTIFY_MODSEQ_CHANGES ||
		    tlist->modseqs)
			break;
	}
	return ret;
}

static void team_list_deinit(struct mailbox_list *list)
{
	struct team_list *tlist = TEAM_LIST_CONTEXT(list);

	if (hash_table_is_created(tlist->unseen))
		hash_table_destroy(&tlist->unseen);
	tlist->module_ctx.super.deinit(list);
}

void team_mailbox_list_created(struct mailbox_list *list)
{
	struct mailbox_list_vfuncs *v = list->vlast;
	struct team_list *tlist;

	tlist = p_new(list->pool, struct team_list, 1);
	tlist->module_ctx.super = *v;
	list->vlast = &tlist->module_ctx.super;
	v->deinit = team_list_deinit;
	v->notify_init = team_list_notify_init;
	v->notify_next = team_list_notify_next;
	MODULE_CONTEXT_SET(list, team_list_module, tlist);
}
