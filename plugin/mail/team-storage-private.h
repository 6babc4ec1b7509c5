/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_STORAGE_PRIVATE_H
#define TEAM_STORAGE_PRIVATE_H

/* The mail plugin's own objects, shared by its files. */

#include "seq-range-array.h"
#include "mail-storage-private.h"
#include "compat-storage.h"
#include "mail-user.h"
#include "team-client.h"
#include "team-generations.h"
#include "team-index.h"
#include "team-plugin.h"
#include "team-replica.h"
#include "team-settings.h"
#include "team-shown.h"

#define TEAM_KEYWORD_NONE UINT_MAX

#define TEAM_ERRSTR_NOT_RECORDED \
	"This can't be recorded right now, so nothing was changed. " \
	"Try again in a moment"

#define TEAM_USER_CONTEXT(obj) \
	MODULE_CONTEXT(obj, team_user_module)
#define TEAM_USER_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, team_user_module)
#define TEAM_BOX_CONTEXT(obj) \
	MODULE_CONTEXT(obj, team_storage_module)
#define TEAM_BOX_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, team_storage_module)
#define TEAM_MAIL_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, team_mail_module)

/* A namespace's settings. */
struct team_namespace {
	const char *name;
	const struct team_settings *set;
};

struct team_virtual_uid {
	const char *guid;
	uint32_t uid, virtual_uid;
};

/* What kind of process this is, as far as it makes a difference */
enum team_service {
	TEAM_SERVICE_OTHER = 0,
	/* lmtp, lda */
	TEAM_SERVICE_DELIVERY,
	TEAM_SERVICE_DOVEADM,
	TEAM_SERVICE_POP3
};

struct team_user {
	union mail_user_module_context module_ctx;
	struct mail_user *user;
	enum team_service kind;

	const struct team_settings *set;
	ARRAY(struct team_namespace) namespaces;
	const char *colleague;
	/* "claimed-<colleague>" */
	const char *claim_keyword;

	struct team_client *client;
	struct team_session *session;
	/* when it began, in microseconds */
	uint64_t began;
	struct team_session_info session_info;

	/* names of mailboxes whose GUIDs are to be told in the end */
	ARRAY_TYPE(const_string) untold;
	/* opened team mailboxes */
	struct team_mailbox *boxes;
	/* the mailbox that is about to be selected, or NULL */
	char *selects;
	/* and if that was recorded, which one it is */
	char selects_guid[GUID_128_SIZE * 2 + 1];
	uint32_t selects_uidvalidity;
	/* the mail that mailbox_move() has just copied and expunges next */
	struct mail *moved_mail;
	uint32_t moved_uid;
	/* the mail that Maildir is copying */
	struct mail *linked_mail;

	/* what the session has downloaded so far */
	ARRAY(struct team_fetched) fetched;

	pool_t refusals_pool;
	ARRAY_TYPE(team_refusal) refusals;

	/* messages that were to be changed through virtual mailboxes, since
	   refusals were last taken */
	ARRAY(struct team_virtual_uid) virtual_uids;

	/* what the user must be told, a line each; NULL if there was nothing */
	string_t *alerts;
	/* what he may have to be told: "<number> <text>", allocated; created
	   when there is one */
	ARRAY(char *) notices;

	/* how many refused and failed actions were recorded */
	unsigned int failures;

	/* its login was recorded here, so the logout will be as well */
	bool logged_in:1;
	bool defer_refusals:1;
	bool away_logged:1;
	/* the client is gone, or nobody waits for it any more */
	bool leaving:1;
	/* a mailbox is being created */
	bool creating:1;
};

struct team_mailbox {
	union mailbox_module_context module_ctx;
	struct team_mailbox *prev, *next;
	struct team_index_box ibox;
	struct team_user *tuser;
	/* the namespace's */
	const struct team_settings *set;
	struct mailbox *box;

	/* belongs to a team namespace; others are only looked at for what is
	   copied out of team mailboxes */
	bool team;

	/* empty until known */
	char guid[GUID_128_SIZE * 2 + 1];
	uint32_t uidvalidity;

	/* in the private index's header: what its flags were brought up to */
	uint32_t replica_ext_id;
	uint32_t generations_ext_id;
	/* what this session has seen; the epoch is 0 if that isn't known */
	struct team_generations gens;
	/* the number that its last change will get, in that epoch */
	uint64_t own_epoch, own_last;
	/* in the shared index's header: the sum of the claims that its keywords
	   show */
	uint32_t claims_ext_id;
	/* the claims that this session saw last */
	struct team_shown_claims shown;

	/* messages whose Message-ID the log has, as far as it was asked */
	ARRAY_TYPE(seq_range) known_uids;
	unsigned int unknown_count;

