# SPDX-License-Identifier: LGPL-2.1-or-later
"""A mailbox gets another UIDVALIDITY: everybody's private flags, and claims, are
found again by the messages' GUIDs."""
import glob
import os
import re

import pytest

import instance
from conftest import STORAGES, Box
from instance import lose_index, open_below, wait_for
from test_private_flags import copied_uid, flags_of, private_folders, store

SEEN, FLAGGED = '\\Seen', '\\Flagged'
# the fixture's own parameter, so that no second instance is started
ONLY_SDBOX = pytest.mark.parametrize(
    'server', [name for name in STORAGES if name == 'sdbox'] or ['sdbox'], indirect=True)
# a session that ends asks for so many at once
TOLD_AT_ONCE = 32768


@pytest.fixture(scope='module', params=STORAGES)
def server(request):
    """One of its own: Dovecot logs what is missing as damage, as it is."""
    running = instance.Instance(request.param)
    yield running
    crashes = [line for line in running.crashes() if 'Corrupted' not in line]
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def box(server):
    made = Box(server)
    made.fill(6)
    yield made
    made.close()


def folder_of(server, name):
    name = name.split('/', 1)[1]
    found = glob.glob(os.path.join(server.dir, 'mail', 'team', '**', name), recursive=True) + \
        glob.glob(os.path.join(server.dir, 'mail', 'team', '.' + name))
    assert len(found) == 1, found
    return found[0]


def lose_uidvalidity(server, name):
    """What storages keep UIDs in goes, the mail stays."""
    folder = folder_of(server, name)
    for path in glob.glob(os.path.join(folder, '**', 'dovecot*'), recursive=True):
        os.unlink(path)
    if server.storage != 'maildir':
        # the others look for mail only if they are told
        server.doveadm('force-resync', '-u', 'carol', name)


def uid_of(session, message_id):
    uids = session.search('HEADER Message-ID "%s"' % message_id)
    assert len(uids) == 1, (message_id, uids)
    return uids[0]


def validity(session, name):
    answer = session.command('STATUS %s (UIDVALIDITY)' % name)
    return int(re.search(r'UIDVALIDITY (\d+)', str(answer.lines('STATUS'))).group(1))


def flags_by_id(box, session):
    return [flags_of(session, uid_of(session, box.message_id(n + 1))) for n in range(len(box.uids))]


def end_sessions(box):
    for session in box.sessions:
        session.logout()
    box.sessions.clear()
    # the GUIDs are told when the client is gone
    assert wait_for(lambda: not open_below(os.path.join(box.server.dir, 'mail')))
    assert box.server.all_shipped()


def test_flags_of_all_colleagues(server, box):
    alice, bob = box.people('alice', 'bob')
    store(alice, '%d,%d' % (box.uids[0], box.uids[2]), '+FLAGS', SEEN)
    store(alice, box.uids[3], '+FLAGS', FLAGGED + ' my-todo')
    store(bob, '1:*', '+FLAGS', SEEN)
    store(bob, box.uids[1], '-FLAGS', SEEN)
    # so that UIDs are other ones afterwards
    alice.command('UID STORE %d +FLAGS (\\Deleted)' % box.uids[5])
    alice.command('EXPUNGE')
    box.uids.pop()
    before = [flags_by_id(box, session) for session in (alice, bob)]
    assert before[0] == [{SEEN}, set(), {SEEN}, {FLAGGED, 'my-todo'}, set()]
    old = validity(alice, box.name)
    end_sessions(box)
    lose_uidvalidity(server, box.name)

    # carol, who has no flags, is the first who looks
    carol = box.login('carol')
    assert validity(carol, box.name) != old
    assert flags_by_id(box, carol) == [set()] * 5
    alice, bob = box.people('alice', 'bob')
    assert [flags_by_id(box, session) for session in (alice, bob)] == before
    assert alice.search('UNSEEN') == sorted(
        uid_of(alice, box.message_id(n + 1)) for n in (1, 3, 4))
    rows = server.wait_audit("mailbox = %s AND detail->>'recovered' IS NOT NULL", (box.name,))
    # by whoever came first: on sdbox and mdbox doveadm did
    assert len(rows) == 1 and rows[0]['detail'].get('user') == 'carol', rows


