# SPDX-License-Identifier: LGPL-2.1-or-later
"""$Important, Old and my-* are each colleague's own keywords."""
import os
import re

import pytest

from instance import lose_index, wait_for
from test_private_flags import (copied_uid, flags_of, private_folders, refreshed, store)

SEEN = '\\Seen'


def listed(answer):
    """Names in the FLAGS and PERMANENTFLAGS of an answer."""
    names = set()
    for line in answer.untagged:
        match = re.search(rb'FLAGS \(([^)]*)\)', line)
        if match and b'FETCH' not in line:
            names |= set(match.group(1).decode().split())
    return names


@pytest.mark.parametrize('name', ['$Important', 'Old', 'my-todo', 'my-a=b'])
def test_add_and_remove(box, name):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[1]
    answer = store(alice, uid, '+FLAGS', name)
    assert name in listed(answer)
    assert flags_of(alice, uid) == {name}
    assert refreshed(bob, uid) == set()
    assert alice.search('KEYWORD ' + name) == [uid]
    assert bob.search('KEYWORD ' + name) == []
    assert alice.search('UNKEYWORD ' + name) == [box.uids[0], box.uids[2]]
    store(alice, uid, '-FLAGS', name)
    assert flags_of(alice, uid) == set()
    assert alice.search('KEYWORD ' + name) == []


def test_names_are_told_to_their_owner_only(box):
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', 'my-secret shared-one')
    bob = box.login('bob', select=False)
    names = listed(bob.select(box.name))
    assert 'my-secret' not in names and 'shared-one' in names
    again = box.login('alice', select=False)
    names = listed(again.select(box.name))
    assert {'my-secret', 'shared-one', '\\*'} <= names


