/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of what a transaction saves: intents before the commit, UIDs and
   private flags after it. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "imap-util.h"
#include "mail-storage-private.h"
#include "team-claims.h"
#include "team-record.h"

int team_saves_prepare(struct team_transaction *tt, const char **error_r)
{
	struct team_save_group *group;
	ARRAY_TYPE(const_string) fields;
	const char *const *record;

	if (tt->tbox->team && array_count(&tt->saves) > 0)
		team_private_set_check(tt->tbox);
	array_foreach_modifiable(&tt->saves, group) {
		team_record_begin(tt->tbox, &fields, group->action, "ok");
		if (*group->flags != '\0')
			team_fields_add(&fields, "add", group->flags);
		if (group->from != NULL) {
			team_fields_add(&fields, "from", group->from);
			team_fields_add(&fields, "fromvalidity",
				t_strdup_printf("%u", group->fromvalidity));
			team_fields_add(&fields, "fromname",
					   group->fromname);
			team_fields_add(&fields, "fromuids",
					   team_uidset(&group->fromuids));
		}
		array_append_zero(&fields);
		record = array_front(&fields);
		group->txn = team_client_prepare(team_user_session(tt->tuser),
						 &record, 1, 0, NULL, error_r);
		if (group->txn == 0)
			return -1;
	}
	return 0;
}

static void
team_save_private_fields(ARRAY_TYPE(const_string) *fields,
			 const struct team_save_group *group,
			 const struct mail_save_private_changes *saves,
			 unsigned int count)
{
	static const enum mail_flags flags[] = {
		MAIL_ANSWERED, MAIL_FLAGGED, MAIL_DELETED, MAIL_SEEN, MAIL_DRAFT
	};
	const struct team_message_id *messages;
	ARRAY_TYPE(seq_range) uids;
	unsigned int i, j, n, messages_count;
	string_t *key;

	messages = array_get(&group->messages, &messages_count);
	t_array_init(&uids, 8);
	for (i = 0; i < N_ELEMENTS(flags); i++) {
		array_clear(&uids);
		for (j = 0; j < count; j++) {
			n = saves[j].mailnum - group->first_mailnum;
			if ((saves[j].flags & flags[i]) != 0 &&
			    saves[j].mailnum >= group->first_mailnum &&
			    n < messages_count)
				seq_range_array_add(&uids, messages[n].uid);
		}
		if (array_count(&uids) == 0)
			continue;
		key = t_str_new(16);
		str_append(key, "p+");
		imap_write_flags(key, flags[i], NULL);
		team_fields_add(fields, str_c(key), team_uidset(&uids));
	}
}

static void
team_save_keyword_fields(ARRAY_TYPE(const_string) *fields,
			 const struct team_save_group *group,
			 const ARRAY_TYPE(team_save_keywords) *saves)
{
	HASH_TABLE(const char *, ARRAY_TYPE(seq_range) *) names;
	struct hash_iterate_context *iter;
	const struct team_save_keywords *save;
	const struct team_message_id *messages;
	const char *const *namep, *name;
	ARRAY_TYPE(seq_range) *uids;
	unsigned int n, count;

	messages = array_get(&group->messages, &count);
	hash_table_create(&names, pool_datastack_create(), 0, strcase_hash,
			  strcasecmp);
	array_foreach(saves, save) {
		n = save->mailnum - group->first_mailnum;
		if (save->mailnum < group->first_mailnum || n >= count ||
		    messages[n].uid == 0)
			continue;
		for (namep = save->names; *namep != NULL; namep++) {
			uids = hash_table_lookup(names, *namep);
			if (uids == NULL) {
				uids = t_new(ARRAY_TYPE(seq_range), 1);
				t_array_init(uids, 8);
				hash_table_insert(names, *namep, uids);
			}
			seq_range_array_add(uids, messages[n].uid);
		}
	}
	iter = hash_table_iterate_init(names);
	while (hash_table_iterate(iter, names, &name, &uids)) {
		team_fields_add(fields, t_strconcat("p+", name, NULL),
				team_uidset(uids));
	}
	hash_table_iterate_deinit(&iter);
	hash_table_destroy(&names);
}

