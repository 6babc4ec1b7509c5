/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SETTINGS_H
#define TEAM_SETTINGS_H

/* The top-level settings of the team service. Defined once, for the settings
   module (doveconf) and the service. */

struct setting_parser_info;

struct team_settings {
	pool_t pool;
	/* libpq's connection string for the role team_service */
	const char *team_database;
	/* this node's name in the log; "" is the host's name */
	const char *team_node;
	const char *team_journal_dir;
	/* optimized, always, never */
	const char *team_fsync;
	/* local, remote */
	const char *team_commit;
	const char *team_claim_time;
	/* between checkpoints, while there is anything new */
	const char *team_checkpoint_interval;
	/* program that is given each signed note, or "" */
	const char *team_checkpoint_command;
	/* yes, no: whether the log tells who read what */
	const char *team_audit_reading;
	/* system users whose processes may act for every colleague */
	const char *team_trusted_users;

	/* made of the above, seconds */
	unsigned int claim_time;
	unsigned int checkpoint_interval;
};

extern const struct setting_parser_info team_setting_parser_info;

/* Longest node name. */
#define TEAM_NODE_NAME_MAX 100

/* Checks the values and fills what is made of them. Returns false and an error
   that names the setting. */
bool team_settings_verify(struct team_settings *set, const char **error_r);
/* Is the name usable for a node? */
bool team_node_name_is_valid(const char *name);

#endif
