/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_H
#define TEAM_RECORD_H

/* What goes into the log: records of transactions, of what was refused, of
   downloads and of mailboxes. */

#include "team-storage-private.h"

/* team-record.c */
/* Remembers the Message-ID of a message that is about to be changed, if the
   log may not know it yet. force: even where many are asked for already. */
void team_transaction_add_message(struct team_transaction *tt,
				  struct mail *mail, bool force);
void team_change_init(struct team_change *change);
/* The change of this message, which ends when another one's begins. */
struct team_change *
team_transaction_begin_change(struct team_transaction *tt, struct mail *mail);
bool team_change_equals(const struct team_change *c1,
			const struct team_change *c2);
/* What the log calls it: read or flag. */
const char *team_change_action(const struct team_change *change);
/* The change of one message is complete: joins it with its like. */
void team_transaction_end_change(struct team_transaction *tt);
/* Appends the records of all that the transaction does but saving, each a
   NULL-terminated list of fields. Returns how many of them change private
   flags. */
unsigned int
team_transaction_records(struct team_transaction *tt,
			 ARRAY_TYPE(const_char_pp) *records);
/* Appends "key=value". */
void team_fields_add(ARRAY_TYPE(const_string) *fields, const char *key,
		     const char *value);
/* The fields that every record about the mailbox begins with. */
void team_record_begin(struct team_mailbox *tbox,
		       ARRAY_TYPE(const_string) *fields, const char *action,
		       const char *outcome);
const char *team_uidset(const ARRAY_TYPE(seq_range) *uids);

/* Records an action on messages of the mailbox, as an event. field: one more
   "key=value", or NULL. */
void team_record_messages(struct team_transaction *tt, const char *action,
			  const char *outcome, const char *field,
			  const struct team_change *change,
			  const ARRAY_TYPE(seq_range) *uids);

/* team-refused.c */
/* The message is left as it was. change: what wasn't changed, or NULL; holder:
   who holds the message, or NULL if access rights forbid it. */
void team_transaction_deny(struct team_transaction *tt, struct mail *mail,
			   const char *action, const struct team_change *change,
			   const char *holder);
void team_transaction_deny_flags(struct team_transaction *tt, struct mail *mail,
				 enum mail_flags add, enum mail_flags remove,
				 const char *holder);
void team_transaction_deny_keyword(struct team_transaction *tt,
				   struct mail *mail, const char *keyword,
				   bool add, bool private, const char *holder);
/* Records what was refused. */
void team_transaction_record_refused(struct team_transaction *tt);
/* The outcome and why, after an error of the mailbox. */
void team_fields_add_error(ARRAY_TYPE(const_string) *fields,
			   struct mailbox *box);
/* The mailbox has an error: records that nothing could be saved in it. mail:
   what was to be copied or moved there, or NULL. */
void team_mailbox_record_failed(struct team_mailbox *tbox, const char *action,
				struct mail *mail);
/* Records what was refused or failed as an event. */
void team_user_record(struct team_user *tuser,
		      ARRAY_TYPE(const_string) *fields);

/* team-message-id.c */
/* Returns 1 with the Message-ID in the data stack, in the form in which replies
   name it where it has one; 0 with NULL if there is none; -1 with NULL if it
   can't be read. */
int team_mail_get_message_id(struct mail *mail, const char **message_id_r);
/* Adds a line to the value of "mids". */
void team_mids_add(string_t *mids, uint32_t uid, const char *message_id);

/* team-audit.c */
/* A stream of the body was opened: is it a download? */
void team_audit_body_read(struct mail_private *mail);
/* Records the downloads that the session hadn't done before. */
void team_audit_record_fetched(struct team_transaction *tt);

/* team-audit-box.c */
void team_audit_mailbox_hooks(struct mailbox_vfuncs *v);
extern const struct compat_acl_callbacks team_acl_callbacks;

#endif