static void
team_save_group_commit(struct team_transaction *tt,
		       struct team_save_group *group, uint32_t uidvalidity,
		       const struct mail_save_private_changes *pvt_saves,
		       unsigned int pvt_saves_count)
{
	const struct team_message_id *message;
	ARRAY_TYPE(const_string) fields;
	ARRAY_TYPE(seq_range) uids;
	string_t *mids = t_str_new(256);
	const char *error;

	t_array_init(&fields, 8);
	t_array_init(&uids, 8);
	array_foreach(&group->messages, message) {
		if (message->uid == 0)
			continue;
		seq_range_array_add(&uids, message->uid);
		if (message->message_id != NULL) {
			team_mids_add(mids, message->uid,
				      message->message_id);
		}
	}
	/* a new mailbox may not have had it before */
	if (uidvalidity != 0) {
		team_fields_add(&fields, "uidvalidity",
				   t_strdup_printf("%u", uidvalidity));
	}
	if (array_count(&uids) > 0) {
		team_fields_add(&fields, "uids", team_uidset(&uids));
		if (str_len(mids) > 0)
			team_fields_add(&fields, "mids", str_c(mids));
		team_save_private_fields(&fields, group, pvt_saves,
					 pvt_saves_count);
		team_save_keyword_fields(&fields, group, &tt->save_keywords);
		seq_range_array_merge(&tt->tbox->known_uids, &uids);
	} else {
		team_fields_add(&fields, "d.count", t_strdup_printf("%u",
				   array_count(&group->messages)));
	}
	array_append_zero(&fields);
	if (team_client_commit(team_user_session(tt->tuser), group->txn,
			       array_front(&fields), &error) < 0) {
		e_error(tt->tuser->user->event, "team: %s: the record of new "
			"messages in %s is kept and sent again", error,
			tt->tbox->box->vname);
	}
}

void team_saves_commit(struct team_transaction *tt,
		       const struct mail_transaction_commit_changes *changes,
		       const struct mail_save_private_changes *pvt_saves,
		       unsigned int pvt_saves_count)
{
	struct team_save_group *group;
	struct team_message_id *message;
	struct seq_range_iter iter;
	unsigned int n;

	/* before the log tells PostgreSQL */
	team_claim_moves_commit(tt, changes->uid_validity,
				&changes->saved_uids);
	seq_range_array_iter_init(&iter, &changes->saved_uids);
	array_foreach_modifiable(&tt->saves, group) {
		n = group->first_mailnum;
		array_foreach_modifiable(&group->messages, message) {
			(void)seq_range_array_iter_nth(&iter, n++,
						       &message->uid);
		}
		T_BEGIN {
			team_save_group_commit(tt, group,
					       changes->uid_validity,
					       pvt_saves, pvt_saves_count);
			team_claim_mailbox_saved(tt, group,
				changes->uid_validity);
		} T_END;
	}
}

void team_saves_need_private(struct team_transaction *tt)
{
	struct mailbox_transaction_context *t = tt->t;
	struct mail_save_private_changes *save;
	const struct team_save_keywords *first;

	if (array_count(&tt->save_keywords) == 0 ||
	    array_is_created(&t->pvt_saves))
		return;
	i_array_init(&t->pvt_saves, 1);
	save = array_append_space(&t->pvt_saves);
	first = array_front(&tt->save_keywords);
	save->mailnum = first->mailnum;
}

void team_saves_abort(struct team_transaction *tt, const char *error)
{
	const struct team_save_group *group;
	const char *fields[3];

	fields[0] = "outcome=failed";
	fields[1] = t_strconcat("d.error=", error, NULL);
	fields[2] = NULL;
	array_foreach(&tt->saves, group) {
		if (group->txn != 0) {
			team_client_abort(team_user_session(tt->tuser),
					  group->txn,
					  error == NULL ? NULL : fields);
		}
	}
}
