# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service is killed, stopped or can't write: nothing that was acknowledged
is lost, what can't be recorded isn't done, reading goes on."""
import os
import re
import shutil
import signal
import time

import pytest

from instance import wait_for
from work import TIMEOUT, Worker, mailbox, message, run_workers


@pytest.mark.parametrize('sig', [signal.SIGTERM, signal.SIGKILL], ids=['stopped', 'killed'])
def test_master_starts_it_again(server, sig):
    box, uids = mailbox(server, 1)
    alice = server.login('alice')
    alice.select(box)
    old = server.kill_service(sig)
    alice.command('UID STORE %d +FLAGS (\\Flagged)' % uids[0], timeout=30)
    assert wait_for(lambda: server.service_pid() not in (None, old), 10)
    assert server.all_shipped()
    rows = server.audit("mailbox = %s AND action = 'flag' AND colleague = 'alice'", (box,))
    assert len(rows) == 1


@pytest.mark.parametrize('round_number', [1, 2, 3])
def test_killed_again_and_again_under_load(server, round_number):
    box, uids = mailbox(server, 4)
    workers = [Worker(server, 'u%d' % (10 * round_number + n), box, uids) for n in range(1, 6)]

    def fault():
        for number in range(8):
            time.sleep(0.25 + 0.13 * ((number + round_number) % 4))
            server.kill_service(signal.SIGKILL)
    run_workers(workers, fault)
    assert wait_for(lambda: server.all_shipped(3), 40)
    for worker in workers:
        assert worker.errors == [], worker.errors
        worker.check()
        worker.check_flags()


def test_claims_survive_a_kill(server):
    box, uids = mailbox(server, 1)
    alice, bob = server.login('alice'), server.login('bob')
    for session in (alice, bob):
        session.select(box)
    alice.command('UID STORE %d +FLAGS (claimed)' % uids[0])
    server.kill_service(signal.SIGKILL)
    answer = bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[0], timeout=30)
    assert answer.status == 'NO' and re.search(r'\[INUSE\].*\balice\b', answer.text), answer
    bob.command('NOOP')
    assert 'claimed-alice' in bob.flags(uids[0])


def test_pushes_come_again_after_a_kill(server):
    box, uids = mailbox(server, 1)
    alice, bob = server.login('alice'), server.login('bob')
    for session in (alice, bob):
        session.select(box)
    server.kill_service(signal.SIGKILL)
    assert wait_for(server.service_pid)
    bob.idle()
    time.sleep(1)
    alice.command('UID STORE %d +FLAGS (claimed)' % uids[0], timeout=30)
    start = time.monotonic()
    seen = bob.idle_until(lambda line: b'FETCH' in line and b'claimed-alice' in line, 10)
    bob.done()
    assert seen and seen[0] - start < 1.5


def refused_and_unchanged(server, session, box, uid):
    """A change is refused in bounded time, nothing is changed, reading works."""
    before = session.flags(uid)
    count = server_count(session, box)
    start = time.monotonic()
    answer = session.attempt('UID STORE %d +FLAGS (\\Answered \\Flagged)' % uid, timeout=60)
    took = time.monotonic() - start
    assert answer.status == 'NO', answer
    assert took < TIMEOUT + 5, took
    answer = session.attempt_append(box, message('refused-%f' % start))
    assert answer.status == 'NO', answer
    session.command('NOOP', timeout=60)
    assert session.command('UID FETCH %d (BODY.PEEK[])' % uid, timeout=60).lines('Hello')
    # implicit \Seen: the read never fails
    assert session.command('UID FETCH %d (BODY[])' % uid, timeout=60).lines('Hello')
    assert session.flags(uid) == before
    assert server_count(session, box) == count


def nothing_was_read(server, session):
    """The message was shown, but marking it as read could not be recorded: so
    it wasn't marked, and the log doesn't say that it was."""
    assert '\\Seen' not in session.flags(session.uids[0])
    assert server.audit("mailbox = %s AND colleague = 'carol' AND action = 'read'",
                        (session.box,)) == []


def server_count(session, box):
    return session.status(box, 'MESSAGES')


def attempt_append(session, box, data):
    session.send(session.start_append(box, [(data, '', None)]))
    return session.finish('a%d' % session.count, 60)


@pytest.fixture
def session(server):
    box, uids = mailbox(server, 2)
    made = server.login('carol', timeout=60)
    made.attempt_append = lambda name, data: attempt_append(made, name, data)
    made.select(box)
    made.box, made.uids = box, uids
    return made


def test_hanging_service(server, session):
    """For a second the spool takes changes of flags: the service may only be
    slow. Then nothing is changed."""
    first, second = session.uids
    session.command('UID STORE %d +FLAGS (urgent)' % first)
    pid = wait_for(server.service_pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        session.command('UID STORE %d +FLAGS (later)' % first)
        time.sleep(1.2)
        refused_and_unchanged(server, session, session.box, first)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert wait_for(lambda: session.attempt(
        'UID STORE %d +FLAGS (\\Answered)' % second, 60).ok, 20)
    assert server.all_shipped()
    rows = server.audit("mailbox = %s AND colleague = 'carol' AND action = 'flag' "
                        "AND outcome = 'ok'", (session.box,))
    assert [(row['uid'], row['detail']['added']) for row in rows] == [
        (first, 'urgent'), (first, 'later'), (second, '\\Answered')]
    nothing_was_read(server, session)


def test_journal_cannot_be_opened(server, session):
    """The journal's folder belongs to somebody else when the service starts."""
    journal = os.path.join(server.dir, 'journal')
    shutil.chown(journal, 'root', 'root')
    os.chmod(journal, 0o500)
    pid = server.kill_service(signal.SIGKILL)
    # what is done before is in the spool, and acknowledged
    assert wait_for(lambda: not os.path.exists('/proc/%d' % pid))
    refused_and_unchanged(server, session, session.box, session.uids[0])
    shutil.chown(journal, 'dovecot', 'dovecot')
    os.chmod(journal, 0o700)
    # Dovecot's master waits before it starts a failing service again
    assert wait_for(lambda: session.attempt(
        'UID STORE %d +FLAGS (\\Answered)' % session.uids[0], 60).ok, 70, 1)
    assert server.all_shipped()
    rows = server.audit("mailbox = %s AND colleague = 'carol' AND action = 'flag' "
                        "AND outcome = 'ok'", (session.box,))
    assert [row['uid'] for row in rows] == [session.uids[0]]
    nothing_was_read(server, session)


