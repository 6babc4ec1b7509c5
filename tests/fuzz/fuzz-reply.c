/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In-Reply-To and References: whatever stands there, what comes out are
   Message-IDs. The two headers are separated by a NUL. */

#include "fuzz.h"
#include "reply-ids.h"

#include <string.h>

static void check_id(const char *id)
{
	size_t len = strlen(id), i;

	FUZZ_CHECK(len >= 3 && len < REPLY_ID_SIZE);
	FUZZ_CHECK(id[0] == '<' && id[len-1] == '>');
	for (i = 0; i < len; i++) {
		FUZZ_CHECK((unsigned char)id[i] > ' ' && id[i] != 0x7f);
		FUZZ_CHECK(id[i] != '<' || i == 0);
		FUZZ_CHECK(id[i] != '>' || i == len - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reply_ids ids;
	char *text = malloc(size + 2);
	unsigned int i, j;

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	reply_ids_parse(text, text + strlen(text) + 1, &ids);
	FUZZ_CHECK(ids.count <= REPLY_IDS_MAX);
	for (i = 0; i < ids.count; i++) {
		check_id(ids.ids[i]);
		for (j = 0; j < i; j++)
			FUZZ_CHECK(strcmp(ids.ids[i], ids.ids[j]) != 0);
	}
	free(text);
	return 0;
}
