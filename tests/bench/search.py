#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long searching the log takes when it has many records: by Message-ID and
by colleague, as a query alone and through doveadm; and what reading all of it
takes in time and memory.

Usage: search.py DIR [--records N] [--months N] [--rounds N] [--stream], where
DIR is the folder of a running quickstart instance. Run as root. PostgreSQL
makes the records by itself, of a node "bench-search" and over past months; they
stay in the instance's log and are not made again while they are enough."""
import argparse
import os
import random
import re
import resource
import shlex
import statistics
import subprocess
import time

import psycopg2

COLLEAGUES = 40
BOXES = 25
# records of a message, on average
EACH = 5

# Colleague n is the busier the lower n is; a message's records lie around its
# arrival; one in fifty records is of several messages.
FILL = r"""
INSERT INTO team.record (at, node, seq, action, outcome, colleague_id, username,
	session, service, ip, tls, client, mailbox_id, mailbox, msg_mailbox_id,
	uid, uids, private_added, added, salt, leaf)
SELECT at, %(node)s, n, action, 'ok', c.ids[1 + floor(power(random(), 2) * 40)::int],
	'support', 'sess' || n / 200, 'imap', '192.0.2.' || n %% 250, 'yes',
	'Thunderbird 128.4.0', box, 'Team/Search' || b, box,
	CASE WHEN NOT several THEN uid END,
	CASE WHEN several THEN int8multirange(int8range(greatest(uid - 20, 1), uid, '[]')) END,
	CASE action WHEN 'read' THEN '\Seen' END,
	CASE action WHEN 'flag' THEN '\Answered' END,
	decode(md5(n::text), 'hex'), sha256(int8send(n))
FROM (
	SELECT n, %(from)s + (n - %(first)s) * (%(to)s - %(from)s) / %(count)s AS at,
		m %% 25 AS b, (SELECT ids FROM bench_box)[1 + m %% 25] AS box,
		m / 25 + 1 AS uid, n %% 50 = 0 AS several,
		(ARRAY['append', 'read', 'read', 'fetch', 'fetch', 'flag', 'flag',
		       'move', 'expunge', 'open'])[1 + floor(random() * 10)::int] AS action
	FROM (SELECT n, greatest(n / 5 - floor(power(random(), 3) * 3000)::bigint, 0) AS m
	      FROM generate_series(%(first)s, %(last)s) n) r) r,
	bench_colleague c
"""


