/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a transaction does, as records for the journal. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "imap-util.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-record.h"

/* So many Message-IDs are looked up for a change of many messages that the log
   doesn't know. What is left out is looked up when the message is touched
   singly, or before it goes. */
#define MESSAGE_IDS_MAX 1000
/* So many are looked up before the log is asked which it knows: a session that
   touches a few messages only needn't ask. */
#define MESSAGE_IDS_UNASKED 4
/* Message-IDs in one record: leaves room for its other fields in a line */
#define MESSAGE_IDS_SIZE_MAX (TEAM_PROTOCOL_MAX_LINE / 2)

const char *team_uidset(const ARRAY_TYPE(seq_range) *uids)
{
	string_t *str = t_str_new(64);

	imap_write_seq_range(str, uids);
	return str_c(str);
}

void team_transaction_add_message(struct team_transaction *tt,
				  struct mail *mail, bool force)
{
	struct team_message_id *message;
	const char *message_id;
	int ret;

	if (seq_range_exists(&tt->tbox->known_uids, mail->uid) ||
	    seq_range_exists(&tt->messages_uids, mail->uid) ||
	    (!force && array_count(&tt->messages) >= MESSAGE_IDS_MAX))
		return;
	if (tt->tbox->unknown_count++ == MESSAGE_IDS_UNASKED) T_BEGIN {
		team_state_ask_known(tt->tbox);
	} T_END;
	if (seq_range_exists(&tt->tbox->known_uids, mail->uid))
		return;
	ret = team_mail_get_message_id(mail, &message_id);
	if (ret < 0)
		return;
	seq_range_array_add(&tt->messages_uids, mail->uid);
	if (ret == 0)
		return;
	message = array_append_space(&tt->messages);
	message->uid = mail->uid;
	message->message_id = p_strdup(tt->pool, message_id);
}

/*
 * Grouping
 */

struct team_change *
team_transaction_begin_change(struct team_transaction *tt, struct mail *mail)
{
	if (tt->change_uid != mail->uid) {
		team_transaction_end_change(tt);
		team_transaction_add_message(tt, mail, FALSE);
		tt->change_uid = mail->uid;
	}
	return &tt->change;
}

void team_change_init(struct team_change *change)
{
	i_zero(change);
	change->add_keywords = change->remove_keywords = "";
	change->pvt_add_keywords = change->pvt_remove_keywords = "";
}

/* Most often they are the same strings. */
static bool team_names_equal(const char *names1, const char *names2)
{
	return names1 == names2 || strcmp(names1, names2) == 0;
}

bool team_change_equals(const struct team_change *c1,
			const struct team_change *c2)
{
	return c1->pvt_add == c2->pvt_add && c1->pvt_remove == c2->pvt_remove &&
		c1->add == c2->add && c1->remove == c2->remove &&
		team_names_equal(c1->add_keywords, c2->add_keywords) &&
		team_names_equal(c1->remove_keywords, c2->remove_keywords) &&
		team_names_equal(c1->pvt_add_keywords, c2->pvt_add_keywords) &&
		team_names_equal(c1->pvt_remove_keywords,
				 c2->pvt_remove_keywords);
}

static bool team_change_is_empty(const struct team_change *change)
{
	return change->pvt_add == 0 && change->pvt_remove == 0 &&
		change->add == 0 && change->remove == 0 &&
		*change->add_keywords == '\0' &&
		*change->remove_keywords == '\0' &&
		*change->pvt_add_keywords == '\0' &&
		*change->pvt_remove_keywords == '\0';
}

const char *team_change_action(const struct team_change *change)
{
	return ((change->pvt_add | change->add) & MAIL_SEEN) != 0 ?
		"read" : "flag";
}

