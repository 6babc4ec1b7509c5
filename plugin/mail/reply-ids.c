/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parser of In-Reply-To and References. */

#include "reply-ids.h"

#include <stdbool.h>
#include <string.h>

static bool reply_id_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static void reply_ids_add(struct reply_ids *ids, const char *id)
{
	unsigned int i;

	for (i = 0; i < ids->count; i++) {
		if (strcmp(ids->ids[i], id) == 0)
			return;
	}
	if (ids->count < REPLY_IDS_MAX)
		memcpy(ids->ids[ids->count++], id, strlen(id) + 1);
}

/* Reads the ID that begins at p, which is at '<'. White space in it comes from
   folding and is left out. Returns what follows it, or NULL if it has no end.
   id_r is "" if it is none. */
static const char *reply_id_read(const char *p, char id_r[REPLY_ID_SIZE])
{
	size_t len = 0;
	bool valid = true;

	id_r[len++] = *p++;
	for (; *p != '\0' && *p != '>'; p++) {
		if (*p == '<') {
			/* the one before was cut off */
			id_r[0] = '\0';
			return p;
		}
		if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
			continue;
		if (reply_id_is_control(*p) || len >= REPLY_ID_SIZE - 2)
			valid = false;
		else
			id_r[len++] = *p;
	}
	if (*p == '\0') {
		id_r[0] = '\0';
		return NULL;
	}
	if (!valid || len == 1) {
		id_r[0] = '\0';
		return p + 1;
	}
	id_r[len++] = '>';
	id_r[len] = '\0';
	return p + 1;
}

/* Some write the ID without brackets, as the only word. */
static void reply_ids_add_bare(struct reply_ids *ids, const char *value)
{
	static const char white[] = " \t\r\n";
	char id[REPLY_ID_SIZE];
	size_t len, i;

	value += strspn(value, white);
	len = strcspn(value, white);
	if (len < 3 || len > REPLY_ID_SIZE - 3 ||
	    value[len + strspn(value + len, white)] != '\0' ||
	    memchr(value, '@', len) == NULL || strpbrk(value, "<>\"()") != NULL)
		return;
	for (i = 0; i < len; i++) {
		if (reply_id_is_control(value[i]))
			return;
	}
	id[0] = '<';
	memcpy(id + 1, value, len);
	id[len + 1] = '>';
	id[len + 2] = '\0';
	reply_ids_add(ids, id);
}

void reply_ids_parse(const char *in_reply_to, const char *references,
		     struct reply_ids *ids_r)
{
	/* where the last IDs of References begin, as a ring */
	const char *starts[REPLY_IDS_MAX], *p, *next;
	char id[REPLY_ID_SIZE];
	unsigned int i, count = 0;

	ids_r->count = 0;
	for (p = in_reply_to == NULL ? NULL : strchr(in_reply_to, '<');
	     p != NULL && ids_r->count < REPLY_IDS_MAX; p = strchr(next, '<')) {
		next = reply_id_read(p, id);
		if (next == NULL)
			break;
		if (*id != '\0')
			reply_ids_add(ids_r, id);
	}
	if (ids_r->count == 0 && in_reply_to != NULL)
		reply_ids_add_bare(ids_r, in_reply_to);

	for (p = references == NULL ? NULL : strchr(references, '<');
	     p != NULL; p = strchr(next, '<')) {
		next = reply_id_read(p, id);
		if (next == NULL)
			break;
		if (*id != '\0')
			starts[count++ % REPLY_IDS_MAX] = p;
	}
	for (i = 0; i < count && i < REPLY_IDS_MAX; i++) {
		(void)reply_id_read(starts[(count - 1 - i) % REPLY_IDS_MAX],
				    id);
		reply_ids_add(ids_r, id);
	}
}
