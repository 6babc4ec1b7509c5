/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_SETTINGS_READ_H
#define TEAM_SERVICE_SETTINGS_READ_H

struct master_service;
struct team_settings;

/* Reads the service's settings from Dovecot's configuration. Returns 0, or -1
   with an error. Free the settings before the master service. */
int service_settings_read(struct master_service *service,
			  const struct team_settings **set_r,
			  const char **base_dir_r, const char **error_r);
void service_settings_free(const struct team_settings **set);

#endif
