# SPDX-License-Identifier: LGPL-2.1-or-later
"""A mailbox that its owner shares (type = shared), opened as shared/<owner>/INBOX."""
import itertools
import os

import pytest

from instance import lose_index, wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now
from test_private_flags import copied_uid, flags_of, refreshed, store
from test_private_keywords import listed

RIGHTS = ('lookup read write write-seen write-deleted insert post expunge create delete').split()
owners = ('u%d' % n for n in itertools.count(1))


class Shared:
    """An owner's INBOX with three messages, shared with alice and bob."""

    def __init__(self, server):
        self.server = server
        self.account = next(owners)
        self.name = 'shared/%s/INBOX' % self.account
        self.sessions = []
        self.owner = self.login(self.account, 'INBOX')
        self.owner.append('INBOX', [(self.message(n), '', None) for n in (1, 2, 3)])
        self.owner.command('NOOP')
        self.uids = self.owner.search('ALL')
        for name in ('alice', 'bob'):
            server.doveadm('acl', 'set', '-u', self.account, 'INBOX', 'user=' + name, *RIGHTS)

    def message(self, n):
        return ('From: c%d@customers.example\r\nSubject: Question %d\r\n'
                'Message-ID: <m%d.%s.shared@test.example>\r\n\r\nHello\r\n' % (
                    n, n, n, self.account)).encode()

    def login(self, who, select=''):
        session = self.server.login(who)
        self.sessions.append(session)
        if select is not None:
            session.opened = session.select(select or self.name)
        return session


@pytest.fixture
def shared(more_paths):
    made = Shared(more_paths)
    yield made
    for session in made.sessions:
        session.close()


def test_flags_are_private(shared):
    alice, bob = shared.login('alice'), shared.login('bob')
    uid = shared.uids[0]
    store(alice, uid, '+FLAGS', r'\Seen \Flagged my-x \Answered common')
    assert refreshed(bob, uid) == refreshed(shared.owner, uid) == {'\\Answered', 'common'}
    store(bob, uid, 'FLAGS', 'my-b common')
    assert refreshed(alice, uid) == {'\\Seen', '\\Flagged', 'my-x', 'common'}
    assert alice.search('KEYWORD my-x') == [uid] and bob.search('KEYWORD my-x') == []
    assert 'my-x' not in listed(shared.login('bob').opened)
    assert 'my-x' in listed(shared.login('alice').opened)


def test_the_owners_own_stay(shared):
    """D2, and nothing of the owner's is shown to colleagues."""
    uid = shared.uids[0]
    alice = shared.login('alice')
    store(shared.owner, uid, '+FLAGS', r'\Seen \Flagged')
    assert refreshed(alice, uid) == set()
    store(alice, uid, 'FLAGS', r'\Answered')
    assert refreshed(shared.owner, uid) == {'\\Seen', '\\Flagged', '\\Answered'}
    assert shared.owner.search('UNSEEN') == shared.uids[1:]


def test_counts(shared):
    alice, bob = shared.login('alice', None), shared.login('bob', None)
    reader = shared.login('alice')
    reader.command('UID FETCH %d (BODY[])' % shared.uids[0])
    assert alice.status(shared.name, 'UNSEEN') == 2 and bob.status(shared.name, 'UNSEEN') == 3
    assert alice.select(shared.name).lines('[UNSEEN 2]')
    assert bob.select(shared.name).lines('[UNSEEN 1]')


def test_claims(shared):
    alice, bob = shared.login('alice'), shared.login('bob')
    claim(alice, shared.uids[1])
    assert claims_now(bob, shared.uids[1]) == CLAIMED_BY_ALICE
    check_refused(bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % shared.uids[1]))
    check_refused(bob.attempt('UID MOVE %d INBOX' % shared.uids[1]))
    assert bob.search('ALL') == shared.uids


def test_moved_to_the_team(shared):
    """From one team namespace into another: everybody's flags go along."""
    alice, bob = shared.login('alice'), shared.login('bob')
    uid = shared.uids[0]
    store(alice, uid, '+FLAGS', r'\Flagged my-a')
    store(bob, uid, '+FLAGS', r'\Seen my-b')
    shared.server.all_shipped()
    new = copied_uid(alice.command('UID MOVE %d Team/INBOX' % uid))
    alice.select('Team/INBOX')
    bob.select('Team/INBOX')
    assert flags_of(alice, new) == {'\\Flagged', 'my-a'}
    assert wait_for(lambda: refreshed(bob, new) == {'\\Seen', 'my-b'}, 5)


def test_rebuilt(shared):
    alice = shared.login('alice')
    store(alice, shared.uids[0], '+FLAGS', r'\Seen my-x')
    shared.server.all_shipped()
    alice.logout()
    lose_index(os.path.join(shared.server.dir, 'mail/users/alice/shared', shared.account))
    alice = shared.login('alice')
    assert wait_for(lambda: refreshed(alice, shared.uids[0]) == {'\\Seen', 'my-x'}, 5)


def test_records(shared):
    alice = shared.login('alice')
    store(alice, shared.uids[0], '+FLAGS', r'\Answered')
    row, = shared.server.wait_audit("action = 'flag' AND message_id = %s",
                                    ('<m1.%s.shared@test.example>' % shared.account,))
    assert (row['colleague'], row['mailbox']) == ('alice', shared.name)
