# SPDX-License-Identifier: LGPL-2.1-or-later
"""team_private_flags and team_private_keywords are changed later, on a running
instance: what becomes private starts for every colleague from what was shared,
what becomes shared shows nothing of anybody's own."""
import glob
import os
import shutil

import pytest

from instance import wait_for
from namespaces import more_namespaces
from node import Node
from test_private_flags import copied_uid, flags_of, private_folders, refreshed, store
from test_private_settings import Boxes
from ways import recorded

SEEN, FLAGGED, ANSWERED = '\\Seen', '\\Flagged', '\\Answered'
BEFORE = {'team_private_flags': SEEN, 'team_private_keywords': 'my-*'}
AFTER = {'team_private_flags': r'\Seen \Flagged \Answered', 'team_private_keywords': 'my-* invoice'}
NOTHING = {'team_private_flags': '', 'team_private_keywords': ''}


@pytest.fixture
def settings(server):
    """Call it with the namespace's settings from now on."""
    with more_namespaces(server, {'later': BEFORE}) as change:
        def to(new):
            change({'later': new})
            assert server.all_shipped()
        yield to


@pytest.fixture
def box(server, settings):
    boxes = Boxes(server)
    yield boxes('later', 4)
    for made in boxes.made:
        made.close()


def flags(box, who, port=None):
    """What the colleague sees in a new session, in the order of the messages."""
    session = box.login(who) if port is None else port(who)
    seen = [flags_of(session, uid) for uid in box.uids if uid in session.search('ALL')]
    session.logout()
    return seen


@recorded('settings: Other flags or keywords are private in a mailbox than before, with the '
          'messages that had those which were shared so far')
def test_private_starts_from_shared(server, box, settings):
    alice, bob = box.people('alice', 'bob')
    one, two, three, four = box.uids
    store(alice, one, '+FLAGS', r'\Seen \Flagged invoice my-a')
    store(bob, two, '+FLAGS', r'\Flagged \Answered \Draft other')
    alice.logout()
    bob.logout()
    settings(AFTER)
    shared = [{FLAGGED, 'invoice'}, {FLAGGED, ANSWERED, '\\Draft', 'other'}, set(), set()]
    # who was there, and who comes for the first time
    assert flags(box, 'bob') == flags(box, 'carol') == shared
    assert flags(box, 'alice') == [shared[0] | {SEEN, 'my-a'}] + shared[1:]
    # from now on it is one's own
    alice, bob = box.people('alice', 'bob')
    store(alice, '%d,%d' % (one, two), '-FLAGS', r'\Flagged invoice')
    store(bob, three, '+FLAGS', r'\Flagged \Answered invoice')
    assert refreshed(alice, three) == set()
    assert refreshed(bob, one) == shared[0]
    assert bob.search('FLAGGED') == [one, two, three]
    assert alice.search('OR FLAGGED KEYWORD invoice') == []
    assert server.all_shipped()
    # also for who comes later still, and where the private index is lost
    assert flags(box, 'dave') == shared
    for who in ('alice', 'bob'):
        for folder in private_folders(server, who, 'later'):
            shutil.rmtree(folder)
    assert flags(box, 'alice') == [{SEEN, 'my-a'}, shared[1] - {FLAGGED}, set(), set()]
    assert flags(box, 'bob') == shared[:2] + [{FLAGGED, ANSWERED, 'invoice'}, set()]
    rows = server.wait_audit("action = 'settings' AND mailbox = %s", (box.name,))
    assert len(rows) == 1 and rows[0]['detail']['flags'] == r'\Answered \Flagged \Seen'


def test_start_of_many_fragments(server, box, settings):
    """More than fits into one record: half a megabyte of UIDs."""
    names = ['invoice-%d' % n for n in range(110)]
    box.fill(1996)
    alice, = box.people('alice')
    half = '1,' + ','.join(str(n) for n in range(4, len(box.uids), 2))
    alice.command('STORE %s +FLAGS.SILENT (%s)' % (half, ' '.join(names)), timeout=120)
    alice.logout()
    settings({'team_private_flags': SEEN, 'team_private_keywords': 'my-* invoice-*'})
    wanted = len(half.split(','))
    bob, = box.people('bob')
    # on a busy machine PostgreSQL may take longer than SELECT waits
    assert wait_for(lambda: bob.command('NOOP').ok and
                    len(bob.search('KEYWORD invoice-7')) == wanted, 30)
    bob.command('STORE %s -FLAGS.SILENT (invoice-7)' % half)
    alice, = box.people('alice')
    assert [len(alice.search('KEYWORD ' + name)) for name in names[::9]] == [wanted] * 13
    assert alice.search('KEYWORD invoice-7')[:3] == [box.uids[n] for n in (0, 3, 5)]
    assert bob.search('KEYWORD invoice-7') == []
    rows = server.wait_audit("action = 'settings' AND mailbox = %s", (box.name,))
    assert len(rows) > 1


