/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place of the service that depends on how a version of Dovecot hands
   out settings. */

#include "team-common.h"
#include "settings-parser.h"
#include "master-service.h"
#include "master-service-settings.h"
#include "team-settings.h"
#include "service-settings-read.h"

int service_settings_read(struct master_service *service,
			  const struct team_settings **set_r,
			  const char **base_dir_r, const char **error_r)
{
	static const struct setting_parser_info *set_roots[] = {
		&team_setting_parser_info,
		NULL
	};
	void **sets;

	if (master_service_settings_read_simple(service, set_roots,
						error_r) < 0)
		return -1;
	sets = master_service_settings_get_others(service);
	*set_r = sets[0];
	*base_dir_r = master_service_settings_get(service)->base_dir;
	return 0;
}