static void
team_transaction_join_change(struct team_transaction *tt, uint32_t uid,
			     const struct team_change *change)
{
	struct team_change *old;
	unsigned int i, count;

	if (team_change_is_empty(change))
		return;
	/* most often it is the one that came last */
	old = array_get_modifiable(&tt->changes, &count);
	for (i = count; i > 0; i--) {
		if (team_change_equals(&old[i-1], change)) {
			seq_range_array_add(&old[i-1].uids, uid);
			return;
		}
	}
	old = array_append_space(&tt->changes);
	*old = *change;
	p_array_init(&old->uids, tt->pool, 8);
	seq_range_array_add(&old->uids, uid);
}

void team_transaction_end_change(struct team_transaction *tt)
{
	struct team_change read;

	if (tt->change_uid != 0) {
		/* reading is a record of its own */
		if (((tt->change.pvt_add | tt->change.add) & MAIL_SEEN) != 0) {
			team_change_init(&read);
			read.pvt_add = tt->change.pvt_add & MAIL_SEEN;
			read.add = tt->change.add & MAIL_SEEN;
			team_transaction_join_change(tt, tt->change_uid, &read);
			tt->change.pvt_add &= ENUM_NEGATE(MAIL_SEEN);
			tt->change.add &= ENUM_NEGATE(MAIL_SEEN);
		}
		team_transaction_join_change(tt, tt->change_uid, &tt->change);
	}
	tt->change_uid = 0;
	team_change_init(&tt->change);
}

/*
 * Fields
 */

void team_fields_add(ARRAY_TYPE(const_string) *fields, const char *key,
		     const char *value)
{
	const char *field = t_strconcat(key, "=", value, NULL);

	array_push_back(fields, &field);
}

void team_record_begin(struct team_mailbox *tbox,
		       ARRAY_TYPE(const_string) *fields, const char *action,
		       const char *outcome)
{
	t_array_init(fields, 16);
	team_fields_add(fields, "action", action);
	team_fields_add(fields, "outcome", outcome);
	team_fields_add(fields, "mailbox", tbox->guid);
	if (tbox->uidvalidity != 0) {
		team_fields_add(fields, "uidvalidity",
				t_strdup_printf("%u", tbox->uidvalidity));
	}
	team_fields_add(fields, "name", tbox->box->vname);
}

static void
team_record_end(ARRAY_TYPE(const_string) *fields,
		ARRAY_TYPE(const_char_pp) *records)
{
	const char *const *record;

	array_append_zero(fields);
	array_pop_back(fields);
	record = array_front(fields);
	array_push_back(records, &record);
}

static const char *
team_flags_and_keywords(enum mail_flags flags, const char *keywords)
{
	string_t *str = t_str_new(64);

	imap_write_flags(str, flags, NULL);
	if (str_len(str) > 0 && *keywords != '\0')
		str_append_c(str, ' ');
	str_append(str, keywords);
	return str_c(str);
}

static void
team_fields_add_private(ARRAY_TYPE(const_string) *fields, const char *sign,
			enum mail_flags flags, const char *keywords,
			const char *uids)
{
	const char *const *names =
		t_strsplit_spaces(team_flags_and_keywords(flags, keywords), " ");

	for (; *names != NULL; names++)
		team_fields_add(fields, t_strconcat("p", sign, *names, NULL),
				uids);
}

/* Appends the record, or several where the Message-IDs of its messages
   wouldn't fit into one. */