class Bench:
    def __init__(self, args):
        self.args = args
        self.env = {}
        with open(os.path.join(args.dir, 'env')) as f:
            for line in f:
                name, _, value = line.strip().partition('=')
                self.env[name] = ' '.join(shlex.split(value))
        self.database = psycopg2.connect(self.env['TEAM_PGDSN'])
        self.database.autocommit = True

    def query(self, sql, values=None):
        with self.database.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else None

    def fill(self):
        node = self.query("SELECT node_id, hwm FROM team.hello('bench-search')")[0]
        if node[1] >= self.args.records:
            return
        self.query("""CREATE TEMP TABLE bench_colleague AS SELECT
            team.enter_colleagues(ARRAY(SELECT 'search' || i
                FROM generate_series(1, %s) i)) AS ids;
            CREATE TEMP TABLE bench_box AS SELECT team.enter_mailboxes(
                ARRAY(SELECT md5('search' || i) FROM generate_series(1, %s) i),
                ARRAY(SELECT 1::bigint FROM generate_series(1, %s)),
                ARRAY(SELECT 'Team/Search' || i FROM generate_series(0, %s) i)) AS ids;
            SELECT team.enter_mailbox_names(ids, ARRAY(SELECT 'Team/Search' || i
                FROM generate_series(0, %s) i)) FROM bench_box
            """, (COLLEAGUES, BOXES, BOXES, BOXES - 1, BOXES - 1))
        self.query("""INSERT INTO team.message SELECT (SELECT ids FROM bench_box)[1 + m %% 25],
            m / 25 + 1, '<search.' || m || '@customers.example>'
            FROM generate_series(%s, %s) m ON CONFLICT DO NOTHING""",
                   (node[1] // EACH, self.args.records // EACH))
        each = self.args.records // self.args.months
        for month in range(self.args.months):
            first = month * each + 1
            if first <= node[1]:
                continue
            start, end = self.query(
                "SELECT date_trunc('month', now() - make_interval(months => %s)), "
                "date_trunc('month', now() - make_interval(months => %s)) - interval '1 second'",
                (self.args.months - month, self.args.months - month - 1))[0]
            self.query('SELECT team.make_partition(%s)', (start,))
            self.query(FILL, {'node': node[0], 'first': first, 'last': first + each - 1,
                              'from': start, 'to': end, 'count': each})
            self.query('UPDATE team.node SET hwm = %s WHERE id = %s', (first + each - 1, node[0]))
        self.query('VACUUM ANALYZE team.record')
        self.query('VACUUM ANALYZE team.message')

    def times(self, name, filters, limit=100):
        """Milliseconds of the query alone, and of doveadm as a whole."""
        alone, whole, rows = [], [], []
        for _ in range(self.args.rounds):
            key, value = filters()
            start = time.monotonic()
            rows.append(len(self.query('SELECT * FROM team.audit_search(jsonb_build_object(%s, %s), %s)',
                                       (key, value, limit))))
            alone.append(1000 * (time.monotonic() - start))
            option = {'message_id': 'message-id'}.get(key, key)
            start = time.monotonic()
            subprocess.run(shlex.split(self.env['TEAM_DOVEADM']) + [
                '-f', 'tab', 'team', 'audit', 'search', '--' + option, value,
                '--limit', str(limit)], check=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            whole.append(1000 * (time.monotonic() - start))
        print('%-28s %8.1f %8.1f %10.1f %8.0f' % (
            name, statistics.median(alone), max(alone), statistics.median(whole),
            statistics.mean(rows)), flush=True)

    def service_rss(self):
        with open(self.env['TEAM_SERVICE_PIDFILE']) as f:
            pid = int(f.readline())
        with open('/proc/%d/status' % pid) as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) / 1024

    def stream(self, name, *command):
        """A command whose output is all of the log."""
        before = self.service_rss()
        start = time.monotonic()
        out = subprocess.run(
            ['/usr/bin/env', 'bash', '-c', '"$@" | wc -l', 'bash'] +
            shlex.split(self.env['TEAM_DOVEADM']) + list(command),
            check=True, capture_output=True, text=True)
        spent = time.monotonic() - start
        lines = int(out.stdout)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print('%-28s %9d lines %7.1f s %9.0f/s, at most %.0f MB, service %.0f -> %.0f MB' % (
            name, lines, spent, lines / spent, children, before, self.service_rss()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dir')
    parser.add_argument('--records', type=int, default=10000000)
    parser.add_argument('--months', type=int, default=10)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--stream', action='store_true', help='read all of it, too')
    args = parser.parse_args()
    bench = Bench(args)
    start = time.monotonic()
    bench.fill()
    print('%d records; made in %.0f s' % (bench.query('SELECT count(*) FROM team.record')[0][0],
                                          time.monotonic() - start))
    print('%-28s %8s %8s %10s %8s' % ('ms', 'query', 'worst', 'doveadm', 'rows'))
    bench.times('by Message-ID', lambda: (
        'message_id', '<search.%d@customers.example>' % random.randrange(args.records // EACH)))
    bench.times('by colleague', lambda: (
        'colleague', 'search%d' % random.randint(1, COLLEAGUES)))
    # whom no month has: each has to be looked through
    bench.query("SELECT team.enter_colleagues('{search-nobody}')")
    bench.times('by colleague, nothing', lambda: ('colleague', 'search-nobody'))
    bench.times('by mailbox', lambda: ('mailbox', 'Team/Search%d' % random.randrange(BOXES)))
    if args.stream:
        bench.stream('search, all', '-f', 'tab', 'team', 'audit', 'search', '--limit', '0')
        bench.stream('export', 'team', 'audit', 'export', '--node', 'bench-search')


if __name__ == '__main__':
    main()
