/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SETTINGS_PLUGIN_H
#define TEAM_SETTINGS_PLUGIN_H

/* Symbols that Dovecot looks up in the settings module by name. */

struct module;

extern const char *team_settings_version;
extern const struct setting_parser_info *team_settings_set_roots[];
extern struct service_settings team_settings_service_settings;

void team_settings_init(struct module *module);
void team_settings_deinit(void);

#endif
