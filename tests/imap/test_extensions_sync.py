# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a colleague's client learns of changes made elsewhere: CONDSTORE,
QRESYNC, NOTIFY, STATUS, LIST-STATUS."""
import re
import time

import pytest

from instance import lose_index, wait_for
from node import Node
from test_private_flags import copied_uid, flags_of, private_folders, refreshed, store

SEEN = '\\Seen'


@pytest.fixture(scope='module')
def second(server):
    node = Node(server)
    yield node
    node.stop()
    crashes = node.crashes()
    assert not crashes, '\n'.join(crashes)


def highest(session, box):
    return session.status(box.name, 'HIGHESTMODSEQ')


def code(answer, name):
    """The value of a response code, wherever in the answer it stands."""
    for text in [line.decode() for line in answer.untagged] + [answer.text]:
        match = re.search(r'\[%s ([^\]]*)\]' % name, text)
        if match:
            return match.group(1)
    return None


def changed(session, modseq):
    """What FETCH CHANGEDSINCE tells: UID to flags."""
    answer = session.command('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % modseq)
    return {f['uid']: f['flags'] - {'\\Recent'} for f in answer.fetched() if f['uid']}


def resync(server, user, box, uidvalidity, modseq, known=None):
    """Opens the mailbox as a client that was offline since then: what it must
    have learned, as UID to flags, and what has vanished."""
    session = server.login(user)
    box.sessions.append(session)
    session.command('ENABLE QRESYNC')
    answer = session.command('SELECT %s (QRESYNC (%s %d%s))' % (
        box.name, uidvalidity, modseq, ' ' + known if known else ''))
    vanished = []
    for line in answer.lines('VANISHED (EARLIER)'):
        for part in line.split()[-1].decode().split(','):
            first, _, last = part.partition(':')
            vanished += range(int(first), int(last or first) + 1)
    flags = {f['uid']: f['flags'] - {'\\Recent'} for f in answer.fetched() if f['uid']}
    return session, flags, vanished


# CONDSTORE

@pytest.mark.parametrize('flags', [SEEN, '\\Flagged', 'my-todo'])
def test_own_change_moves_the_modseq(box, flags):
    alice, other = box.login('alice'), box.login('alice')
    for what in ('+FLAGS', '-FLAGS'):
        other.command('NOOP')
        modseq = highest(alice, box)
        store(other, box.uids[1], what, flags)
        alice.command('NOOP')
        assert highest(alice, box) > modseq
        assert changed(alice, modseq) == {
            box.uids[1]: {flags} if what == '+FLAGS' else set()}


def test_reading_moves_the_modseq(box):
    alice, other = box.login('alice'), box.login('alice')
    modseq = highest(alice, box)
    other.command('UID FETCH %d (BODY[])' % box.uids[2])
    alice.command('NOOP')
    assert changed(alice, modseq) == {box.uids[2]: {SEEN}}
    answer = alice.command('UID SEARCH MODSEQ %d' % (modseq + 1))
    assert answer.lines('* SEARCH %d (MODSEQ' % box.uids[2])


def test_change_elsewhere_moves_the_modseq(box, second):
    """Another node's change is a change here as well, when it arrives."""
    alice = box.login('alice')
    modseq = highest(alice, box)
    there = second.login('alice')
    box.sessions.append(there)
    there.select(box.name)
    store(there, box.uids[0], '+FLAGS', r'\Flagged my-there')
    assert wait_for(lambda: refreshed(alice, box.uids[0]) == {'\\Flagged', 'my-there'}, 5)
    assert changed(alice, modseq)[box.uids[0]] == {'\\Flagged', 'my-there'}


