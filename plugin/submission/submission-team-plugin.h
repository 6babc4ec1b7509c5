/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SUBMISSION_TEAM_PLUGIN_H
#define SUBMISSION_TEAM_PLUGIN_H

struct module;

void submission_team_plugin_init(struct module *module);
void submission_team_plugin_deinit(void);

#endif