def test_mixed_store_and_replace(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    store(alice, uid, 'FLAGS', r'\Seen \Answered my-one my-two invoice')
    assert flags_of(alice, uid) == {SEEN, '\\Answered', 'my-one', 'my-two', 'invoice'}
    assert refreshed(bob, uid) == {'\\Answered', 'invoice'}
    store(bob, uid, 'FLAGS', 'my-two invoice')
    assert flags_of(bob, uid) == {'my-two', 'invoice'}
    assert refreshed(alice, uid) == {SEEN, 'my-one', 'my-two', 'invoice'}
    store(alice, uid, 'FLAGS.SILENT', 'my-three')
    assert refreshed(alice, uid) == {'my-three'}
    assert refreshed(bob, uid) == {'my-two'}


def test_searches(box):
    alice, = box.people('alice')
    one, two, three = box.uids
    store(alice, one, '+FLAGS', 'my-x')
    store(alice, two, '+FLAGS', r'my-x my-y \Seen')
    assert alice.search('KEYWORD my-x KEYWORD my-y') == [two]
    assert alice.search('OR KEYWORD my-y UNKEYWORD my-x') == [two, three]
    assert alice.search('NOT KEYWORD my-x') == [three]
    assert alice.search('NOT (OR KEYWORD my-y SEEN) KEYWORD my-x') == [one]
    assert alice.search('KEYWORD my-x BODY Hello') == [one, two]
    assert alice.search('KEYWORD my-x BODY nothing') == []
    assert alice.search('OR KEYWORD my-y BODY nothing') == [two]
    assert alice.search('OR UNKEYWORD my-x HEADER Subject "Question 1"') == [one, three]
    answer = alice.command('UID SEARCH RETURN (MIN MAX COUNT ALL) KEYWORD my-x')
    assert any(b'COUNT 2' in line and b'ALL %d:%d' % (one, two) in line
               for line in answer.untagged)
    answer = alice.command('UID SORT (REVERSE SUBJECT) UTF-8 KEYWORD my-x')
    assert b'* SORT %d %d' % (two, one) in answer.untagged
    answer = alice.command('UID THREAD REFERENCES UTF-8 KEYWORD my-y')
    assert b'* THREAD (%d)' % two in answer.untagged
    alice.command('SEARCH RETURN (SAVE) KEYWORD my-x')
    assert [f['uid'] for f in alice.command('UID FETCH $ (FLAGS)').fetched()] == [one, two]


def test_live_search(box):
    """A search that stays: the second half of an OR reads the body, and must
    not make the first half look as if it never changed."""
    alice, other = box.login('alice'), box.login('alice')
    one, two, _ = box.uids
    tag = alice.next_tag()
    alice.send(tag + ' UID SEARCH RETURN (ALL UPDATE) OR KEYWORD my-x BODY nothing\r\n')
    assert alice.finish(tag).ok
    store(other, two, '+FLAGS', 'my-x')
    answer = alice.command('NOOP')
    assert [line for line in answer.lines('ADDTO') if str(two).encode() in line], answer
    store(other, two, '-FLAGS', 'my-x')
    answer = alice.command('NOOP')
    assert [line for line in answer.lines('REMOVEFROM') if str(two).encode() in line], answer
    store(alice, one, '+FLAGS', 'my-x')
    assert alice.command('NOOP') and alice.search('KEYWORD my-x') == [one]


def test_append_and_multiappend(box):
    alice, bob = box.people('alice', 'bob')
    uid = alice.append_one(box.name, box.message(70), r'\Seen my-note invoice')
    assert refreshed(alice, uid) == {SEEN, 'my-note', 'invoice'}
    assert refreshed(bob, uid) == {'invoice'}
    alice.append(box.name, [(box.message(71), 'my-note', None),
                            (box.message(72), '', None),
                            (box.message(73), r'my-other \Flagged', None)])
    alice.command('NOOP')
    uids = alice.search('ALL')[-3:]
    assert [flags_of(alice, u) for u in uids] == [
        {'my-note'}, set(), {'my-other', '\\Flagged'}]
    bob.command('NOOP')
    assert [flags_of(bob, u) for u in uids] == [set(), set(), set()]


def test_other_session_sees_it_in_idle(box):
    first, second, bob = box.login('alice'), box.login('alice'), box.login('bob')
    second.idle()
    bob.idle()
    store(first, box.uids[0], '+FLAGS', 'my-todo')
    seen = second.idle_until(lambda line: b'FETCH' in line and b'my-todo' in line, 3)
    lines = [line for _, line in bob.idle_lines(0.5) if b'my-todo' in line or b'FETCH' in line]
    bob.done()
    second.done()
    assert seen and not lines


def test_condstore(box):
    alice, other = box.login('alice'), box.login('alice')
    alice.command('ENABLE CONDSTORE')
    modseq = alice.status(box.name, 'HIGHESTMODSEQ')
    store(other, box.uids[2], '+FLAGS', 'my-todo')
    alice.command('NOOP')
    answer = alice.command('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % modseq)
    assert [(f['uid'], f['flags']) for f in answer.fetched() if f['flags']] == [
        (box.uids[2], {'my-todo'})] or box.uids[2] in [
            f['uid'] for f in answer.fetched()]


@pytest.mark.parametrize('command', ['COPY', 'MOVE'])
def test_copied_for_all(box, other_box, command):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    store(alice, uid, '+FLAGS', 'my-a $Important invoice')
    store(bob, uid, '+FLAGS', r'my-b \Seen')
    box.server.all_shipped()
    new = copied_uid(alice.command('UID %s %d %s' % (command, uid, other_box.name)))
    carol, = other_box.people('carol')
    assert flags_of(carol, new) == {'invoice'}
    alice, bob = other_box.people('alice', 'bob')
    assert flags_of(alice, new) == {'my-a', '$Important', 'invoice'}
    assert wait_for(lambda: refreshed(bob, new) == {'my-b', SEEN, 'invoice'}, 5)


def test_copied_within_the_folder(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    store(alice, uid, '+FLAGS', 'my-a')
    new = copied_uid(alice.command('UID COPY %d %s' % (uid, box.name)))
    assert refreshed(alice, new) == {'my-a'}
    assert refreshed(bob, new) == set()


def test_out_to_the_own_inbox_and_back(box):
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', 'my-a invoice')
    new = copied_uid(alice.command('UID COPY %d INBOX' % box.uids[0]))
    alice.select('INBOX')
    assert flags_of(alice, new) == {'my-a', 'invoice'}
    back = copied_uid(alice.command('UID COPY %d %s' % (new, box.name)))
    alice.select(box.name)
    assert flags_of(alice, back) == {'my-a', 'invoice'}
    assert refreshed(bob, back) == {'invoice'}


def test_rebuilt_from_the_database(server, box):
    box.fill(1100)
    alice, bob = box.people('alice', 'bob')
    store(alice, '%d:%d' % (box.uids[3], box.uids[1050]), '+FLAGS.SILENT', 'my-many')
    store(alice, box.uids[20], '-FLAGS', 'my-many')
    store(alice, box.uids[0], '+FLAGS', '$Important')
    store(bob, box.uids[1], '+FLAGS', 'my-bobs')
    assert server.all_shipped()
    alice.logout()
    lose_index(*private_folders(server, 'alice'))
    alice, = box.people('alice')
    wanted = [u for u in box.uids[3:1051] if u != box.uids[20]]
    assert wait_for(lambda: alice.command('NOOP') and
                    alice.search('KEYWORD my-many') == wanted, 5)
    assert alice.search('KEYWORD $Important') == [box.uids[0]]
    assert alice.search('KEYWORD my-bobs') == []


def test_records_name_them(server, box):
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', r'my-rec invoice \Answered')
    rows = server.wait_audit("message_id = %s AND action = 'flag'", (box.message_id(1),))
    assert rows
    detail = rows[-1]['detail']
    assert 'my-rec' in detail['private_added'] if 'private_added' in detail else \
        'my-rec' in str(detail)


def test_never_in_the_shared_files(server, box):
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', 'my-hidden-name')
    alice.append_one(box.name, box.message(80), 'my-hidden-name')
    alice.command('UID COPY %d %s' % (box.uids[0], box.name))
    alice.search('KEYWORD my-hidden-name')
    alice.logout()
    found = []
    for folder, _, files in os.walk(os.path.join(server.dir, 'mail', 'team')):
        for name in files:
            with open(os.path.join(folder, name), 'rb') as f:
                if b'my-hidden-name' in f.read():
                    found.append(os.path.join(folder, name))
    assert not found


def test_some_of_the_messages_have_some_of_them(box):
    """One STORE that means something else for every message."""
    alice, bob = box.people('alice', 'bob')
    one, two, three = box.uids
    store(alice, one, '+FLAGS', 'my-a')
    store(alice, two, '+FLAGS', 'my-a my-b')
    store(alice, '%d:%d' % (one, three), '+FLAGS', r'my-b my-a \Answered \Flagged')
    for uid in box.uids:
        assert flags_of(alice, uid) == {'my-a', 'my-b', '\\Answered', '\\Flagged'}
    store(alice, '%d,%d' % (one, two), '-FLAGS', 'my-a')
    store(alice, '%d:%d' % (one, three), '-FLAGS', r'my-a my-b \Flagged')
    for uid in box.uids:
        assert flags_of(alice, uid) == {'\\Answered'}
        assert refreshed(bob, uid) == {'\\Answered'}
    box.server.all_shipped()
    changes = {uid: [(row['detail'].get('added', ''), row['detail'].get('removed', ''))
                     for row in box.server.audit(
                         "action = 'flag' AND mailbox = %s AND uid = %s AND colleague = 'alice'",
                         (box.name, uid))] for uid in box.uids}

    def names(texts):
        return [[set(text.split()) for text in pair] for pair in texts]
    assert names(changes[two]) == [
        [{'my-a', 'my-b'}, set()], [{'\\Answered', '\\Flagged'}, set()],
        [set(), {'my-a'}], [set(), {'my-b', '\\Flagged'}]]
    assert names(changes[three])[0] == [{'my-a', 'my-b', '\\Answered', '\\Flagged'}, set()]