	/* for each keyword of the shared index: is it a private one? */
	ARRAY(bool) keyword_private;
	/* one of them is, or shows who holds a message */
	bool special_keywords;
	/* for each keyword of the private index: the shared index's number, or
	   TEAM_KEYWORD_NONE for one that isn't private any more */
	ARRAY_TYPE(keyword_indexes) pvt_keywords;
	/* those of the message that is being looked at */
	ARRAY_TYPE(keyword_indexes) found_keywords;
	/* searches under way that team-search.c has something to do for */
	unsigned int searches;

	/* what is private is known to PostgreSQL, or on its way there */
	bool settings_told;
	/* PostgreSQL's state must be asked for */
	bool stale;
	/* all of it: the private index isn't what it should be */
	bool refetch;
	/* not before this time */
	time_t next_sync;
	/* and not before this time it is tried to use the private index's disk
	   again */
	time_t next_disk;
	struct timeout *to_retry;
	/* the mailbox had no UIDVALIDITY before the sync that is going on */
	bool first_sync;
	/* messages may have had flags under another UIDVALIDITY */
	bool lost;
	/* there may be GUIDs to be told */
	bool changed;
	/* answers in a row that told of messages not seen here */
	unsigned int ahead_count;
	bool opening_pvt;
	/* the private index's disk can't be used, and the log says so */
	bool in_memory;
	/* a transaction couldn't be written to it */
	bool pvt_failed;
	bool open_recorded;
	bool checking;
	bool watched;
	bool listed;
	/* the keyword that shows the user's own claims, TEAM_KEYWORD_NONE if it
	   shows none */
	unsigned int own_claim_idx;
	/* those that he worked on since the last sync */
	ARRAY_TYPE(seq_range) touched_uids;
	/* messages wait for being expunged by a sync, and nobody can claim
	   them until then */
	bool guarded;
};

/* One kind of change that a transaction makes, and the messages that it makes
   it to. */
struct team_change {
	enum mail_flags pvt_add, pvt_remove, add, remove;
	/* space separated, "" for none */
	const char *add_keywords, *remove_keywords;
	const char *pvt_add_keywords, *pvt_remove_keywords;
	ARRAY_TYPE(seq_range) uids;
};

struct team_message_id {
	uint32_t uid;
	const char *message_id;
};

/* Private keywords that a saved message gets. */
struct team_save_keywords {
	unsigned int mailnum;
	const char *const *names;
};
ARRAY_DEFINE_TYPE(team_save_keywords, struct team_save_keywords);

/* Messages that one transaction saves in a row from one source: one record. */
struct team_save_group {
	const char *action;
	/* shared flags and keywords that new messages get */
	const char *flags;
	/* of a copy or move, else NULL */
	const char *from, *fromname;
	uint32_t fromvalidity;
	ARRAY_TYPE(seq_range) fromuids;
	/* one for each message; uid is unknown (0) before the commit */
	ARRAY(struct team_message_id) messages;
	unsigned int first_mailnum;
	size_t message_ids_size;
	/* moved out of a folder of claimed messages */
	bool from_claimed;
	/* its intent in the journal */
	uint64_t txn;
};

/* What a colleague saves outside the team's mailboxes */
enum team_reply {
	TEAM_REPLY_NONE = 0,
	TEAM_REPLY_DRAFT,
	/* a draft that is deleted */
	TEAM_REPLY_DROPPED,
	TEAM_REPLY_SENT
};

struct team_transaction {
	union mailbox_transaction_module_context module_ctx;
	struct mailbox_transaction_context *t;
	struct team_mailbox *tbox;
	struct team_user *tuser;
	pool_t pool;

	/* what was found out of the mail that is being changed now: STORE
	   changes its flags and then its keywords */
	uint32_t change_uid;
	struct team_change change;
	struct team_keyword_plan *keyword_plan;

	ARRAY(struct team_change) changes;
	ARRAY(struct team_save_group) saves;
	ARRAY_TYPE(team_save_keywords) save_keywords;
	/* messages of the mailbox that the log may not know yet, by UID */
	ARRAY(struct team_message_id) messages;
	ARRAY_TYPE(seq_range) messages_uids;

	ARRAY_TYPE(seq_range) expunges;
	/* whose bodies were sent to the client */
	ARRAY_TYPE(seq_range) fetched;
	ARRAY_TYPE(seq_range) takes, releases;
	/* of those taken, what the colleague held before */
	ARRAY_TYPE(seq_range) renewed;
	/* the colleague's own that he is done with */
	ARRAY_TYPE(seq_range) answered;
	/* what ACLs allow the colleague to change; asked for when needed */
	enum mail_flags allowed_flags;
	bool allowed_keywords;
	bool allowed_known;
	/* what was refused; created when there is something */
	ARRAY(struct team_denial) denials;

