/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_SETTINGS_H
#define COMPAT_SETTINGS_H

#include "settings-parser.h"

struct mail_user;

/* Reads the user's settings that info defines: from plugin {} on Dovecot 2.3.
   Returns 0 with the settings allocated from the pool, -1 with an error that
   names the setting. */
int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r);

#endif
