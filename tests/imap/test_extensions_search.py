# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private flags and keywords in what extensions add to SEARCH: ESEARCH,
SEARCHRES, PARTIAL, CONTEXT=SEARCH, SORT, THREAD, INTHREAD."""
import re

import pytest

from test_private_flags import flags_of, store

# keys, and which of the three messages match for alice and for bob
KEYS = [
    ('UNSEEN', [1, 2], [0, 2]),
    ('FLAGGED', [1], [0]),
    ('KEYWORD my-x', [0, 1], [2]),
    ('UNKEYWORD my-x', [2], [0, 1]),
    ('NOT KEYWORD my-x', [2], [0, 1]),
    ('OR FLAGGED KEYWORD my-x', [0, 1], [0, 2]),
    ('NOT (OR KEYWORD my-x BODY nothing)', [2], [0, 1]),
    ('SEEN NOT (KEYWORD my-y)', [0], [1]),
    ('KEYWORD my-x KEYWORD shared', [1], []),
    ('OR (KEYWORD my-y) (UNSEEN BODY Hello)', [1, 2], [0, 2]),
]


@pytest.fixture
def marked(box):
    """Three messages to which alice and bob gave different private marks."""
    alice, bob = box.people('alice', 'bob')
    one, two, three = box.uids
    store(alice, one, '+FLAGS', r'\Seen my-x')
    store(alice, two, '+FLAGS', r'\Flagged my-x my-y shared')
    store(bob, one, '+FLAGS', r'\Flagged')
    store(bob, two, '+FLAGS', r'\Seen')
    store(bob, three, '+FLAGS', r'my-x my-y')
    for session in (alice, bob):
        session.command('NOOP')
    return alice, bob


def esearch(session, command):
    """An ESEARCH answer's items, sets expanded."""
    tag = session.next_tag()
    session.send('%s %s\r\n' % (tag, command))
    answer = session.finish(tag)
    assert answer.ok, answer
    line, = answer.lines('* ESEARCH')
    items = {}
    for name, value in re.findall(r'\b(MIN|MAX|COUNT|ALL|MODSEQ|PARTIAL|UPDATE) (\([^)]*\)|\S+)',
                                  line.decode().rstrip(')') + ')'):
        items[name] = value.rstrip(')')
    return items


def expand(text):
    numbers = []
    for part in text.split(','):
        first, _, last = part.partition(':')
        numbers += range(int(first), int(last or first) + 1)
    return numbers


@pytest.mark.parametrize('key,alices,bobs', KEYS)
def test_esearch(box, marked, key, alices, bobs):
    for session, wanted in zip(marked, (alices, bobs)):
        uids = [box.uids[i] for i in wanted]
        items = esearch(session, 'UID SEARCH RETURN (MIN MAX COUNT ALL) ' + key)
        assert items.pop('COUNT') == str(len(uids))
        assert expand(items['ALL']) == uids if uids else items == {}
        if uids:
            assert (int(items['MIN']), int(items['MAX'])) == (uids[0], uids[-1])


def test_partial(box, marked):
    alice, bob = marked
    items = esearch(alice, 'UID SEARCH RETURN (PARTIAL 1:1) KEYWORD my-x')
    assert items['PARTIAL'].split()[1] == str(box.uids[0])
    items = esearch(bob, 'UID SEARCH RETURN (PARTIAL 1:1) KEYWORD my-x')
    assert items['PARTIAL'].split()[1] == str(box.uids[2])


def test_saved_result_is_used(box, marked):
    """SEARCHRES: what $ holds is the colleague's own."""
    alice, bob = marked
    for session in marked:
        session.command('SEARCH RETURN (SAVE) KEYWORD my-x')
    assert alice.search('$') == box.uids[:2]
    assert bob.search('$') == [box.uids[2]]
    assert alice.search('$ UNSEEN') == [box.uids[1]]
    assert alice.search('OR ($ SEEN) NOT $') == [box.uids[0], box.uids[2]]
    store(alice, '$', '+FLAGS', 'my-saved')
    assert alice.search('KEYWORD my-saved') == box.uids[:2]
    bob.command('NOOP')
    assert bob.search('KEYWORD my-saved') == []


def test_saved_result_stays(box, marked):
    """$ is a set of messages, not a search that goes on."""
    alice, _ = marked
    alice.command('SEARCH RETURN (SAVE) KEYWORD my-x')
    store(alice, '1:*', '-FLAGS', 'my-x')
    assert alice.search('$') == box.uids[:2]
    assert alice.search('KEYWORD my-x') == []


def test_sort(box, marked):
    alice, bob = marked
    answer = alice.command('UID SORT (REVERSE SUBJECT) UTF-8 OR SEEN KEYWORD my-y')
    assert b'* SORT %d %d' % (box.uids[1], box.uids[0]) in answer.untagged
    answer = bob.command('UID SORT (REVERSE SUBJECT) UTF-8 OR SEEN KEYWORD my-y')
    assert b'* SORT %d %d' % (box.uids[2], box.uids[1]) in answer.untagged
    items = esearch(alice, 'UID SORT RETURN (COUNT MIN) (SUBJECT) UTF-8 UNSEEN')
    assert items == {'COUNT': '2', 'MIN': str(box.uids[1])}


def reply(box, n, to):
    return box.message(n).replace(
        b'Subject: ', b'In-Reply-To: ' + box.message_id(to).encode() + b'\r\nSubject: Re: ', 1)


