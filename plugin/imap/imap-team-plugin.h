/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef IMAP_TEAM_PLUGIN_H
#define IMAP_TEAM_PLUGIN_H

#include "module-context.h"
#include "compat-imap.h"

struct module;
struct client_command_context;

#define IMAP_TEAM_CONTEXT(obj) \
	MODULE_CONTEXT(obj, imap_team_module)
#define IMAP_TEAM_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, imap_team_module)

struct imap_team_client {
	union imap_module_context module_ctx;
	/* the user has a team namespace */
	bool active;
	/* what of it was recorded before this command */
	unsigned int failures;
	/* what the client calls itself, NULL if it hasn't said */
	const char *name;
};

extern MODULE_CONTEXT_DEFINE(imap_team_module, &imap_module_register);

void imap_team_plugin_init(struct module *module);
void imap_team_plugin_deinit(void);

/* The command is answered with data: records that it failed, if it is about a
   team's mailbox and nothing else records it. */
void imap_team_command_failed(struct client_command_context *cmd,
			      const char *data);

/* The client's name, allocated from its pool, goes into records from now on. */
void imap_team_client_set_name(struct client *client, const char *name);

/* imap-team-hibernate.c */
void imap_team_hibernate_hooks(struct client *client);

#endif
