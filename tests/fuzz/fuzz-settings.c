/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of settings, one a line in the order of the table: they are accepted
   or refused with an error that names the setting. */

#include "team-common.h"
#include "lib.h"
#include "settings-parser.h"
#include "compat-settings.h"
#include "team-settings.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool initialized = FALSE;
	const struct setting_parser_info *info = &team_mail_setting_parser_info;
	const struct setting_define *def;
	const char *const *values, *error = NULL;
	struct team_settings set;
	pool_t pool;

	if (!initialized) {
		lib_init();
		initialized = TRUE;
	}
	pool = pool_alloconly_create("fuzz", 1024);
	T_BEGIN {
		set = *(const struct team_settings *)info->defaults;
		values = t_strsplit(t_strndup(data, size), "\n");
		for (def = info->defines; def->key != NULL; def++) {
			if (*values == NULL)
				break;
			if (def->type == SET_STR_NOVARS) {
				*(const char **)PTR_OFFSET(&set, def->offset) =
					p_strdup(pool, *values++);
			}
		}
		if (!info->check_func(&set, pool, &error)) {
			FUZZ_CHECK(error != NULL &&
				   strncmp(error, "team_", 5) == 0);
		} else {
			FUZZ_CHECK(set.claim_keywords[0] != NULL);
			FUZZ_CHECK((set.claim_system_flags &
				    set.private_flags) == 0);
		}
	} T_END;
	pool_unref(&pool);
	return 0;
}