def test_thread(box, marked):
    """THREAD REFERENCES and the INTHREAD search key."""
    alice, bob = marked
    answer_uid = alice.append_one(box.name, reply(box, 40, 1), 'my-t')
    bob.command('NOOP')
    answer = alice.command('UID THREAD REFERENCES UTF-8 OR KEYWORD my-t SEEN')
    assert b'* THREAD (%d %d)' % (box.uids[0], answer_uid) in answer.untagged
    answer = bob.command('UID THREAD REFERENCES UTF-8 OR KEYWORD my-t FLAGGED')
    assert b'* THREAD (%d)' % box.uids[0] in answer.untagged
    assert alice.search('INTHREAD REFS KEYWORD my-t') == [box.uids[0], answer_uid]
    assert bob.search('INTHREAD REFS KEYWORD my-t') == []
    assert bob.search('INTHREAD REFS FLAGGED') == [box.uids[0], answer_uid]


class Live:
    """A search with RETURN (UPDATE): what it holds by its own account."""

    def __init__(self, session, key):
        self.session = session
        self.tag = session.next_tag()
        session.send('%s UID SEARCH RETURN (ALL UPDATE) %s\r\n' % (self.tag, key))
        answer = session.finish(self.tag)
        assert answer.ok, answer
        line, = answer.lines('* ESEARCH')
        found = re.search(rb'\bALL (\S+)', line)
        self.uids = set(expand(found.group(1).decode())) if found else set()
        self.events = []

    def update(self, lines=None):
        if lines is None:
            lines = self.session.command('NOOP').untagged
        for line in lines:
            if b'* ESEARCH' not in line or b'"%s"' % self.tag.encode() not in line:
                continue
            for what, pairs in re.findall(r'(ADDTO|REMOVEFROM) \(([^)]*)\)', line.decode()):
                for uids in pairs.split()[1::2]:
                    self.events.append(what)
                    (self.uids.update if what == 'ADDTO' else self.uids.difference_update)(
                        expand(uids))
        return self.uids


@pytest.mark.parametrize('key,add,flags', [
    ('UNSEEN', '-FLAGS', r'\Seen'), ('FLAGGED', '+FLAGS', r'\Flagged'),
    ('KEYWORD my-x', '+FLAGS', 'my-x'), ('UNKEYWORD my-x', '-FLAGS', 'my-x'),
    ('OR KEYWORD my-x BODY nothing', '+FLAGS', 'my-x'),
    ('NOT (NOT KEYWORD my-x)', '+FLAGS', 'my-x'),
    ('BODY Hello OR KEYWORD my-x FLAGGED', '+FLAGS', r'my-x \Flagged')])
@pytest.mark.parametrize('by', ['self', 'other session'])
def test_live_search(box, key, add, flags, by):
    """CONTEXT=SEARCH: private changes of any of one's sessions come, those of
    colleagues don't."""
    alice, second, bob = box.people('alice', 'alice', 'bob')
    remove = '-FLAGS' if add == '+FLAGS' else '+FLAGS'
    store(alice, '1:*', remove, flags)
    second.command('NOOP')
    lives = [Live(alice, key), Live(bob, key)]
    before = set(lives[1].uids)
    actor = alice if by == 'self' else second
    assert lives[0].uids == set()
    lives[0].update(store(actor, box.uids[1], add, flags).untagged)
    assert lives[0].update() == {box.uids[1]}
    lives[0].update(store(actor, box.uids[1], remove, flags).untagged)
    assert lives[0].update() == set()
    assert lives[0].events == ['ADDTO', 'REMOVEFROM']
    assert lives[1].update() == before and not lives[1].events


@pytest.mark.parametrize('key', ['KEYWORD my-x', 'FLAGGED', 'OR KEYWORD my-x FLAGGED',
                                 'KEYWORD my-x BODY Hello'])
def test_live_search_and_new_messages(box, key):
    alice, second, bob = box.people('alice', 'alice', 'bob')
    live, bobs = Live(alice, key), Live(bob, key)
    new = second.append_one(box.name, box.message(50), r'\Flagged my-x')
    assert live.update() == {new}
    assert bobs.update() == set()
    store(second, new, '+FLAGS', '\\Deleted')
    second.command('EXPUNGE')
    assert live.update() == set()


def test_live_search_in_idle(box):
    alice, second = box.people('alice', 'alice')
    live = Live(alice, 'UNSEEN')
    alice.idle()
    second.command('UID FETCH %d (BODY[])' % box.uids[0])
    seen = alice.idle_until(lambda line: b'REMOVEFROM' in line, 5)
    alice.done()
    assert seen and live.update([seen[1]]) == set(box.uids[1:])


def test_live_search_follows_the_copy(box, other_box):
    """A copied message comes with its flags."""
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', r'my-x \Flagged')
    watching = box.login('alice', box=other_box.name)
    lives = [Live(watching, 'KEYWORD my-x'), Live(watching, 'FLAGGED')]
    alice.command('UID COPY %d,%d %s' % (box.uids[0], box.uids[1], other_box.name))
    lines = watching.command('NOOP').untagged
    new, _ = watching.search('ALL')
    assert flags_of(watching, new) >= {'my-x', '\\Flagged'}
    for live in lives:
        assert live.update(lines) == {new}


@pytest.mark.parametrize('command', ['COPY', 'MOVE'])
def test_saved_result_is_copied(box, other_box, marked, command):
    """COPY $ and MOVE $ with what a search for private keywords found."""
    alice, _ = marked
    alice.command('SEARCH RETURN (SAVE) KEYWORD my-x')
    alice.command('%s $ %s' % (command, other_box.name))
    assert alice.search('ALL') == (box.uids if command == 'COPY' else box.uids[2:])
    alice.select(other_box.name)
    one, two = alice.search('ALL')
    assert flags_of(alice, one) == {'\\Seen', 'my-x'}
    assert flags_of(alice, two) == {'\\Flagged', 'my-x', 'my-y', 'shared'}
