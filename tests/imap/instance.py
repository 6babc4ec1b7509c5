# SPDX-License-Identifier: LGPL-2.1-or-later
"""A quickstart instance for tests: its own folder, its own ports."""
import contextlib
import glob
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import psycopg2

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICKSTART = os.path.join(ROOT, 'packaging', 'quickstart')
# test what is installed, build nothing
INSTALLED = ['--installed'] if 'TEAM_TEST_INSTALLED' in os.environ else []
sys.path.insert(0, QUICKSTART + '.d')
sys.dont_write_bytecode = True
import imapsession  # noqa: E402


def free_port():
    """A port P on loopback where P+1 is free as well, and that no outgoing
    connection is given before Dovecot listens on it."""
    with open('/proc/sys/net/ipv4/ip_local_port_range') as f:
        end = max(int(f.read().split()[0]), 12000)
    while True:
        port = random.randrange(10200, end - 1)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(('127.0.0.1', port))
                second.bind(('127.0.0.1', port + 1))
            except OSError:
                continue
            return port


def wait_for(condition, timeout=10, interval=0.05):
    """Calls condition until it returns something true; returns that, or the
    last result when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(interval)


def at_work(master):
    """True if a child of the process has something to do, or waits for a processor
    that others use."""
    with contextlib.suppress(OSError), open('/proc/%d/task/%d/children' % (master, master)) as f:
        for pid in f.read().split():
            with contextlib.suppress(OSError), open('/proc/%s/stat' % pid) as stat:
                if stat.read().rpartition(')')[2].split()[0] in 'RD':
                    return True
    return False


def open_below(folder):
    """True if a process has a file below the folder open."""
    for link in glob.glob('/proc/[0-9]*/fd/*'):
        try:
            if os.readlink(link).startswith(folder + '/'):
                return True
        except OSError:
            pass
    return False


def public_folder(factory, name):
    """A temporary folder, of pytest's factory, that Dovecot's processes reach."""
    folder = factory.mktemp(name)
    work = pathlib.Path(os.environ['TEAM_TEST_WORK'])
    for path in (folder, *folder.parents):
        if work in path.parents:
            path.chmod(0o755)
    return folder


def lose_index(*folders):
    """Removes private indexes of colleagues who logged out: their processes go
    on for a moment."""
    for folder in folders:
        assert wait_for(lambda f=folder: not open_below(f)), folder
        shutil.rmtree(folder)


def is_dovecot_2_3():
    version = subprocess.run(['dovecot', '--version'], capture_output=True,
                             text=True, check=True).stdout
    return version.startswith('2.3.')


def mail_settings(**values):
    """Mail processes' settings in the form of the installed Dovecot."""
    lines = ''.join('%s = %s\n' % pair for pair in values.items())
    return 'plugin {\n%s}\n' % lines if is_dovecot_2_3() else lines


def sanitizers():
    """The variables of processes that were built with them (tests/run --sanitize)."""
    if 'TEAM_TEST_PRELOAD' not in os.environ:
        return {}
    return {'LD_PRELOAD': os.environ['TEAM_TEST_PRELOAD'],
            'ASAN_OPTIONS': os.environ['TEAM_TEST_ASAN'], 'UBSAN_OPTIONS': os.environ['TEAM_TEST_UBSAN']}


def environment(**values):
    """The setting that gives Dovecot's processes these variables, and those of
    sanitizers."""
    merged = {**values, **sanitizers()}
    # the sanitizer has to be the first
    libraries = [more['LD_PRELOAD'] for more in (sanitizers(), values) if 'LD_PRELOAD' in more]
    if libraries:
        merged['LD_PRELOAD'] = ':'.join(libraries)
    if is_dovecot_2_3():
        return 'import_environment = TZ CORE_OUTOFMEM CORE_ERROR LISTEN_PID LISTEN_FDS ' \
            'NOTIFY_SOCKET %s\n' % ' '.join('%s=%s' % pair for pair in merged.items())
    return 'import_environment {\n%s}\n' % ''.join('  %s = %s\n' % pair for pair in merged.items())


def unlimited():
    """The value of vsz_limit that sets none."""
    return '0' if is_dovecot_2_3() else 'unlimited'


def sanitizer_settings():
    """What such processes need: memory that is only reserved is counted as well."""
    if not sanitizers():
        return ''
    return environment() + 'default_vsz_limit = %s\nservice team {\n  vsz_limit = %s\n}\n' % (
        unlimited(), unlimited())


