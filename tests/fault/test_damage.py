# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal is damaged, the socket is gone, PostgreSQL's disk is full, the clock
jumps, everybody comes at once: what was acknowledged stays, or the log says what is missing."""
import glob
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import instance
from instance import wait_for
from test_spool import session_of, spools
from work import TIMEOUT, Worker, mailbox, resources, run_workers

@pytest.fixture(scope='module')
def own():
    """An instance in whose log gaps are to be expected."""
    made = instance.Instance('sdbox', settings=instance.mail_settings(team_timeout='%ds' % TIMEOUT) +
                             'team_checkpoint_interval = 1 secs\n')
    yield made
    crashes = made.crashes()
    made.stop()
    assert not crashes, '\n'.join(crashes)


def verify(server):
    """What is said when there is something that is signed."""
    def said():
        result = server.doveadm('team', 'audit', 'verify', check=False)
        return 'no checkpoint' not in result.stdout and result
    return wait_for(said, 10, 0.3)


def verified(server):
    result = verify(server)
    assert result and result.returncode == 0, result


def segments(server):
    return sorted(glob.glob(os.path.join(server.dir, 'journal', '*.journal')))


def damage(server, how):
    """Flags that PostgreSQL doesn't have yet, and then how(file, begin, end) to what
    the journal has of them."""
    box, uids = mailbox(server, 10)
    assert server.all_shipped()
    server.stop_postgresql()
    begin = os.path.getsize(segments(server)[-1])
    bob = session_of(server, 'bob')
    others = spools(server)
    alice = server.login('alice')
    for session in (alice, bob):
        session.select(box)
    for uid in uids:
        alice.command('UID STORE %d +FLAGS (\\Flagged)' % uid)
    # otherwise her process, or its spool, has it all
    alice.logout()
    assert wait_for(lambda: not instance.open_below(os.path.join(server.dir, 'mail/users/alice')))
    assert wait_for(lambda: not spools(server) - others)
    # and signed, so that it can be seen that it isn't what was signed
    assert wait_for(lambda: int(server.status()['checkpoint_size']) >= int(server.status()['seq']), 10)
    pid = server.service_pid()
    os.kill(pid, signal.SIGSTOP)
    with open(segments(server)[-1], 'r+b') as f:
        how(f, begin, f.seek(0, os.SEEK_END))
    os.kill(pid, signal.SIGKILL)
    server.start_postgresql()
    # a session goes on
    assert wait_for(lambda: bob.attempt('UID STORE %d +FLAGS (\\Answered)' % uids[0], 30).ok, 20)
    assert wait_for(lambda: server.all_shipped(3), 20), server.log()[-3000:]
    return uids, server.audit("mailbox = %s AND colleague = 'alice' AND "
                              "detail->>'added' LIKE '%%Flagged%%'", (box,))


def test_journal_cut_off(own):
    """The beginning of a frame that was being written at the end."""
    def begun(f, begin, end):
        f.seek(end)
        f.write(b'\xf5\x9a')
    uids, rows = damage(own, begun)
    assert [row['uid'] for row in rows] == uids
    verified(own)


def test_socket_gone(own):
    box, uids = mailbox(own, 2)
    path = os.path.join(own.dir, 'run/dovecot/team')
    alice = own.login('alice')
    alice.select(box)
    os.rename(path, path + '.away')
    try:
        # who is connected stays so
        alice.command('UID STORE %d +FLAGS (\\Flagged)' % uids[0])
        bob = own.login('bob', timeout=60)
        bob.select(box)
        answer = bob.attempt('UID STORE %d +FLAGS (\\Flagged)' % uids[1])
        assert answer.status == 'NO' and '[UNAVAILABLE]' in answer.text, answer
        assert path not in answer.text
        assert bob.command('UID FETCH %d (BODY[])' % uids[1]).lines('Hello')
    finally:
        os.rename(path + '.away', path)
    assert wait_for(lambda: bob.attempt('UID STORE %d +FLAGS (\\Flagged)' % uids[1]).ok, 10)
    assert own.all_shipped()
    rows = own.audit("mailbox = %s AND action = 'flag' AND outcome = 'ok'", (box,))
    assert sorted((row['colleague'], row['uid']) for row in rows) == [('alice', uids[0]), ('bob', uids[1])]


def test_postgresql_disk_full(own):
    box, uids = mailbox(own, 4)
    data = os.path.join(own.dir, 'postgresql')
    own.stop_postgresql()
    os.rename(data, data + '.kept')
    os.mkdir(data)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=160m,mode=0700', 'tmpfs', data], check=True)
    try:
        subprocess.run(['cp', '-a', data + '.kept/.', data], check=True)
        own.start_postgresql()
        assert wait_for(lambda: own.all_shipped(3), 20)
        workers = [Worker(own, 'u%d' % n, box, uids) for n in (11, 12, 13)]

        def fault():
            filler = os.path.join(data, 'filler')
            with open(filler, 'wb', buffering=0) as f:
                with pytest.raises(OSError):
                    while f.write(b'x' * 65536):
                        pass
            done = sum(sum(worker.acknowledged.values()) for worker in workers)
            assert wait_for(lambda: sum(sum(worker.acknowledged.values())
                                        for worker in workers) > done + 300, 20)
            os.unlink(filler)
        run_workers(workers, fault)
        # it may have ended itself
        own.start_postgresql()
        assert wait_for(lambda: own.all_shipped(3), 40), own.log()[-2000:]
        for worker in workers:
            assert worker.errors == [], worker.errors
            worker.check()
            worker.check_flags()
        verified(own)
    finally:
        own.stop_postgresql()
        subprocess.run(['umount', data], check=True)


class Faked(instance.Instance):
    """An instance whose clock is set by a file."""

    def settings(self, text):
        self.clock = os.path.join(self.dir, 'clock')
        self.set_clock(0)
        library, = glob.glob('/usr/lib/*/faketime/libfaketime.so.1')
        super().settings(text + instance.environment(
            LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=self.clock, FAKETIME_NO_CACHE='1',
            FAKETIME_DONT_FAKE_MONOTONIC='1'))

    def set_clock(self, seconds):
        with open(self.clock + '.new', 'w') as f:
            f.write('%+d\n' % seconds)
        os.chmod(self.clock + '.new', 0o644)
        os.rename(self.clock + '.new', self.clock)


@pytest.mark.without_sanitizers
def test_clock_jumps():
    """An hour forth and two back: claims stay, since PostgreSQL's clock counts; the log's times
    don't go back, and nothing is lost. What Dovecot itself makes of such a
    jump is its own: sessions are made anew."""
    server = Faked('sdbox', settings='team_checkpoint_interval = 1 secs\n')
    try:
        box, uids = mailbox(server, 4)
        with server.login('bob') as bob:
            bob.select(box)
            bob.command('UID STORE %d +FLAGS (claimed)' % uids[3])
        for number, jump in enumerate((3600, -3600, 0)):
            server.set_clock(jump)

            def change():
                with server.login('alice') as alice:
                    alice.select(box)
                    alice.command('UID STORE %d +FLAGS (\\Flagged)' % uids[number])
                    answer = alice.attempt('UID STORE %d +FLAGS (claimed)' % uids[3])
                    assert 'claimed by bob' in answer.text, answer
                return True

            def changed():
                try:
                    return change()
                except (instance.imapsession.IMAPError, OSError):
                    return False
            assert wait_for(changed, 20, 0.5), server.log()[-3000:]
        assert wait_for(lambda: server.service_pid() and server.doveadm(
            'team', 'status', check=False).returncode == 0, 20)
        with server.login('carol') as carol:
            carol.select(box)
            carol.logout()
        rows = server.wait_audit("colleague = 'carol' AND action = 'logout'")
        assert len(rows) == 1
        rows = server.audit("mailbox = %s AND colleague = 'alice' AND action = 'flag' AND outcome = 'ok'", (box,))
        assert [row['uid'] for row in rows] == uids[:3]
        # what is noticed of the clock within its second is said, and only then they do
        rows = server.query("SELECT at, action = 'gap' AND detail->>'reason' LIKE 'the clock was set back%%' "
                            "FROM team.audit ORDER BY seq")
        assert not [row for before, row in zip(rows, rows[1:]) if row[0] < before[0] and not row[1]]
        # the next checkpoint comes in a second, and not in an hour
        verified(server)
    finally:
        server.stop()


def test_journal_damaged():
    """Bytes in the middle are overwritten: gaps take the place of their records, the
    others are there, and the check of the log says from where on it isn't what was signed."""
    server = instance.Instance('sdbox', settings='team_checkpoint_interval = 1 secs\n')
    try:
        def overwritten(f, begin, end):
            # an intent and its end
            for place in (begin + end) // 2, (begin + end) // 2 + 385:
                f.seek(place)
                f.write(b'damage' * 4)
        _, rows = damage(server, overwritten)
        gaps = server.audit("action = 'gap' AND detail->>'reason' = 'journal damaged'")
        assert 8 <= len(rows) < 10 and len(gaps) <= 2, (rows, gaps)
        assert glob.glob(os.path.join(server.dir, 'journal', '*.damaged*'))
        result = verify(server)
        assert result.returncode != 0
        assert 'altered at record %d ' % gaps[0]['seq'] in result.stdout, (gaps, result.stdout)
        assert not server.crashes()
    finally:
        server.stop()


@pytest.mark.long
def test_a_thousand_sessions(own):
    box, uids = mailbox(own, 100)
    before = resources(own)

    def come(number):
        session = own.login('u%d' % (number % 90 + 1), timeout=120)
        session.select(box)
        session.command('UID STORE %d +FLAGS (\\Seen)' % uids[number % 100])
        return session
    used = []
    for _ in range(2):
        with ThreadPoolExecutor(16) as pool:
            sessions = list(pool.map(come, range(1000)))
            assert int(own.status()['clients']) >= 1000
            list(pool.map(lambda session: session.command('NOOP'), sessions))
            list(pool.map(lambda session: session.logout(), sessions))
        assert own.all_shipped(60)
        assert wait_for(lambda: resources(own)[1] <= before[1] + 3, 20)
        used.append(resources(own)[0])
    # what a thousand need is kept, for the next thousand
    assert used[1] <= used[0] * 1.1 + 1024, (before, used)
