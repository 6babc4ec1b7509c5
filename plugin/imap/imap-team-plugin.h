/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef IMAP_TEAM_PLUGIN_H
#define IMAP_TEAM_PLUGIN_H

#include "module-context.h"
#include "compat-imap.h"
#include "mail/team-plugin.h"

struct module;
struct client_command_context;

#define IMAP_TEAM_CONTEXT(obj) \
	MODULE_CONTEXT(obj, imap_team_module)
#define IMAP_TEAM_CONTEXT_REQUIRE(obj) \
	MODULE_CONTEXT_REQUIRE(obj, imap_team_module)

struct imap_team_outcome;

struct imap_team_client {
	union imap_module_context module_ctx;
	/* the user has a team namespace */
	bool active;
	/* what of it was recorded before this command */
	unsigned int failures;
	/* of commands that were carried out and aren't answered yet */
	ARRAY(struct imap_team_outcome *) outcomes;
	/* how many keywords it has been told of */
	unsigned int announced;
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

/* imap-team-outcome.c */
void imap_team_outcome_hooks_add(void);
void imap_team_outcome_hooks_remove(void);
void imap_team_outcomes_init(struct imap_team_client *tc);
void imap_team_outcomes_deinit(struct imap_team_client *tc);
/* The command is about to be answered: adds what it was refused, allocated from
   the data stack. Returns TRUE if anything that it did not do was recorded. */
bool imap_team_outcome_take(struct client_command_context *cmd,
			    ARRAY_TYPE(team_refusal) *refusals);

/* imap-team-permanent.c */
/* Corrects PERMANENTFLAGS if Dovecot has told of the mailbox's keywords, because
   it was selected or because there are new ones. */
void imap_team_send_permanent(struct client *client, bool selected);
/* The same where keywords come up without a command, in IDLE. */
void imap_team_permanent_hooks(struct client *client);

/* imap-team-hibernate.c */
void imap_team_hibernate_hooks(struct client *client);

#endif
