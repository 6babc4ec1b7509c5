/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definition, defaults and checks of the service's settings. */

#include "team-common.h"
#include "compat-settings.h"
#include "team-settings.h"

#include <ctype.h>

#define CLAIM_TIME_MAX (30*24*60*60)
#define CHECKPOINT_INTERVAL_MAX (24*60*60)

static bool
team_settings_check(void *_set, pool_t pool, const char **error_r);

#undef DEF
#define DEF(type, name) \
	SETTING_DEFINE_STRUCT_##type(#name, name, struct team_settings)

static const struct setting_define team_setting_defines[] = {
	DEF(STR_NOVARS, team_database),
	DEF(STR_NOVARS, team_node),
	DEF(STR_NOVARS, team_journal_dir),
	DEF(STR_NOVARS, team_fsync),
	DEF(STR_NOVARS, team_commit),
	DEF(STR_NOVARS, team_claim_time),
	DEF(STR_NOVARS, team_checkpoint_interval),
	DEF(STR_NOVARS, team_checkpoint_command),
	DEF(STR_NOVARS, team_audit_reading),
	DEF(STR_NOVARS, team_trusted_users),

	SETTING_DEFINE_LIST_END
};

static const struct team_settings team_default_settings = {
	.team_database = "",
	.team_node = "",
	.team_journal_dir = "/var/lib/dovecot/team",
	.team_fsync = "optimized",
	.team_commit = "local",
	.team_claim_time = "30 mins",
	.team_checkpoint_interval = "1 mins",
	.team_checkpoint_command = "",
	.team_audit_reading = "yes",
	.team_trusted_users = "",
};

const struct setting_parser_info team_setting_parser_info = {
	COMPAT_SETTING_INFO("team", struct team_settings),
	.defines = team_setting_defines,
	.defaults = &team_default_settings,
	.check_func = team_settings_check,
};

bool team_node_name_is_valid(const char *name)
{
	const char *p;

	/* it stands in checkpoints' origins and NOTIFY payloads */
	for (p = name; *p != '\0'; p++) {
		if (!i_isalnum(*p) && *p != '.' && *p != '-' && *p != '_')
			return FALSE;
	}
	return p > name && p - name <= TEAM_NODE_NAME_MAX;
}

/* Not SET_ENUM, whose error on Dovecot 2.3 doesn't name the setting. */
static bool
team_settings_one_of(const char *key, const char *value, const char *choices,
		     const char **error_r)
{
	if (str_array_find(t_strsplit(choices, ":"), value))
		return TRUE;
	*error_r = t_strdup_printf("%s: \"%s\" is none of %s", key, value,
				   t_strarray_join(t_strsplit(choices, ":"),
						   ", "));
	return FALSE;
}

/* Nor SET_TIME, for the same reason. */
static bool
team_settings_time(const char *key, const char *value, unsigned int max,
		   const char *max_text, unsigned int *secs_r,
		   const char **error_r)
{
	const char *error;

	if (compat_parse_time(value, secs_r, &error) < 0) {
		*error_r = t_strdup_printf("%s: %s", key, error);
		return FALSE;
	}
	if (*secs_r < 1 || *secs_r > max) {
		*error_r = t_strdup_printf("%s: must be between 1 second and "
			"%s, not \"%s\"", key, max_text, value);
		return FALSE;
	}
	return TRUE;
}

bool team_settings_verify(struct team_settings *set, const char **error_r)
{
	if (set->team_node[0] != '\0' &&
	    !team_node_name_is_valid(set->team_node)) {
		*error_r = t_strdup_printf("team_node: \"%s\" isn't a valid "
			"name: at most %d letters, digits and any of \".-_\"",
			set->team_node, TEAM_NODE_NAME_MAX);
		return FALSE;
	}
	if (set->team_journal_dir[0] != '/') {
		*error_r = t_strdup_printf("team_journal_dir: \"%s\" isn't an "
			"absolute path", set->team_journal_dir);
		return FALSE;
	}
	if (!team_settings_time("team_claim_time", set->team_claim_time,
				CLAIM_TIME_MAX, "30 days", &set->claim_time,
				error_r) ||
	    !team_settings_time("team_checkpoint_interval",
				set->team_checkpoint_interval,
				CHECKPOINT_INTERVAL_MAX, "1 day",
				&set->checkpoint_interval, error_r))
		return FALSE;
	if (set->team_checkpoint_command[0] != '\0' &&
	    set->team_checkpoint_command[0] != '/') {
		*error_r = t_strdup_printf("team_checkpoint_command: \"%s\" "
			"doesn't begin with an absolute path",
			set->team_checkpoint_command);
		return FALSE;
	}
	return team_settings_one_of("team_fsync", set->team_fsync,
				    "optimized:always:never", error_r) &&
		team_settings_one_of("team_commit", set->team_commit,
				     "local:remote", error_r) &&
		team_settings_one_of("team_audit_reading",
				     set->team_audit_reading, "yes:no",
				     error_r);
}

static bool
team_settings_check(void *_set, pool_t pool ATTR_UNUSED, const char **error_r)
{
	return team_settings_verify(_set, error_r);
}
