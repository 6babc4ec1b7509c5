# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions that Dovecot's imap-hibernate keeps while they are idle."""
import time

import pytest

import conftest
import instance
from conftest import STORAGES
from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now
from test_private_flags import flags_of, refreshed, store
from test_private_keywords import listed

SETTINGS = '''
imap_hibernate_timeout = 1s
log_debug = event=imap_client_hibernated OR event=imap_client_unhibernated
service imap {
  unix_listener imap-master {
    user = dovecot
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
'''
# what is known of a session that somebody has just been looked for
WAIT = 6


# sdbox and mdbox watch the same files
@pytest.fixture(scope='module', params=[s for s in STORAGES if s != 'mdbox'] or STORAGES)
def sleepy(request):
    running = instance.Instance(request.param, settings=SETTINGS)
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def box(sleepy):
    made = conftest.Box(sleepy)
    made.fill(3)
    yield made
    made.close()


def hibernated(box):
    """How often that happened to a session with this mailbox."""
    return box.server.log().count('Successfully hibernated imap client in mailbox %s\n' % box.name)


def sleep(box, *sessions):
    """All sessions idle until imap-hibernate has them."""
    wanted = hibernated(box) + len(sessions)
    for session in sessions:
        session.idle()
    assert wait_for(lambda: hibernated(box) >= wanted, WAIT), box.server.log()[-2000:]


def test_woken_by_own_other_session(box):
    """The private index's log is watched, and so is the shared one's."""
    alice, other, bob = box.people('alice', 'alice', 'bob')
    # makes everybody's private index
    for session in (alice, bob):
        store(session, box.uids[2], '+FLAGS', '\\Flagged')
        session.command('NOOP')
    sleep(box, alice, bob)
    store(other, box.uids[0], '+FLAGS', r'\Seen my-x')
    start = time.monotonic()
    seen = alice.idle_until(lambda line: b'FETCH' in line and b'my-x' in line, 5)
    assert seen and seen[0] - start < 2.0 and b'\\Seen' in seen[1]
    # Dovecot may tell a woken session unchanged flags once more
    for _, line in bob.idle_lines(0.5):
        assert b'Seen' not in line and b'my-x' not in line
    alice.done()
    bob.done()
    assert refreshed(alice, box.uids[0]) == {'\\Seen', 'my-x'}
    assert flags_of(alice, box.uids[2]) == {'\\Flagged'}
    assert refreshed(bob, box.uids[0]) == set()


def test_woken_by_a_claim(box):
    alice, bob = box.people('alice', 'bob')
    sleep(box, bob)
    claim(alice, box.uids[1])
    seen = bob.idle_until(lambda line: b'FETCH' in line and b'claimed-alice' in line, 5)
    bob.done()
    assert seen
    assert claims_now(bob, box.uids[1]) == CLAIMED_BY_ALICE
    check_refused(bob.attempt('UID STORE %d +FLAGS (claimed)' % box.uids[1]))
    check_refused(bob.attempt('UID MOVE %d INBOX' % box.uids[1]))


def test_woken_by_its_client(box):
    """Names of private keywords, saved results and what is enabled last."""
    alice, other = box.people('alice', 'alice')
    store(alice, box.uids[0], '+FLAGS', 'my-mine common')
    alice.command('NOOP')
    sleep(box, alice)
    assert alice.done().ok
    assert flags_of(alice, box.uids[0]) == {'my-mine', 'common'}
    assert alice.search('KEYWORD my-mine') == [box.uids[0]]
    store(alice, box.uids[1], '+FLAGS', 'my-mine my-new')
    assert refreshed(other, box.uids[1]) == {'my-mine', 'my-new'}
    sleep(box, alice)
    store(other, box.uids[1], '-FLAGS', 'my-mine')
    assert alice.idle_until(lambda line: b'FETCH' in line and b'my-new' in line, 5)
    assert alice.done().ok and flags_of(alice, box.uids[1]) == {'my-new'}


def test_names_stay_private(box):
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', 'my-hidden common')
    bob.command('NOOP')
    sleep(box, alice, bob)
    store(box.login('carol'), box.uids[0], '+FLAGS', '\\Answered')
    lines = [line for _, line in bob.idle_lines(3)]
    assert any(b'Answered' in line for line in lines)
    answer = bob.done()
    answer.untagged += lines + bob.command('NOOP').untagged + bob.select(box.name).untagged
    assert 'my-hidden' not in listed(answer) and b'my-hidden' not in b''.join(answer.untagged)
    alice.done()


def test_recorded_as_one_session(box):
    """One login, one logout, the mailbox opened once, by the same client."""
    bob, carol = box.people('bob', 'carol')
    bob.command('ID ("name" "Sleeper" "version" "2")')
    store(bob, box.uids[2], '+FLAGS', '\\Flagged')
    for _ in range(2):
        bob.command('NOOP')
        sleep(box, bob)
        store(carol, box.uids[0], '+FLAGS', '\\Answered')
        assert bob.idle_until(lambda line: b'FETCH' in line, 5)
        store(carol, box.uids[0], '-FLAGS', '\\Answered')
        bob.done()
    store(bob, box.uids[1], '+FLAGS', '\\Flagged')
    bob.logout()
    box.server.all_shipped()
    session, = {row['session'] for row in box.server.audit(
        "colleague = 'bob' AND action = 'flag' AND mailbox = %s", (box.name,))}
    rows = box.server.audit('session = %s', (session,))
    assert [row['action'] for row in rows] == ['login', 'open', 'flag', 'flag', 'logout']
    assert [row['client'] for row in rows[2:]] == ['Sleeper 2'] * 3


@pytest.fixture(scope='module')
def until_logout():
    running = instance.Instance('sdbox', settings=SETTINGS + instance.mail_settings(
        team_claim_until_logout='yes'))
    yield running
    running.stop()
    running.remove()


def test_claims_until_logout_keep_awake(until_logout):
    """The end of a hibernated session wouldn't be noticed."""
    box = conftest.Box(until_logout)
    box.fill(2)
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    alice.command('NOOP')
    alice.idle()
    time.sleep(2)
    assert not hibernated(box)
    assert claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE
    alice.close()
    assert wait_for(lambda: claims_now(bob, box.uids[0]) == set(), 5)
    box.close()
