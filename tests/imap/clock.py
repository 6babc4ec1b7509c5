# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wall clock of its own for an instance's service, which can be set while it
runs. It is put before the C library's functions."""
import mmap
import os
import re
import struct
import subprocess

SOURCE = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

/* seconds, shared with who sets the clock */
static const volatile long long *offset;

__attribute__((constructor)) static void map_offset(void)
{
	int fd = open(getenv("TEST_CLOCK"), O_RDONLY);

	offset = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
	if (offset == MAP_FAILED)
		abort();
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *) = NULL;
	int ret;

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	ret = real(id, ts);
	if (id == CLOCK_REALTIME && offset != NULL)
		ts->tv_sec += *offset;
	return ret;
}

int gettimeofday(struct timeval *tv, void *tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *when)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (when != NULL)
		*when = ts.tv_sec;
	return ts.tv_sec;
}
'''
WRAPPER = '''#!/bin/sh
export TEST_CLOCK=%(dir)s/offset LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}%(dir)s/clock.so"
exec %(service)s
'''


class Clock:
    """The clock of the instance's service from its next start on, which then
    has to have the settings."""

    def __init__(self, server):
        folder = os.path.join(server.dir, 'clock')
        os.mkdir(folder, 0o755)
        source = os.path.join(folder, 'clock.c')
        with open(source, 'w') as f:
            f.write(SOURCE)
        subprocess.run(['cc', '-shared', '-fPIC', '-o', os.path.join(folder, 'clock.so'), source, '-ldl'],
                       check=True)
        with open(os.path.join(server.dir, 'dovecot.conf')) as f:
            service = re.search(r'executable = (\S+/team)$', f.read(), re.M).group(1)
        wrapper = os.path.join(folder, 'service')
        with open(wrapper, 'w') as f:
            f.write(WRAPPER % {'dir': folder, 'service': service})
        os.chmod(wrapper, 0o755)
        self.settings = 'service team {\n  executable = %s\n}\n' % wrapper
        with open(os.path.join(folder, 'offset'), 'w+b') as f:
            f.write(struct.pack('q', 0))
            f.flush()
            self.offset = mmap.mmap(f.fileno(), 8)

    def set(self, seconds):
        """So far ahead of the real time."""
        self.offset[:] = struct.pack('q', seconds)
