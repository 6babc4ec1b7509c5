/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_SETTINGS_H
#define COMPAT_SETTINGS_H

/* Settings on Dovecot 2.3 (plugin {} and set roots) and 2.4 (settings_get()).
   A struct of settings starts with "pool_t pool", which 2.4 fills. */

#include "settings-parser.h"
#ifdef HAVE_SETTINGS_GET
#  include "str-parse.h"
/* Reads a time such as "30 mins". Returns 0 or -1 with an error. */
#  define compat_parse_time(str, secs_r, error_r) \
	str_parse_get_interval(str, secs_r, error_r)
#else
#  define compat_parse_time(str, secs_r, error_r) \
	settings_get_time(str, secs_r, error_r)
#endif

struct mail_user;
struct mail_namespace;
struct master_service;

/* The part of struct setting_parser_info that tells a set from others. */
#ifdef HAVE_SETTINGS_GET
#  define COMPAT_SETTING_INFO(info_name, struct_name) \
	.name = (info_name), \
	.struct_size = sizeof(struct_name), \
	.pool_offset1 = 1 + offsetof(struct_name, pool)
#else
#  define COMPAT_SETTING_INFO(info_name, struct_name) \
	.module_name = (info_name), \
	.type_offset = SIZE_MAX, \
	.struct_size = sizeof(struct_name), \
	.parent_offset = SIZE_MAX
#endif

/* A string in which % means nothing: before 2.4 that is what SET_STR is. */
#ifndef HAVE_SET_STR_NOVARS
#  define SET_STR_NOVARS SET_STR
#  define SETTING_DEFINE_STRUCT_STR_NOVARS SETTING_DEFINE_STRUCT_STR
#endif

/* Parses keyvalues (key, value, key, value, ..., NULL) and checks the result.
   Returns 0 with settings allocated from the pool, -1 with an error that names
   the setting. */
int compat_settings_parse(pool_t pool, const struct setting_parser_info *info,
			  const char *const *keyvalues, const void **set_r,
			  const char **error_r);

/* Reads the user's settings that info defines: from plugin {} on Dovecot 2.3,
   from the top level and the user's overrides on 2.4. Returns 0 with settings
   that live as long as the pool, -1 with an error that names the setting. */
int compat_user_settings_read(struct mail_user *user, pool_t pool,
			      const struct setting_parser_info *info,
			      const void **set_r, const char **error_r);

/* Reads the settings as they are for a namespace. On 2.4 namespace { } may
   override any. On 2.3, which has nothing of the kind, these keys may stand in
   plugin {} once more with "_" and the namespace's name. The error names the
   namespace, too. */
int compat_namespace_settings_read(struct mail_namespace *ns, pool_t pool,
				   const struct setting_parser_info *info,
				   const char *const *keys,
				   const void **set_r, const char **error_r);

/* The name under which the namespace is configured, or NULL. One that was made
   for another user's mail has that of the namespace that it stems from. */
const char *compat_namespace_name(const struct mail_namespace *ns);

/* Reads the settings of a service of its own, and base_dir. Returns 0 with
   settings to be freed before the master service is, -1 with an error. */
int compat_service_settings_read(struct master_service *service,
				 const struct setting_parser_info *info,
				 const void **set_r, const char **base_dir_r,
				 const char **error_r);
void compat_service_settings_free(const void **set);

#endif
