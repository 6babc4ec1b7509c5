/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a suite inside an ioloop. */

#include "team-common.h"
#include "ioloop.h"
#include "test-unit.h"

int test_run(Suite *suite)
{
	struct ioloop *ioloop;
	SRunner *runner;
	int failed;

	lib_init();
	ioloop = io_loop_create();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	io_loop_destroy(&ioloop);
	lib_deinit();
	return failed == 0 ? 0 : 1;
}
