/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parser of the clients' lines: changes nothing, trusts nothing. */

#include "team-common.h"
#include "str.h"
#include "strescape.h"
#include "strnum.h"
#include "uidset.h"
#include "protocol.h"

#include <stdlib.h>

static const struct command {
	const char *name;
	enum team_command cmd;
	bool have_id, have_sid, have_txn, have_mailbox;
	/* arguments behind these; max 0 = any number */
	unsigned int min_args, max_args;
} commands[] = {
	{ "SESSION", TEAM_COMMAND_SESSION,
	  FALSE, TRUE, FALSE, FALSE, 0, 0 },
	{ "SESSION-END", TEAM_COMMAND_SESSION_END,
	  FALSE, TRUE, FALSE, FALSE, 0, 0 },
	{ "EVENT", TEAM_COMMAND_EVENT, TRUE, TRUE, FALSE, FALSE, 1, 0 },
	{ "PREPARE", TEAM_COMMAND_PREPARE, TRUE, TRUE, TRUE, FALSE, 1, 0 },
	{ "COMMIT", TEAM_COMMAND_COMMIT, TRUE, TRUE, TRUE, FALSE, 0, 0 },
	{ "ABORT", TEAM_COMMAND_ABORT, TRUE, TRUE, TRUE, FALSE, 0, 0 },
	{ "SYNC", TEAM_COMMAND_SYNC, TRUE, TRUE, FALSE, TRUE, 2, 3 },
	{ "KNOWN", TEAM_COMMAND_KNOWN, TRUE, TRUE, FALSE, TRUE, 1, 1 },
	{ "PRIVATE", TEAM_COMMAND_PRIVATE, TRUE, TRUE, FALSE, TRUE, 4, 4 },
	{ "UNIDENTIFIED", TEAM_COMMAND_UNIDENTIFIED,
	  TRUE, TRUE, FALSE, TRUE, 1, 1 },
	{ "IDENTIFY", TEAM_COMMAND_IDENTIFY, TRUE, TRUE, FALSE, TRUE, 1, 1 },
	{ "RECOVER", TEAM_COMMAND_RECOVER, TRUE, TRUE, FALSE, TRUE, 2, 2 },
	{ "WATCH", TEAM_COMMAND_WATCH, TRUE, TRUE, FALSE, TRUE, 0, 0 },
	{ "UNWATCH", TEAM_COMMAND_UNWATCH, TRUE, TRUE, FALSE, TRUE, 0, 0 },
	{ "CLAIM", TEAM_COMMAND_CLAIM, TRUE, TRUE, FALSE, TRUE, 2, 4 },
	{ "ADMIN-CLAIM", TEAM_COMMAND_ADMIN_CLAIM,
	  TRUE, TRUE, FALSE, FALSE, 3, 4 },
	{ "RENEW", TEAM_COMMAND_RENEW, TRUE, TRUE, FALSE, TRUE, 1, 1 },
	{ "LOGOUT", TEAM_COMMAND_LOGOUT, TRUE, TRUE, FALSE, FALSE, 0, 0 },
	{ "TELL", TEAM_COMMAND_TELL, TRUE, TRUE, FALSE, FALSE, 1, 1 },
	{ "LOOKUP", TEAM_COMMAND_LOOKUP, TRUE, TRUE, FALSE, FALSE, 1, 1 },
	{ "REPLY", TEAM_COMMAND_REPLY, TRUE, TRUE, FALSE, FALSE, 2, 2 },
	{ "WHO", TEAM_COMMAND_WHO, TRUE, TRUE, FALSE, FALSE, 1, 1 },
	{ "GUARD", TEAM_COMMAND_GUARD, TRUE, TRUE, FALSE, TRUE, 2, 2 },
	{ "UNGUARD", TEAM_COMMAND_UNGUARD, TRUE, TRUE, FALSE, TRUE, 0, 0 },
	{ "STATUS", TEAM_COMMAND_STATUS, TRUE, FALSE, FALSE, FALSE, 0, 0 },
	{ "ROTATE-KEY", TEAM_COMMAND_ROTATE_KEY,
	  TRUE, FALSE, FALSE, FALSE, 0, 0 },
	{ "CUT", TEAM_COMMAND_CUT, TRUE, TRUE, FALSE, FALSE, 3, 3 },
	{ "QUERY", TEAM_COMMAND_QUERY, TRUE, TRUE, FALSE, FALSE, 1, 0 },
};

static bool escapes_are_valid(const unsigned char *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (data[i] != '\001')
			continue;
		if (++i == size || (data[i] != '1' && data[i] != 't' &&
				    data[i] != 'r' && data[i] != 'n'))
			return FALSE;
	}
	return TRUE;
}

const char *const *team_line_split(const unsigned char *data, size_t size,
				   const char **error_r)
{
	if (memchr(data, '\0', size) != NULL) {
		*error_r = "line has a NUL";
		return NULL;
	}
	if (!escapes_are_valid(data, size)) {
		*error_r = "line has an invalid escape";
		return NULL;
	}
	return t_strsplit_tabescaped_inplace(p_strndup(
		pool_datastack_create(), data, size));
}

