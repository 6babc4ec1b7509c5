/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a mail user's settings come from. */

#include "team-common.h"
#include "mail-user.h"
#include "compat-settings.h"

int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r)
{
	struct setting_parser_context *parser;
	const struct setting_define *def;
	const char *value;
	int ret = 0;

	parser = settings_parser_init(pool, info, 0);
	for (def = info->defines; def->key != NULL && ret == 0; def++) {
		value = mail_user_plugin_getenv(user, def->key);
		if (value == NULL)
			continue;
		if (settings_parse_keyvalue(parser, def->key, value) <= 0) {
			*error_r = t_strdup_printf("plugin/%s: %s", def->key,
				settings_parser_get_error(parser));
			ret = -1;
		}
	}
	if (ret == 0 && !settings_parser_check(parser, pool, error_r))
		ret = -1;
	if (ret == 0)
		*set_r = settings_parser_get(parser);
	settings_parser_deinit(&parser);
	return ret;
}