	/* the messages that the command names, as far as it does */
	ARRAY_TYPE(seq_range) search_uids;
	/* those that nobody can claim until the transaction ends, and who else
	   holds some of them, by UID */
	ARRAY_TYPE(seq_range) guarded_uids;
	ARRAY_TYPE(team_claim) held;
	/* of the others nobody knows who holds them, and they are protected */
	bool held_unknown;
	/* messages are gone with the next sync */
	bool expunging;
	/* it was rolled back */
	bool unchanged;
	/* what was saved that may answer a team's message */
	ARRAY(struct team_saved_reply) replies;
	/* the transaction was begun because of such a message: nothing that
	   stands against it refuses the command */
	enum team_reply reply;
	/* the service didn't answer: nothing may be changed */
	bool failed;
	/* messages that come with their mover's claim: their numbers among
	   those saved; nobody else can claim in the mailbox until they have
	   it */
	ARRAY_TYPE(seq_range) moved_claims;
	bool moves_guarded;
};

ARRAY_DEFINE_TYPE(const_char_pp, const char *const *);

struct team_mail {
	union mail_module_context module_ctx;
};

extern MODULE_CONTEXT_DEFINE(team_user_module, &mail_user_module_register);
extern MODULE_CONTEXT_DEFINE(team_storage_module,
			     &mail_storage_module_register);
extern MODULE_CONTEXT_DEFINE(team_mail_module, &mail_module_register);

/* team-user.c */
void team_mail_user_created(struct mail_user *user);
void team_mail_namespaces_created(struct mail_namespace *namespaces);
/* The settings of mailboxes in the namespace. */
const struct team_settings *
team_user_namespace_settings(struct team_user *tuser,
			     const struct mail_namespace *ns);
/* The user's connection to the service, made when first needed. */
struct team_session *team_user_session(struct team_user *tuser);
/* What acts for the user from now on, a constant string: NULL is the process's
   own service. */
void team_user_set_service(struct team_user *tuser, const char *service);
void team_user_add_refusal(struct team_user *tuser,
			   const struct team_refusal *refusal);

/* A time for people, from the data stack: of another day with its date. */
const char *team_clock(time_t t);

/* team-mailbox.c */
void team_mailbox_allocated(struct mailbox *box);
/* Finds out guid and uidvalidity of an open mailbox; the latter is 0 as long
   as the mailbox has never been synced. Returns 0, or -1 if the GUID can't be
   had. */
int team_mailbox_identify(struct team_mailbox *tbox);
/* D7: makes a public namespace look like a shared one, since private indexes
   of those don't start with the shared flags. Returns the type that has to be
   put back. */
enum mail_namespace_type team_mask_public(struct mailbox *box);

/* team-notify.c */
void team_mailbox_list_created(struct mailbox_list *list);

/* team-select.c */
/* Records that the mailbox was opened, and follows it. */
void team_mailbox_record_open(struct team_mailbox *tbox);
/* The mailbox is there: if the user is about to select it, that is recorded. */
void team_mailbox_record_select(struct team_mailbox *tbox);

/* team-mail.c */
void team_mail_allocated(struct mail *mail);

/* team-maildir.c */
bool team_mailbox_is_maildir(struct mailbox *box);
/* IDLE notices changes of flags, too. */
void team_maildir_watch_indexes(struct mailbox *box);
void team_maildir_mail_hooks(struct mail *mail, struct mail_vfuncs *v);
/* Copies to the mailbox, of whatever format. */
int team_maildir_copy(struct team_mailbox *tbox, struct mail_save_context *ctx,
		      struct mail *mail);

/* team-private-set.c */
/* Sees to it that PostgreSQL knows which flags are private, and if others were
   so far, what those start from. */
void team_private_set_tell(struct team_mailbox *tbox);
/* Something is saved in a mailbox: the same, if it may be needed. */
void team_private_set_check(struct team_mailbox *tbox);

/* team-virtual.c */
bool team_mailbox_is_virtual(struct mailbox *box);
void team_virtual_mailbox_hooks(struct mailbox_vfuncs *v);
void team_virtual_mail_hooks(struct mail_vfuncs *v);
/* The mail of a virtual mailbox stands for that one of a team's mailbox. */
void team_virtual_note(struct team_user *tuser, struct mail *mail,
		       struct mail *backend);
/* Says how refused messages are called in the virtual mailbox. */
void team_virtual_refusals(struct team_user *tuser,
			   ARRAY_TYPE(team_refusal) *refusals);

