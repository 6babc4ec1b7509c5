# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private flags need only the rights to read and to keep one's seen state."""
import re

import pytest

from test_claims_drafts import append, reply
from test_private_flags import SEEN, flags_of, refreshed, store


def set_rights(server, box, who, *rights):
    server.doveadm('acl', 'set', '-u', who, box.name, 'user=' + who, *rights)


def permanent(answer):
    """What the server said last."""
    found = None
    for line in answer.untagged:
        match = re.search(rb'PERMANENTFLAGS \(([^)]*)\)', line)
        if match:
            found = set(match.group(1).decode().split())
    return found


def test_readers_have_private_flags(server, box):
    alice = box.login('alice')
    store(alice, box.uids[0], '+FLAGS', 'common')
    set_rights(server, box, 'dave', 'lookup', 'read', 'write-seen')
    dave = box.login('dave', select=False)
    answer = dave.select(box.name)
    assert permanent(answer) == {SEEN, '\\Flagged'}
    uid = box.uids[0]
    store(dave, uid, '+FLAGS', r'\Seen \Flagged \Answered \Deleted my-note other')
    assert refreshed(dave, uid) == {SEEN, '\\Flagged', 'my-note', 'common'}
    assert refreshed(alice, uid) == {'common'}
    store(dave, uid, 'FLAGS', 'my-second')
    assert refreshed(dave, uid) == {'my-second', 'common'}
    assert refreshed(alice, uid) == {'common'}
    rows = server.wait_audit("message_id = %s AND colleague = 'dave' AND action = 'flag' "
                             "AND outcome = 'ok'",
                             (box.message_id(1),))
    assert rows and not any('Answered' in str(row['detail']) or 'other' in str(row['detail'])
                            for row in rows)
    again = box.login('dave')
    assert flags_of(again, uid) == {'my-second', 'common'}


def test_keywords_that_stay(server, box):
    """PERMANENTFLAGS says of each keyword whether this colleague can change it."""
    alice = box.login('alice')
    store(alice, box.uids[0], '+FLAGS', 'common my-alice')
    set_rights(server, box, 'dave', 'lookup', 'read', 'write-seen')
    dave = box.login('dave', select=False)
    assert permanent(dave.select(box.name)) == {SEEN, '\\Flagged'}
    told = store(dave, box.uids[0], '+FLAGS', 'my-note')
    assert permanent(told) == {SEEN, '\\Flagged', 'my-note'}
    assert permanent(dave.command('NOOP')) is None
    again = box.login('dave', select=False)
    answer = again.select(box.name)
    assert permanent(answer) == {SEEN, '\\Flagged', 'my-note'}
    assert any(line.startswith(b'* FLAGS') and b'common' in line and b'my-note' in line
               for line in answer.untagged)
    assert permanent(again.command('EXAMINE ' + box.name)) in (set(), None)
    # who may write, and not keep one's seen state
    set_rights(server, box, 'dave', 'lookup', 'read', 'write')
    writes = permanent(box.login('dave', select=False).select(box.name))
    assert 'common' in writes and not writes & {SEEN, '\\Flagged', 'my-note'}


def test_who_holds_a_message_is_no_flag_to_set(server, box):
    """claimed-<name> is in FLAGS since it shows who holds a message, and not among
    what a colleague can set; the keyword that claims is."""
    bob, carol = box.people('bob', 'carol')
    carol.idle()
    alice = box.login('alice')
    told = store(alice, box.uids[0], '+FLAGS', 'claimed common')
    assert {'claimed', 'common', '\\*'} <= permanent(told)
    assert 'claimed-alice' not in permanent(told)
    # in IDLE at once: Dovecot lists all, what is true comes after it
    for wrong in (True, False):
        assert carol.idle_until(lambda line: b'PERMANENTFLAGS' in line and
                                (b'claimed-alice' in line) == wrong, 10), wrong
    carol.done()
    for session in (alice, bob, box.login('dave', select=False)):
        answer = session.select(box.name)
        assert {'claimed', 'common', '\\*'} <= permanent(answer)
        assert 'claimed-alice' not in permanent(answer)
        assert any(line.startswith(b'* FLAGS') and b'claimed-alice' in line
                   for line in answer.untagged)
    # it is told the truth who tries, and nobody's claim changes
    answer = store(bob, box.uids[1], '+FLAGS', 'claimed-alice claimed-zoe')
    assert not permanent(answer) or not any('claimed-' in name for name in permanent(answer))
    assert refreshed(bob, box.uids[1]) == set()


