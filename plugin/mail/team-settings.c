/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings of mail processes and what they are checked for. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "settings-parser.h"
#include "imap-util.h"
#include "compat-settings.h"
#include "team-hash.h"
#include "team-settings.h"

#include <ctype.h>

#undef DEF
#define DEF(_type, name) \
	{ .type = (_type), .key = #name, \
	  .offset = offsetof(struct team_settings, name) }

static bool
team_settings_check(void *_set, pool_t pool, const char **error_r);

static const struct setting_define team_setting_defines[] = {
	DEF(SET_STR_NOVARS, team_socket),
	DEF(SET_TIME, team_timeout),
	DEF(SET_STR_NOVARS, team_private_flags),
	DEF(SET_STR_NOVARS, team_private_keywords),
	DEF(SET_STR_NOVARS, team_claim_flags),
	DEF(SET_STR_NOVARS, team_claim_protects),
	DEF(SET_STR_NOVARS, team_claim_mailbox),
	DEF(SET_BOOL, team_claim_until_logout),
	DEF(SET_ENUM, team_guard),
	DEF(SET_TIME, team_guard_override),
	DEF(SET_ENUM, team_offline),
	{ .key = NULL }
};

static const struct team_settings team_default_settings = {
	.team_socket = "team",
	.team_timeout = 5,
	.team_private_flags = "\\Seen \\Flagged",
	.team_private_keywords = "$Important Old my-*",
	.team_claim_flags = "claimed",
	.team_claim_protects = "\\Deleted move expunge",
	.team_claim_mailbox = "Claimed",
	.team_guard = "warn:off:hold",
	.team_guard_override = 10 * 60,
	.team_offline = "degrade:refuse",
};

const struct setting_parser_info team_mail_setting_parser_info = {
	COMPAT_SETTING_INFO("team_mail", struct team_settings),
	.defines = team_setting_defines,
	.defaults = &team_default_settings,
	.check_func = team_settings_check,
};

static int
team_settings_flag(const char *name, enum mail_flags *flags)
{
	enum mail_flags flag = imap_parse_system_flag(name);

	if (flag == 0 || flag == MAIL_RECENT)
		return -1;
	*flags |= flag;
	return 0;
}

static bool
team_settings_check_private(struct team_settings *set, const char **error_r)
{
	const char *const *names;

	names = t_strsplit_spaces(set->team_private_flags, " ");
	for (; *names != NULL; names++) {
		if (team_settings_flag(*names, &set->private_flags) < 0) {
			*error_r = t_strdup_printf(
				"team_private_flags: %s is none of \\Seen "
				"\\Flagged \\Answered \\Deleted \\Draft",
				*names);
			return FALSE;
		}
	}
	return TRUE;
}

static bool team_keyword_has_only(const char *keyword, const char *except)
{
	/* RFC 3501: flag-keyword is an atom */
	for (; *keyword != '\0'; keyword++) {
		if ((unsigned char)*keyword <= ' ' ||
		    (unsigned char)*keyword >= 0x7f ||
		    (strchr("(){%*\"\\]", *keyword) != NULL &&
		     strchr(except, *keyword) == NULL))
			return FALSE;
	}
	return TRUE;
}

static bool team_keyword_is_valid(const char *keyword)
{
	return team_keyword_has_only(keyword, "");
}

static bool
team_settings_check_keywords(struct team_settings *set, pool_t pool,
			     const char **error_r)
{
	const char *const *names;
	string_t *flags = t_str_new(64);

	names = t_strsplit_spaces(set->team_private_keywords, " ");
	set->private_keywords = (const void *)p_strarray_dup(pool, names);
	for (; *names != NULL; names++) {
		if (!team_keyword_has_only(*names, "*")) {
			*error_r = t_strdup_printf("team_private_keywords: "
				"%s can't be an IMAP keyword", *names);
			return FALSE;
		}
	}
	set->private_keyword_names =
		p_strdup(pool, t_strarray_join(set->private_keywords, " "));
	imap_write_flags(flags, set->private_flags, NULL);
	set->private_flag_names = p_strdup(pool, str_c(flags));
	set->private_id = set->private_flags + 1 +
		(team_hash_icase(set->private_keyword_names) << 8);
	return TRUE;
}