bool team_command_is_journalled(enum team_command cmd)
{
	return cmd == TEAM_COMMAND_EVENT || cmd == TEAM_COMMAND_PREPARE ||
		cmd == TEAM_COMMAND_COMMIT || cmd == TEAM_COMMAND_ABORT;
}

bool team_command_is_admin(enum team_command cmd)
{
	return cmd == TEAM_COMMAND_STATUS ||
		cmd == TEAM_COMMAND_ROTATE_KEY || cmd == TEAM_COMMAND_CUT ||
		cmd == TEAM_COMMAND_QUERY ||
		cmd == TEAM_COMMAND_ADMIN_CLAIM || cmd == TEAM_COMMAND_WHO;
}

/* Numbers are what the clients count from 1; a sign, a blank or leading zeros
   are a sign of something else. */
static int parse_number(const char *arg, uint64_t *num_r)
{
	if (arg == NULL || *arg < '1' || *arg > '9')
		return -1;
	return str_to_uint64(arg, num_r) < 0 || *num_r > INT64_MAX ? -1 : 0;
}

static int parse_mailbox(const char *const **args, struct team_request *req,
			 const char **error_r)
{
	const char *guid = (*args)[0];
	uint64_t uidvalidity;

	if (guid == NULL || strlen(guid) != 32 ||
	    strspn(guid, "0123456789abcdef") != 32) {
		*error_r = "invalid mailbox GUID";
		return -1;
	}
	if (parse_number((*args)[1], &uidvalidity) < 0 ||
	    uidvalidity > UINT32_MAX) {
		*error_r = "invalid UIDVALIDITY";
		return -1;
	}
	req->guid = guid;
	req->uidvalidity = uidvalidity;
	*args += 2;
	return 0;
}

static int parse_uids(const char *arg, struct team_request *req,
		      const char **error_r)
{
	struct team_uidset set;
	char *text;

	if (team_uidset_parse(arg, &set, error_r) < 0)
		return -1;
	text = team_uidset_format(&set);
	req->uids = t_strdup(text);
	team_uidset_free(&set);
	free(text);
	return 0;
}

static int parse_sync(const char *const *args, struct team_request *req,
		      const char **error_r)
{
	req->name = args[1];
	req->claims = args[2] == NULL ? "0" : args[2];
	if (strcmp(args[0], "0") == 0)
		return 0;
	if (parse_number(args[0], &req->cursor) < 0) {
		*error_r = "invalid cursor";
		return -1;
	}
	return 0;
}

static int parse_private(const char *const *args, struct team_request *req,
			 const char **error_r)
{
	uint64_t since;

	req->name = args[0];
	req->flags = args[1];
	req->keywords = args[2];
	req->since = args[3];
	if (parse_number(args[3], &since) < 0 || since > INT64_MAX) {
		*error_r = "invalid time";
		return -1;
	}
	return 0;
}

static int parse_claim(const char *const *args, struct team_request *req,
		       const char **error_r)
{
	if (strcmp(args[0], "take") == 0)
		req->op = TEAM_CLAIM_TAKE;
	else if (strcmp(args[0], "try") == 0)
		req->op = TEAM_CLAIM_TRY;
	else if (strcmp(args[0], "draft") == 0)
		req->op = TEAM_CLAIM_DRAFT;
	else if (strcmp(args[0], "release") == 0)
		req->op = TEAM_CLAIM_RELEASE;
	else if (strcmp(args[0], "drop") == 0)
		req->op = TEAM_CLAIM_DROP;
	else if (strcmp(args[0], "takeover") == 0)
		req->op = TEAM_CLAIM_TAKEOVER;
	else if (strcmp(args[0], "give") == 0)
		req->op = TEAM_CLAIM_GIVE;
	else {
		*error_r = "none of take, try, draft, release, drop, takeover, "
			"give";
		return -1;
	}
	if (args[2] != NULL && *args[2] != '\0')
		req->mids = args[2];
	if (args[2] != NULL && args[3] != NULL && *args[3] != '\0')
		req->to = args[3];
	if ((req->op == TEAM_CLAIM_GIVE) != (req->to != NULL)) {
		*error_r = "give needs a colleague, the others none";
		return -1;
	}
	return parse_uids(args[1], req, error_r);
}

static int parse_admin_claim(const char *const *args, struct team_request *req,
			     const char **error_r)
{
	req->to = args[3];
	if (strcmp(args[0], "take") == 0)
		req->op = TEAM_CLAIM_TAKEOVER;
	else if (strcmp(args[0], "release") == 0)
		req->op = TEAM_CLAIM_RELEASE;
	else {
		*error_r = "neither take nor release";
		return -1;
	}
	if ((req->op == TEAM_CLAIM_TAKEOVER) !=
	    (req->to != NULL && *req->to != '\0') || *args[1] == '\0') {
		*error_r = "take needs a mailbox and a colleague, release a "
			"mailbox only";
		return -1;
	}
	req->name = args[1];
	return parse_uids(args[2], req, error_r);
}

