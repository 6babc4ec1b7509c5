/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Apart from the settings' definition, which Dovecot's settings module shares
   and which must not need mail processes' functions. */

#include "team-common.h"
#include "compat-settings.h"
#include "team-settings.h"

int team_settings_read(struct mail_user *user, pool_t pool,
		       const struct team_settings **set_r,
		       const char **error_r)
{
	const void *set;

	if (compat_user_settings_read(user, pool,
				      &team_mail_setting_parser_info,
				      &set, error_r) < 0)
		return -1;
	*set_r = set;
	return 0;
}

int team_settings_read_namespace(struct mail_namespace *ns, pool_t pool,
				 const struct team_settings **set_r,
				 const char **error_r)
{
	/* the others are the same in all mailboxes of a user */
	static const char *const keys[] = {
		"team_private_flags", "team_private_keywords", NULL
	};
	const void *set;

	if (compat_namespace_settings_read(ns, pool,
					   &team_mail_setting_parser_info,
					   keys, &set, error_r) < 0)
		return -1;
	*set_r = set;
	return 0;
}
