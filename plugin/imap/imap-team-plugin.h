/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef IMAP_TEAM_PLUGIN_H
#define IMAP_TEAM_PLUGIN_H

struct module;

void imap_team_plugin_init(struct module *module);
void imap_team_plugin_deinit(void);

#endif
