/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SELECT and EXAMINE: that a mailbox was opened is recorded as soon as it is,
   and stands in the journal before the client hears of it. */

#include "team-common.h"
#include "array.h"
#include "mail-storage-private.h"
#include "team-record.h"

void team_user_selects(struct mail_user *user, const char *vname)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	i_free(tuser->selects);
	tuser->selects = i_strdup(vname);
	tuser->selects_guid[0] = '\0';
}

void team_mailbox_record_open(struct team_mailbox *tbox)
{
	ARRAY_TYPE(const_string) fields;

	if (team_mailbox_identify(tbox) < 0 || tbox->uidvalidity == 0)
		return;
	team_record_begin(tbox, &fields, "open", "ok");
	array_append_zero(&fields);
	team_client_note(team_user_session(tbox->tuser), array_front(&fields));
	tbox->open_recorded = TRUE;
	team_mailbox_watch(tbox->box, TRUE);
}

void team_mailbox_record_select(struct team_mailbox *tbox)
{
	struct team_user *tuser = tbox->tuser;

	if (tuser->selects == NULL || tbox->open_recorded ||
	    strcmp(tuser->selects, tbox->box->vname) != 0)
		return;
	team_mailbox_record_open(tbox);
	if (!tbox->open_recorded)
		return;
	i_strocpy(tuser->selects_guid, tbox->guid, sizeof(tuser->selects_guid));
	tuser->selects_uidvalidity = tbox->uidvalidity;
}

/* It was opened and couldn't be shown. */
static void team_user_record_select_failed(struct team_user *tuser)
{
	ARRAY_TYPE(const_string) fields;

	t_array_init(&fields, 8);
	team_fields_add(&fields, "action", "open");
	team_fields_add(&fields, "outcome", "failed");
	team_fields_add(&fields, "mailbox", tuser->selects_guid);
	team_fields_add(&fields, "uidvalidity",
			t_strdup_printf("%u", tuser->selects_uidvalidity));
	team_fields_add(&fields, "name", tuser->selects);
	array_append_zero(&fields);
	team_client_note(team_user_session(tuser), array_front(&fields));
}

void team_user_selected(struct mail_user *user, struct mailbox *box)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	struct team_mailbox *tbox;

	if (box != NULL && team_mailbox_is_team(box)) {
		tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
		if (!tbox->open_recorded)
			team_mailbox_record_open(tbox);
	} else if (box == NULL && tuser->selects_guid[0] != '\0') {
		team_user_record_select_failed(tuser);
	}
	team_user_selects(user, NULL);
}