def test_once_more_and_what_changed_since(server, box):
    alice = box.login('alice')
    store(alice, '%d,%d' % (box.uids[0], box.uids[1]), '+FLAGS', SEEN)
    end_sessions(box)
    lose_uidvalidity(server, box.name)
    alice = box.login('alice')
    uid = uid_of(alice, box.message_id(1))
    assert flags_of(alice, uid) == {SEEN}
    store(alice, uid, '-FLAGS', SEEN)
    store(alice, uid_of(alice, box.message_id(3)), '+FLAGS', FLAGGED)
    wanted = [set(), {SEEN}, {FLAGGED}, set(), set(), set()]
    assert flags_by_id(box, alice) == wanted
    end_sessions(box)
    # nothing comes back that was taken away, on the same index and a fresh one
    assert flags_by_id(box, box.login('alice')) == wanted
    end_sessions(box)
    lose_index(*private_folders(server, 'alice'))
    assert flags_by_id(box, box.login('alice')) == wanted
    end_sessions(box)
    lose_uidvalidity(server, box.name)
    assert flags_by_id(box, box.login('alice')) == wanted


def test_claims(server, box):
    alice = box.login('alice')
    store(alice, box.uids[2], '+FLAGS', 'claimed')
    # and goes on elsewhere
    alice.select('Team/INBOX')
    end_sessions(box)
    lose_uidvalidity(server, box.name)
    bob = box.login('bob')
    uid = uid_of(bob, box.message_id(3))
    assert wait_for(lambda: bob.command('NOOP') and
                    {'claimed', 'claimed-alice'} <= flags_of(bob, uid), 3), flags_of(bob, uid)
    answer = bob.attempt('UID STORE %d +FLAGS (claimed)' % uid)
    assert not answer.ok and 'claimed by alice' in answer.text


# mdbox puts mail back where it was saved first; Maildir keeps GUIDs of copies in
# the list of UIDs only
@ONLY_SDBOX
def test_moved_messages(server, box, request):
    """Flags that came along with a move are found as well, also of colleagues
    who have never opened the folder."""
    other = Box(server)
    request.addfinalizer(other.close)
    box.sessions += other.sessions
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', SEEN)
    end_sessions(box)
    bob = box.login('bob')
    copied_uid(bob.command('UID MOVE %d %s' % (box.uids[0], other.name)))
    end_sessions(box)
    lose_uidvalidity(server, other.name)
    alice = other.login('alice')
    assert flags_of(alice, uid_of(alice, box.message_id(1))) == {SEEN}


def test_deleted_and_made_anew_starts_clean(server, box):
    alice = box.login('alice')
    store(alice, '1:*', '+FLAGS', SEEN)
    end_sessions(box)
    alice = box.login('alice', select=False)
    alice.command('DELETE %s' % box.name)
    alice.command('CREATE %s' % box.name)
    box.uids.clear()
    box.fill(2)
    alice.select(box.name)
    assert alice.search('SEEN') == []


def test_opening_does_no_work_otherwise(server, box):
    """GUIDs are looked up for what was changed, and where something was lost."""
    alice = box.login('alice')
    store(alice, box.uids[0], '+FLAGS', SEEN)
    end_sessions(box)
    who = 'TEAM_PGDSN'
    guids = "SELECT count(*) FROM team.message_guid g JOIN team.mailbox m ON m.id = g.mailbox_id " \
        "WHERE m.name = %s"
    assert server.query(guids, (box.name,), who) == [(1,)]
    alice, bob = box.people('alice', 'bob')
    bob.command('UID FETCH 1:* (FLAGS)')
    end_sessions(box)
    assert server.query(guids, (box.name,), who) == [(1,)]
    alice = box.login('alice')
    alice.command('UID STORE %d +FLAGS (\\Deleted)' % box.uids[0])
    alice.command('EXPUNGE')
    end_sessions(box)
    assert server.query(guids, (box.name,), who) == [(0,)]


@ONLY_SDBOX
def test_more_than_are_told_at_once(server, box):
    box.fill(124)
    alice = box.login('alice')
    store(alice, '%d:*' % box.uids[1], '+FLAGS.SILENT', SEEN)
    count = len(box.uids)
    while count < TOLD_AT_ONCE:
        # flags come along
        alice.command('COPY 1:* %s' % box.name, timeout=120)
        alice.command('NOOP', timeout=120)
        count *= 2
    seen = alice.search('SEEN')
    assert count > len(seen) > TOLD_AT_ONCE
    assert server.all_shipped(120)
    told = "SELECT g.uid FROM team.message_guid g JOIN team.mailbox m ON m.id = g.mailbox_id " \
        "WHERE m.name = %s ORDER BY g.uid"
    for change in ('+FLAGS', '-FLAGS') * 30:
        # what a slow machine has no time for comes with the next change
        store(alice, box.uids[1], change, FLAGGED)
        end_sessions(box)
        uids = [uid for uid, in server.query(told, (box.name,), 'TEAM_PGDSN')]
        if uids == seen:
            break
        alice = box.login('alice')
    assert uids == seen