def test_without_write_seen_nothing_changes(server, box):
    set_rights(server, box, 'dave', 'lookup', 'read')
    dave = box.login('dave', select=False)
    answer = dave.select(box.name)
    assert permanent(answer) in (set(), None)
    store(dave, box.uids[0], '+FLAGS', r'\Seen \Flagged my-note')
    assert refreshed(dave, box.uids[0]) == set()


@pytest.mark.parametrize('rights', [(), ('write-seen',)])
def test_who_may_not_write_can_not_claim(server, box, rights):
    """A claim is seen by all, and stands against what others do."""
    alice, = box.people('alice')
    store(alice, box.uids[2], '+FLAGS', 'claimed')
    set_rights(server, box, 'dave', 'lookup', 'read', *rights)
    dave = box.login('dave')
    store(dave, '%d:%d' % (box.uids[0], box.uids[1]), '+FLAGS', 'claimed')
    assert refreshed(dave, box.uids[0]) == set()
    store(dave, box.uids[2], '-FLAGS', 'claimed')
    store(dave, box.uids[2], 'FLAGS', 'my-x')
    mine = box.login('dave', box='INBOX')
    assert append(mine, 'Drafts', reply(box, 2), '\\Draft').ok
    assert append(mine, 'Sent', reply(box, 1), SEEN).ok
    assert [refreshed(alice, uid) for uid in box.uids] == [
        set(), set(), {'claimed', 'claimed-alice'}]
    assert server.all_shipped()
    assert not server.audit("colleague = 'dave' AND mailbox = %s AND action IN ('claim', 'release') "
                            "AND outcome = 'ok'", (box.name,))
    rows = server.audit("colleague = 'dave' AND mailbox = %s AND outcome = 'refused'", (box.name,))
    assert {row['uid'] for row in rows} >= set(box.uids)
    set_rights(server, box, 'dave', 'lookup', 'read', 'write')
    store(box.login('dave'), box.uids[0], '+FLAGS', 'claimed')
    assert refreshed(alice, box.uids[0]) == {'claimed', 'claimed-dave'}


def test_writers_may_all(server, box):
    alice = box.login('alice', select=False)
    answer = alice.select(box.name)
    assert {SEEN, '\\Flagged', '\\Answered', '\\Deleted', '\\Draft', '\\*'} <= permanent(answer)


@pytest.mark.parametrize('command', ['COPY', 'MOVE'])
def test_many_at_once(server, box, other_box, command):
    """Dovecot commits moves in batches of a thousand."""
    box.fill(1500)
    alice, bob = box.people('alice', 'bob')
    store(bob, '%d:%d' % (box.uids[100], box.uids[1400]), '+FLAGS.SILENT', r'\Seen my-b')
    store(alice, '%d:*' % box.uids[900], '+FLAGS.SILENT', '\\Flagged')
    assert server.all_shipped()
    alice.command('UID %s 1:* %s' % (command, other_box.name), timeout=60)
    assert server.all_shipped()
    alice, bob, carol = other_box.people('alice', 'bob', 'carol')
    uids = bob.search('ALL')
    assert len(uids) == len(box.uids)
    assert bob.search('SEEN') == bob.search('KEYWORD my-b') == uids[100:1401]
    assert alice.search('FLAGGED') == uids[900:]
    assert alice.search('SEEN') == carol.search('OR SEEN FLAGGED') == []
