/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_COMMANDS_H
#define TEAM_SERVICE_COMMANDS_H

/* The clients' commands, a file for each kind. */

#include "pg-error.h"
#include "protocol.h"

struct client;
struct session;
struct team_record;
struct team_service;

/* EVENT, PREPARE, COMMIT, ABORT */
void command_event(struct client *client, struct session *session,
		   const struct team_request *req);
void command_prepare(struct client *client, struct session *session,
		     const struct team_request *req);
void command_commit(struct client *client, struct session *session,
		    const struct team_request *req);
void command_abort(struct client *client, struct session *session,
		   const struct team_request *req);

/* SYNC, KNOWN, CLAIM, GUARD, UNGUARD */
void command_sync(struct client *client, struct session *session,
		  const struct team_request *req);
void command_known(struct client *client, struct session *session,
		   const struct team_request *req);
void command_private(struct client *client, const struct team_request *req);
void command_claim(struct client *client, struct session *session,
		   const struct team_request *req);
/* [admin] */
void command_admin_claim(struct client *client, struct session *session,
			 const struct team_request *req);
/* commands-who.c */
void command_who(struct client *client, const struct team_request *req);
/* A node asks who has the mailbox open. */
void who_asked(struct team_service *service, const char *request,
	       const char *mailbox);
/* A node has answered. */
void who_answered(const char *request);
/* Those that wait are given up. */
void who_deinit(void);
/* LOOKUP, REPLY */
void command_lookup(struct client *client, const struct team_request *req);
void command_reply(struct client *client, struct session *session,
		   const struct team_request *req);
/* UNIDENTIFIED, IDENTIFY, RECOVER */
void command_unidentified(struct client *client,
			  const struct team_request *req);
void command_identify(struct client *client, const struct team_request *req);
void command_recover(struct client *client, const struct team_request *req);
/* RENEW, LOGOUT */
void command_renew(struct client *client, struct session *session,
		   const struct team_request *req);
void command_logout(struct client *client, struct session *session,
		    const struct team_request *req);
/* TELL, of notices.c */
void command_tell(struct client *client, struct session *session,
		  const struct team_request *req);
void command_guard(struct client *client, struct session *session,
		   const struct team_request *req);
void command_unguard(struct client *client, struct session *session,
		     const struct team_request *req);
/* Ends the session's guards over the mailbox, all of them if guid is NULL. */
void session_guards_end(struct session *session, const char *guid,
			uint32_t uidvalidity);

/* Answers NO after a request to PostgreSQL failed. */
void client_send_pg_error(struct client *client, uint64_t id,
			  enum pg_action action, const char *error);

/* STATUS, ROTATE-KEY, CUT, QUERY */
void command_status(struct client *client, const struct team_request *req);
void command_rotate_key(struct client *client,
			const struct team_request *req);
void command_cut(struct client *client, const struct team_request *req);
void command_query(struct client *client, struct session *session,
		   const struct team_request *req);
/* The client is gone, or takes output again. */
void command_query_abort(struct client *client);
void command_query_continue(struct client *client);

/* Must the action's record be on the disk before it is answered? */
bool action_is_precious(const char *action);
/* Tells other sessions about what a record says. */
void notify_sessions(struct team_service *service, const char *record,
		     const struct session *session);

#endif
