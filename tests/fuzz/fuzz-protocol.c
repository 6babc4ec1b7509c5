/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines from clients: whatever they say, they are answered or refused. */

#include "team-common.h"
#include "lib.h"
#include "fuzz.h"
#include "protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool initialized = FALSE;
	const char *const *args, *error;
	struct team_request request;
	int ret;

	if (!initialized) {
		lib_init();
		initialized = TRUE;
	}
	T_BEGIN {
		error = NULL;
		args = team_line_split(data, size, &error);
		if (args == NULL) {
			FUZZ_CHECK(error != NULL);
		} else {
			ret = team_request_parse(args, &request, &error);
			FUZZ_CHECK(ret > 0 || error != NULL);
		}
	} T_END;
	return 0;
}
