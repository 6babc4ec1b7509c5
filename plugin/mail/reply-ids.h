/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef REPLY_IDS_H
#define REPLY_IDS_H

/* Message-IDs out of In-Reply-To and References, as they really come: folded,
   with comments and phrases, cut off, huge. Pure C: knows nothing of Dovecot. */

#include <stddef.h>

#define REPLY_IDS_MAX 20
/* RFC 5322: a line has at most 998 characters */
#define REPLY_ID_SIZE 1000

struct reply_ids {
	/* with angle brackets, NUL-terminated, each once */
	char ids[REPLY_IDS_MAX][REPLY_ID_SIZE];
	unsigned int count;
};

/* Adds the IDs of In-Reply-To in their order and then those of References from
   the last to the first: the nearest message comes first. Either may be NULL.
   What there's no room for is left out, References' oldest first. */
void reply_ids_parse(const char *in_reply_to, const char *references,
		     struct reply_ids *ids_r);

#endif
