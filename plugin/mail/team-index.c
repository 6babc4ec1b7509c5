/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dovecot keeps an index for whoever opens the mailbox next in this process,
   together with the keywords that it knows by then. A colleague's mustn't be
   seen by another whom the same process serves. */

#include "team-common.h"
#include "array.h"
#include "index-storage.h"
#include "llist.h"
#include "mail-index-alloc-cache.h"
#include "mail-index-private.h"
#include "master-service.h"
#include "team-storage-private.h"

#define TEAM_INDEX_CONTEXT(obj) \
	MODULE_CONTEXT_REQUIRE(obj, team_index_module)

/* those that aren't the team's */
struct team_index_other {
	union mailbox_module_context module_ctx;
	struct team_index_box ibox;
};

static MODULE_CONTEXT_DEFINE_INIT(team_index_module,
				  &mail_storage_module_register);

/* all of the process */
static struct team_index_box *team_index_boxes;
/* whose indexes may still be kept although he closed them, NULL for nobody's */
static char *team_index_kept_for;

static void team_index_drop_kept(const char *but)
{
	if (team_index_kept_for == NULL ||
	    strcmp(team_index_kept_for, but) == 0)
		return;
	mail_index_alloc_cache_destroy_unrefed();
	i_free(team_index_kept_for);
}

/* For as long as one looks for an index, those that others have open stand for
   different folders. */
static int team_index_alloc(struct team_index_box *ibox)
{
	ARRAY(struct mail_index *) others;
	ARRAY_TYPE(const_string) dirs;
	struct team_index_box *other;
	struct mail_index *index;
	unsigned int i;
	int ret;

	team_index_drop_kept(ibox->who);
	t_array_init(&others, 4);
	t_array_init(&dirs, 4);
	for (other = team_index_boxes; other != NULL; other = other->next) {
		index = other->box->index;
		if (index == NULL || index->dir == NULL ||
		    strcmp(other->who, ibox->who) == 0)
			continue;
		array_push_back(&others, &index);
		array_push_back(&dirs, (const char **)&index->dir);
		index->dir = "/dev/null/team";
	}
	ret = index_storage_mailbox_alloc_index(ibox->box);
	/* the same index may stand there twice: its first one is the real one */
	for (i = array_count(&others); i > 0; i--) {
		index = array_idx_elem(&others, i - 1);
		index->dir = (char *)array_idx_elem(&dirs, i - 1);
	}
	return ret;
}

void team_index_box_init(struct team_index_box *ibox, struct mailbox *box,
			 const char *who)
{
	ibox->box = box;
	ibox->who = who;
	DLLIST_PREPEND(&team_index_boxes, ibox);
}

int team_index_box_open(struct team_index_box *ibox)
{
	int ret = 0;

	if (MODULE_CONTEXT(ibox->box, index_storage_module) != NULL) T_BEGIN {
		ret = team_index_alloc(ibox);
	} T_END;
	return ret;
}

void team_index_box_deinit(struct team_index_box *ibox)
{
	team_index_drop_kept(ibox->who);
	if (team_index_kept_for == NULL)
		team_index_kept_for = i_strdup(ibox->who);
	DLLIST_REMOVE(&team_index_boxes, ibox);
}

static int team_index_open(struct mailbox *box)
{
	struct team_index_other *other = TEAM_INDEX_CONTEXT(box);

	return team_index_box_open(&other->ibox) < 0 ? -1 :
		other->module_ctx.super.open(box);
}

static void team_index_free(struct mailbox *box)
{
	struct team_index_other *other = TEAM_INDEX_CONTEXT(box);

	team_index_box_deinit(&other->ibox);
	other->module_ctx.super.free(box);
}

void team_index_mailbox_allocated(struct mailbox *box)
{
	struct mailbox_vfuncs *v = box->vlast;
	const struct team_user *tuser = TEAM_USER_CONTEXT(box->storage->user);
	struct team_index_other *other;
	bool team = compat_list_has_private_index(box->list);

	/* who owns the mail has the same index open at most where a process
	   serves several at once */
	if (tuser == NULL ||
	    (team && !team_mailbox_is_virtual(box)) ||
	    (!team && master_service_get_client_limit(master_service) == 1))
		return;
	other = p_new(box->pool, struct team_index_other, 1);
	other->module_ctx.super = *v;
	box->vlast = &other->module_ctx.super;
	team_index_box_init(&other->ibox, box, team ? tuser->colleague : "");
	v->open = team_index_open;
	v->free = team_index_free;
	MODULE_CONTEXT_SET(box, team_index_module, other);
}

void team_index_deinit(void)
{
	i_free(team_index_kept_for);
}
