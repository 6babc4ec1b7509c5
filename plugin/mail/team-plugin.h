/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PLUGIN_H
#define TEAM_PLUGIN_H

/* What the mail plugin offers to the plugins of protocols (imap_team). */

struct module;
struct mail_user;
struct mailbox;
struct mailbox_status;

/* A message that was left as it was, though a command asked for a change. */
struct team_refusal {
	const char *guid;
	uint32_t uidvalidity;
	uint32_t uid;
	/* in the virtual mailbox through which it was to be changed, else 0 */
	uint32_t virtual_uid;
	/* who holds it; NULL if claims can't be had now */
	const char *holder;
	time_t since, until;
	/* nobody knows who holds it, and so it isn't changed */
	bool unknown;
	/* the client believes in a change that was not made, but nobody stands
	   against it: tell it the truth, without refusing the command */
	bool correction;
};
ARRAY_DEFINE_TYPE(team_refusal, struct team_refusal);

void team_plugin_init(struct module *module);
void team_plugin_deinit(void);

/* TRUE if the user has a namespace with a private index: otherwise the plugin
   leaves the user alone. */
bool team_user_is_active(struct mail_user *user);
/* The one whom records and claims name. */
const char *team_user_colleague(struct mail_user *user);
/* The client said its name (IMAP ID). */
void team_user_set_client_name(struct mail_user *user, const char *name);
/* Records an action of the user that concerns no mailbox (login, logout). */
void team_user_event(struct mail_user *user, const char *action,
		     const char *outcome);
/* TRUE if the end of a session gives back what was claimed in it. */
bool team_user_claims_until_logout(struct mail_user *user);
/* How many refused and failed actions of the user were recorded so far. */
unsigned int team_user_failures(struct mail_user *user);
/* Records such an action, given as "key=value". */
void team_user_record_failed(struct mail_user *user,
			     ARRAY_TYPE(const_string) *fields);
/* The client is going: mailboxes that are closed from now on may take a moment
   to do so. */
void team_user_leaves(struct mail_user *user);
/* Waits until all that was recorded so far stands in the journal. Returns 0,
   or -1 with the reason logged. */
int team_user_flush(struct mail_user *user);

/* The caller will tell the client about refused messages: storage functions
   do what nobody stands against and return success. Without this they return
   MAIL_ERROR_INUSE after having done so. It also calls team_user_flush() before
   it says that anything was done. */
void team_user_defer_refusals(struct mail_user *user);
/* The refusals since the last call, valid until the next one. */
const ARRAY_TYPE(team_refusal) *team_user_take_refusals(struct mail_user *user);
/* The reason for a person: who holds what, since when, until when. */
const char *team_refusals_text(const ARRAY_TYPE(team_refusal) *refusals);

/* What the user must be told since the last call, from the data stack; NULL if
   there is nothing. */
const char *const *team_user_take_alerts(struct mail_user *user);

/* A mail that the user is about to send, and that answers something. */
struct team_outgoing;
/* Looks at the mail's headers (values unfolded or not, or NULL). Returns NULL if
   it answers nothing. What is returned lives as long as the pool. */
struct team_outgoing *
team_outgoing_init(struct mail_user *user, pool_t pool, const char *in_reply_to,
		   const char *references, const char *message_id);
/* Asks what stands against sending it. Returns NULL if it may go, and also if
   that can't be found out; otherwise the text for the sender, one line of
   printable ASCII from the data stack: the refusal is recorded. */
const char *team_outgoing_check(struct team_outgoing *mail);
/* It was sent: what it answers is marked as answered, and given back. */
void team_outgoing_sent(struct team_outgoing *mail);

/* Messages of one colleague's mailbox */
struct team_flags_counts {
	/* that have private flags or keywords */
	unsigned int messages;
	/* of which PostgreSQL didn't know all of these */
	unsigned int changed;
	/* that have some which plain Dovecot doesn't show */
	unsigned int hidden;
};
/* Takes over what a private index has from before the plugin came. The mailbox
   is allocated, and must not have been synced. Returns 0, or -1 with the
   reason. */
int team_flags_import(struct mailbox *box, struct team_flags_counts *counts_r,
		      const char **error_r);
/* Brings the private index up to date, for the time after the plugin. */
int team_flags_write_back(struct mailbox *box,
			  struct team_flags_counts *counts_r,
			  const char **error_r);

/* TRUE if a mailbox of this name would belong to a team namespace. */
bool team_user_is_team_name(struct mail_user *user, const char *vname);
/* Appends the fields that name the mailbox, or the source's. */
void team_mailbox_add_fields(struct mailbox *box, bool source,
			     ARRAY_TYPE(const_string) *fields);
/* TRUE if the mailbox belongs to a team namespace. */
bool team_mailbox_is_team(struct mailbox *box);
/* Returns TRUE with the keywords that the user can change for good in an opened
   team mailbox, and what it says of its permanent flags; FALSE if that is just
   what Dovecot makes of it, all or none of those in use. */
bool team_mailbox_permanent_keywords(struct mailbox *box,
				     struct mailbox_status *status_r,
				     ARRAY_TYPE(const_string) *names_r);
/* Hex GUID of an opened team mailbox, or NULL. */
const char *team_mailbox_guid(struct mailbox *box);
/* Starts or stops live notifications about the mailbox. */
void team_mailbox_watch(struct mailbox *box, bool watch);
/* The user is about to select the mailbox of this name; NULL: not any more. */
void team_user_selects(struct mail_user *user, const char *vname);
/* The user has selected the mailbox, or couldn't (NULL): records that it was
   opened, unless that is recorded already, and watches it. */
void team_user_selected(struct mail_user *user, struct mailbox *box);

#endif
