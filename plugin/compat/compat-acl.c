/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The acl plugin may be there or not, and may be loaded after this one. Looking
   for its symbols takes long enough to be noticed when mailboxes are opened: it
   is done once for each user. */

#include "team-common.h"
#include "array.h"
#include "module-context.h"
#include "mail-storage-private.h"
#include "acl-plugin.h"
#include "acl-api-private.h"
#include "compat-acl.h"

#include <dlfcn.h>

typedef int acl_right_lookup_t(struct mailbox *box, unsigned int right_idx);

#ifdef HAVE_ACL_BACKEND_VFUNCS_POINTER
typedef const struct acl_backend_vfuncs *backend_vfuncs_t;
#  define BACKEND_VFUNCS(v) (v)
#else
typedef struct acl_backend_vfuncs backend_vfuncs_t;
#  define BACKEND_VFUNCS(v) (&(v))
#endif

/* A backend whose changes are watched. */
struct acl_watch {
	struct acl_backend *backend;
	backend_vfuncs_t super;
	struct acl_backend_vfuncs v;
	const struct compat_acl_callbacks *callbacks;
};
static ARRAY(struct acl_watch *) acl_watches;

/* What the acl plugin has, NULL if it isn't loaded */
static struct acl_storage_module *acl_storage;
static struct acl_mailbox_list_module *acl_list;
static acl_right_lookup_t *acl_right_lookup;

void compat_acl_find(void)
{
	acl_storage = dlsym(RTLD_DEFAULT, "acl_storage_module");
	acl_list = dlsym(RTLD_DEFAULT, "acl_mailbox_list_module");
	acl_right_lookup = (acl_right_lookup_t *)
		dlsym(RTLD_DEFAULT, "acl_mailbox_right_lookup");
}

/* Returns NULL where access control lists aren't in use. */
static struct acl_mailbox *mailbox_acl(struct mailbox *box)
{
	struct acl_mailbox *abox;

	abox = acl_storage == NULL ? NULL : MODULE_CONTEXT(box, *acl_storage);
	return abox != NULL && abox->acl_enabled && !abox->skip_acl_checks ?
		abox : NULL;
}

static bool mailbox_has_right(struct mailbox *box, unsigned int right)
{
	return acl_right_lookup != NULL && acl_right_lookup(box, right) > 0;
}

bool compat_mailbox_may_administer(struct mailbox *box, const char *colleague)
{
	const struct acl_mailbox *abox = mailbox_acl(box);

	/* where there are no rights nobody has more than the others */
	return abox != NULL &&
		(!abox->aclobj->backend->owner ||
		 strcmp(box->storage->user->username, colleague) == 0) &&
		mailbox_has_right(box, ACL_STORAGE_RIGHT_ADMIN);
}

bool compat_mailbox_may_expunge(struct mailbox *box)
{
	return mailbox_acl(box) == NULL ||
		mailbox_has_right(box, ACL_STORAGE_RIGHT_EXPUNGE);
}

/*
 * Changes
 */

static const char *acl_mode_name(enum acl_modify_mode mode)
{
	switch (mode) {
	case ACL_MODIFY_MODE_REMOVE:
		return "remove";
	case ACL_MODIFY_MODE_ADD:
		return "add";
	case ACL_MODIFY_MODE_REPLACE:
		return "replace";
	case ACL_MODIFY_MODE_CLEAR:
		return "clear";
	}
	return "change";
}

static const char *acl_identifier_name(const struct acl_rights *rights)
{
	switch (rights->id_type) {
	case ACL_ID_ANYONE:
		return "anyone";
	case ACL_ID_AUTHENTICATED:
		return "authenticated";
	case ACL_ID_OWNER:
		return "owner";
	case ACL_ID_USER:
		return t_strconcat("user=", rights->identifier, NULL);
	case ACL_ID_GROUP:
		return t_strconcat("group=", rights->identifier, NULL);
	case ACL_ID_GROUP_OVERRIDE:
		return t_strconcat("group-override=", rights->identifier, NULL);
	case ACL_ID_TYPE_COUNT:
		break;
	}
	return "";
}

static struct acl_watch *acl_watch_find(struct acl_backend *backend)
{
	struct acl_watch *watch;

	array_foreach_elem(&acl_watches, watch) {
		if (watch->backend == backend)
			return watch;
	}
	return NULL;
}

static int acl_watch_object_update(struct acl_object *aclobj,
				   const struct acl_rights_update *update)
{
	struct acl_watch *watch = acl_watch_find(aclobj->backend);
	const struct acl_rights *rights = &update->rights;
	struct compat_acl_change change;
	void *context;
	int ret;

	i_assert(watch != NULL);
	i_zero(&change);
	change.list = aclobj->backend->list;
	change.vname = mailbox_list_get_vname(change.list, aclobj->name);
	change.identifier = acl_identifier_name(rights);
	if (rights->rights != NULL ||
	    update->modify_mode == ACL_MODIFY_MODE_CLEAR) {
		change.mode = acl_mode_name(update->modify_mode);
		change.rights = rights->rights == NULL ? "" :
			t_strarray_join(rights->rights, " ");
	}
	if (rights->neg_rights != NULL) {
		change.neg_mode = acl_mode_name(update->neg_modify_mode);
		change.neg_rights = t_strarray_join(rights->neg_rights, " ");
	}
	context = watch->callbacks->begin(&change);
	if (context == NULL)
		return -1;
	ret = BACKEND_VFUNCS(watch->super)->object_update(aclobj, update);
	watch->callbacks->end(&change, context, ret);
	return ret;
}

static void acl_watch_deinit(struct acl_backend *backend)
{
	struct acl_watch *watch = acl_watch_find(backend);
	unsigned int idx = 0;

	i_assert(watch != NULL);
	backend->v = watch->super;
	while (array_idx_elem(&acl_watches, idx) != watch)
		idx++;
	array_delete(&acl_watches, idx, 1);
	if (array_count(&acl_watches) == 0)
		array_free(&acl_watches);
	i_free(watch);
	BACKEND_VFUNCS(backend->v)->deinit(backend);
}

void compat_acl_watch(struct mailbox_list *list,
		      const struct compat_acl_callbacks *callbacks)
{
	struct acl_mailbox_list *alist;
	struct acl_backend *backend;
	struct acl_watch *watch;

	alist = acl_list == NULL ? NULL : MODULE_CONTEXT(list, *acl_list);
	backend = alist == NULL ? NULL : alist->rights.backend;
	if (backend == NULL)
		return;
	if (!array_is_created(&acl_watches))
		i_array_init(&acl_watches, 2);
	else if (acl_watch_find(backend) != NULL)
		return;
	watch = i_new(struct acl_watch, 1);
	watch->backend = backend;
	watch->callbacks = callbacks;
	watch->super = backend->v;
	watch->v = *BACKEND_VFUNCS(watch->super);
	watch->v.object_update = acl_watch_object_update;
	watch->v.deinit = acl_watch_deinit;
#ifdef HAVE_ACL_BACKEND_VFUNCS_POINTER
	backend->v = &watch->v;
#else
	backend->v = watch->v;
#endif
	array_push_back(&acl_watches, &watch);
}