static int parse_reply(const char *const *args, struct team_request *req,
		       const char **error_r)
{
	uint64_t seconds;

	if (parse_number(args[0], &seconds) < 0 || seconds > INT32_MAX) {
		*error_r = "invalid number of seconds";
		return -1;
	}
	req->seconds = seconds;
	req->name = args[1];
	return 0;
}

static int parse_guard(const char *const *args, struct team_request *req,
		       const char **error_r)
{
	if (strcmp(args[0], "delete") != 0 && strcmp(args[0], "move") != 0 &&
	    strcmp(args[0], "expunge") != 0) {
		*error_r = "unknown action to guard";
		return -1;
	}
	req->name = args[0];
	return parse_uids(args[1], req, error_r);
}

static int parse_fields(const char *const *args, struct team_request *req,
			const char **error_r)
{
	req->fields = args;
	for (; *args != NULL; args++) {
		if (strchr(*args, '=') == NULL || **args == '=') {
			*error_r = "field isn't key=value";
			return -1;
		}
	}
	return 0;
}

static int parse_prepare(const char *const *args, struct team_request *req,
			 const char **error_r)
{
	if (strncmp(args[0], "own=", 4) == 0) {
		if (parse_number(args[0] + 4, &req->own) < 0) {
			*error_r = "invalid generation";
			return -1;
		}
		args++;
	}
	return parse_fields(args, req, error_r);
}

static int parse_args(const struct command *command, const char *const *args,
		      struct team_request *req, const char **error_r)
{
	unsigned int count;

	if (command->have_sid && parse_number(*args++, &req->sid) < 0) {
		*error_r = "invalid session";
		return -1;
	}
	if (command->have_txn && parse_number(*args++, &req->txn) < 0) {
		*error_r = "invalid transaction";
		return -1;
	}
	if (command->have_mailbox && parse_mailbox(&args, req, error_r) < 0)
		return -1;
	count = str_array_length(args);
	if (count < command->min_args ||
	    (command->max_args != 0 && count > command->max_args)) {
		*error_r = "wrong number of arguments";
		return -1;
	}
	switch (command->cmd) {
	case TEAM_COMMAND_SYNC:
		return parse_sync(args, req, error_r);
	case TEAM_COMMAND_PRIVATE:
		return parse_private(args, req, error_r);
	case TEAM_COMMAND_CLAIM:
		return parse_claim(args, req, error_r);
	case TEAM_COMMAND_ADMIN_CLAIM:
		return parse_admin_claim(args, req, error_r);
	case TEAM_COMMAND_RENEW:
	case TEAM_COMMAND_UNIDENTIFIED:
		return parse_uids(args[0], req, error_r);
	case TEAM_COMMAND_KNOWN:
	case TEAM_COMMAND_WHO:
	case TEAM_COMMAND_LOOKUP:
	case TEAM_COMMAND_IDENTIFY:
		req->name = args[0];
		return 0;
	case TEAM_COMMAND_TELL:
		if (parse_number(args[0], &req->notice) == 0)
			return 0;
		*error_r = "invalid notice";
		return -1;
	case TEAM_COMMAND_RECOVER:
		req->name = args[1];
		req->last = strcmp(args[0], "last") == 0;
		if (!req->last && strcmp(args[0], "more") != 0) {
			*error_r = "neither more nor last";
			return -1;
		}
		return 0;
	case TEAM_COMMAND_REPLY:
		return parse_reply(args, req, error_r);
	case TEAM_COMMAND_GUARD:
		return parse_guard(args, req, error_r);
	case TEAM_COMMAND_CUT:
		req->origin = args[0];
		req->tree = args[1];
		if (parse_number(args[2], &req->first) < 0) {
			*error_r = "invalid number of a record";
			return -1;
		}
		return 0;
	case TEAM_COMMAND_PREPARE:
		return parse_prepare(args, req, error_r);
	case TEAM_COMMAND_QUERY:
		req->name = *args++;
		return parse_fields(args, req, error_r);
	case TEAM_COMMAND_SESSION:
	case TEAM_COMMAND_EVENT:
	case TEAM_COMMAND_COMMIT:
	case TEAM_COMMAND_ABORT:
		return parse_fields(args, req, error_r);
	default:
		return 0;
	}
}

static const struct command *command_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

int team_request_parse(const char *const *args, struct team_request *req_r,
		       const char **error_r)
{
	const struct command *command;

	i_zero(req_r);
	if (args[0] == NULL || (command = command_find(args[0])) == NULL) {
		*error_r = "unknown command";
		return args[0] != NULL &&
			parse_number(args[1], &req_r->id) == 0 ? 0 : -1;
	}
	req_r->cmd = command->cmd;
	args++;
	if (command->have_id) {
		if (parse_number(*args, &req_r->id) < 0) {
			*error_r = "invalid request id";
			return -1;
		}
		args++;
	}
	if (parse_args(command, args, req_r, error_r) < 0)
		return command->have_id ? 0 : -1;
	return 1;
}
