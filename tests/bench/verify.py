#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast team-verify checks an exported log, and how fast the hashing alone
is.

Usage: verify.py [--records N] [--rounds N] [--keep DIR] BUILD, where BUILD is
the build's folder. The log is made here, as a service would write it: nine
personal fields a record, a checkpoint every 10,000. openssl signs."""
import argparse
import base64
import hashlib
import json
import os
import statistics
import subprocess
import tempfile
import time

ORIGIN = 'dovecot-team/bench/1700000000000000'
PERSONAL = {'colleague', 'user', 'session', 'ip', 'client', 'name', 'mids', 'add', 'remove'}
EACH = 10000


def sha256(data):
    return hashlib.sha256(data).digest()


class Tree:
    """An RFC 6962 tree that grows."""

    def __init__(self):
        self.size, self.heads = 0, []

    def append(self, leaf):
        size = self.size
        while size & 1:
            leaf = sha256(b'\1' + self.heads.pop() + leaf)
            size >>= 1
        self.heads.append(leaf)
        self.size += 1

    def root(self):
        root = self.heads[-1]
        for head in reversed(self.heads[:-1]):
            root = sha256(b'\1' + head + root)
        return root


class Key:
    """An Ed25519 key of openssl's and the notes that it signs."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'key.pem')
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', self.path], check=True)
        public = subprocess.run(['openssl', 'pkey', '-in', self.path, '-pubout', '-outform', 'DER'],
                                check=True, capture_output=True).stdout[-32:]
        self.hash = sha256(ORIGIN.encode() + b'\n\x01' + public)[:4]
        self.line = '%s+%s+%s\n' % (ORIGIN, self.hash.hex(),
                                    base64.b64encode(b'\1' + public).decode())

    def sign(self, text, folder):
        path = os.path.join(folder, 'text')
        with open(path, 'w') as f:
            f.write(text)
        signature = subprocess.run(['openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', self.path,
                                    '-in', path], check=True, capture_output=True).stdout
        return '%s\n\u2014 %s %s\n\n' % (text, ORIGIN, base64.b64encode(self.hash + signature).decode())


def record(n):
    colleague = 'colleague%d' % (n % 40)
    return {
        'at': 1700000000000000 + n * 1000, 'action': ('read', 'flag', 'fetch', 'append')[n % 4],
        'outcome': 'ok', 'colleague': colleague, 'user': 'support',
        'session': 'Zk8GQ%08d' % (n // 200), 'service': 'imap', 'ip': '192.0.2.%d' % (n % 250),
        'tls': 'yes', 'client': 'Thunderbird 128.4.0',
        'mailbox': hashlib.md5(b'%d' % (n % 25)).hexdigest(), 'uidvalidity': 1700000000,
        'name': 'Team/Box%d' % (n % 25), 'uids': str(n // 25 + 1),
        'mids': '%d <%d.message@customers.example>' % (n // 25 + 1, n), 'add': '$Todo'}


def leaf_and_line(n):
    fields = record(n)
    salt = os.urandom(16)
    parts = []
    for key, value in fields.items():
        if key in PERSONAL:
            commitment = sha256(sha256(salt + key.encode()) + ('%s=%s' % (key, value)).encode())
            parts.append('%s~%s' % (key, commitment.hex()))
        else:
            parts.append('%s=%s' % (key, value))
    leaf = sha256(b'\0' + '\t'.join(parts).encode())
    line = {'node': 'bench', 'seq': n, **fields, 'salt': salt.hex(), 'leaf': leaf.hex()}
    return leaf, json.dumps(line, separators=(',', ':'))


def make(folder, count):
    key, tree = Key(folder), Tree()
    with open(os.path.join(folder, 'log.jsonl'), 'w') as log, \
            open(os.path.join(folder, 'checkpoints'), 'w') as notes:
        for n in range(1, count + 1):
            leaf, line = leaf_and_line(n)
            tree.append(leaf)
            log.write(line + '\n')
            if n % EACH == 0 or n == count:
                notes.write(key.sign('%s\n%d\n%s\nfirst 1\ntime x\n' % (
                    ORIGIN, n, base64.b64encode(tree.root()).decode()), folder))
    with open(os.path.join(folder, 'key'), 'w') as f:
        f.write(key.line)


def seconds(command):
    """CPU seconds of the command, and seconds on the clock."""
    before, start = os.times(), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system -
            before.children_user - before.children_system), time.monotonic() - start


def hashing(build, folder):
    """Records a second that hash.c hashes."""
    program = os.path.join(folder, 'hash')
    audit = os.path.join(build, 'plugin', 'audit', '.libs', 'libteamaudit.a')
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(['cc', '-O2', '-D_GNU_SOURCE', '-I', os.path.join(here, '../../plugin/audit'),
                    '-o', program, os.path.join(here, 'hash.c'), audit, '-lcrypto'], check=True)
    with open(os.path.join(folder, 'log.jsonl')) as log:
        return int(subprocess.run([program, '500000'], stdin=log, check=True,
                                  capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('build')
    parser.add_argument('--records', type=int, default=500000)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--keep', help='folder to keep the log in and take it from')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or folder
        if not os.path.exists(os.path.join(folder, 'key')):
            make(folder, args.records)
        log, notes, key = (os.path.join(folder, name) for name in ('log.jsonl', 'checkpoints', 'key'))
        program = os.path.join(args.build, 'plugin', 'audit', 'team-verify')
        times = [seconds([program, 'log', '--key', key, '--checkpoints', notes, log])
                 for _ in range(args.rounds)]
        cpu = statistics.median(time[0] for time in times)
        clock = statistics.median(time[1] for time in times)
        print('load %.1f; %d records of %d bytes, all checked against checkpoints' % (
            os.getloadavg()[0], args.records, os.path.getsize(log) // args.records))
        print('team-verify log   %9.0f records/s of CPU, %9.0f/s on the clock' % (
            args.records / cpu, args.records / clock))
        print('hashing alone     %9.0f records/s of CPU' % statistics.median(
            hashing(args.build, folder) for _ in range(args.rounds)))


if __name__ == '__main__':
    main()
