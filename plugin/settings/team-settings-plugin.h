/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SETTINGS_PLUGIN_H
#define TEAM_SETTINGS_PLUGIN_H

/* Symbols that Dovecot looks up in the settings module by name. */

struct module;

/* of mail processes, which 2.4 wants to know as well */
extern const struct setting_parser_info team_mail_setting_parser_info;

extern const char *team_settings_version;
#ifdef HAVE_SETTINGS_GET
extern const struct setting_parser_info *team_settings_set_infos[];
extern const struct setting_keyvalue team_settings_service_settings_defaults[];
#else
extern const struct setting_parser_info *team_settings_set_roots[];
#endif
extern struct service_settings team_settings_service_settings;

void team_settings_init(struct module *module);
void team_settings_deinit(void);

#endif
