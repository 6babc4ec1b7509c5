# SPDX-License-Identifier: LGPL-2.1-or-later
"""PostgreSQL is slow, hangs, has no connection left, or is read-only: work goes on,
claims are refused in bounded time, and afterwards all is as acknowledged."""
import os
import re
import time

import psycopg2
import pytest

import instance
import pgproxy
from instance import wait_for
from node import Node
from work import TIMEOUT, Worker, mailbox, missing, resources, run_workers


class Proxied(instance.Instance):
    """An instance whose service reaches PostgreSQL through a proxy."""

    def settings(self, text):
        self.proxy = pgproxy.Proxy(os.path.join(self.dir, 'proxy'),
                                   os.path.join(self.dir, 'run', 'postgresql'))
        super().settings(text + 'team_database = %s\n' % self.proxy.conninfo)

    def stop(self):
        super().stop()
        self.proxy.stop()


@pytest.fixture(scope='module')
def proxied():
    made = Proxied('sdbox', settings=instance.mail_settings(team_timeout='%ds' % TIMEOUT))
    yield made
    crashes = made.crashes()
    gaps = missing(made)
    made.stop()
    assert not crashes, '\n'.join(crashes)
    assert not gaps, gaps


class Trial:
    """Colleagues at work while something is wrong, and a look at everything
    afterwards."""

    def __init__(self, server):
        self.server = server
        self.box, self.uids = mailbox(server, 4)
        self.workers = [Worker(server, 'u%d' % n, self.box, self.uids[:3]) for n in (1, 2, 3)]
        self.alice, self.bob = server.login('alice', timeout=60), server.login('bob')
        for session in (self.alice, self.bob):
            session.select(self.box)
        self.before = resources(server)

    def run(self, fault, end):
        """fault() makes something go wrong and tries what it likes; end() mends it."""
        def both():
            # they log in and open the mailbox
            time.sleep(0.7)
            try:
                fault()
            finally:
                end()
        run_workers(self.workers, both)
        assert wait_for(lambda: self.server.all_shipped(5), 60), self.server.log()[-2000:]
        for worker in self.workers:
            assert worker.errors == [], worker.errors
            worker.check()
            worker.check_flags()
        # the same sessions all the time; claims work again
        for session in (self.alice, self.bob):
            session.command('NOOP')
        assert wait_for(lambda: self.bob.attempt('UID STORE %d +FLAGS (claimed)' % self.uids[2]).ok, 30)
        memory, descriptors = resources(self.server)
        assert descriptors <= self.before[1] + 3, (self.before, descriptors)
        assert memory <= self.before[0] + 8192, (self.before, memory)

    def claim_is_refused(self):
        """In bounded time, with plain words, and nothing is claimed."""
        start = time.monotonic()
        answer = self.alice.attempt('UID STORE %d +FLAGS (claimed)' % self.uids[3])
        assert answer.status == 'NO' and '[UNAVAILABLE]' in answer.text, answer
        assert time.monotonic() - start < TIMEOUT + 2
        self.alice.command('NOOP')
        assert 'claimed' not in self.alice.flags(self.uids[3])

    def change_is_quick(self):
        """Nobody waits for PostgreSQL: that would take longer."""
        start = time.monotonic()
        self.alice.command('UID STORE %d +FLAGS (\\Answered)' % self.uids[3])
        self.alice.command('UID STORE %d -FLAGS (\\Answered)' % self.uids[3])
        assert time.monotonic() - start < 2


def test_slow(proxied):
    """Seconds for each answer."""
    trial = Trial(proxied)

    def fault():
        proxied.proxy.command('delay 1.0')
        time.sleep(2)
        trial.change_is_quick()
        # asked and answered through the slow line, in time
        assert trial.alice.command('UID STORE %d +FLAGS (claimed)' % trial.uids[3])
        assert 'claimed-alice' in trial.alice.flags(trial.uids[3])
    trial.run(fault, lambda: proxied.proxy.command('pass'))


def test_hanging(proxied):
    """No answer at all, and the connection stays."""
    trial = Trial(proxied)

    def fault():
        proxied.proxy.command('hang')
        time.sleep(1)
        trial.claim_is_refused()
        trial.change_is_quick()
        late = proxied.login('carol')
        late.select(trial.box)
        late.command('UID STORE %d +FLAGS (\\Seen)' % trial.uids[3])
        late.logout()
    trial.run(fault, lambda: proxied.proxy.command('pass'))


