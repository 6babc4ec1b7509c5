/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody tried and wasn't allowed to do: because a colleague holds the
   message, or because of the mailbox's access rights, which Dovecot keeps to
   itself where it answers OK and leaves out what isn't allowed. */

#include "team-common.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "team-record.h"

/* One thing that was refused, and the messages that it was refused for. */
struct team_denial {
	const char *action;
	struct team_change change;
	/* NULL: access rights forbid it; empty: who holds it isn't known */
	const char *holder;
};

void team_transaction_deny(struct team_transaction *tt, struct mail *mail,
			   const char *action, const struct team_change *change,
			   const char *holder)
{
	struct team_denial *denial;
	struct team_change no_change;

	if (change == NULL) {
		team_change_init(&no_change);
		change = &no_change;
	}
	team_transaction_add_message(tt, mail, FALSE);
	if (!array_is_created(&tt->denials))
		p_array_init(&tt->denials, tt->pool, 4);
	array_foreach_modifiable(&tt->denials, denial) {
		if (strcmp(denial->action, action) == 0 &&
		    null_strcmp(denial->holder, holder) == 0 &&
		    team_change_equals(&denial->change, change)) {
			seq_range_array_add(&denial->change.uids, mail->uid);
			return;
		}
	}
	denial = array_append_space(&tt->denials);
	denial->action = action;
	denial->change = *change;
	denial->holder = p_strdup(tt->pool, holder);
	p_array_init(&denial->change.uids, tt->pool, 8);
	seq_range_array_add(&denial->change.uids, mail->uid);
}

void team_transaction_deny_flags(struct team_transaction *tt, struct mail *mail,
				 enum mail_flags add, enum mail_flags remove,
				 const char *holder)
{
	enum mail_flags private_flags = tt->tbox->set->private_flags;
	struct team_change change;

	/* nobody asked for what reading does by itself */
	if ((add == 0 && remove == 0) ||
	    team_transaction_is(tt->t, "FETCH"))
		return;
	team_change_init(&change);
	change.pvt_add = add & private_flags;
	change.pvt_remove = remove & private_flags;
	change.add = add & ENUM_NEGATE(private_flags);
	change.remove = remove & ENUM_NEGATE(private_flags);
	team_transaction_deny(tt, mail, team_change_action(&change), &change,
			      holder);
}

void team_transaction_deny_keyword(struct team_transaction *tt,
				   struct mail *mail, const char *keyword,
				   bool add, bool private, const char *holder)
{
	struct team_change change;

	team_change_init(&change);
	keyword = p_strdup(tt->pool, keyword);
	if (private && add)
		change.pvt_add_keywords = keyword;
	else if (private)
		change.pvt_remove_keywords = keyword;
	else if (add)
		change.add_keywords = keyword;
	else
		change.remove_keywords = keyword;
	team_transaction_deny(tt, mail, "flag", &change, holder);
}

void team_transaction_record_refused(struct team_transaction *tt)
{
	const struct team_denial *denial;

	if (!array_is_created(&tt->denials))
		return;
	array_foreach(&tt->denials, denial) T_BEGIN {
		team_record_messages(tt, denial->action, "refused",
			denial->holder == NULL ? "d.reason=no right" :
			*denial->holder == '\0' ? "d.reason=claims unknown" :
			t_strconcat("d.holder=", denial->holder, NULL),
			&denial->change, &denial->change.uids);
	} T_END;
	array_clear(&tt->denials);
}

/*
 * Whole commands
 */

void team_fields_add_error(ARRAY_TYPE(const_string) *fields,
			   struct mailbox *box)
{
	enum mail_error code;
	const char *error = mailbox_get_last_internal_error(box, &code);

	team_fields_add(fields, "outcome", code == MAIL_ERROR_PERM ?
			"refused" : "failed");
	team_fields_add(fields, "d.error", error);
}

/* Where the source lacks the right to move from it, the error is with its
   storage. */
static struct mailbox *team_failed_box(struct mailbox *dest, struct mail *mail)
{
	return mail != NULL && mail->box->storage != dest->storage &&
		mailbox_get_last_mail_error(mail->box) == MAIL_ERROR_PERM ?
		mail->box : dest;
}

void team_mailbox_record_failed(struct team_mailbox *tbox, const char *action,
				struct mail *mail)
{
	struct team_mailbox *src = mail == NULL ? NULL :
		TEAM_BOX_CONTEXT(mail->box);
	struct team_transaction *src_tt = src == NULL ? NULL :
		TEAM_BOX_CONTEXT(mail->transaction);
	ARRAY_TYPE(const_string) fields;

	t_array_init(&fields, 12);
	team_fields_add(&fields, "action", action);
	team_fields_add_error(&fields, team_failed_box(tbox->box, mail));
	if (tbox->guid[0] != '\0')
		team_fields_add(&fields, "mailbox", tbox->guid);
	if (tbox->guid[0] != '\0' && tbox->uidvalidity != 0) {
		team_fields_add(&fields, "uidvalidity",
			t_strdup_printf("%u", tbox->uidvalidity));
	}
	team_fields_add(&fields, "name", tbox->box->vname);
	if (src != NULL && src->uidvalidity != 0) {
		team_mailbox_add_fields(mail->box, TRUE, &fields);
		/* it's all of the command that fails */
		team_fields_add(&fields, "fromuids",
			src_tt != NULL && array_count(&src_tt->search_uids) > 0 ?
			team_uidset(&src_tt->search_uids) :
			t_strdup_printf("%u", mail->uid));
	}
	team_user_record(tbox->tuser, &fields);
}

unsigned int team_user_failures(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	return tuser->failures;
}

void team_user_record_failed(struct mail_user *user,
			     ARRAY_TYPE(const_string) *fields)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	team_user_record(tuser, fields);
}

bool team_user_is_team_name(struct mail_user *user, const char *vname)
{
	struct mail_namespace *ns = mail_namespace_find(user->namespaces, vname);

	return compat_list_has_private_index(ns->list);
}

void team_mailbox_add_fields(struct mailbox *box, bool source,
			     ARRAY_TYPE(const_string) *fields)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);

	team_fields_add(fields, source ? "from" : "mailbox", tbox->guid);
	if (tbox->uidvalidity != 0) {
		team_fields_add(fields, source ? "fromvalidity" : "uidvalidity",
				t_strdup_printf("%u", tbox->uidvalidity));
	}
	team_fields_add(fields, source ? "fromname" : "name", box->vname);
}

void team_user_record(struct team_user *tuser,
		      ARRAY_TYPE(const_string) *fields)
{
	array_append_zero(fields);
	tuser->failures++;
	team_client_note(team_user_session(tuser), array_front(fields));
}
