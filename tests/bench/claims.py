#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many claims that nobody contests the service grants in a second, beside
what pgbench gets out of PostgreSQL with the same statement.

Usage: claims.py DIR [--sessions N] [--seconds N], where DIR is the folder of a
running quickstart instance. Run as root; the claims are removed afterwards."""
import argparse
import glob
import os
import re
import selectors
import shlex
import signal
import socket
import subprocess
import tempfile
import time

GUID = 'beefbeefbeefbeefbeefbeefbeefbeef'
# one claim, of the statement with which the service asks for several
STATEMENT = r"""\set uid random(1, 4000000000)
SELECT n, since, until FROM team.claim_batch(1, '{%s}', '{1}', '{bench1}', '{s}', ARRAY[:uid::bigint],
    '{f}', 1800);
""" % GUID


class Session:
    """A mail process's connection: one claim at a time."""

    def __init__(self, path, number, sessions):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.id = 0
        self.uid = number
        self.step = sessions
        self.done = 0
        self.buffer = b''
        self.send('VERSION\tteam-client\t1\t0')
        self.send('HELLO\t%032x\t%d' % (os.getpid() * 1000 + number, os.getpid()))
        self.send('SESSION\t1\tcolleague=bench%d\tsession=b%d\tservice=imap' % (number, number))

    def send(self, line):
        self.sock.sendall(line.encode() + b'\n')

    def claim(self):
        self.id += 1
        self.uid += self.step
        self.send('CLAIM\t%d\t1\t%s\t1\ttake\t%d' % (self.id, GUID, self.uid))

    def read(self):
        """Claims the next message when the last one is granted."""
        data = self.sock.recv(65536)
        if not data:
            raise RuntimeError('the service closed the connection')
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b'\n')
        for line in lines:
            if line.startswith(b'OK\t'):
                self.done += 1
                self.claim()
            elif line.startswith((b'NO\t', b'D\t')):
                raise RuntimeError(line.decode())


def bench_service(path, count, seconds):
    sessions = [Session(path, n + 1, count) for n in range(count)]
    selector = selectors.DefaultSelector()
    for session in sessions:
        selector.register(session.sock, selectors.EVENT_READ, session)
        session.claim()
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        for key, _ in selector.select(1):
            key.data.read()
    spent = time.monotonic() - start
    for session in sessions:
        session.sock.close()
    return sum(session.done for session in sessions) / spent


def bench_pgbench(dsn, count, seconds):
    programs = glob.glob('/usr/lib/postgresql/*/bin/pgbench') or ['pgbench']
    with tempfile.NamedTemporaryFile('w', suffix='.sql') as script:
        script.write(STATEMENT)
        script.flush()
        out = subprocess.run(
            [programs[-1], '-n', '-M', 'prepared', '-c', str(count), '-T', str(seconds),
             '-f', script.name, dsn], capture_output=True, text=True, check=True).stdout
    return float(re.search(r'tps = ([\d.]+)', out).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dir')
    parser.add_argument('--sessions', type=int, default=16)
    parser.add_argument('--seconds', type=int, default=5)
    args = parser.parse_args()
    env = {}
    with open(os.path.join(args.dir, 'env')) as f:
        for line in f:
            name, _, value = line.strip().partition('=')
            env[name] = ' '.join(shlex.split(value))
    path = os.path.join(args.dir, 'run', 'dovecot', 'team')
    subprocess.run(['psql', '-qXAtd', env['TEAM_PGDSN'], '-c',
                    "SELECT team.mailbox_id('%s', 1), team.colleague_id('bench1')" % GUID],
                   check=True, stdout=subprocess.DEVNULL)
    try:
        # it would read what changed at each notification
        pid = int(open(env['TEAM_SERVICE_PIDFILE']).read())
        os.kill(pid, signal.SIGSTOP)
        try:
            native = bench_pgbench(env['TEAM_PGDSN'], args.sessions, args.seconds)
            # the service sends all over one connection
            single = bench_pgbench(env['TEAM_PGDSN'], 1, args.seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        time.sleep(2)
        service = bench_service(path, args.sessions, args.seconds)
    finally:
        subprocess.run(['psql', '-qXd', env['TEAM_PGDSN'], '-c', '''
            DELETE FROM team.claim USING team.mailbox
            WHERE mailbox_id = id AND guid = '%s' ''' % GUID], check=True)
    for name, rate in (('pgbench, %d connections' % args.sessions, native),
                       ('pgbench, 1 connection', single)):
        print('%-24s %7.0f claims/s' % (name, rate))
    print('%-24s %7.0f claims/s  (%.0f %%, %.0f %%)' % (
        'service, %d sessions' % args.sessions, service,
        100 * service / native, 100 * service / single))


if __name__ == '__main__':
    main()
