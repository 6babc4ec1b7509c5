/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DOVEADM_TEAM_H
#define DOVEADM_TEAM_H

#include "doveadm.h"
#include "doveadm-print.h"

struct module;
struct team_session;

/* doveadm's connection to the team service, for one command */
struct doveadm_team {
	pool_t pool;
	const char *socket_path;
	struct team_session *session;
};

/* Connects to the team-admin socket for the person who runs the command. Each
   request may take timeout_msecs. Returns 0, or -1 with the error logged and
   doveadm's exit code set. */
int doveadm_team_connect(struct doveadm_cmd_context *cctx,
			 unsigned int timeout_msecs,
			 struct doveadm_team **team_r);
void doveadm_team_disconnect(struct doveadm_team **team);
/* Logs that the service answered NO and sets the exit code. */
void doveadm_team_refused(struct doveadm_team *team, const char *what,
			  const char *code, const char *const *args);
/* Logs that there was no answer and sets the exit code. */
void doveadm_team_unanswered(const char *what, const char *error);

/* Ctrl-C ends the command at once: it waits outside the ioloop, where
   doveadm's own handlers aren't run. So does it when nobody reads its output
   any more. And what it prints is looked after. */
void doveadm_team_interruptible(struct doveadm_cmd_context *cctx);

/* Standard output will be written to, by printf() or doveadm's formatters. */
void doveadm_team_output_begin(void);
/* Returns TRUE if nothing can be written to it any more: a command needn't go
   on. Called soon after writing, it knows why. */
bool doveadm_team_output_failed(void);
/* Writes what is left. If it can't, logs the error, for all commands, and sets
   the exit code to EX_IOERR. */
void doveadm_team_output_end(void);

/* Logs the error and sets the exit code to EX_USAGE. */
void doveadm_team_usage_error(const char *fmt, ...) ATTR_FORMAT(1, 2);

/* Prints a value that came from outside: control characters would break the
   columns, and could reprogram the terminal, so they are shown as '?'. NULL is
   printed as empty. */
void doveadm_team_print(const char *value);

/* How a QUERY is shown */
struct doveadm_team_view {
	/* the columns when no formatter was asked for with -f, which takes all
	   that the service sends; NULL-terminated */
	const char *const *columns;
	/* there is a detail column: add a column "what" that sums it up */
	bool what;
	/* the rows are a message's life: without -f, "what" tells it in plain
	   words */
	bool story;
};

/* Runs one of the service's queries and prints its rows while they come.
   args: NULL-terminated "key=value" strings. Returns 0 with the number of rows,
   or -1 with the error logged and the exit code set. */
int doveadm_team_query(struct doveadm_team *team, const char *name,
		       const char *const *args,
		       const struct doveadm_team_view *view,
		       unsigned int *rows_r);

extern struct doveadm_cmd_ver2 doveadm_cmd_team_status;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_search;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_show;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_export;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_checkpoints;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_verify;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_prove;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_rotate_key;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_audit_retain;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_claim_list;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_claim_take;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_claim_hand_over;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_claim_release;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_who;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_erase;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_flags_export;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_flags_import;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_flags_write_back;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_schema_install;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_schema_upgrade;
extern struct doveadm_cmd_ver2 doveadm_cmd_team_schema_check;

extern const char *doveadm_team_plugin_version;

void doveadm_team_plugin_init(struct module *module);
void doveadm_team_plugin_deinit(void);

#endif