def test_unchanged_since_holds(box):
    """A change by another session of one's own stands against it."""
    alice, other = box.login('alice'), box.login('alice')
    one, two, _ = box.uids
    modseq = highest(alice, box)
    store(other, one, '+FLAGS', 'my-x')
    alice.command('NOOP')
    answer = alice.attempt('UID STORE %d,%d (UNCHANGEDSINCE %d) +FLAGS.SILENT (my-y)' % (
        one, two, modseq))
    assert code(answer, 'MODIFIED') == str(one), answer
    assert flags_of(alice, one) == {'my-x'} and flags_of(alice, two) == {'my-y'}


def test_unchanged_since_tells_the_new_modseq(box):
    alice = box.login('alice')
    alice.command('ENABLE CONDSTORE')
    modseq = highest(alice, box)
    answer = alice.command('UID STORE %d (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Seen my-y)' % (
        box.uids[0], modseq))
    found = re.search(rb'MODSEQ \((\d+)\)', b' '.join(answer.untagged))
    assert found, answer
    assert changed(alice, int(found.group(1)) - 1) == {box.uids[0]: {SEEN, 'my-y'}}
    assert changed(alice, int(found.group(1))) == {}


def test_colleagues_change_is_no_conflict_of_shared_flags(box):
    """What another colleague sees as changed holds no flag of the first one."""
    alice, bob = box.people('alice', 'bob')
    modseq = highest(bob, box)
    store(alice, box.uids[0], '+FLAGS', r'\Seen my-x')
    bob.command('NOOP')
    for flags in changed(bob, modseq).values():
        assert flags == set()
    answer = bob.attempt('UID STORE 1:* (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Answered)' %
                         highest(bob, box))
    assert answer.ok and code(answer, 'MODIFIED') is None
    alice.command('NOOP')
    assert flags_of(alice, box.uids[0]) == {SEEN, 'my-x', '\\Answered'}


# QRESYNC

@pytest.mark.parametrize('how', ['session', 'other node', 'rebuilt'])
def test_resync(server, box, second, how):
    """A client that was away is told exactly what changed."""
    box.fill(3)
    alice = box.login('alice', select=False)
    alice.command('ENABLE QRESYNC')
    answer = alice.select(box.name)
    uidvalidity = code(answer, 'UIDVALIDITY')
    uids = box.uids
    store(alice, uids[0], '+FLAGS', r'\Flagged my-old')
    alice.command('NOOP')
    modseq = highest(alice, box)
    alice.logout()

    if how == 'other node':
        server.all_shipped()
        actor = second.login('alice')
        box.sessions.append(actor)
        actor.select(box.name)
    else:
        actor = box.login('alice')
    store(actor, uids[0], '-FLAGS', 'my-old')
    store(actor, uids[1], '+FLAGS', r'\Seen my-new')
    store(actor, uids[2], '+FLAGS', '\\Deleted')
    actor.command('EXPUNGE')
    new = actor.append_one(box.name, box.message(77), r'\Seen my-app')
    actor.logout()
    server.all_shipped()
    if how == 'other node':
        second.all_shipped()
    if how == 'rebuilt':
        lose_index(*private_folders(server, 'alice'))
    session, flags, vanished = resync(server, 'alice', box, uidvalidity, modseq)
    # a rebuilt index may speak of more than what changed, never of less
    wanted = {uids[0]: {'\\Flagged'}, uids[1]: {SEEN, 'my-new'}, new: {SEEN, 'my-app'}}
    assert {uid: flags.get(uid) for uid in wanted} == wanted
    for uid in set(flags) - set(wanted):
        assert how == 'rebuilt' and flags[uid] == set()
    assert vanished == [uids[2]]
    assert session.search('ALL') == [uids[0], uids[1]] + uids[3:] + [new]


def test_resync_with_nothing_to_tell(server, box):
    alice = box.login('alice', select=False)
    alice.command('ENABLE QRESYNC')
    uidvalidity = code(alice.select(box.name), 'UIDVALIDITY')
    store(alice, box.uids[0], '+FLAGS', r'\Flagged my-old')
    alice.command('NOOP')
    modseq = highest(alice, box)
    alice.logout()
    _, flags, vanished = resync(server, 'alice', box, uidvalidity, modseq)
    assert flags == {} and vanished == []