static bool
team_settings_check_claim(struct team_settings *set, pool_t pool,
			  const char **error_r)
{
	const char *const *names;
	ARRAY_TYPE(const_string) keywords;
	const char *keyword;

	p_array_init(&keywords, pool, 4);
	names = t_strsplit_spaces(set->team_claim_flags, " ");
	if (*names == NULL) {
		*error_r = "team_claim_flags: no keyword given";
		return FALSE;
	}
	for (; *names != NULL; names++) {
		if (strcasecmp(*names, "\\Flagged") == 0) {
			set->claim_system_flags |= MAIL_FLAGGED;
			continue;
		}
		if (!team_keyword_is_valid(*names)) {
			*error_r = t_strdup_printf("team_claim_flags: %s "
				"is neither \\Flagged nor can it be an IMAP "
				"keyword", *names);
			return FALSE;
		}
		keyword = p_strdup(pool, *names);
		array_push_back(&keywords, &keyword);
	}
	if (array_count(&keywords) == 0) {
		/* claims show by it in any case */
		keyword = "claimed";
		array_push_back(&keywords, &keyword);
	}
	array_append_zero(&keywords);
	set->claim_keywords = array_front(&keywords);
	/* everybody sees a claim */
	set->private_flags &= ENUM_NEGATE(set->claim_system_flags);
	return TRUE;
}

static bool
team_settings_check_protects(struct team_settings *set, pool_t pool,
			     const char **error_r)
{
	const char *const *names, *pattern;
	ARRAY_TYPE(const_string) patterns;

	p_array_init(&patterns, pool, 4);
	names = t_strsplit_spaces(set->team_claim_protects, " ");
	for (; *names != NULL; names++) {
		if (strcasecmp(*names, "move") == 0)
			set->protects |= TEAM_PROTECTS_MOVE;
		else if (strcasecmp(*names, "expunge") == 0)
			set->protects |= TEAM_PROTECTS_EXPUNGE;
		else if (**names != '\\') {
			pattern = p_strdup(pool, *names);
			array_push_back(&patterns, &pattern);
		} else if (team_settings_flag(*names,
					      &set->protected_flags) < 0) {
			*error_r = t_strdup_printf("team_claim_protects: %s is "
				"no system flag (others: move, expunge, and "
				"patterns of keywords)", *names);
			return FALSE;
		}
	}
	array_append_zero(&patterns);
	set->protected_keywords = array_front(&patterns);
	return TRUE;
}

static bool
team_settings_check(void *_set, pool_t pool, const char **error_r)
{
	struct team_settings *set = _set;

	if (*set->team_socket == '\0') {
		*error_r = "team_socket: no path given";
		return FALSE;
	}
	if (set->team_timeout == 0 || set->team_timeout > 300) {
		*error_r = "team_timeout: must be between 1 and 300 seconds";
		return FALSE;
	}
	if (set->team_guard_override == 0 ||
	    set->team_guard_override > 24 * 60 * 60) {
		*error_r = "team_guard_override: must be between a second "
			"and a day";
		return FALSE;
	}
	if (strcmp(set->team_guard, "off") == 0)
		set->guard = TEAM_GUARD_OFF;
	else if (strcmp(set->team_guard, "hold") == 0)
		set->guard = TEAM_GUARD_HOLD;
	else
		set->guard = TEAM_GUARD_WARN;
	set->offline = strcmp(set->team_offline, "refuse") == 0 ?
		TEAM_OFFLINE_REFUSE : TEAM_OFFLINE_DEGRADE;
	return team_settings_check_private(set, error_r) &&
		team_settings_check_claim(set, pool, error_r) &&
		team_settings_check_keywords(set, pool, error_r) &&
		team_settings_check_protects(set, pool, error_r);
}
