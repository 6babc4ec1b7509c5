/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking records apart. */

#include "team-common.h"
#include "str.h"
#include "record-json.h"
#include "record-parts.h"
#include "uidset.h"

#include <stdlib.h>

const char *record_multirange(const char *uids)
{
	struct team_uidset set;
	const char *error, *copy;
	char *text;

	if (team_uidset_parse(uids, &set, &error) < 0) {
		/* the record's parser has checked it */
		i_panic("invalid UID set in a record: %s", error);
	}
	text = team_uidset_format_multirange(&set);
	team_uidset_free(&set);
	copy = t_strdup(text);
	free(text);
	return copy;
}

static void parts_add_private(struct record_parts *parts, const char *key,
			      const char *value)
{
	const char *flag = key + 2;
	bool added = key[1] == '+';
	string_t **list = added ? &parts->private_added :
		&parts->private_removed;

	if (null_strcmp(value, parts->uids) == 0 && *flag != '\0' &&
	    strchr(flag, ' ') == NULL) {
		if (*list == NULL)
			*list = t_str_new(64);
		else
			str_append_c(*list, ' ');
		str_append(*list, flag);
		return;
	}
	if (parts->private == NULL)
		parts->private = t_str_new(128);
	str_append(parts->private, str_len(parts->private) == 0 ?
		   "[{\"flag\":" : ",{\"flag\":");
	json_append_string(parts->private, flag);
	str_printfa(parts->private, ",\"added\":%s,\"uids\":\"%s\"}",
		    added ? "true" : "false", record_multirange(value));
}

static void parts_add_detail(struct record_parts *parts, const char *name,
			     const char *value)
{
	if (parts->detail == NULL)
		parts->detail = t_str_new(128);
	str_append_c(parts->detail, str_len(parts->detail) == 0 ? '{' : ',');
	json_append_string(parts->detail, name);
	str_append_c(parts->detail, ':');
	json_append_string(parts->detail, value);
}

/* Returns FALSE if the key isn't one that stands for itself. */
static bool parts_set(struct record_parts *parts, const char *key,
		      const char *value)
{
	const struct {
		const char *key;
		const char **dest;
	} keys[] = {
		{ "at", &parts->at },
		{ "action", &parts->action },
		{ "outcome", &parts->outcome },
		{ "colleague", &parts->context[RECORD_COLLEAGUE] },
		{ "user", &parts->context[RECORD_USER] },
		{ "session", &parts->context[RECORD_SESSION] },
		{ "service", &parts->context[RECORD_SERVICE] },
		{ "ip", &parts->context[RECORD_IP] },
		{ "tls", &parts->context[RECORD_TLS] },
		{ "client", &parts->context[RECORD_CLIENT] },
		{ "mailbox", &parts->mailbox },
		{ "uidvalidity", &parts->uidvalidity },
		{ "name", &parts->name },
		{ "uids", &parts->uids },
		{ "mids", &parts->mids },
		{ "add", &parts->add },
		{ "remove", &parts->remove },
		{ "from", &parts->from },
		{ "fromvalidity", &parts->fromvalidity },
		{ "fromname", &parts->fromname },
		{ "fromuids", &parts->fromuids },
	};
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(keys); i++) {
		if (keys[i].key[0] == key[0] && strcmp(keys[i].key, key) == 0) {
			*keys[i].dest = value;
			return TRUE;
		}
	}
	return strcmp(key, "seq") == 0;
}

int record_parts_get(const struct team_record *record,
		     struct record_parts *parts_r, const char **error_r)
{
	const char *key, *value;
	size_t i;

	i_zero(parts_r);
	/* uids stands before the private flags */
	for (i = 0; team_record_field(record, i, &key, &value); i++) {
		if (key[0] == 'p' && (key[1] == '+' || key[1] == '-'))
			parts_add_private(parts_r, key, value);
		else if (key[0] == 'd' && key[1] == '.')
			parts_add_detail(parts_r, key + 2, value);
		else if (!parts_set(parts_r, key, value)) {
			*error_r = t_strconcat("unknown key: ", key, NULL);
			return -1;
		}
	}
	if (parts_r->private != NULL)
		str_append_c(parts_r->private, ']');
	if (parts_r->detail != NULL)
		str_append_c(parts_r->detail, '}');
	return 0;
}