def test_resync_of_a_colleague_has_no_foreign_flags(server, box):
    bob = box.login('bob', select=False)
    bob.command('ENABLE QRESYNC')
    uidvalidity = code(bob.select(box.name), 'UIDVALIDITY')
    modseq = highest(bob, box)
    bob.logout()
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', r'\Seen \Flagged my-secret')
    store(alice, box.uids[1], '+FLAGS', r'\Answered \Seen')
    alice.command('UID FETCH %d (BODY[])' % box.uids[2])
    bob, flags, vanished = resync(server, 'bob', box, uidvalidity, modseq)
    assert flags[box.uids[1]] == {'\\Answered'} and vanished == []
    assert not flags.get(box.uids[0]) and not flags.get(box.uids[2])


def test_vanished_by_move(server, box, other_box):
    """The mover's other client learns in both folders, with the flags."""
    alice = box.login('alice', select=False)
    alice.command('ENABLE QRESYNC')
    uidvalidity = code(alice.select(box.name), 'UIDVALIDITY')
    to_validity = code(alice.select(other_box.name), 'UIDVALIDITY')
    modseqs = highest(alice, box), highest(alice, other_box)
    alice.logout()
    mover, = box.people('alice')
    store(mover, box.uids[0], '+FLAGS', r'\Flagged my-m')
    new = copied_uid(mover.command('UID MOVE %d %s' % (box.uids[0], other_box.name)))
    _, flags, vanished = resync(server, 'alice', box, uidvalidity, modseqs[0])
    assert flags == {} and vanished == [box.uids[0]]
    _, flags, vanished = resync(server, 'alice', other_box, to_validity, modseqs[1])
    assert flags == {new: {'\\Flagged', 'my-m'}} and vanished == []


# STATUS, LIST-STATUS

def test_list_status(box):
    alice, bob = box.people('alice', 'bob')
    other = box.login('alice', select=False)
    store(alice, '%d:%d' % (box.uids[0], box.uids[1]), '+FLAGS', SEEN)
    for session, unseen in ((other, 1), (alice, 1), (bob, 3)):
        session.command('NOOP')
        answer = session.command(
            'LIST "" (%s) RETURN (STATUS (MESSAGES UNSEEN))' % box.name)
        line, = answer.lines('* STATUS')
        assert re.search(rb'\bUNSEEN %d\b' % unseen, line) and b'MESSAGES 3' in line
    bob.command('NOOP')
    store(bob, '1:*', '+FLAGS.SILENT', SEEN)
    answer = other.command('LIST "" Team/T* RETURN (STATUS (UNSEEN))')
    line, = [line for line in answer.lines('* STATUS') if b'%s ' % box.name.encode() in line]
    assert b'UNSEEN 1' in line


def test_status_of_another_nodes_change(box, second):
    """STATUS of a mailbox that no session here has open."""
    other = box.login('alice', select=False)
    assert other.status(box.name, 'UNSEEN') == 3
    there = second.login('alice')
    box.sessions.append(there)
    there.select(box.name)
    store(there, box.uids[0], '+FLAGS', SEEN)
    assert wait_for(lambda: other.status(box.name, 'UNSEEN') == 2, 3)


def test_first_unseen_moves_on(box):
    alice, bob = box.people('alice', 'bob')
    store(alice, '%d:%d' % (box.uids[0], box.uids[1]), '+FLAGS', SEEN)
    again = box.login('alice', select=False)
    assert code(again.select(box.name), 'UNSEEN') == '3'
    store(alice, box.uids[2], '+FLAGS', SEEN)
    assert code(again.select(box.name), 'UNSEEN') is None
    store(alice, box.uids[1], '-FLAGS', SEEN)
    assert code(again.select(box.name), 'UNSEEN') == '2'
    assert code(again.select(box.name, 'EXAMINE'), 'UNSEEN') == '2'
    assert code(bob.select(box.name), 'UNSEEN') == '1'


