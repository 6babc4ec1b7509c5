/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mailboxes that are created, deleted and renamed, and who may do what in
   them. */

#include "team-common.h"
#include "array.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "mailbox-list-iter.h"
#include "compat-acl.h"
#include "team-record.h"

static void
team_audit_add_box(ARRAY_TYPE(const_string) *fields, struct team_mailbox *tbox)
{
	/* a mailbox that only holds others has none */
	if (tbox->box->view == NULL || team_mailbox_identify(tbox) < 0)
		return;
	team_fields_add(fields, "mailbox", tbox->guid);
	if (tbox->uidvalidity != 0) {
		team_fields_add(fields, "uidvalidity",
			       t_strdup_printf("%u", tbox->uidvalidity));
	}
}

/* fields becomes the record; records may hold others that come first. */
static uint64_t
team_audit_prepare(struct team_mailbox *tbox, ARRAY_TYPE(const_string) *fields,
		   ARRAY_TYPE(const_char_pp) *records)
{
	const char *const *record, *error;
	uint64_t txn;

	array_append_zero(fields);
	record = array_front(fields);
	array_push_back(records, &record);
	txn = team_client_prepare(team_user_session(tbox->tuser),
				  array_front(records), array_count(records),
				  0, NULL, &error);
	if (txn == 0) {
		e_error(tbox->tuser->user->event, "team: %s: %s is not changed",
			error, tbox->box->vname);
		mail_storage_set_error(tbox->box->storage,
				       MAIL_ERROR_UNAVAILABLE,
				       TEAM_ERRSTR_NOT_RECORDED);
	}
	return txn;
}

/* fields: what is known only now, besides the outcome; NULL for nothing. */
static void
team_audit_finish(struct team_mailbox *tbox, uint64_t txn, int ret,
		  ARRAY_TYPE(const_string) *more)
{
	struct team_session *session = team_user_session(tbox->tuser);
	ARRAY_TYPE(const_string) fields;
	const char *error;

	t_array_init(&fields, 8);
	if (ret < 0) {
		team_fields_add_error(&fields, tbox->box);
		tbox->tuser->failures++;
	} else {
		team_fields_add(&fields, "outcome", "ok");
		if (more != NULL)
			array_append_array(&fields, more);
	}
	array_append_zero(&fields);
	if (ret < 0)
		team_client_abort(session, txn, array_front(&fields));
	else if (team_client_commit(session, txn, array_front(&fields),
				    &error) < 0) {
		e_error(tbox->tuser->user->event, "team: %s: the record about "
			"%s is kept and sent again", error, tbox->box->vname);
	}
}

static int
team_mailbox_create(struct mailbox *box, const struct mailbox_update *update,
		    bool directory)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	ARRAY_TYPE(const_string) fields, more;
	ARRAY_TYPE(const_char_pp) records;
	uint64_t txn;
	int ret;

	t_array_init(&fields, 8);
	t_array_init(&more, 4);
	t_array_init(&records, 1);
	team_fields_add(&fields, "action", "create");
	team_fields_add(&fields, "name", box->vname);
	txn = team_audit_prepare(tbox, &fields, &records);
	if (txn == 0)
		return -1;
	/* rights that it takes over from above aren't given by anybody */
	tbox->tuser->creating = TRUE;
	ret = tbox->module_ctx.super.create_box(box, update, directory);
	tbox->tuser->creating = FALSE;
	if (ret == 0)
		team_audit_add_box(&more, tbox);
	team_audit_finish(tbox, txn, ret, &more);
	return ret;
}

static int team_mailbox_delete(struct mailbox *box)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	ARRAY_TYPE(const_string) fields;
	ARRAY_TYPE(const_char_pp) records;
	uint64_t txn;
	int ret;

	t_array_init(&fields, 8);
	t_array_init(&records, 1);
	team_fields_add(&fields, "action", "delete");
	team_fields_add(&fields, "name", box->vname);
	team_audit_add_box(&fields, tbox);
	if (box->view != NULL) {
		team_fields_add(&fields, "d.messages", t_strdup_printf("%u",
			mail_index_view_get_messages_count(box->view)));
	}
	txn = team_audit_prepare(tbox, &fields, &records);
	if (txn == 0)
		return -1;
	/* Dovecot expunges the messages first, which is recorded as such */
	ret = tbox->module_ctx.super.delete_box(box);
	team_audit_finish(tbox, txn, ret, NULL);
	return ret;
}

/*
 * Renaming
 */

/* A mailbox itself must stay closed while it is renamed: it's looked at under
   another handle. */
static void
team_audit_add_closed_box(ARRAY_TYPE(const_string) *fields,
			  struct mailbox_list *list, const char *vname)
{
	struct mailbox *box = mailbox_alloc(list, vname,
					    MAILBOX_FLAG_READONLY |
					    MAILBOX_FLAG_IGNORE_ACLS);