def test_no_connection_left(proxied):
    trial = Trial(proxied)
    taken = []

    def fault():
        with proxied.database('TEAM_PGDSN') as cursor:
            cursor.execute("SELECT setting FROM pg_settings WHERE name = 'max_connections'")
            most = int(cursor.fetchone()[0])
        with pytest.raises(psycopg2.OperationalError):
            for _ in range(most):
                taken.append(psycopg2.connect(proxied.env['TEAM_PGDSN']))
        proxied.proxy.command('cut')
        # the places that became free, before the service can have them again
        with taken[0].cursor() as cursor:
            taken[0].autocommit = True
            assert wait_for(lambda: cursor.execute(
                "SELECT FROM pg_stat_activity WHERE usename = 'team_service'") or
                not cursor.rowcount)
        told = len(proxied.log())
        with pytest.raises(psycopg2.OperationalError):
            for _ in range(most):
                taken.append(psycopg2.connect(proxied.env['TEAM_PGDSN']))
        proxied.proxy.command('pass')
        assert wait_for(lambda: re.search('too many clients|remaining connection slots',
                                          proxied.log()[told:]), 30)
        trial.claim_is_refused()
        trial.change_is_quick()

    def end():
        while taken:
            taken.pop().close()
    trial.run(fault, end)


def test_read_only(proxied):
    trial = Trial(proxied)

    def set_database(how):
        with proxied.database('TEAM_PGDSN') as cursor:
            cursor.execute('ALTER DATABASE team ' + how)
        proxied.proxy.command('cut')
        proxied.proxy.command('pass')

    def fault():
        set_database('SET default_transaction_read_only = on')
        assert wait_for(lambda: 'read-only transaction' in proxied.log(), 10)
        trial.claim_is_refused()
        trial.change_is_quick()

    def end():
        with psycopg2.connect(proxied.env['TEAM_PGDSN'] +
                              " options='-c default_transaction_read_only=off'") as connection:
            with connection.cursor() as cursor:
                cursor.execute('ALTER DATABASE team RESET default_transaction_read_only')
        connection.close()
        proxied.proxy.command('cut')
        proxied.proxy.command('pass')
    trial.run(fault, end)


def test_link_of_one_node_cut(proxied):
    """The node goes on by itself, without claims; afterwards both agree."""
    box, uids = mailbox(proxied, 4)
    proxy = pgproxy.Proxy(os.path.join(proxied.dir, 'proxy-second'),
                          os.path.join(proxied.dir, 'run', 'postgresql'))
    second = Node(proxied, settings='team_database = %s\n' % proxy.conninfo)
    try:
        alice, bob = proxied.login('alice'), second.login('bob')
        far = second.login('alice')
        for session in (alice, bob, far):
            session.select(box)

        def known():
            return re.search(r'\bclaims=(\d+)', second.doveadm('-f', 'flow', 'team', 'status').stdout).group(1)
        before = known()
        alice.command('UID STORE %d +FLAGS (claimed)' % uids[0])
        assert wait_for(lambda: bob.command('NOOP') and 'claimed-alice' in bob.flags(uids[0]))
        # the shared index may show it before the node has heard of it
        assert wait_for(lambda: known() != before)
        proxy.command('cut')
        # what is known protects, nothing new is claimed there
        assert '[INUSE]' in bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % uids[0]).text
        assert bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[1]).status == 'NO'
        bob.command('UID STORE %d +FLAGS (\\Flagged \\Answered)' % uids[2])
        far.command('UID STORE %d +FLAGS (\\Flagged)' % uids[2])
        # the other node sees nothing of that
        alice.command('UID STORE %d +FLAGS (claimed \\Seen)' % uids[1])
        proxy.command('pass')
        assert wait_for(lambda: bob.command('NOOP') and 'claimed-alice' in bob.flags(uids[1]), 30)
        assert wait_for(lambda: '[INUSE] claimed by alice' in bob.attempt(
            'UID STORE %d +FLAGS (claimed)' % uids[1]).text, 20)
        assert wait_for(lambda: far.command('NOOP') and '\\Seen' in far.flags(uids[1]), 20)
        assert second.all_shipped()
        assert wait_for(lambda: alice.command('NOOP') and '\\Flagged' in alice.flags(uids[2]), 20)
        rows = proxied.audit("mailbox = %s AND node = 'second' AND outcome = 'ok' AND action = 'flag'", (box,))
        assert sorted((row['colleague'], row['uid']) for row in rows) == [
            ('alice', uids[2]), ('bob', uids[2])]
        for session in (alice, bob, far):
            session.command('NOOP')
        assert not second.crashes()
    finally:
        second.stop()
        proxy.stop()
