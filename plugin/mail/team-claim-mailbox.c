/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders whose messages are a colleague's: what is moved or copied into
   Claimed/<name> is claimed for <name>, and what is moved out of it is given
   back. */

#include "team-common.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "team-claims.h"
#include "team-record.h"

const char *team_claim_mailbox_holder(struct team_mailbox *tbox)
{
	struct mail_namespace *ns = mailbox_get_namespace(tbox->box);
	const char *folder = tbox->tuser->set->team_claim_mailbox;
	const char *name = tbox->box->vname;
	char sep = mail_namespace_get_sep(ns);
	size_t len = strlen(folder);

	if (!tbox->team || len == 0 ||
	    strncmp(name, ns->prefix, ns->prefix_len) != 0)
		return NULL;
	name += ns->prefix_len;
	if (strncmp(name, folder, len) != 0 || name[len] != sep)
		return NULL;
	name += len + 1;
	return *name == '\0' || strchr(name, sep) != NULL ? NULL : name;
}

bool team_claim_mailbox_create(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;

	/* for those who save something in it, not for those who look */
	if (mailbox_get_last_mail_error(box) != MAIL_ERROR_NOTFOUND ||
	    (box->flags & MAILBOX_FLAG_SAVEONLY) == 0 ||
	    team_claim_mailbox_holder(tbox) == NULL)
		return FALSE;
	if (mailbox_create(box, NULL, FALSE) < 0 &&
	    mailbox_get_last_mail_error(box) != MAIL_ERROR_EXISTS)
		return FALSE;
	mailbox_close(box);
	return TRUE;
}

static void
team_claim_mailbox_request(struct team_transaction *tt, const char *op,
			   const char *guid, uint32_t uidvalidity,
			   const ARRAY_TYPE(seq_range) *uids, const char *to)
{
	struct team_answer answer;
	const char *args[7], *error, *problem = NULL;

	if (array_count(uids) == 0)
		return;
	args[0] = guid;
	args[1] = t_strdup_printf("%u", uidvalidity);
	args[2] = op;
	args[3] = team_uidset(uids);
	args[4] = "";
	args[5] = to;
	args[6] = NULL;
	if (team_client_request(team_user_session(tt->tuser), tt->pool, "CLAIM",
				args, &answer, &error) < 0)
		problem = error;
	else if (answer.code != NULL)
		problem = answer.code;
	if (problem == NULL)
		return;
	e_error(tt->tuser->user->event, "team: %s: claims in %s are not "
		"changed", problem, tt->tbox->box->vname);
	team_user_add_alert(tt->tuser, "The messages are where you put them, "
		"but their claims can't be changed right now.");
}

void team_claim_mailbox_saved(struct team_transaction *tt,
			      const struct team_save_group *group,
			      uint32_t uidvalidity)
{
	const char *holder = team_claim_mailbox_holder(tt->tbox);
	const struct team_message_id *message;
	ARRAY_TYPE(seq_range) uids;

	if (holder == NULL && !group->from_claimed)
		return;
	t_array_init(&uids, 8);
	array_foreach(&group->messages, message) {
		if (message->uid != 0)
			seq_range_array_add(&uids, message->uid);
	}
	if (holder != NULL && strcmp(holder, tt->tuser->colleague) == 0) {
		team_claim_mailbox_request(tt, "take", tt->tbox->guid,
					   uidvalidity, &uids, NULL);
	} else if (holder != NULL) {
		team_claim_mailbox_request(tt, "give", tt->tbox->guid,
					   uidvalidity, &uids, holder);
	} else {
		/* the claim may have followed already, or may be about to */
		team_claim_mailbox_request(tt, "release", group->from,
					   group->fromvalidity,
					   &group->fromuids, NULL);
		team_claim_mailbox_request(tt, "release", tt->tbox->guid,
					   uidvalidity, &uids, NULL);
	}
}