def test_shared_shows_nothing_of_ones_own(server, box, settings):
    settings(AFTER)
    alice, bob = box.people('alice', 'bob')
    one, two, *_ = box.uids
    store(alice, one, '+FLAGS', r'\Seen \Flagged invoice my-a')
    store(bob, two, '+FLAGS', r'\Answered \Flagged my-b')
    alice.logout()
    bob.logout()
    settings(NOTHING)
    for who in ('alice', 'bob', 'carol'):
        assert flags(box, who) == [set()] * 4, who
        names = box.login(who, select=False).select(box.name).lines('FLAGS')
        assert not any(name in line for line in names for name in (b'my-a', b'my-b', b'invoice'))
    carol, = box.people('carol')
    store(carol, two, '+FLAGS', r'\Flagged my-b')
    assert flags(box, 'alice')[1] == {FLAGGED, 'my-b'}
    # private once more: not from what was private before
    settings(AFTER)
    for who in ('alice', 'bob', 'carol', 'dave'):
        assert flags(box, who) == [set(), {FLAGGED, 'my-b'}, set(), set()], who


def test_sessions_from_before(server, box, settings):
    """They end with the settings they began with, and undo nothing."""
    old, = box.people('erin')
    store(old, box.uids[0], '+FLAGS', FLAGGED)
    settings(AFTER)
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[1], '+FLAGS', FLAGGED)
    store(alice, box.uids[0], '-FLAGS', FLAGGED)
    old.select(box.name)
    store(old, box.uids[2], '+FLAGS', FLAGGED)
    assert server.all_shipped()
    assert flags(box, 'alice') == [set(), {FLAGGED}, set(), set()]
    assert refreshed(bob, box.uids[2]) == set()
    assert flags(box, 'bob') == flags(box, 'carol') == [{FLAGGED}, set(), set(), set()]


def test_copies_of_what_started(server, box, settings):
    other = Boxes(server)('later', 1)
    erin = other.login('erin')
    store(erin, other.uids[0], '+FLAGS', ANSWERED)
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', r'\Flagged invoice')
    alice.logout()
    settings(AFTER)
    alice, bob = box.people('alice', 'bob')
    store(bob, box.uids[0], '-FLAGS', 'invoice')
    assert server.all_shipped()
    # nobody has opened it since
    new = copied_uid(alice.command('UID COPY %d %s' % (box.uids[0], other.name)))
    assert server.all_shipped()
    other.uids.append(new)
    assert flags(other, 'carol') == flags(other, 'alice') == [{ANSWERED}, {FLAGGED, 'invoice'}]
    assert flags(other, 'bob') == [{ANSWERED}, {FLAGGED}]
    other.close()


def test_postgresql_away(server, box, settings):
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', FLAGGED)
    alice.logout()
    settings(AFTER)
    server.stop_postgresql()
    try:
        alice, = box.people('alice')
        store(alice, box.uids[1], '+FLAGS', FLAGGED)
    finally:
        server.start_postgresql()
    assert server.all_shipped()
    assert wait_for(lambda: refreshed(alice, box.uids[0]) == {FLAGGED})
    assert flags(box, 'alice') == [{FLAGGED}, {FLAGGED}, set(), set()]
    assert flags(box, 'bob') == [{FLAGGED}, set(), set(), set()]


def test_another_node(server, box, settings):
    """It joins what began on the first one, with the old settings until then."""
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', FLAGGED)
    alice.logout()
    node = Node(server, 'later-old')
    new = None

    def there(who):
        session = (new or node).login(who)
        session.select(box.name)
        return session
    try:
        assert flags(box, 'bob', there)[0] == {FLAGGED}
        settings(AFTER)
        alice, = box.people('alice')
        store(alice, box.uids[1], '+FLAGS', FLAGGED)
        store(alice, box.uids[0], '-FLAGS', FLAGGED)
        assert flags(box, 'bob', there) == [{FLAGGED}, set(), set(), set()]
        assert server.all_shipped()
        node.stop()
        for folder in glob.glob(os.path.join(server.dir, 'later-old', 'run')):
            shutil.rmtree(folder)
        new = Node(server, 'later-old')
        assert flags(box, 'alice', there) == [set(), {FLAGGED}, set(), set()]
        assert flags(box, 'bob', there) == flags(box, 'dave', there) == \
            [{FLAGGED}, set(), set(), set()]
        assert flags(box, 'alice') == [set(), {FLAGGED}, set(), set()]
    finally:
        (new or node).stop()
