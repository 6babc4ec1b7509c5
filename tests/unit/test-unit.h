/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

/* For tests of code that uses Dovecot's libraries. */

#include <check.h>

/* Runs the suite with Dovecot's library and an ioloop set up. Returns the
   process's exit code. */
int test_run(Suite *suite);

#endif