class Instance:
    # those of this process that were started
    all = []

    def __init__(self, storage, mail=0, settings=''):
        work, build = os.environ['TEAM_TEST_WORK'], os.environ['TEAM_TEST_BUILD']
        self.dir = tempfile.mkdtemp(prefix='i', dir=os.path.join(work, 'instances'))
        self.storage = storage
        self.build = build
        self.mail = mail
        os.chmod(self.dir, 0o755)
        # quickstart takes over a folder of its own only: mark it as one
        with open(os.path.join(self.dir, '.dovecot-team-quickstart'), 'w') as f:
            f.write(storage + '\n')
        self.settings(settings)
        self.port = free_port()
        Instance.all.append(self)
        self.start()

    def settings(self, text):
        with open(os.path.join(self.dir, 'local.conf'), 'w') as f:
            f.write(sanitizer_settings() + text)

    def start(self):
        result = subprocess.run(
            [QUICKSTART, '--dir', self.dir, '--port', str(self.port), '--detach',
             '--no-tour', '--no-install', '--build-dir', self.build, '--no-build',
             *INSTALLED, '--mail', str(self.mail)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            check=False)
        if result.returncode != 0:
            raise RuntimeError('quickstart failed:\n%s\n%s\n%s' % (
                result.stdout, result.stderr, self.log()[-3000:]))
        self.env = {}
        with open(os.path.join(self.dir, 'env')) as f:
            for line in f:
                name, _, value = line.strip().partition('=')
                self.env[name] = ' '.join(shlex.split(value))

    def stop(self):
        subprocess.run([QUICKSTART, '--stop', '--dir', self.dir], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def remove(self):
        shutil.rmtree(self.dir)

    def log(self, start=0):
        """What Dovecot logged, from that byte on."""
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.dir, 'log', 'dovecot.log'), 'rb') as f:
                f.seek(start)
                return f.read().decode(errors='replace')
        return ''

    def log_size(self):
        with contextlib.suppress(FileNotFoundError):
            return os.path.getsize(os.path.join(self.dir, 'log', 'dovecot.log'))
        return 0

    def crashes(self):
        """Log lines that must never be there, whatever fails. Signals 9, 15 and
        25 (a file grows beyond a limit) are the tests' own."""
        return [line for line in self.log().splitlines()
                if re.search(r'Panic:|Raw backtrace|Corrupted|Assert|killed with signal (?!(9|15|25)\b)|'
                             r'service\((imap|lmtp|pop3|submission|team)[^)]*\): .*returned error', line)]

    # IMAP

    def login(self, user, timeout=20):
        return imapsession.Session(self.port, user, timeout=timeout)

    # processes

    def pid(self, name):
        with open(self.env[name]) as f:
            return int(f.readline())

    def dovecot_pid(self):
        with open(os.path.join(self.dir, 'run', 'dovecot', 'master.pid')) as f:
            return int(f.readline())

    def service_pid(self):
        """The running service's number, or None."""
        try:
            pid = self.pid('TEAM_SERVICE_PIDFILE')
            with open('/proc/%d/cmdline' % pid, 'rb') as f:
                return pid if b'team' in f.read() else None
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None

    def kill_service(self, sig=signal.SIGKILL):
        pid = wait_for(self.service_pid)
        assert pid, 'the service does not run'
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)
        return pid

    def stop_postgresql(self, sig=signal.SIGINT):
        pid = self.pid('TEAM_PG_PIDFILE')
        os.kill(pid, sig)
        assert wait_for(lambda: not os.path.exists('/proc/%d' % pid)), \
            'PostgreSQL did not stop'

    def start_postgresql(self):
        subprocess.run(shlex.split(self.env['TEAM_PG_START']), check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def repair(self):
        """Undoes what a fault test may have left."""
        journal = os.path.join(self.dir, 'journal')
        shutil.chown(journal, 'dovecot', 'dovecot')
        os.chmod(journal, 0o700)
        pid = self.service_pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.start_postgresql()

    # doveadm

    def doveadm(self, *args, check=True):
        return subprocess.run(shlex.split(self.env['TEAM_DOVEADM']) + list(args),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=check)

    def doveadm_json(self, *args):
        return json.loads(self.doveadm('-f', 'json', *args).stdout)

    def status(self):
        """doveadm team status as a dict of text."""
        return self.doveadm_json('team', 'status')[0]

    # the log in PostgreSQL

    @contextlib.contextmanager
    def database(self, who='TEAM_PGDSN_AUDITOR'):
        connection = psycopg2.connect(self.env[who])
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def query(self, sql, args=(), who='TEAM_PGDSN_AUDITOR'):
        with self.database(who) as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()

    def audit(self, where='true', args=()):
        """Rows of team.audit in order, as dicts."""
        with self.database() as cursor:
            cursor.execute('SELECT * FROM team.audit WHERE ' + where +
                           ' ORDER BY node, seq, uid', args)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def wait_audit(self, where, args=(), count=1, timeout=10):
        """Waits until there are count rows; returns all that there are."""
        rows = []

        def enough():
            rows[:] = self.audit(where, args)
            return len(rows) >= count
        wait_for(enough, timeout)
        return rows

    def all_shipped(self, timeout=20):
        """Waits until all that is recorded by now is in the database: then so
        is the end of a session that is made now. Mail processes tell of what
        stands in their spools when they have had nothing to do for 5
        milliseconds: on a busy machine they have to get their turn first."""
        time.sleep(0.05)
        wait_for(lambda: not at_work(self.dovecot_pid()), 2, 0.002)
        start = time.time() - 0.001
        self.login('u99').logout()
        return wait_for(lambda: self.audit(
            "colleague = 'u99' AND action = 'logout' AND at >= to_timestamp(%s)",
            (start,)), timeout)
