# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second node of a quickstart instance: another Dovecot on the same mail, with
private indexes, a journal and a name of its own, and the same database."""
import contextlib
import os
import re
import shlex
import signal
import subprocess
import time

import imapsession
from instance import free_port, wait_for


class Node:
    def __init__(self, first, name='second', settings=''):
        self.first = first
        self.dir = os.path.join(first.dir, name)
        self.port = free_port()
        self.config = os.path.join(self.dir, 'dovecot.conf')
        for folder in ('', 'run', 'log', 'journal', 'state'):
            os.makedirs(os.path.join(self.dir, folder), mode=0o755, exist_ok=True)
        journal = os.stat(os.path.join(first.dir, 'journal'))
        os.chown(os.path.join(self.dir, 'journal'), journal.st_uid, journal.st_gid)
        with open(os.path.join(first.dir, 'dovecot.conf')) as f:
            text = f.read()
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(first.dir, 'local.conf')) as f:
                text = re.sub('!include_try .*', lambda _, more=f.read(): more, text)
        for pattern, new in (
                (r'(?m)^base_dir = .*', 'base_dir = %s/run' % self.dir),
                (r'(?m)^state_dir = .*', 'state_dir = %s/state' % self.dir),
                (r'(?m)^log_path = .*', 'log_path = %s/log/dovecot.log' % self.dir),
                (r'(?m)^team_node = .*', 'team_node = ' + name),
                (r'(?m)^team_journal_dir = .*', 'team_journal_dir = %s/journal' % self.dir),
                (r'(?m)^protocols = .*', 'protocols = imap'),
                (r'(INDEXPVT=\S*/users/%u/\w+|'
                 r'mail_index_private_path = \S*/users/%{user}/\w+)', r'\1-' + name),
                (r'port = %d\b' % first.port, 'port = %d' % self.port),
                (r'port = %d\b' % (first.port + 1), 'port = 0')):
            text, count = re.subn(pattern, new, text)
            assert count or 'submission' in pattern or 'port' in pattern, pattern
        with open(self.config, 'w') as f:
            f.write(text + settings)
        subprocess.run(['dovecot', '-c', self.config], check=True, timeout=30, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert wait_for(lambda: self.doveadm('team', 'status').returncode == 0), \
            'the second node does not answer:\n' + self.log()[-2000:]

    def doveadm(self, *args):
        return subprocess.run(['doveadm', '-c', self.config] + list(args), timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)

    def log(self):
        try:
            with open(os.path.join(self.dir, 'log', 'dovecot.log'), errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def crashes(self):
        return [line for line in self.log().splitlines()
                if re.search(r'Panic:|Raw backtrace|killed with signal (6|7|8|11)\b|Assert', line)]

    def login(self, user, timeout=20):
        return imapsession.Session(self.port, user, timeout=timeout)

    def all_shipped(self, timeout=20):
        start = time.time() - 0.001
        self.login('u98').logout()
        return wait_for(lambda: self.first.audit(
            "colleague = 'u98' AND action = 'logout' AND at >= to_timestamp(%s)",
            (start,)), timeout)

    def kill(self):
        """As if its machine died: master first, so that it starts nothing."""
        with open(os.path.join(self.dir, 'run', 'master.pid')) as f:
            master = int(f.readline())
        os.kill(master, signal.SIGSTOP)
        children = subprocess.run(['pgrep', '-P', str(master)], capture_output=True, text=True,
                                  check=False).stdout.split()
        for pid in [*map(int, children), master]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        subprocess.run(shlex.split('dovecot -c %s stop' % shlex.quote(self.config)), check=False,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
