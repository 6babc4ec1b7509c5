#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Protected commands on one very large mailbox: are they right, and how long do
they take?

Usage: batches.py DIR [--messages N], where DIR is the folder of a running
quickstart instance. Run as root; the mailbox is deleted afterwards."""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'packaging', 'quickstart.d'))
import imapsession  # noqa: E402

BOX, TARGET = 'Team/Batches', 'Team/BatchesTarget'
# without a Message-ID, which would be the same for all
MESSAGE = b'From: c@customers.example\r\nSubject: x\r\n\r\nHello\r\n'


def fill(session, count):
    session.select(BOX)
    have = 0
    while have < count:
        # mdbox takes no more than 32,767 copies of one
        first, block = have + 1, min(16000, count - have)
        session.append_one(BOX, MESSAGE)
        session.command('NOOP')
        done = 1
        while done < block:
            more = min(done, block - done)
            session.command('COPY %d:%d %s' % (first, first + more - 1, BOX))
            session.command('NOOP')
            done += more
        have += block


class Runner:
    def __init__(self):
        self.failed = False

    def run(self, what, session, command, status, check=None):
        """One line for a command: its time, and whether it did what it should."""
        start = time.monotonic()
        answer = session.attempt(command)
        spent = time.monotonic() - start
        right = answer.status == status and (check is None or check(answer))
        self.failed |= not right
        print('%-44s %7.2f s  %s' % (what, spent, 'ok' if right else
                                     'WRONG: %s %s' % (answer.status, answer.text)), flush=True)
        return answer


def refused_all(answer, count):
    """A FETCH with the true flags for every message left, and who holds them."""
    return '[INUSE]' in answer.text and 'by alice' in answer.text and \
        len([f for f in answer.fetched() if f['flags'] and 'claimed-alice' in f['flags'] and
             '\\Deleted' not in f['flags']]) >= count


def count_of(session, what):
    lines = session.command('SEARCH RETURN (COUNT) ' + what).untagged
    return int(re.search(rb'COUNT (\d+)', b' '.join(lines)).group(1))


def wait_until_shipped(env):
    """While the log of what was filled in is taken up, the database is busy."""
    doveadm = shlex.split(re.search(r"TEAM_DOVEADM='(.*)'", env).group(1))
    while True:
        status = json.loads(subprocess.run(doveadm + ['-f', 'json', 'team', 'status'], check=True,
                                           capture_output=True).stdout)[0]
        if status['journal_records'] == '0':
            return
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dir')
    parser.add_argument('--messages', type=int, default=100000)
    args = parser.parse_args()
    with open(os.path.join(args.dir, 'env')) as f:
        env = f.read()
    port = int(re.search(r'TEAM_IMAP_PORT=(\d+)', env).group(1))
    count, runner = args.messages, Runner()
    alice, bob = (imapsession.Session(port, name, timeout=300) for name in ('alice', 'bob'))
    for box in BOX, TARGET:
        alice.attempt('DELETE ' + box)
        alice.command('CREATE ' + box)
    try:
        fill(alice, count)
        wait_until_shipped(env)
        bob.select(BOX)
        run = runner.run
        run('claim all', alice, 'STORE 1:* +FLAGS.SILENT (claimed)', 'OK')
        run('claim what another holds', bob, 'STORE 1:* +FLAGS.SILENT (claimed)', 'NO',
            lambda a: refused_all(a, count))
        run('delete what another holds', bob, 'STORE 1:* +FLAGS.SILENT (\\Deleted)', 'NO',
            lambda a: refused_all(a, count) and count_of(bob, 'DELETED') == 0)
        run('move what another holds', bob, 'MOVE 1:* %s' % TARGET, 'NO',
            lambda a: refused_all(a, count) and count_of(bob, 'ALL') == count)
        run('give back half', alice, 'STORE 1:%d -FLAGS.SILENT (claimed)' % (count // 2), 'OK')
        run('delete, half of it held', bob, 'STORE 1:* +FLAGS.SILENT (\\Deleted)', 'NO',
            lambda a: refused_all(a, count // 2) and count_of(bob, 'DELETED') == count // 2)
        run('undelete', bob, 'STORE 1:* -FLAGS.SILENT (\\Deleted)', 'OK')
        run('move, half of it held', bob, 'MOVE 1:* %s' % TARGET, 'NO',
            lambda a: refused_all(a, count // 2) and
            count_of(bob, 'ALL') == count - count // 2)
        alice.command('NOOP')
        run('move what one holds', alice, 'MOVE 1:* %s' % TARGET, 'OK',
            lambda a: count_of(alice, 'ALL') == 0)
        bob.select(TARGET)
        run('delete and expunge, half of it held', bob, 'STORE 1:* +FLAGS.SILENT (\\Deleted)', 'NO',
            lambda a: refused_all(a, count // 2) and count_of(bob, 'DELETED') == count // 2)
        run('expunge', bob, 'EXPUNGE', 'OK',
            lambda a: count_of(bob, 'ALL') == count - count // 2)
    finally:
        alice.attempt('UNSELECT')
        bob.attempt('UNSELECT')
        for box in BOX, TARGET:
            alice.attempt('DELETE ' + box)
    sys.exit(1 if runner.failed else 0)


if __name__ == '__main__':
    main()
