# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whoever lost a claim to somebody else is told when he looks at the mailbox
again, once."""
import re
import time

import pytest

from instance import wait_for
from test_claims import claim, store
from test_lapse import LEASE, lease_box, short_lease  # noqa: F401 (fixtures)
from test_nodes import pair, second  # noqa: F401 (fixtures)


def alerts(session, command='NOOP'):
    return [line.decode() for line in session.command(command).untagged if b'[ALERT]' in line]


def alerts_soon(session):
    """Those of the next commands, until there is one."""
    told = []
    wait_for(lambda: told.extend(alerts(session)) or told, 3, 0.1)
    return told


def is_quiet(*sessions):
    time.sleep(0.3)
    return not any(alerts(session) for session in sessions)


def test_told_after_login(box):
    alice, erin = box.people('alice', 'erin')
    claim(alice, box.uids[0])
    alice.logout()
    claim(erin, box.uids[0])
    later = box.login('alice', select=False)
    assert is_quiet(later), 'he may not be where he sees it'
    later.select(box.name)
    told = alerts_soon(later)
    assert len(told) == 1, told
    assert re.search(r'^\* OK \[ALERT\] %s: a message that you had claimed is now claimed by '
                     r'erin, since \d{4}-\d\d-\d\d \d\d:\d\d\.$' % re.escape(box.name), told[0])
    again = box.login('alice')
    assert is_quiet(later, again)


def test_told_by_one_of_several_sessions(box):
    sessions = [box.login('alice') for _ in range(4)]
    erin = box.login('erin')
    claim(sessions[0], box.uids[0])
    claim(erin, box.uids[0])
    tags = [s.start('NOOP') for s in sessions]
    told = [line for s, tag in zip(sessions, tags) for line in s.finish(tag).untagged
            if b'[ALERT]' in line]

    def is_told():
        for session in sessions:
            told.extend(alerts(session))
        return told
    assert wait_for(is_told, 3, 0.1) and len(told) == 1, told
    assert is_quiet(*sessions)


def test_not_told_in_idle_but_afterwards(box):
    alice, erin = box.people('alice', 'erin')
    claim(alice, box.uids[0])
    alice.idle()
    claim(erin, box.uids[0])
    assert alice.idle_until(lambda line: b'claimed-erin' in line, 5)
    assert not alice.idle_until(lambda line: b'[ALERT]' in line, 0.3)
    answer = alice.done()
    assert [line for line in answer.untagged if b'[ALERT]' in line] or alerts_soon(alice)
    assert is_quiet(alice)


def test_several_in_one_alert(box):
    alice, erin = box.people('alice', 'erin')
    assert store(alice, '%d,%d' % (box.uids[0], box.uids[2]), '+FLAGS', 'claimed').ok
    alice.logout()
    assert store(erin, '1:*', '+FLAGS', 'claimed').ok
    told = alerts_soon(box.login('alice'))
    assert len(told) == 1 and '2 messages that you had claimed are now claimed by erin' in told[0]


def test_an_administrator_frees(box):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    alice.logout()
    box.server.doveadm('team', 'claim', 'release', box.name, str(box.uids[0]))
    told = alerts_soon(box.login('alice'))
    assert len(told) == 1 and 'not claimed any more: an administrator' in told[0], told


def test_who_gives_back_or_hands_over_is_not_told(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    assert store(alice, box.uids[0], '-FLAGS', 'claimed').ok
    claim(bob, box.uids[0])
    claim(alice, box.uids[1])
    assert alice.attempt('UID COPY %d Team/Claimed/bob' % box.uids[1]).ok
    assert is_quiet(alice, box.login('alice'))


@pytest.mark.parametrize('offline', [False, True])
def test_told_who_took_it_after_it_lapsed(lease_box, offline):  # noqa: F811
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    claim(alice, uid)
    if offline:
        alice.logout()
    time.sleep(LEASE + 2)
    if not offline:
        assert is_quiet(alice), 'a lapse alone is nothing to be told of'
    claim(bob, uid)
    if offline:
        alice = lease_box.login('alice')
    told = alerts_soon(alice)
    assert len(told) == 1 and 'now claimed by bob' in told[0] and \
        told[0].endswith('your claim had lapsed.'), told
    assert is_quiet(alice)


def test_not_told_who_takes_his_own_again(lease_box):  # noqa: F811
    alice = lease_box.login('alice')
    claim(alice, lease_box.uids[0])
    time.sleep(LEASE + 2)
    claim(alice, lease_box.uids[0])
    assert is_quiet(alice)


def test_told_on_another_node_once(pair):  # noqa: F811
    alice, erin = pair.here('alice'), pair.here('erin')
    claim(alice, pair.box.uids[0])
    alice.logout()
    claim(erin, pair.box.uids[0])
    told = alerts_soon(pair.there('alice'))
    assert len(told) == 1 and 'now claimed by erin' in told[0], told
    assert is_quiet(pair.here('alice'), pair.there('alice'))


def test_told_although_the_service_was_killed(box):
    alice, erin = box.people('alice', 'erin')
    claim(alice, box.uids[0])
    alice.logout()
    claim(erin, box.uids[0])
    box.server.kill_service()
    alice = box.login('alice')
    assert len(alerts_soon(alice)) == 1
    assert is_quiet(alice)
