/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service's settings, as Dovecot hands them out. */

#include "team-common.h"
#include "compat-settings.h"
#include "team-settings.h"
#include "service-settings-read.h"

int service_settings_read(struct master_service *service,
			  const struct team_settings **set_r,
			  const char **base_dir_r, const char **error_r)
{
	const void *set;

	if (compat_service_settings_read(service, &team_setting_parser_info,
					 &set, base_dir_r, error_r) < 0)
		return -1;
	*set_r = set;
	return 0;
}

void service_settings_free(const struct team_settings **_set)
{
	const void *set = *_set;

	*_set = NULL;
	compat_service_settings_free(&set);
}
