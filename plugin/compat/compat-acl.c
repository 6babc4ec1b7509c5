/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The acl plugin may be there or not, and may be loaded after this one: its
   symbols are looked for when they are needed. */

#include "team-common.h"
#include "module-context.h"
#include "mail-storage-private.h"
#include "acl-plugin.h"
#include "compat-acl.h"

#include <dlfcn.h>

typedef int acl_right_lookup_t(struct mailbox *box, unsigned int right_idx);

bool compat_mailbox_may_administer(struct mailbox *box)
{
	struct acl_storage_module *module =
		dlsym(RTLD_DEFAULT, "acl_storage_module");
	acl_right_lookup_t *lookup =
		(acl_right_lookup_t *)dlsym(RTLD_DEFAULT,
					    "acl_mailbox_right_lookup");
	struct acl_mailbox *abox;

	if (module == NULL || lookup == NULL)
		return FALSE;
	abox = MODULE_CONTEXT(box, *module);
	/* where there are no rights nobody has more than the others */
	if (abox == NULL || !abox->acl_enabled || abox->skip_acl_checks)
		return FALSE;
	return lookup(box, ACL_STORAGE_RIGHT_ADMIN) > 0;
}
