# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two nodes with separate private indexes show each other's changes."""
import glob
import os
import random
import shutil
import time

import pytest

from instance import lose_index, open_below, wait_for
from node import Node
from test_private_flags import copied_uid, flags_of, refreshed, store

SEEN = '\\Seen'


@pytest.fixture(scope='module')
def second(server):
    node = Node(server)
    yield node
    node.stop()
    crashes = node.crashes()
    assert not crashes, '\n'.join(crashes)


class Pair:
    def __init__(self, box, second):
        self.box, self.second = box, second
        self.sessions = []

    def here(self, user):
        return self.box.login(user)

    def there(self, user):
        session = self.second.login(user)
        self.box.sessions.append(session)
        session.select(self.box.name)
        return session

    def shipped(self):
        assert self.box.server.all_shipped() and self.second.all_shipped()


@pytest.fixture
def pair(box, second):
    return Pair(box, second)


def test_seen_in_idle_within_a_second(pair):
    here, there, bob = pair.here('alice'), pair.there('alice'), pair.there('bob')
    there.idle()
    bob.idle()
    for flags, wanted in ((SEEN, b'\\Seen'), ('my-todo', b'my-todo')):
        store(here, pair.box.uids[1], '+FLAGS', flags)
        start = time.monotonic()
        seen = there.idle_until(lambda line, w=wanted: b'FETCH' in line and w in line, 5)
        assert seen and seen[0] - start < 1.0
    assert not [line for _, line in bob.idle_lines(0.3) if b'FETCH' in line]
    bob.done()
    there.done()


def test_seen_at_the_next_command(pair):
    here, there = pair.here('alice'), pair.there('alice')
    uid = pair.box.uids[0]
    store(there, uid, '+FLAGS', r'my-there \Flagged')
    assert wait_for(lambda: refreshed(here, uid) == {'my-there', '\\Flagged'}, 2)
    store(here, uid, 'FLAGS', 'my-here')
    assert wait_for(lambda: refreshed(there, uid) == {'my-here'}, 2)
    store(there, uid, '-FLAGS', 'my-here')
    assert wait_for(lambda: refreshed(here, uid) == set(), 2)


def test_seen_when_opened(pair):
    uid = pair.box.uids[2]
    here = pair.here('alice')
    store(here, uid, '+FLAGS', r'my-x \Seen')
    here.logout()
    pair.shipped()
    there = pair.there('alice')
    assert flags_of(there, uid) == {'my-x', SEEN}
    assert there.search('KEYWORD my-x SEEN') == [uid]
    assert pair.there('bob').search('SEEN') == []


def test_other_spelling_is_the_same_keyword(pair):
    """Keywords don't depend on case; each node may know another spelling."""
    here, there = pair.here('alice'), pair.there('alice')
    uid, other = pair.box.uids[0], pair.box.uids[1]
    store(here, uid, '+FLAGS', 'my-Word')
    store(there, other, '+FLAGS', 'MY-WORD')
    pair.shipped()
    for session in (here, there):
        assert wait_for(lambda s=session: s.command('NOOP') and
                        s.search('KEYWORD my-word') == [uid, other], 3)
    store(there, uid, '-FLAGS', 'my-word')
    assert wait_for(lambda: here.command('NOOP') and
                    here.search('KEYWORD my-word') == [other], 3)
    pair.shipped()
    here.logout()
    lose_index(os.path.join(pair.box.server.dir, 'mail/users/alice/team'))
    assert pair.here('alice').search('KEYWORD my-word') == [other]


def test_copied_there(pair, other_box):
    """The copy brings the flags of all, on the node that copied and the other."""
    here, there = pair.here('alice'), pair.there('alice')
    uid = pair.box.uids[0]
    store(here, uid, '+FLAGS', 'my-h')
    store(pair.there('bob'), uid, '+FLAGS', SEEN)
    assert wait_for(lambda: refreshed(there, uid) == {'my-h'}, 2)
    pair.shipped()
    new = copied_uid(there.command('UID MOVE %d %s' % (uid, other_box.name)))
    for session, flags in ((here, {'my-h'}), (there, {'my-h'}), (pair.here('bob'), {SEEN}),
                           (pair.there('bob'), {SEEN})):
        session.select(other_box.name)
        assert wait_for(lambda s=session, f=flags: refreshed(s, new) == f, 3)


def test_both_at_once(pair):
    """The same colleague changes the same messages on both nodes, and from two
    sessions each: in the end all see the same, and that is what is stored."""
    seed = random.randrange(1 << 30)
    print('seed', seed)
    rnd = random.Random(seed)
    pair.box.fill(20)
    sessions = [pair.here('alice'), pair.here('alice'), pair.there('alice'),
                pair.there('alice')]
    for _ in range(150):
        tags = []
        for session in rnd.sample(sessions, rnd.randint(1, 4)):
            uid = rnd.choice(pair.box.uids)
            tags.append((session, session.start('UID STORE %d %sFLAGS.SILENT (%s)' % (
                uid, rnd.choice('+-'), rnd.choice([SEEN, '\\Flagged', 'my-a', 'my-b'])))))
        for session, tag in tags:
            assert session.finish(tag).ok
    pair.shipped()
    pair.second.all_shipped()

    def state(session):
        session.command('NOOP')
        # a change that is told meanwhile comes without a UID
        return {f['uid']: f['flags'] - {'\\Recent'}
                for f in session.command('UID FETCH 1:* (FLAGS)').fetched() if f['uid']}
    assert wait_for(lambda: len({repr(sorted((u, sorted(f)) for u, f in state(s).items()))
                                 for s in sessions}) == 1, 5), \
        'seed %d: %r' % (seed, [state(s) for s in sessions])
    wanted = state(sessions[0])
    for session in sessions:
        session.logout()
    lose_index(*glob.glob(os.path.join(pair.box.server.dir, 'mail/users/alice/team*')))
    assert state(pair.here('alice')) == wanted, 'seed %d' % seed


def test_older_index_is_brought_up(pair):
    """A private index that fell back to an older state, from a backup."""
    alice = pair.here('alice')
    uids = pair.box.uids
    store(alice, uids[0], '+FLAGS', 'my-old')
    pair.shipped()
    alice.logout()
    folder, = glob.glob(os.path.join(pair.box.server.dir, 'mail/users/alice/team'))
    assert wait_for(lambda: not open_below(folder))
    shutil.copytree(folder, folder + '.bak')
    alice = pair.here('alice')
    store(alice, uids[0], '-FLAGS', 'my-old')
    store(alice, uids[1], '+FLAGS', r'\Seen my-new')
    pair.shipped()
    alice.logout()
    owner = os.stat(folder)
    lose_index(folder)
    os.rename(folder + '.bak', folder)
    for name, folders, files in os.walk(folder):
        for entry in [''] + folders + files:
            os.chown(os.path.join(name, entry), owner.st_uid, owner.st_gid)
    alice = pair.here('alice')
    assert [flags_of(alice, uid) for uid in uids] == [set(), {SEEN, 'my-new'}, set()]
