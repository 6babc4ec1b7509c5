# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file system with the journal turns read-only after an error: changes are
refused, reading goes on, nobody is disconnected, Dovecot's log says what to do.
The service can be restarted meanwhile, and the log says afterwards from when to
when nothing could be written."""
import re
import time

import pytest

import instance
import points
from instance import wait_for
from work import mailbox

# nothing waits for that
TIMEOUT = 20
ADVICE = r'journal: .*Read-only file system \(the kernel\'s log says why: repair the file system ' \
    r'and mount it writable again\): changes are refused until it can be written again'


@pytest.fixture(scope='module')
def running():
    made = points.Server('sdbox', settings=instance.mail_settings(team_timeout='%ds' % TIMEOUT))
    yield made
    made.stop()
    assert not made.crashes(), '\n'.join(made.crashes())


@pytest.fixture
def server(running):
    yield running
    running.set_plan(points.OFF)
    running.wait_settled()


def refused(session, uid):
    """A change is refused in plain words; how long it took."""
    start = time.monotonic()
    answer = session.attempt('UID STORE %d +FLAGS (\\Flagged)' % uid)
    assert answer.status == 'NO' and '[UNAVAILABLE]' in answer.text, answer
    assert len(answer.text.replace('[UNAVAILABLE]', '').split()) > 3, 'no plain words'
    assert 'journal' not in answer.text
    return time.monotonic() - start


def says_what_to_do(server, logged):
    """Whether Dovecot's log does, from there on."""
    return wait_for(lambda: re.search(ADVICE, server.log()[logged:]), 20)


def reads(session, uid):
    assert session.command('UID FETCH %d (BODY.PEEK[])' % uid).lines('Hello')
    session.command('NOOP')
    assert '\\Flagged' not in session.flags(uid)


def gaps(server):
    return [row['detail'] for row in server.audit("action = 'gap'")
            if row['detail'].get('reason') == 'journal failed']


def test_what_was_acknowledged_comes_first(server):
    """Changes of flags whose records couldn't be written any more get into the log
    before what the session does when they can be."""
    box, uids = mailbox(server, 4)
    alice = server.login('alice', timeout=60)
    alice.select(box)
    expected = []
    for uid in uids:
        server.wait_settled()
        server.set_plan(points.READ_ONLY, 'service')
        kept = alice.attempt('UID STORE %d +FLAGS (my-kept)' % uid).ok
        alice.attempt('UID STORE %d +FLAGS (my-other)' % uid)
        server.set_plan(points.OFF)
        assert wait_for(lambda: server.service_status().get('journal') == 'writable', 20, 0.01)
        assert wait_for(lambda n=uid: alice.attempt('UID STORE %d -FLAGS (my-kept)' % n).ok, 20,
                        0.05)
        expected += [(uid, True), (uid, False)] if kept else []
    server.wait_settled()
    rows = server.audit("mailbox = %s AND colleague = 'alice' AND action IN ('flag', 'gap') "
                        "AND (detail->>'added' = 'my-kept' OR detail->>'removed' = 'my-kept')",
                        (box,))
    assert [(row['uid'], 'added' in row['detail']) for row in rows] == expected
    assert server.audit("mailbox = %s AND outcome <> 'ok'", (box,)) == []


@pytest.mark.parametrize('restarts', [0, 1, 2], ids=['goes on', 'restarted', 'restarted twice'])
def test_read_only(server, restarts):
    box, uids = mailbox(server, 2)
    alice, bob = (server.login(name, timeout=60) for name in ('alice', 'bob'))
    for session in (alice, bob):
        session.select(box)
    server.wait_settled()
    before, logged = len(gaps(server)), len(server.log())

    server.set_plan(points.READ_ONLY, 'service')
    # what finds that out may have been acknowledged: then its record waits
    kept = alice.attempt('UID STORE %d +FLAGS (\\Draft)' % uids[1]).ok
    assert says_what_to_do(server, logged)
    refused(alice, uids[0])
    since = time.time()
    for _ in range(restarts):
        logged = len(server.log())
        old = server.kill_service()
        assert wait_for(lambda: server.service_pid() not in (None, old), 20)
        assert says_what_to_do(server, logged)
        assert wait_for(lambda: server.service_status().get('journal', '').startswith(
            'failing since '), 20), server.service_status()
        # it answers instead of ending again
        pid = server.service_pid()
        refused(alice, uids[0])
        assert refused(bob, uids[1]) < TIMEOUT
        assert server.service_pid() == pid
    for session in (alice, bob):
        reads(session, uids[0])
    with server.login('carol', timeout=60) as carol:
        carol.select(box)
        reads(carol, uids[1])
    assert len(re.findall(ADVICE, server.log()[logged:])) == 1
    time.sleep(max(0, since + 1.1 - time.time()))

    server.set_plan(points.OFF)
    assert wait_for(lambda: alice.attempt(
        'UID STORE %d +FLAGS (\\Answered)' % uids[0]).ok, 20, 0.2)
    server.wait_settled()
    bob.command('NOOP')
    assert '\\Answered' in alice.flags(uids[0])
    assert ('\\Draft' in bob.flags(uids[1])) == kept
    assert len(server.audit("mailbox = %s AND uid = %s AND action = 'flag' AND outcome = 'ok'",
                            (box, uids[1]))) == kept
    found = gaps(server)[before:]
    assert len(found) == 1, found
    assert 'Read-only file system' in found[0]['error'], found
    # also what was before the last restart
    assert found[0]['from'] <= time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(since)) < found[0]['to']
    # a process that is killed doesn't tell its last second's
    assert int(found[0]['refused']) >= (2 if restarts else 1), found
