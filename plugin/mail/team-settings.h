/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SETTINGS_H
#define TEAM_SETTINGS_H

#include "mail-types.h"

struct mail_user;
struct mail_namespace;
struct setting_parser_info;

enum team_protects {
	TEAM_PROTECTS_MOVE = 0x01,
	TEAM_PROTECTS_EXPUNGE = 0x02,
};

enum team_guard {
	TEAM_GUARD_OFF,
	/* a reply is refused once */
	TEAM_GUARD_WARN,
	/* and as long as a colleague holds what it answers */
	TEAM_GUARD_HOLD,
};

enum team_offline {
	/* what is known of claims protects, the rest may be changed */
	TEAM_OFFLINE_DEGRADE,
	/* what claims protect isn't changed while they aren't known */
	TEAM_OFFLINE_REFUSE,
};

/* What mail processes are told: by plugin { team_* } on Dovecot 2.3, by top-level
   settings on 2.4. */
struct team_settings {
	pool_t pool;
	const char *team_socket;
	unsigned int team_timeout;
	const char *team_private_flags;
	const char *team_private_keywords;
	const char *team_claim_flags;
	const char *team_claim_protects;
	const char *team_claim_mailbox;
	bool team_claim_until_logout;
	const char *team_guard;
	unsigned int team_guard_override;
	const char *team_offline;

	/* made of the above */
	enum mail_flags private_flags;
	/* patterns with * and ? */
	const char *const *private_keywords;
	/* the same in one form: names with blanks between */
	const char *private_flag_names, *private_keyword_names;
	/* differs where other flags or keywords are private */
	uint32_t private_id;
	/* the keywords that claim, and are set on claimed messages */
	const char *const *claim_keywords;
	/* flags that claim, and are set on claimed messages: \Flagged or none */
	enum mail_flags claim_system_flags;
	enum mail_flags protected_flags;
	/* patterns, NULL-terminated */
	const char *const *protected_keywords;
	enum team_protects protects;
	enum team_guard guard;
	enum team_offline offline;
};

extern const struct setting_parser_info team_mail_setting_parser_info;

/* Reads the user's settings. Returns 0, or -1 with an error that names the
   setting and says what is wrong with it. */
int team_settings_read(struct mail_user *user, pool_t pool,
		       const struct team_settings **set_r,
		       const char **error_r);
/* The same for a namespace, which may have private flags and keywords of its
   own. */
int team_settings_read_namespace(struct mail_namespace *ns, pool_t pool,
				 const struct team_settings **set_r,
				 const char **error_r);

#endif
