/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_PARTS_H
#define TEAM_RECORD_PARTS_H

#include "record.h"

/* What records of a session have in common. */
enum record_context_field {
	RECORD_COLLEAGUE,
	RECORD_USER,
	RECORD_SESSION,
	RECORD_SERVICE,
	RECORD_IP,
	RECORD_TLS,
	RECORD_CLIENT,

	RECORD_CONTEXT_SIZE
};

/* A record taken apart; what is missing is NULL. */
struct record_parts {
	const char *context[RECORD_CONTEXT_SIZE];
	const char *at, *action, *outcome;
	const char *mailbox, *uidvalidity, *name, *uids, *mids, *add, *remove;
	const char *from, *fromvalidity, *fromname, *fromuids;
	/* private flags of all the messages, those of some only and the details
	   as JSON */
	string_t *private_added, *private_removed, *private, *detail;
};

/* Takes the record apart, with memory from the data stack; valid as long as the
   record is. Returns 0, or -1 with an error if it has a key that isn't known
   here. */
int record_parts_get(const struct team_record *record,
		     struct record_parts *parts_r, const char **error_r);

/* A record's UID set as int8multirange, from the data stack. */
const char *record_multirange(const char *uids);

#endif