static void
team_record_emit(struct team_transaction *tt, const char *action,
		 const char *outcome, const char *field,
		 const struct team_change *change,
		 const ARRAY_TYPE(seq_range) *all_uids,
		 ARRAY_TYPE(const_char_pp) *records)
{
	ARRAY_TYPE(const_string) fields;
	ARRAY_TYPE(seq_range) uids;
	const struct team_message_id *messages;
	unsigned int i = 0, count;
	const char *set, *value;
	string_t *mids;
	uint32_t last_uid;

	t_array_init(&uids, array_count(all_uids) + 1);
	messages = array_get(&tt->messages, &count);
	do {
		mids = t_str_new(256);
		last_uid = (uint32_t)-1;
		for (; i < count; i++) {
			if (!seq_range_exists(all_uids, messages[i].uid))
				continue;
			if (str_len(mids) > MESSAGE_IDS_SIZE_MAX)
				break;
			team_mids_add(mids, messages[i].uid,
				      messages[i].message_id);
			last_uid = messages[i].uid;
		}
		array_clear(&uids);
		array_append_array(&uids, all_uids);
		if (i < count && last_uid < (uint32_t)-1) {
			seq_range_array_remove_range(&uids, last_uid + 1,
						     (uint32_t)-1);
		}
		if (array_count(records) > 0 && array_count(&uids) == 0)
			break;
		set = team_uidset(&uids);
		team_record_begin(tt->tbox, &fields, action, outcome);
		if (field != NULL)
			array_push_back(&fields, &field);
		team_fields_add(&fields, "uids", set);
		if (str_len(mids) > 0)
			team_fields_add(&fields, "mids", str_c(mids));
		value = team_flags_and_keywords(change->add,
						change->add_keywords);
		if (*value != '\0')
			team_fields_add(&fields, "add", value);
		value = team_flags_and_keywords(change->remove,
						change->remove_keywords);
		if (*value != '\0')
			team_fields_add(&fields, "remove", value);
		team_fields_add_private(&fields, "+", change->pvt_add,
					change->pvt_add_keywords, set);
		team_fields_add_private(&fields, "-", change->pvt_remove,
					change->pvt_remove_keywords, set);
		team_record_end(&fields, records);
		if (i < count) {
			/* the rest */
			ARRAY_TYPE(seq_range) *rest =
				t_new(ARRAY_TYPE(seq_range), 1);
			t_array_init(rest, array_count(all_uids) + 1);
			array_append_array(rest, all_uids);
			seq_range_array_remove_range(rest, 1, last_uid);
			all_uids = rest;
		}
	} while (i < count && array_count(all_uids) > 0);
}

static int
team_message_id_cmp(const struct team_message_id *m1,
		    const struct team_message_id *m2)
{
	return m1->uid < m2->uid ? -1 : m1->uid > m2->uid ? 1 : 0;
}

static bool team_change_is_private(const struct team_change *change)
{
	return change->pvt_add != 0 || change->pvt_remove != 0 ||
		*change->pvt_add_keywords != '\0' ||
		*change->pvt_remove_keywords != '\0';
}

unsigned int
team_transaction_records(struct team_transaction *tt,
			 ARRAY_TYPE(const_char_pp) *records)
{
	struct team_change no_change;
	const struct team_change *change;
	unsigned int before, private_count = 0;

	team_change_init(&no_change);
	team_transaction_end_change(tt);
	array_sort(&tt->messages, team_message_id_cmp);
	array_foreach(&tt->changes, change) {
		before = array_count(records);
		team_record_emit(tt, team_change_action(change), "ok", NULL,
				 change, &change->uids, records);
		if (team_change_is_private(change))
			private_count += array_count(records) - before;
	}
	if (array_count(&tt->expunges) > 0) {
		team_record_emit(tt, "expunge", "ok", NULL, &no_change,
				 &tt->expunges, records);
	}
	return private_count;
}

void team_record_messages(struct team_transaction *tt, const char *action,
			  const char *outcome, const char *field,
			  const struct team_change *change,
			  const ARRAY_TYPE(seq_range) *uids)
{
	ARRAY_TYPE(const_char_pp) records;
	const char *const *record;

	t_array_init(&records, 4);
	array_sort(&tt->messages, team_message_id_cmp);
	team_record_emit(tt, action, outcome, field, change, uids, &records);
	if (strcmp(outcome, "ok") != 0)
		tt->tuser->failures++;
	array_foreach_elem(&records, record)
		team_client_note(team_user_session(tt->tuser), record);
}
