/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a mail user's and a namespace's settings come from. */

#include "team-common.h"
#include "array.h"
#include "mail-user.h"
#include "mail-namespace.h"
#include "mail-storage-settings.h"
#include "compat-settings.h"

const char *compat_namespace_name(const struct mail_namespace *ns)
{
	const struct mail_namespace *from;
	size_t len;

	if (ns->set->name != NULL && *ns->set->name != '\0')
		return ns->set->name;
	if ((ns->flags & NAMESPACE_FLAG_AUTOCREATED) == 0)
		return NULL;
	/* 2.3 doesn't say: its prefix begins like shared/%u/ */
	for (from = ns->user->namespaces; from != NULL; from = from->next) {
		len = strcspn(from->prefix, "%");
		if (from->prefix[len] == '%' &&
		    strncmp(from->prefix, ns->prefix, len) == 0)
			return from->set->name;
	}
	return NULL;
}

#ifdef HAVE_SETTINGS_GET

#include "settings.h"
#include "mailbox-list-private.h"

/* settings_get() wants to see the pool in the type of what it returns. */
struct compat_settings {
	pool_t pool;
};

static int
compat_settings_get(struct event *event, pool_t pool,
		    const struct setting_parser_info *info,
		    const void **set_r, const char **error_r)
{
	const struct compat_settings *set;

	i_assert(info->pool_offset1 == 1 + offsetof(struct compat_settings,
						    pool));
	if (settings_get(event, info, 0, &set, error_r) < 0)
		return -1;
	pool_add_external_ref(pool, set->pool);
	*set_r = set;
	settings_free(set);
	return 0;
}

int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r)
{
	return compat_settings_get(user->event, pool, info, set_r, error_r);
}

int compat_namespace_settings_read(struct mail_namespace *ns, pool_t pool,
				   const struct setting_parser_info *info,
				   const char *const *keys ATTR_UNUSED,
				   const void **set_r, const char **error_r)
{
	if (compat_settings_get(ns->list->event, pool, info, set_r,
				error_r) == 0)
		return 0;
	*error_r = t_strdup_printf("namespace %s: %s",
				   compat_namespace_name(ns), *error_r);
	return -1;
}

#else

static int
compat_plugin_settings_read(struct mail_user *user, pool_t pool,
			    const struct setting_parser_info *info,
			    const char *const *keys, const char *suffix,
			    const void **set_r, const char **error_r)
{
	ARRAY_TYPE(const_string) keyvalues;
	const struct setting_define *def;
	const char *value;

	t_array_init(&keyvalues, 16);
	for (def = info->defines; def->key != NULL; def++) {
		value = NULL;
		if (keys != NULL && str_array_find(keys, def->key)) {
			value = mail_user_plugin_getenv(user,
				t_strconcat(def->key, "_", suffix, NULL));
		}
		if (value == NULL)
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

int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r)
{
	return compat_plugin_settings_read(user, pool, info, NULL, NULL,
					   set_r, error_r);
}

int compat_namespace_settings_read(struct mail_namespace *ns, pool_t pool,
				   const struct setting_parser_info *info,
				   const char *const *keys,
				   const void **set_r, const char **error_r)
{
	const char *name = compat_namespace_name(ns);

	if (compat_plugin_settings_read(ns->user, pool, info,
					name == NULL ? NULL : keys, name,
					set_r, error_r) == 0)
		return 0;
	*error_r = t_strdup_printf("namespace %s: %s", name, *error_r);
	return -1;
}

#endif
