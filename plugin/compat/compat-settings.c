/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a mail user's settings come from. */

#include "team-common.h"
#include "array.h"
#include "mail-user.h"
#include "compat-settings.h"

#ifdef HAVE_SETTINGS_GET

#include "settings.h"

/* settings_get() wants to see the pool in the type of what it returns. */
struct compat_settings {
	pool_t pool;
};

int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r)
{
	const struct compat_settings *set;

	i_assert(info->pool_offset1 == 1 + offsetof(struct compat_settings,
						    pool));
	if (settings_get(user->event, info, 0, &set, error_r) < 0)
		return -1;
	pool_add_external_ref(pool, set->pool);
	*set_r = set;
	settings_free(set);
	return 0;
}

#else

int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r)
{
	ARRAY_TYPE(const_string) keyvalues;
	const struct setting_define *def;
	const char *value;

	t_array_init(&keyvalues, 16);
	for (def = info->defines; def->key != NULL; def++) {
		value = mail_user_plugin_getenv(user, def->key);
		if (value == NULL)
			continue;
		array_push_back(&keyvalues, &def->key);
		array_push_back(&keyvalues, &value);
	}
	array_append_zero(&keyvalues);
	return compat_settings_parse(pool, info, array_front(&keyvalues),
				     set_r, error_r);
}

#endif
