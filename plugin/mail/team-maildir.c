/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Maildir needs apart from the other formats. */

#include "team-common.h"
#include "mail-storage-private.h"
#include "mailbox-watch.h"
#include "team-storage-private.h"

bool team_mailbox_is_maildir(struct mailbox *box)
{
	return strcmp(box->storage->name, "maildir") == 0;
}

/* D1: Maildir watches only its mail folders. */
void team_maildir_watch_indexes(struct mailbox *box)
{
	mailbox_watch_add(box, t_strconcat(box->index->filepath, ".log", NULL));
	if (box->index_pvt != NULL) {
		mailbox_watch_add(box, t_strconcat(box->index_pvt->filepath,
						   ".log", NULL));
	}
}

/* Maildir names a copy after the original. If a message of that name was in
   the folder before and has gone, sessions that haven't noticed yet take the
   copy for the old message and give it a new UID: the flags of its own UID are
   lost for everybody. Where the sizes in the name don't fit, Maildir chooses
   another name and keeps the GUID, so while it copies it isn't told the size,
   which it then takes from the old name all the same. */
static int
team_maildir_get_physical_size(struct mail *_mail, uoff_t *size_r)
{
	struct mail_private *mail = (struct mail_private *)_mail;
	union mail_module_context *mmail = TEAM_MAIL_CONTEXT_REQUIRE(mail);
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(_mail->box);

	/* others that look on (quota) get the size */
	if (tbox->tuser->linked_mail == _mail &&
	    _mail->lookup_abort == MAIL_LOOKUP_ABORT_READ_MAIL)
		return -1;
	return mmail->super.get_physical_size(_mail, size_r);
}

void team_maildir_mail_hooks(struct mail *mail, struct mail_vfuncs *v)
{
	if (team_mailbox_is_maildir(mail->box))
		v->get_physical_size = team_maildir_get_physical_size;
}

int team_maildir_copy(struct team_mailbox *tbox, struct mail_save_context *ctx,
		      struct mail *mail)
{
	struct mail *old = tbox->tuser->linked_mail;
	int ret;

	if (team_mailbox_is_maildir(tbox->box))
		tbox->tuser->linked_mail = mail;
	ret = tbox->module_ctx.super.copy(ctx, mail);
	tbox->tuser->linked_mail = old;
	return ret;
}
