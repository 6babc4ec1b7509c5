/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_COMMON_H
#define TEAM_COMMON_H

/* First include of every file that uses Dovecot's libraries: their
   configuration, ours, and the differences between Dovecot's versions. */

#include "lib.h"
/* lib.h brings Dovecot's config.h, which describes the build of Dovecot itself */
#undef PACKAGE
#undef PACKAGE_BUGREPORT
#undef PACKAGE_NAME
#undef PACKAGE_STRING
#undef PACKAGE_TARNAME
#undef PACKAGE_URL
#undef PACKAGE_VERSION
#undef VERSION
#include "team-config.h"

/* 2.4's str_begins() has another argument */
#ifndef HAVE_STR_BEGINS_WITH
#  define str_begins_with(haystack, needle) str_begins(haystack, needle)
#endif

#endif