/* team-keywords.c */
/* Does one of the patterns fit? */
bool team_keyword_fits(const char *keyword, const char *const *patterns);
bool team_keyword_is_private(struct team_mailbox *tbox, const char *keyword);
/* Learns the names that came since the last call. Private ones get a number in
   the shared index, in memory only. */
void team_keywords_refresh(struct team_mailbox *tbox);
/* Forgets all names: the indexes are closed. */
void team_keywords_reset(struct team_mailbox *tbox);
/* Is this keyword of the shared index a private one? */
bool team_keyword_index_is_private(struct team_mailbox *tbox, unsigned int idx);
void team_keywords_mail_hooks(struct mail_vfuncs *v);
/* The sequence of the mail in the transaction's private view, or 0 if it isn't
   there. */
uint32_t team_mail_pvt_seq(struct mail *mail);
/* Changes private flags past ACLs that reserve flags for those who may write:
   nobody else is touched. */
void team_mail_update_pvt_flags(struct mail *mail, enum modify_type modify_type,
				enum mail_flags flags);
/* The private index's keywords for these numbers of the shared index. */
struct mail_keywords *
team_pvt_keywords_create(struct team_mailbox *tbox,
			 const ARRAY_TYPE(keyword_indexes) *indexes);
/* Changes private keywords of the message that has this sequence in the
   transaction's private view. */
void team_mail_set_pvt_keywords(struct mail *mail, uint32_t seq,
				enum modify_type modify_type,
				struct mail_keywords *keywords);
/* Changes private keywords, given as numbers of the shared index. */
void team_mail_update_pvt_keywords(struct mail *mail,
				   enum modify_type modify_type,
				   const ARRAY_TYPE(keyword_indexes) *indexes);
/* Takes the private keywords out of what is being saved as the mailnum-th
   message of the transaction. */
void team_save_take_keywords(struct mail_save_context *ctx,
			     unsigned int mailnum);
/* Gives the saved messages their private keywords. Returns 0 or -1. */
int team_save_apply_keywords(struct team_mailbox *tbox,
			     const ARRAY_TYPE(team_save_keywords) *keywords,
			     const ARRAY_TYPE(seq_range) *saved_uids);

/* team-keyword-plan.c */
/* Changes the keywords if that is simple. Returns FALSE if it isn't and nothing
   was changed. */
bool team_keyword_plan_update(struct team_transaction *tt, struct mail *mail,
			      enum modify_type modify_type,
			      struct mail_keywords *keywords);
void team_keyword_plan_free(struct team_transaction *tt);

/* team-search.c */
void team_search_hooks(struct mailbox_vfuncs *v);

/* team-transaction.c */
struct team_transaction *
team_transaction_get(struct mailbox_transaction_context *t);
int team_transaction_commit(struct mailbox_transaction_context *t,
			    struct mail_transaction_commit_changes *changes_r);
void team_transaction_rollback(struct mailbox_transaction_context *t);
/* What the colleague may change: shared flags; private flags and keywords, for
   which keeping one's seen state is enough; shared keywords. */
enum mail_flags team_transaction_shared_flags(struct team_transaction *tt);
bool team_transaction_may_private(struct team_transaction *tt);
bool team_transaction_may_keywords(struct team_transaction *tt);
/* May the transaction's command not move the message? Then it is refused. */
bool team_transaction_refuses_move(struct team_transaction *tt,
				   struct mail *mail);
/* TRUE if the transaction was begun by the IMAP command or its UID form. */
bool team_transaction_is(struct mailbox_transaction_context *t,
			 const char *cmd);

/* team-save.c, team-save-record.c */
void team_save_hooks(struct mailbox_vfuncs *v);
/* Journals the intents of the saves. Returns 0, -1 if that can't be done. */
int team_saves_prepare(struct team_transaction *tt, const char **error_r);
/* They were carried out. */
void team_saves_commit(struct team_transaction *tt,
		       const struct mail_transaction_commit_changes *changes,
		       const struct mail_save_private_changes *pvt_saves,
		       unsigned int pvt_saves_count);
/* Sees to it that the private index gets the saved messages, if they have
   private keywords. */
void team_saves_need_private(struct team_transaction *tt);
/* They were not: with an error they are recorded as failed. */
void team_saves_abort(struct team_transaction *tt, const char *error);

/* team-generations.c */
/* Returns the number that the transaction's private changes, of count records,
   will get unless others come before them; 0 if it can't be foretold. */
uint64_t team_generations_own_next(struct team_transaction *tt,
				   unsigned int count);
/* They got the journal's number own, or will most likely get next where that
   isn't known yet (0): the private index gets to know that it has them. */
void team_generations_own_change(struct team_transaction *tt, uint64_t own,
				 uint64_t next, unsigned int count);

#endif
