#!/usr/bin/python3 -I
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What storing private flags by blocks of UIDs costs, against a row a message.

Runs the same work on both in a PostgreSQL cluster of its own, which it makes
below /var/tmp and removes: one mailbox, ten colleagues. The blocks are changed
by the functions that the service calls, whole records with their log rows
included; the rows by plain statements for a table of (mailbox, colleague,
flag, UID), nothing else included. Prints medians in ms, bytes of
write-ahead log (full pages left out), and what the tables take in the end.
Needs root, since PostgreSQL doesn't run as root.
"""
import argparse
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import psycopg2

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUID, VALIDITY = '0123456789abcdef0123456789abcdef', 1
ROWS = '''
CREATE TABLE bench_flag (mailbox_id int, colleague_id int, flag text, uid bigint,
    rev bigint, PRIMARY KEY (mailbox_id, colleague_id, flag, uid));
CREATE INDEX ON bench_flag (mailbox_id, colleague_id, rev);
'''


class Cluster:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='team-bench.', dir='/var/tmp')
        shutil.chown(self.dir, 'postgres', 'postgres')
        self.bin = sorted(glob.glob('/usr/lib/postgresql/*/bin'))[-1]
        self.run('initdb', '-D', self.dir + '/data', '-A', 'trust', '--locale=C.UTF-8')
        # sizes of the log must not depend on when checkpoints happen
        self.run('pg_ctl', '-D', self.dir + '/data', '-w', '-l', self.dir + '/log', '-o',
                 "-c listen_addresses='' -c unix_socket_directories=%s -c autovacuum=off "
                 '-c full_page_writes=off' % self.dir, 'start')
        self.db = psycopg2.connect(host=self.dir, user='postgres', dbname='postgres')
        self.db.autocommit = True

    def run(self, program, *args):
        subprocess.run(['runuser', '-u', 'postgres', '--', os.path.join(self.bin, program), *args],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       cwd='/')

    def query(self, sql, args=()):
        with self.db.cursor() as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []

    def measure(self, work):
        before, start = self.query('SELECT pg_current_wal_insert_lsn()')[0][0], time.perf_counter()
        work()
        took = (time.perf_counter() - start) * 1000
        return took, int(self.query('SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)',
                                    (before,))[0][0])

    def size(self, *tables):
        for table in tables:
            self.query('VACUUM ' + table)
        return sum(self.query('SELECT pg_total_relation_size(%s)', (table,))[0][0]
                   for table in tables)

    def stop(self):
        self.db.close()
        self.run('pg_ctl', '-D', self.dir + '/data', '-m', 'immediate', 'stop')
        shutil.rmtree(self.dir)


class Blocks:
    name = 'blocks'
    tables = ('team.flag',)

    def __init__(self, cluster):
        self.query = cluster.query
        for path in sorted(glob.glob(os.path.join(ROOT, 'sql', '[0-9]*.sql'))):
            with open(path, encoding='utf-8') as f:
                self.query(f.read())
        self.node, self.seq = self.query("SELECT node_id, hwm FROM team.hello('bench')")[0]

    def change(self, who, sign, uids):
        self.seq += 1
        ranges = '{%s}' % ','.join('[%d,%d]' % pair for pair in uids)
        record = {'seq': self.seq, 'at': int(time.time() * 1e6), 'action': 'flag',
                  'outcome': 'ok', 'colleague': 'c%d' % who, 'user': 'c%d' % who,
                  'mailbox': GUID, 'uidvalidity': VALIDITY, 'name': 'Team/Bench',
                  'uids': ranges, 'p%s\\Seen' % sign: ranges}
        self.query('SELECT team.ingest(%s, %s)', (self.node, json.dumps([record])))

    def nothing(self):
        self.seq += 1
        self.query('SELECT team.ingest(%s, %s)', (self.node, json.dumps([{
            'seq': self.seq, 'at': int(time.time() * 1e6), 'action': 'open', 'outcome': 'ok',
            'colleague': 'c1', 'user': 'c1', 'mailbox': GUID, 'uidvalidity': VALIDITY,
            'name': 'Team/Bench'}])))

    def open(self, who):
        return sum(len(row) for row in self.query(
            'SELECT flag, first_uid, last_uid, uids FROM team.sync_flags(-1, %s, %s, %s, 0)',
            (GUID, VALIDITY, 'c%d' % who)))


class Rows:
    name = 'rows'
    tables = ('bench_flag',)

    def __init__(self, cluster):
        self.query = cluster.query
        self.query(ROWS)

    def change(self, who, sign, uids):
        ranges = '{%s}' % ','.join('[%d,%d]' % pair for pair in uids)
        if sign == '+':
            self.query('''INSERT INTO bench_flag
                SELECT 1, %s, '\\Seen', u, 1
                FROM unnest(%s::int8multirange) r, generate_series(lower(r), upper(r) - 1) u
                ON CONFLICT DO NOTHING''', (who, ranges))
        else:
            self.query('''DELETE FROM bench_flag USING unnest(%s::int8multirange) r,
                    generate_series(lower(r), upper(r) - 1) u
                WHERE mailbox_id = 1 AND colleague_id = %s AND flag = '\\Seen' AND
                    uid = u''', (ranges, who))

    def nothing(self):
        self.query('SELECT 1')

    def open(self, who):
        return len(self.query('SELECT flag, uid FROM bench_flag '
                              'WHERE mailbox_id = 1 AND colleague_id = %s', (who,)))


def every_other(count):
    return [(uid, uid) for uid in range(1, count + 1, 2)]


def measure(cluster, storages, title, work, rounds):
    """The same work on each storage by turns."""
    found = {storage.name: [] for storage in storages}
    cluster.query('ANALYZE')
    for n in range(rounds):
        for storage in storages:
            found[storage.name].append(cluster.measure(lambda s=storage: work(s, n)))
    times = {name: statistics.median(t for t, _ in values) for name, values in found.items()}
    logs = {name: statistics.median(w for _, w in values) for name, values in found.items()}
    print('%-44s %9.2f %9.2f %7.1f %11d %11d' % (
        title, times['blocks'], times['rows'], times['rows'] / times['blocks'],
        logs['blocks'], logs['rows']), flush=True)


def main():
    # so that the cluster is removed
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=100000, help='messages (%(default)s)')
    count = parser.parse_args().count
    cluster = Cluster()
    try:
        storages = [Blocks(cluster), Rows(cluster)]
        print('PostgreSQL %s, %d messages, 10 colleagues' % (
            cluster.query('SHOW server_version')[0][0], count))
        print('%-44s %9s %9s %7s %11s %11s' % ('', 'blocks ms', 'rows ms', 'factor',
                                               'blocks WAL', 'rows WAL'))

        def size(title):
            sizes = {storage.name: cluster.size(*storage.tables) for storage in storages}
            print('%-44s %9d %9d kB' % (title, sizes['blocks'] // 1024, sizes['rows'] // 1024),
                  flush=True)
        measure(cluster, storages, 'nothing: a record without flags, SELECT 1',
                lambda s, n: s.nothing(), 50)
        measure(cluster, storages, 'mark all read',
                lambda s, n: s.change(n + 1, '+', [(1, count)]), 10)
        measure(cluster, storages, 'first open on a new node, all read',
                lambda s, n: s.open(n + 1), 10)
        measure(cluster, storages, '1 STORE, all others read',
                lambda s, n: s.change(1, '-+'[n % 2], [(n // 2 * 97 + 5,) * 2]), 100)
        size('tables, all read')
        measure(cluster, storages, 'every other message unread again',
                lambda s, n: s.change(n + 1, '-', every_other(count)), 10)
        measure(cluster, storages, 'first open on a new node, every other read',
                lambda s, n: s.open(n + 1), 10)
        measure(cluster, storages, '1 STORE, every other read',
                lambda s, n: s.change(1, '+-'[n % 2], [(n // 2 * 98 + 5,) * 2]), 100)
        size('tables, every other read')
    finally:
        cluster.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main())