def test_first_unseen_after_other_changes(box):
    """What a session knows of it stays true of messages that are new, gone, or
    unread again by whichever session."""
    alice, other = box.people('alice', 'alice')
    store(alice, '1:*', '+FLAGS', SEEN)
    assert code(other.select(box.name), 'UNSEEN') is None
    alice.append_one(box.name, box.message(70))
    assert code(other.select(box.name), 'UNSEEN') == '4'
    store(other, box.uids[0], '+FLAGS', '\\Deleted')
    other.command('EXPUNGE')
    assert code(other.select(box.name), 'UNSEEN') == '3'
    store(other, box.uids[2], '-FLAGS', SEEN)
    assert code(other.select(box.name), 'UNSEEN') == '2'
    store(alice, box.uids[1], '-FLAGS', SEEN)
    assert code(other.select(box.name), 'UNSEEN') == '1'
    store(other, '1:*', '+FLAGS', SEEN)
    assert code(other.select(box.name), 'UNSEEN') is None


# NOTIFY

class Notified:
    def __init__(self, box, user, events, condstore=False):
        self.box = box
        self.session = box.login(user, select=False)
        if condstore:
            self.session.command('ENABLE CONDSTORE')
        self.session.command('NOTIFY SET (mailboxes %s (%s))' % (box.name, events))

    def told(self, pattern, seconds=4):
        return self.session.idle_until(
            lambda line: b'* STATUS %s' % self.box.name.encode() in line and
            re.search(pattern, line), seconds)

    def lines(self, seconds=1.5):
        return [line for _, line in self.session.idle_lines(seconds) if b'STATUS' in line]


EVENTS = 'MessageNew MessageExpunge FlagChange'


def test_notify_of_a_new_message(box):
    told = Notified(box, 'alice', EVENTS)
    alice, = box.people('alice')
    alice.append_one(box.name, box.message(60), SEEN)
    # the message comes before what only she has on it
    seen = told.told(rb'MESSAGES 4\b')
    assert seen and (b'UNSEEN 3' in seen[1] or told.told(rb'UNSEEN 3\b')), seen
    alice.append_one(box.name, box.message(61))
    seen = told.told(rb'MESSAGES 5\b')
    assert seen and b'UNSEEN 4' in seen[1]


def test_notify_of_own_reading(box):
    """FlagChange of a mailbox that isn't selected: the number of unread ones."""
    told = Notified(box, 'alice', EVENTS)
    alice, = box.people('alice')
    alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    assert told.told(rb'UNSEEN 2\b')
    store(alice, box.uids[0], '-FLAGS', SEEN)
    assert told.told(rb'UNSEEN 3\b')


def test_notify_with_condstore(box):
    told = Notified(box, 'alice', EVENTS, condstore=True)
    alice, = box.people('alice')
    modseq = highest(alice, box)
    store(alice, box.uids[0], '+FLAGS', 'my-x')
    seen = told.told(rb'HIGHESTMODSEQ')
    assert seen and int(re.search(rb'HIGHESTMODSEQ (\d+)', seen[1]).group(1)) > modseq


def test_notify_does_not_tell_of_others_reading(box):
    told = Notified(box, 'bob', EVENTS)
    alice, = box.people('alice')
    alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    store(alice, box.uids[1], '+FLAGS', r'\Seen my-x')
    assert not [line for line in told.lines() if b'UNSEEN 3' not in line]


def test_notify_of_the_selected_mailbox(box):
    alice, other = box.people('alice', 'alice')
    bob, = box.people('bob')
    for session in (alice, bob):
        session.command('NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))')
    # Dovecot begins to look a second later
    time.sleep(1.2)
    store(other, box.uids[0], '+FLAGS', r'\Seen my-x')
    assert alice.idle_until(lambda line: b'FETCH' in line and b'my-x' in line, 4)
    assert not [line for _, line in bob.idle_lines(0.7) if b'FETCH' in line]
