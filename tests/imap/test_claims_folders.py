# SPDX-License-Identifier: LGPL-2.1-or-later
"""Claiming by putting a message into Claimed/<name>."""
import itertools

import pytest

from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now, store

numbers = itertools.count(1)


def last(session, folder):
    session.select(folder)
    return session.search('ALL')[-1]


@pytest.mark.parametrize('command', ['MOVE', 'COPY', 'APPEND'])
def test_putting_it_into_ones_own_folder_claims(box, command):
    alice, bob = box.people('alice', 'bob')
    if command == 'APPEND':
        alice.append_one('Team/Claimed/alice', box.message(70))
    else:
        assert alice.attempt('UID %s %d Team/Claimed/alice' % (command, box.uids[0])).ok
    uid = last(bob, 'Team/Claimed/alice')
    assert wait_for(lambda: claims_now(bob, uid) == CLAIMED_BY_ALICE, 5)
    check_refused(store(bob, uid, '+FLAGS', 'claimed'))
    check_refused(bob.attempt('UID MOVE %d Team/INBOX' % uid))
    assert bob.search('ALL')[-1] == uid


def test_the_folder_is_made_when_first_needed(box):
    user = 'u%d' % (70 + next(numbers))
    session = box.login(user)
    assert not session.attempt('SELECT Team/Claimed/%s' % user).ok
    session.select(box.name)
    assert session.attempt('UID MOVE %d Team/Claimed/%s' % (box.uids[0], user)).ok
    assert session.attempt('SELECT Team/Claimed/%s' % user).ok
    assert not session.attempt('UID MOVE 1 Team/Elsewhere/%s' % user).ok


@pytest.mark.parametrize('claimed', [True, False])
def test_a_colleagues_folder_hands_over(box, claimed):
    alice, bob, carol = box.people('alice', 'bob', 'carol')
    if claimed:
        claim(alice, box.uids[0])
    assert alice.attempt('UID MOVE %d Team/Claimed/bob' % box.uids[0]).ok
    uid = last(carol, 'Team/Claimed/bob')
    assert wait_for(lambda: claims_now(carol, uid) == {'claimed', 'claimed-bob'}, 5)
    box.server.all_shipped()
    assert claims_now(carol, uid) == {'claimed', 'claimed-bob'}
    check_refused(store(carol, uid, '+FLAGS', 'claimed'), 'bob')
    alice.select('Team/Claimed/bob')
    check_refused(store(alice, uid, '+FLAGS', 'claimed'), 'bob')


def test_moving_out_releases(box):
    alice, bob = box.people('alice', 'bob')
    assert alice.attempt('UID MOVE %d Team/Claimed/alice' % box.uids[0]).ok
    uid = last(alice, 'Team/Claimed/alice')
    assert alice.attempt('UID MOVE %d %s' % (uid, box.name)).ok
    bob.command('NOOP')
    uid = bob.search('ALL')[-1]
    box.server.all_shipped()
    assert claims_now(bob, uid) == set()
    claim(bob, uid)


def test_what_a_colleague_holds_can_not_be_moved_there(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    check_refused(bob.attempt('UID MOVE %d Team/Claimed/bob' % box.uids[0]))
    assert claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE


def test_claims_follow_a_rename(box):
    alice, = box.people('alice')
    claim(alice, box.uids[0])
    alice.command('CLOSE')
    alice.command('RENAME %s %sx' % (box.name, box.name))
    bob = box.login('bob', box=box.name + 'x')
    assert claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE
    check_refused(store(bob, box.uids[0], '+FLAGS', 'claimed'))
