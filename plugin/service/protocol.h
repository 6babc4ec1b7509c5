/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_PROTOCOL_H
#define TEAM_SERVICE_PROTOCOL_H

/* Parsing of the lines that clients send after the handshake; see
   team-protocol.h. */

enum team_command {
	TEAM_COMMAND_SESSION,
	TEAM_COMMAND_SESSION_END,
	TEAM_COMMAND_EVENT,
	TEAM_COMMAND_PREPARE,
	TEAM_COMMAND_COMMIT,
	TEAM_COMMAND_ABORT,
	TEAM_COMMAND_SYNC,
	TEAM_COMMAND_KNOWN,
	TEAM_COMMAND_PRIVATE,
	TEAM_COMMAND_UNIDENTIFIED,
	TEAM_COMMAND_IDENTIFY,
	TEAM_COMMAND_RECOVER,
	TEAM_COMMAND_WATCH,
	TEAM_COMMAND_UNWATCH,
	TEAM_COMMAND_CLAIM,
	TEAM_COMMAND_ADMIN_CLAIM,
	TEAM_COMMAND_RENEW,
	TEAM_COMMAND_LOGOUT,
	TEAM_COMMAND_TELL,
	TEAM_COMMAND_WHO,
	TEAM_COMMAND_LOOKUP,
	TEAM_COMMAND_REPLY,
	TEAM_COMMAND_GUARD,
	TEAM_COMMAND_UNGUARD,
	TEAM_COMMAND_STATUS,
	TEAM_COMMAND_ROTATE_KEY,
	TEAM_COMMAND_CUT,
	TEAM_COMMAND_QUERY
};

enum team_claim_op {
	TEAM_CLAIM_TAKE,
	/* who is refused them takes them over next */
	TEAM_CLAIM_TRY,
	/* because of a draft */
	TEAM_CLAIM_DRAFT,
	TEAM_CLAIM_RELEASE,
	/* what was claimed because of a draft only */
	TEAM_CLAIM_DROP,
	/* whoever holds them */
	TEAM_CLAIM_TAKEOVER,
	/* the own ones, and those that nobody holds, to a colleague */
	TEAM_CLAIM_GIVE
};

struct team_request {
	enum team_command cmd;
	/* 0 for SESSION and SESSION-END */
	uint64_t id;
	/* 0 for STATUS */
	uint64_t sid;
	/* PREPARE, COMMIT, ABORT */
	uint64_t txn;
	/* PREPARE: the foretold generation, 0 if there is none */
	uint64_t own;
	/* "key=value": SESSION, EVENT, PREPARE, COMMIT, ABORT, QUERY */
	const char *const *fields;
	/* SYNC, KNOWN, PRIVATE, UNIDENTIFIED, IDENTIFY, RECOVER, WATCH,
	   UNWATCH, CLAIM, GUARD, UNGUARD */
	const char *guid;
	uint32_t uidvalidity;
	/* SYNC */
	uint64_t cursor;
	const char *claims;
	/* TELL: of the notice */
	uint64_t notice;
	/* SYNC, KNOWN, ADMIN-CLAIM, WHO: the mailbox; QUERY: the query;
	   GUARD: the action; LOOKUP, REPLY: the Message-IDs; PRIVATE: the
	   namespace; IDENTIFY, RECOVER: UIDs and GUIDs */
	const char *name;
	/* PRIVATE; since is a number */
	const char *flags, *keywords, *since;
	/* CUT: the tree's name, size and frontier, and first record */
	const char *origin, *tree;
	uint64_t first;
	/* REPLY: for how long the colleague remembers */
	uint32_t seconds;
	/* CLAIM, ADMIN-CLAIM */
	enum team_claim_op op;
	/* CLAIM give, ADMIN-CLAIM take: for whom */
	const char *to;
	/* UNIDENTIFIED, CLAIM, ADMIN-CLAIM, RENEW, GUARD: valid, in canonical
	   form */
	const char *uids;
	/* RECOVER: these are the last ones */
	bool last;
	/* CLAIM: may be NULL */
	const char *mids;
};

/* Splits a line (without its LF) into unescaped fields, from the data stack.
   Returns NULL with an error if it has a NUL or a wrong escape. */
const char *const *team_line_split(const unsigned char *data, size_t size,
				   const char **error_r);
/* Parses a line's fields. Returns 1 if it is valid, 0 with an error if it
   isn't but the id in req_r is, so that it can be answered, and -1 with an
   error if nothing can be answered. */
int team_request_parse(const char *const *args, struct team_request *req_r,
		       const char **error_r);
/* Is it one of the journalled commands? */
bool team_command_is_journalled(enum team_command cmd);
/* Is it only for the admin socket? */
bool team_command_is_admin(enum team_command cmd);

#endif
