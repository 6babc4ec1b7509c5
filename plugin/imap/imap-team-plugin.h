/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef IMAP_TEAM_PLUGIN_H
#define IMAP_TEAM_PLUGIN_H

struct module;
struct client_command_context;

void imap_team_plugin_init(struct module *module);
void imap_team_plugin_deinit(void);

/* The command is answered with data: records that it failed, if it is about a
   team's mailbox and nothing else records it. */
void imap_team_command_failed(struct client_command_context *cmd,
			      const char *data);

#endif
