/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_H
#define TEAM_RECORD_H

/* The audit record: an ordered list of key=value fields, and its canonical
   form, which is what the journal stores, what crosses the socket and what
   the log's tree will hash.

   Canonical form: "key=value" joined by TAB, in the order of
   team_record_keys, unknown keys refused; detail keys ("d.<name>") and
   private flag keys ("p+<flag>", "p-<flag>") follow, each group in byte
   order. In values, the bytes 0x01 NUL TAB CR LF are escaped as
   0x01 '1' '0' 't' 'r' 'n'. Empty values are left out.

   Keys, in canonical order:
     seq          number in the node's log, from 1          (set by the service)
     at           microseconds since the epoch              (set by the service)
     action       login logout open read fetch flag append deliver copy move
                  expunge create delete rename acl claim renew release lapse
                  takeover draft reply query erase gap, and private, which
                  only the service makes (record-final.h)
     outcome      ok refused failed
     colleague    who did it                                (from SESSION)
     user         whose mail it is                          (from SESSION)
     session      Dovecot's session id                      (from SESSION)
     service      imap lmtp lda sieve pop3 doveadm submission team (from SESSION)
     ip tls client                                          (from SESSION)
     mailbox      GUID, 32 hex digits
     uidvalidity
     name         the mailbox's name as the colleague sees it
     uids         IMAP sequence-set without '*', ascending
     mids         "uid message-id" pairs for messages of uids that the log
                  may not know yet: pairs joined by LF, uid and id by a space
     add remove   shared flags and keywords, space separated
     from         source mailbox GUID (copy, move)
     fromvalidity
     fromname
     fromuids     in the order of uids, so that the n-th goes to the n-th
     p+<flag>     uidset: private flag or keyword added for the colleague
     p-<flag>     uidset: private flag or keyword removed
     d.<name>     details, shown as they are (name: [a-z0-9_-]+)

   UID sets are kept with ranges that touch joined, so that a set has one
   form only. Nothing here needs more than the C library; running out of memory
   ends the process. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct team_record;

/* Which keys the caller is trusted with. */
enum team_record_source {
	/* a record from the journal: every key */
	TEAM_RECORD_SOURCE_JOURNAL,
	/* a client's request: not what the service or SESSION sets */
	TEAM_RECORD_SOURCE_CLIENT
};

struct team_record *team_record_new(void);
struct team_record *team_record_dup(const struct team_record *record);
void team_record_free(struct team_record **record);

/* Sets a key, replacing what it had; "" removes it. Returns 0, or -1 with an
   error if the key is unknown or not allowed to the source, or the value
   isn't valid for it; then nothing was changed. The error stays valid until
   the thread's next call to this module. */
int team_record_set(struct team_record *record, const char *key,
		    const char *value, enum team_record_source source,
		    const char **error_r);
/* The same for a "key=value" string. */
int team_record_set_field(struct team_record *record, const char *field,
			  enum team_record_source source,
			  const char **error_r);
/* Returns the key's value or NULL. Valid until the key is changed. */
const char *team_record_get(const struct team_record *record, const char *key);

/* Goes through the fields in canonical order. Returns false at the end. */
bool team_record_field(const struct team_record *record, size_t idx,
		       const char **key_r, const char **value_r);
/* Is the key's value a UID set (uids, fromuids, p+..., p-...)? */
bool team_record_key_is_uidset(const char *key);
/* Is the key's value a number that is stored as one (seq, at, uidvalidity)? */
bool team_record_key_is_number(const char *key);
/* Does the action, or the outcome, exist? */
bool team_record_action_exists(const char *action);
bool team_record_outcome_exists(const char *outcome);

/* Checks what concerns several keys: an action is there, uids come with a
   mailbox and its UIDVALIDITY, fromuids are as many as uids. Returns 0 or -1
   with an error. */
int team_record_check(const struct team_record *record, const char **error_r);

/* Parses the canonical form (size bytes, or a NUL-terminated text). Fields in
   another order, given twice or empty are errors. Returns the record, or NULL
   with an error. */
struct team_record *team_record_parse(const char *text, size_t size,
				      const char **error_r);
/* Returns the canonical form. The caller frees it. */
char *team_record_format(const struct team_record *record);

/* strcmp() == 0 for short names that mostly differ in what they begin with. */
static inline bool team_key_is(const char *key, const char *name)
{
	return key[0] == name[0] && key[1] == name[1] &&
		strcmp(key, name) == 0;
}

#endif
