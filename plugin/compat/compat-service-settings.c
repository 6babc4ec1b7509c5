/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a service of its own reads its settings. */

#include "team-common.h"
#include "master-service.h"
#include "master-service-settings.h"
#include "compat-settings.h"

#ifdef HAVE_SETTINGS_GET

#include "settings.h"

/* settings_get() wants to see the pool in the type of what it returns. */
struct compat_settings {
	pool_t pool;
};

int compat_service_settings_read(struct master_service *service,
				 const struct setting_parser_info *info,
				 const void **set_r, const char **base_dir_r,
				 const char **error_r)
{
	const struct compat_settings *set;

	if (master_service_settings_read_simple(service, error_r) < 0 ||
	    settings_get(master_service_get_event(service), info, 0, &set,
			 error_r) < 0)
		return -1;
	*set_r = set;
	*base_dir_r = master_service_get_service_settings(service)->base_dir;
	return 0;
}

void compat_service_settings_free(const void **_set)
{
	const struct compat_settings *set = *_set;

	*_set = NULL;
	settings_free(set);
}

#else

int compat_service_settings_read(struct master_service *service,
				 const struct setting_parser_info *info,
				 const void **set_r, const char **base_dir_r,
				 const char **error_r)
{
	static const struct setting_parser_info *set_roots[2];
	void **sets;

	set_roots[0] = info;
	if (master_service_settings_read_simple(service, set_roots,
						error_r) < 0)
		return -1;
	sets = master_service_settings_get_others(service);
	*set_r = sets[0];
	*base_dir_r = master_service_settings_get(service)->base_dir;
	return 0;
}

void compat_service_settings_free(const void **set)
{
	/* the master service's */
	*set = NULL;
}

#endif