	if (mailbox_open(box) == 0)
		team_audit_add_box(fields, TEAM_BOX_CONTEXT_REQUIRE(box));
	mailbox_free(&box);
}

static void
team_audit_rename_fields(ARRAY_TYPE(const_string) *fields,
			 struct mailbox_list *list, const char *from,
			 const char *to)
{
	t_array_init(fields, 8);
	team_fields_add(fields, "action", "rename");
	team_fields_add(fields, "name", to);
	team_fields_add(fields, "fromname", from);
	team_audit_add_closed_box(fields, list, from);
}

/* What lies below the mailbox is renamed with it. */
static void
team_audit_add_renamed_below(struct mailbox *src, struct mailbox *dest,
			     ARRAY_TYPE(const_char_pp) *records)
{
	const char *pattern = t_strdup_printf("%s%c*", src->vname,
		mail_namespace_get_sep(src->list->ns));
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	ARRAY_TYPE(const_string) fields;
	const char *const *record;
	size_t len = strlen(src->vname);

	iter = mailbox_list_iter_init(src->list, pattern,
				      MAILBOX_LIST_ITER_RAW_LIST |
				      MAILBOX_LIST_ITER_NO_AUTO_BOXES |
				      MAILBOX_LIST_ITER_RETURN_NO_FLAGS);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		/* only its pattern knows of other names like it */
		if (strncmp(info->vname, src->vname, len) != 0)
			continue;
		team_audit_rename_fields(&fields, src->list,
			t_strdup(info->vname),
			t_strconcat(dest->vname, info->vname + len, NULL));
		array_append_zero(&fields);
		record = array_front(&fields);
		array_push_back(records, &record);
	}
	(void)mailbox_list_iter_deinit(&iter);
}

static int team_mailbox_rename(struct mailbox *src, struct mailbox *dest)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(src);
	ARRAY_TYPE(const_string) fields;
	ARRAY_TYPE(const_char_pp) records;
	uint64_t txn;
	int ret;

	t_array_init(&records, 8);
	team_audit_rename_fields(&fields, src->list, src->vname, dest->vname);
	team_audit_add_renamed_below(src, dest, &records);
	txn = team_audit_prepare(tbox, &fields, &records);
	if (txn == 0)
		return -1;
	ret = tbox->module_ctx.super.rename_box(src, dest);
	team_audit_finish(tbox, txn, ret, NULL);
	return ret;
}

void team_audit_mailbox_hooks(struct mailbox_vfuncs *v)
{
	v->create_box = team_mailbox_create;
	v->delete_box = team_mailbox_delete;
	v->rename_box = team_mailbox_rename;
}

/*
 * Rights
 */

struct team_acl_change {
	struct mailbox *box;
	uint64_t txn;
};

static void *team_acl_begin(const struct compat_acl_change *change)
{
	struct team_user *tuser = TEAM_USER_CONTEXT(change->list->ns->user);
	struct team_acl_change *ctx = i_new(struct team_acl_change, 1);
	ARRAY_TYPE(const_string) fields;
	ARRAY_TYPE(const_char_pp) records;

	if (tuser == NULL || tuser->creating)
		return ctx;
	ctx->box = mailbox_alloc(change->list, change->vname,
				 MAILBOX_FLAG_READONLY);
	T_BEGIN {
		t_array_init(&fields, 12);
		t_array_init(&records, 1);
		team_fields_add(&fields, "action", "acl");
		team_fields_add(&fields, "name", change->vname);
		team_audit_add_closed_box(&fields, change->list, change->vname);
		team_fields_add(&fields, "d.identifier", change->identifier);
		if (change->mode != NULL) {
			team_fields_add(&fields, "d.mode", change->mode);
			team_fields_add(&fields, "d.rights", change->rights);
		}
		if (change->neg_mode != NULL) {
			team_fields_add(&fields, "d.negative-mode",
					change->neg_mode);
			team_fields_add(&fields, "d.negative-rights",
					change->neg_rights);
		}
		ctx->txn = team_audit_prepare(
			TEAM_BOX_CONTEXT_REQUIRE(ctx->box), &fields, &records);
	} T_END;
	if (ctx->txn == 0) {
		mailbox_free(&ctx->box);
		i_free(ctx);
		return NULL;
	}
	return ctx;
}

static void team_acl_end(const struct compat_acl_change *change ATTR_UNUSED,
			 void *context, int ret)
{
	struct team_acl_change *ctx = context;

	if (ctx->box != NULL) T_BEGIN {
		if (ret < 0)
			mailbox_set_index_error(ctx->box);
		team_audit_finish(TEAM_BOX_CONTEXT_REQUIRE(ctx->box), ctx->txn,
				  ret, NULL);
		mailbox_free(&ctx->box);
	} T_END;
	i_free(ctx);
}

const struct compat_acl_callbacks team_acl_callbacks = {
	.begin = team_acl_begin,
	.end = team_acl_end,
};
