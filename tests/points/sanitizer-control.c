/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preloaded by tests/imap/test_sanitizers.py when the plugins and the service are
   built with sanitizers: has the program that the file TEAM_SANITIZER_CONTROL
   names read memory that it mustn't, in the plugin's or the service's own code. Who
   doesn't report that reports nothing. It is no such code itself, since it is
   loaded by the shell as well. */

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const char *const *split_t(char *data);
split_t t_strsplit_tabescaped_inplace;
/* the sanitizer's */
extern void __asan_poison_memory_region(const volatile void *p, size_t size)
	__attribute__((weak));

/* Is it this program that is meant, and does the plugin or the service call? */
static bool is_named(const void *caller)
{
	const char *path = getenv("TEAM_SANITIZER_CONTROL");
	char name[32] = "";
	const char *base;
	Dl_info info;
	FILE *file;

	if (dladdr(caller, &info) == 0)
		return false;
	base = strrchr(info.dli_fname, '/');
	if (strstr(base == NULL ? info.dli_fname : base, "team") == NULL)
		return false;
	file = path == NULL ? NULL : fopen(path, "r");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	(void)fclose(file);
	return strcmp(name, program_invocation_short_name) == 0;
}

/* Both ends of the service's connections split their lines with it. */
const char *const *t_strsplit_tabescaped_inplace(char *data)
{
	static split_t *real;
	const char *const *args;
	size_t count = 1;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "t_strsplit_tabescaped_inplace");
	args = real(data);
	if (!is_named(__builtin_return_address(0)))
		return args;
	while (args[count - 1] != NULL)
		count++;
	/* what it holds stays: Dovecot's own functions aren't watched */
	__asan_poison_memory_region(args, count * sizeof(*args));
	return args;
}