def test_killed_while_postgresql_is_away(server):
    """The journal alone carries it over: both away at once."""
    box, uids = mailbox(server, 4)
    server.stop_postgresql(signal.SIGKILL)
    workers = [Worker(server, 'u%d' % n, box, uids) for n in range(51, 54)]

    def fault():
        for _ in range(4):
            time.sleep(0.6)
            server.kill_service(signal.SIGKILL)
    run_workers(workers, fault)
    server.start_postgresql()
    assert wait_for(lambda: server.all_shipped(3), 40)
    for worker in workers:
        assert worker.errors == [], worker.errors
        worker.check()
        worker.check_flags()


def test_mail_processes_killed_under_load(server):
    """What was acknowledged is in the log once; what was cut off is there or
    not, and where nobody knows the log says so."""
    box, uids = mailbox(server, 4)
    users = ['u%d' % n for n in range(61, 65)]
    workers = [Worker(server, user, box, uids, may_die=True) for user in users]
    killed = []

    def kill_one(user):
        pids = re.findall(r'(?:Login|Logged in): user=<%s>.* mpid=(\d+)' % user, server.log())
        try:
            with open('/proc/%s/cmdline' % pids[-1], 'rb') as f:
                if b'imap' in f.read():
                    os.kill(int(pids[-1]), signal.SIGKILL)
                    killed.append(user)
        except (IndexError, FileNotFoundError, ProcessLookupError):
            pass

    def fault():
        for number in range(24):
            time.sleep(0.11)
            kill_one(users[number % len(users)])
    run_workers(workers, fault)
    assert len(killed) > 8
    assert wait_for(lambda: server.all_shipped(3), 40)
    for worker in workers:
        assert worker.errors == [], worker.errors
        worker.check()
        worker.check_flags()
