/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registration of the mail plugin. */

#include "team-common.h"
#include "module-context.h"
#include "team-client-generations.h"
#include "team-storage-private.h"

const char *team_plugin_version = DOVECOT_ABI_VERSION;

static struct mail_storage_hooks team_mail_storage_hooks = {
	.mail_user_created = team_mail_user_created,
	.mailbox_list_created = team_mailbox_list_created,
	.mail_namespaces_created = team_mail_namespaces_created,
	.mailbox_allocated = team_mailbox_allocated,
	.mail_allocated = team_mail_allocated,
};

/* a mailbox's functions can be replaced once by each; what every SELECT of a
   team's mailbox does is done by one of them */
static struct mail_storage_hooks team_index_hooks = {
	.mailbox_allocated = team_index_mailbox_allocated,
};

void team_plugin_init(struct module *module)
{
	mail_storage_hooks_add(module, &team_index_hooks);
	mail_storage_hooks_add(module, &team_mail_storage_hooks);
}

void team_plugin_deinit(void)
{
	mail_storage_hooks_remove(&team_mail_storage_hooks);
	mail_storage_hooks_remove(&team_index_hooks);
	team_index_deinit();
	team_client_generations_deinit();
}
