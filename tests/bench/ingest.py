#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many records a second get from mail processes through the journal into
PostgreSQL, what a record costs in CPU time, and beside it what COPY by psql
takes for the same rows: into a table made like the log's, with the same
indexes, checks and months.

Usage: ingest.py DIR [--records N] [--sessions N] [--rounds N] [--action NAME],
where DIR is the folder of a running quickstart instance. Run as root. The
records stay in its log."""
import argparse
import os
import random
import shlex
import socket
import statistics
import subprocess
import threading
import time

import psycopg2

BOXES = 20
# a backend that ends takes its time with it
COPY = r'''
SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! cat /proc/$PID/schedstat
\copy bench_ingest.record from pstdin
\! cat /proc/$PID/schedstat
'''
# of a hundred: what a team at work does
MIX = {'read': 30, 'fetch': 22, 'flag': 14, 'append': 10, 'move': 6, 'copy': 2,
       'expunge': 4, 'open': 4, 'claim': 2, 'login': 3, 'logout': 3}


def environment(folder):
    env = {}
    with open(os.path.join(folder, 'env')) as f:
        for line in f:
            name, _, value = line.strip().partition('=')
            env[name] = ' '.join(shlex.split(value))
    return env


def escape(text):
    return text.replace('\001', '\0011').replace('\t', '\001t').replace('\n', '\001n')


class Writer:
    """Makes the requests of a mail process whose records are as those of real
    work: messages come with their Message-IDs, are read, moved, expunged."""

    def __init__(self, run, number, mix):
        self.random = random.Random(number)
        self.prefix = '%08x%04x' % (run, number)
        self.number = number
        self.actions = random.Random(number).choices(
            list(mix), weights=list(mix.values()), k=1 << 16)
        self.next_uid = [1] * BOXES
        self.there = [[] for _ in range(BOXES)]

    def mailbox(self, box):
        return 'mailbox=%032x\tuidvalidity=%d\tname=Team/Bench%d' % (
            int(self.prefix, 16) * BOXES + box, 1, box)

    def new(self, box):
        uid = self.next_uid[box]
        self.next_uid[box] += 1
        self.there[box].append(uid)
        return uid

    def event(self, action):
        box = self.random.randrange(BOXES)
        if action in ('login', 'logout'):
            return 'action=%s' % action
        if action == 'open':
            return 'action=open\t%s' % self.mailbox(box)
        if action == 'append' or not self.there[box]:
            uid = self.new(box)
            return 'action=append\t%s\tuids=%d\tmids=%d <%s.%d.%d@bench.example>' % (
                self.mailbox(box), uid, uid, self.prefix, box, uid)
        place = self.random.randrange(len(self.there[box]))
        uid = self.there[box][place]
        if action in ('expunge', 'move'):
            self.there[box][place] = self.there[box][-1]
            self.there[box].pop()
        what = '%s\tuids=%d' % (self.mailbox(box), uid)
        if action in ('move', 'copy'):
            to = (box + 1) % BOXES
            new = self.new(to)
            return 'action=%s\t%s\tuids=%d\tfrom=%032x\tfromvalidity=1\t' \
                'fromname=Team/Bench%d\tfromuids=%d' % (
                    action, self.mailbox(to), new,
                    int(self.prefix, 16) * BOXES + box, box, uid)
        if action == 'read':
            return 'action=read\t%s\tp+\\Seen=%d' % (what, uid)
        if action == 'flag':
            if self.random.random() < 0.5:
                return 'action=flag\t%s\tp+\\Flagged=%d' % (what, uid)
            return 'action=flag\t%s\tadd=\\Answered' % what
        if action == 'claim':
            return 'action=claim\t%s\td.until=2026-11-23T12:00:00Z' % what
        return 'action=%s\t%s' % (action, what)

    def requests(self, first, count):
        lines = []
        for n in range(first, first + count):
            action = self.actions[n & 0xffff]
            lines.append('EVENT\t%d\t1\t%s\n' % (n + 1, self.event(action)))
        return ''.join(lines).encode()


class Session(threading.Thread):
    """A connection to the service that sends as fast as answers let it."""

    def __init__(self, path, run, number):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.sendall((
            'VERSION\tteam-client\t1\t0\nHELLO\t%032x\t%d\n'
            'SESSION\t1\tcolleague=bench%d\tuser=support\tsession=%08x%04x\tservice=imap\t'
            'ip=192.0.2.%d\ttls=yes\tclient=Thunderbird 128.4.0\n' % (
                run << 16 | number, os.getpid(), number, run, number, number + 1)).encode())
        self.chunks = []
        self.expected = 0
        self.error = None

    def run(self):
        reader = threading.Thread(target=self.read, daemon=True)
        reader.start()
        for chunk in self.chunks:
            self.sock.sendall(chunk)
        reader.join()

    def read(self):
        while self.expected > 0:
            data = self.sock.recv(1 << 20)
            if not data or b'NO\t' in data:
                self.error = data or 'the service closed the connection'
                return
            self.expected -= data.count(b'\nOK\t') + data.startswith(b'OK\t')


def cpu_seconds(pid):
    with open('/proc/%d/schedstat' % pid) as f:
        return int(f.read().split()[0]) / 1e9


class Bench:
    def __init__(self, args):
        self.args = args
        self.env = environment(args.dir)
        self.database = psycopg2.connect(self.env['TEAM_PGDSN'])
        self.database.autocommit = True
        self.run = int(time.time()) & 0xffffffff
        mix = {args.action: 1} if args.action else MIX
        self.writers = [Writer(self.run, n, mix) for n in range(args.sessions)]
        self.sessions_made = 0
        self.done = [0] * args.sessions

    def query(self, sql, *values):
        with self.database.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchone() if cursor.description else None

    def backend(self):
        return self.query("SELECT pid FROM pg_stat_activity "
                          "WHERE application_name = 'dovecot-team-journal'")[0]

    def mark(self):
        return self.query("SELECT hwm FROM team.node ORDER BY last_seen DESC LIMIT 1")[0]

    def sessions(self):
        """New connections with what they send made ready."""
        each = self.args.records // self.args.sessions
        made = []
        for n, writer in enumerate(self.writers):
            session = Session(os.path.join(self.args.dir, 'run', 'dovecot', 'team'),
                              self.run, self.sessions_made)
            self.sessions_made += 1
            for _ in range(0, each, 500):
                session.chunks.append(writer.requests(self.done[n], 500))
                self.done[n] += 500
                session.expected += 500
            made.append(session)
        return made

    def service(self):
        """One round through the service. Returns seconds, the service's and its
        backend's CPU seconds, and the first and last record's number."""
        sessions = self.sessions()
        total = sum(session.expected for session in sessions)
        time.sleep(0.3)
        first = self.mark()
        with open(self.env['TEAM_SERVICE_PIDFILE']) as f:
            pids = int(f.readline()), self.backend()
        before = [cpu_seconds(pid) for pid in pids]
        start = time.monotonic()
        for session in sessions:
            session.start()
        answered = None
        while True:
            time.sleep(0.02)
            if answered is None and not any(s.is_alive() for s in sessions):
                answered = time.monotonic() - start
            mark = self.mark()
            if mark >= first + total:
                break
            errors = [s.error for s in sessions if s.error]
            if errors:
                raise RuntimeError(errors[0])
            if time.monotonic() - start > 300:
                raise RuntimeError('not shipped after 300 seconds')
        spent = time.monotonic() - start
        cpu = [cpu_seconds(pid) - b for pid, b in zip(pids, before)]
        for session in sessions:
            session.join()
            session.sock.close()
        return total, spent, answered, cpu, (first, mark)

    def copy(self, span):
        """The same rows by COPY. Returns seconds, and its backend's CPU seconds."""
        rows = os.path.join(self.args.dir, 'bench-rows')
        psql = ['psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', self.env['TEAM_PGDSN'], '-c']
        with open(rows, 'wb') as f:
            subprocess.run(psql + [
                'COPY (SELECT * FROM team.record WHERE seq > %d AND seq <= %d '
                'ORDER BY seq) TO STDOUT' % span], stdout=f, check=True)
        script = os.path.join(self.args.dir, 'bench-copy')
        with open(script, 'w') as f:
            f.write(COPY)
        start = time.monotonic()
        with open(rows, 'rb') as f:
            cpu = subprocess.run(psql[:-1] + ['-At', '-f', script], stdin=f, check=True,
                                 capture_output=True, text=True).stdout.split('\n')
        spent = time.monotonic() - start
        os.unlink(rows)
        os.unlink(script)
        return spent, (int(cpu[1].split()[0]) - int(cpu[0].split()[0])) / 1e9

    def copy_table(self):
        """A table like the log's, with this month's and the next partition."""
        self.query('DROP SCHEMA IF EXISTS bench_ingest CASCADE')
        self.query('CREATE SCHEMA bench_ingest')
        self.query('CREATE TABLE bench_ingest.record (LIKE team.record INCLUDING ALL) '
                   'PARTITION BY RANGE (at)')
        self.query('CREATE TABLE bench_ingest.now PARTITION OF bench_ingest.record '
                   'FOR VALUES FROM (MINVALUE) TO (MAXVALUE)')

    def rounds(self):
        results = []
        print('%-6s %12s %12s %14s %14s %12s %14s %6s' % (
            'round', 'answered/s', 'shipped/s', 'service us', 'backend us', 'COPY/s', 'COPY us', 'load'))
        for number in range(self.args.rounds):
            total, spent, answered, cpu, span = self.service()
            copied, copied_cpu = self.copy(span)
            result = (total / answered, total / spent, 1e6 * cpu[0] / total,
                      1e6 * cpu[1] / total, total / copied, 1e6 * copied_cpu / total)
            results.append(result)
            print('%-6d %12.0f %12.0f %14.1f %14.1f %12.0f %14.1f %6.1f' % (
                (number + 1,) + result + (os.getloadavg()[0],)), flush=True)
        return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dir')
    parser.add_argument('--records', type=int, default=100000, help='in a round')
    parser.add_argument('--sessions', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--action', choices=sorted(MIX), help='only these, not the mix')
    bench = Bench(parser.parse_args())
    try:
        bench.copy_table()
        results = bench.rounds()
    finally:
        bench.query('DROP SCHEMA IF EXISTS bench_ingest CASCADE')
    print('%-6s %12.0f %12.0f %14.1f %14.1f %12.0f %14.1f' % (
        ('median',) + tuple(statistics.median(column) for column in zip(*results))))


if __name__ == '__main__':
    main()
