#!/usr/bin/python3 -I
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What private flags cost, against plain Dovecot with a private index.

Starts two quickstart instances, one without the plugin, fills a mailbox of
each with the same messages, runs the same commands alternately on both and
prints the times (medians in ms, and from the first to the third quartile) and
what the plugin's are to the plain ones. A busy machine makes all of them worse.
Fails if one is over its mark. Needs root, as quickstart does.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICKSTART = os.path.join(ROOT, 'packaging', 'quickstart')
sys.path.insert(0, QUICKSTART + '.d')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'imap'))
sys.dont_write_bytecode = True
import imapsession  # noqa: E402

BOX = 'Team/Bench'
# name, what undoes it or prepares it, the command, rounds, mark
WORK = [
    ('SELECT', 'UNSELECT', 'SELECT %s' % BOX, 41, 1.2),
    ('FETCH 1:* FLAGS', None, 'FETCH 1:* (FLAGS)', 15, 1.10),
    ('SEARCH UNSEEN', None, 'SEARCH UNSEEN', 31, 1.0),
    ('STORE one', 'STORE %d -FLAGS.SILENT (\\Seen)', 'STORE %d +FLAGS.SILENT (\\Seen)', 201, 1.5),
    ('STORE 1:*', 'STORE 1:* -FLAGS.SILENT (\\Seen)', 'STORE 1:* +FLAGS.SILENT (\\Seen)', 15, 1.5),
    ('STORE 1:* my-todo', 'STORE 1:* -FLAGS.SILENT (my-todo)',
     'STORE 1:* +FLAGS.SILENT (my-todo)', 9, 1.5),
    ('SEARCH KEYWORD', None, 'SEARCH KEYWORD my-todo', 31, None),
]


def free_port():
    import socket
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(('127.0.0.1', 0))
            port = first.getsockname()[1]
            try:
                second.bind(('127.0.0.1', port + 1))
            except OSError:
                continue
            return port


class Server:
    def __init__(self, folder, args, team):
        self.dir = folder
        self.port = free_port()
        self.team = team
        options = [] if team else ['--without-team']
        if args.build_dir:
            options += ['--build-dir', args.build_dir]
        subprocess.run([QUICKSTART, '--dir', folder, '--port', str(self.port), '--detach',
                        '--no-tour', '--no-install', '--mail', '0', '--storage',
                        args.storage] + options,
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.session = imapsession.Session(self.port, 'alice', timeout=300)

    def fill(self, count):
        session = self.session
        session.command('CREATE ' + BOX)
        message = (b'From: a@customers.example\r\nTo: support@support.example\r\n'
                   b'Subject: Hello\r\nMessage-ID: <bench%d@test.example>\r\n\r\nHello\r\n')
        for start in range(0, count, 500):
            session.append(BOX, [(message % n, '', None)
                                 for n in range(start, min(start + 500, count))], timeout=300)
        session.select(BOX)
        # all have their place in the indexes and caches
        session.command('FETCH 1:* (FLAGS)', timeout=300)
        session.command('STORE 1:%d +FLAGS.SILENT (\\Seen)' % (count // 2), timeout=300)

    def time(self, command):
        start = time.perf_counter()
        self.session.command(command, timeout=300)
        return (time.perf_counter() - start) * 1000

    def stop(self):
        self.session.close()
        subprocess.run([QUICKSTART, '--stop', '--dir', self.dir], check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def measure(servers, count, work):
    _, prepare, command, rounds, _ = work
    times = [[], []]
    for n in range(rounds):
        number = n * 7919 % count + 1
        for server, found in zip(servers, times):
            if prepare:
                server.session.command(prepare % number if '%d' in prepare else prepare,
                                       timeout=300)
            found.append(server.time(command % number if '%d' in command else command))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=50000, help='messages (%(default)s)')
    parser.add_argument('--storage', default='sdbox', choices=['sdbox', 'mdbox', 'maildir'])
    parser.add_argument('--build-dir')
    args = parser.parse_args()
    work = tempfile.mkdtemp(prefix='team-bench.', dir='/var/tmp')
    os.chmod(work, 0o755)
    servers, over = [], 0
    try:
        for name in ('plain', 'team'):
            servers.append(Server(os.path.join(work, name), args, name == 'team'))
        for server in servers:
            server.fill(args.count)
        print('%d messages, %s, medians in ms' % (args.count, args.storage))
        print('%-20s %10s %17s %10s %17s %8s %8s' % ('', 'plain', '', 'team', '', 'ratio',
                                                     'mark'))
        for item in WORK:
            times = measure(servers, args.count, item)
            plain, team = (statistics.median(found) for found in times)
            spread = ['%.3f-%.3f' % tuple(statistics.quantiles(found, n=4)[::2])
                      for found in times]
            mark = item[4]
            bad = mark is not None and team / plain > mark
            over += bad
            print('%-20s %10.3f %17s %10.3f %17s %8.2f %8s%s' % (
                item[0], plain, spread[0], team, spread[1], team / plain,
                '' if mark is None else '%.2f' % mark,
                '' if mark is None else '  OVER' if bad else '  under'), flush=True)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    return 1 if over else 0


if __name__ == '__main__':
    sys.exit(main())
