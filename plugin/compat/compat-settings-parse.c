/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings parsed from keys and values. */

#include "team-common.h"
#include "compat-settings.h"

#ifdef HAVE_SETTINGS_GET
#  define parser_check(parser, pool, error_r) \
	settings_parser_check(parser, pool, NULL, error_r)
#  define parser_get(parser) settings_parser_get_set(parser)
#  define parser_free(parser) settings_parser_unref(parser)
#else
#  define parser_check(parser, pool, error_r) \
	settings_parser_check(parser, pool, error_r)
#  define parser_get(parser) settings_parser_get(parser)
#  define parser_free(parser) settings_parser_deinit(parser)
#endif

int compat_settings_parse(pool_t pool, const struct setting_parser_info *info,
			  const char *const *keyvalues, const void **set_r,
			  const char **error_r)
{
	struct setting_parser_context *parser;
	int ret = 0;

	parser = settings_parser_init(pool, info, 0);
	for (; *keyvalues != NULL && ret == 0; keyvalues += 2) {
		if (settings_parse_keyvalue(parser, keyvalues[0],
					    keyvalues[1]) <= 0) {
			*error_r = t_strdup_printf("%s: %s", keyvalues[0],
				settings_parser_get_error(parser));
			ret = -1;
		}
	}
	if (ret == 0 && !parser_check(parser, pool, error_r))
		ret = -1;
	if (ret == 0)
		*set_r = parser_get(parser);
	parser_free(&parser);
	return ret;
}
