# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leases: renewed by work, taken over, handed over, given back."""
import time

import pytest

import conftest
import instance
from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now, store
from test_lapse import LEASE
from ways import recorded


@pytest.fixture(scope='module')
def short_lease():
    running = instance.Instance('sdbox', settings='team_claim_time = %ds\n' % LEASE +
                                instance.mail_settings(
        team_claim_flags='claimed \\Flagged todo',
        team_claim_protects='\\Deleted \\Answered move expunge done-*',
        team_claim_until_logout='yes'))
    yield running
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def lease_box(short_lease):
    made = conftest.Box(short_lease)
    made.fill(2)
    yield made
    made.close()


@pytest.mark.parametrize('work', [
    'UID FETCH %d (BODY.PEEK[])', 'UID FETCH %d (BODY[1])', 'UID STORE %d +FLAGS (\\Seen)',
    'UID STORE %d +FLAGS.SILENT (invoice)',
])
@recorded('renew: Work on a message that one holds')
def test_work_renews(lease_box, work):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    start = time.monotonic()
    claim(alice, uid)
    for n in range(6):
        time.sleep(LEASE / 3)
        assert alice.attempt(work % uid).ok
        if 'STORE' in work:
            alice.attempt((work % uid).replace('+FLAGS', '-FLAGS'))
    check_refused(store(bob, uid, '+FLAGS', 'claimed'))
    took = time.monotonic() - start
    rows = lease_box.server.wait_audit(
        "action = 'renew' AND colleague = 'alice' AND mailbox = %s AND uid = %s",
        (lease_box.name, uid))
    # not more often than twice a lease, in whole seconds
    assert 1 <= len(rows) <= 1 + took / (LEASE // 2)


def test_work_of_others_does_not_renew(lease_box):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    claim(alice, uid)
    for n in range(5):
        time.sleep(LEASE / 3)
        assert bob.attempt('UID FETCH %d (BODY.PEEK[])' % uid).ok
    claim(bob, uid)


def test_logout_releases_if_set(lease_box):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    claim(alice, uid)
    alice.logout()
    assert wait_for(lambda: store(bob, uid, '+FLAGS', 'claimed').ok, 1)


@pytest.mark.parametrize('flag', ['\\Flagged', 'todo', 'claimed'])
def test_several_flags_claim(lease_box, flag):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    assert store(alice, uid, '+FLAGS', flag).ok
    shown = CLAIMED_BY_ALICE | {'todo', '\\Flagged'}
    bob.command('NOOP')
    assert bob.flags(uid) - {'\\Recent'} == shown
    assert alice.flags(uid) - {'\\Recent'} == shown
    check_refused(store(bob, uid, '+FLAGS', flag))
    check_refused(store(bob, uid, '-FLAGS', flag))
    assert store(alice, uid, '-FLAGS', flag).ok
    bob.command('NOOP')
    assert bob.flags(uid) - {'\\Recent'} == set()


@pytest.mark.parametrize('what, flags', [
    ('+FLAGS', '\\Answered'), ('+FLAGS', 'done-1'), ('FLAGS', '\\Answered done-2'),
])
def test_what_is_protected_by_setting(lease_box, what, flags):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    claim(alice, uid)
    check_refused(store(bob, uid, what, flags))
    bob.command('NOOP')
    assert not {'\\Answered', 'done-1', 'done-2'} & bob.flags(uid)
    assert store(bob, uid, '+FLAGS', '\\Seen other').ok
    assert store(alice, uid, '+FLAGS', 'done-1').ok


# with the settings that everybody has

def test_answering_releases(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    assert store(bob, uid, '+FLAGS', '\\Answered').ok
    assert claims_now(alice, uid) == CLAIMED_BY_ALICE
    assert store(bob, uid, '-FLAGS', '\\Answered').ok
    alice.command('NOOP')
    assert store(alice, uid, '+FLAGS', '\\Answered').ok
    assert claims_now(alice, uid) == set()
    assert claims_now(bob, uid) == set()
    claim(bob, uid)


@recorded('takeover: Claimed by who has the right a')
def test_who_administers_takes_over(box):
    alice, erin, bob = box.people('alice', 'erin', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    claim(erin, uid)
    assert claims_now(bob, uid) == {'claimed', 'claimed-erin'}
    answer = alice.attempt('NOOP')
    alerts = [line for line in answer.untagged if b'[ALERT]' in line]
    assert len(alerts) == 1 and b'erin' in alerts[0], answer
    assert not [line for line in alice.attempt('NOOP').untagged if b'[ALERT]' in line]
    check_refused(store(alice, uid, '+FLAGS', 'claimed'), 'erin')
    rows = box.server.wait_audit("action = 'takeover' AND mailbox = %s AND uid = %s",
                                 (box.name, uid))
    assert [(r['colleague'], r['detail']['former']) for r in rows] == [('erin', 'alice')]
    # nobody was refused what was got
    rows = box.server.wait_audit("action = 'claim' AND mailbox = %s AND uid = %s", (box.name, uid), 2)
    assert [(r['colleague'], r['outcome']) for r in rows] == [
        ('alice', 'ok'), ('alice', 'refused')]


def test_administering_does_not_pass_the_guard(box):
    alice, erin = box.people('alice', 'erin')
    claim(alice, box.uids[0])
    check_refused(store(erin, box.uids[0], '+FLAGS', '\\Deleted'))


def test_doveadm_hands_over_and_releases(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    rows = box.server.doveadm_json('team', 'claim', 'hand-over', 'bob', box.name, str(uid))
    assert [(r['uid'], r['outcome'], r['former']) for r in rows] == [(str(uid), 'taken', 'alice')]
    assert wait_for(lambda: claims_now(alice, uid) == {'claimed', 'claimed-bob'}, 5)
    check_refused(store(alice, uid, '+FLAGS', 'claimed'), 'bob')
    rows = box.server.doveadm_json('team', 'claim', 'release', box.name, '1:9')
    assert [(r['uid'], r['outcome'], r['former']) for r in rows] == [(str(uid), 'released', 'bob')]
    assert wait_for(lambda: claims_now(bob, uid) == set(), 5)
    rows = box.server.doveadm_json('team', 'claim', 'take', 'carol', box.name, str(uid))
    assert [r['outcome'] for r in rows] == ['granted']
    assert wait_for(lambda: claims_now(bob, uid) == {'claimed', 'claimed-carol'}, 5)


@pytest.mark.parametrize('args', [
    ('take', 'bob', 'Team/Nothing', '1'), ('take', 'bob', 'Team/INBOX', 'x'),
    ('release', 'Team/Nothing', '1'), ('take', '', 'Team/INBOX', '1'),
])
def test_doveadm_wrong_arguments(box, args):
    assert box.server.doveadm('team', 'claim', *args, check=False).returncode != 0


def test_who(box):
    alice, bob = box.people('alice', 'bob')
    bob.command('ID ("name" "neomutt" "version" "2022")')
    claim(alice, box.uids[1])
    rows = box.server.doveadm_json('team', 'who', box.name)
    opened = sorted((r['colleague'], r['client']) for r in rows if r['what'] == 'open')
    assert [name for name, _ in opened] == ['alice', 'bob']
    assert opened[1][1] == 'neomutt 2022'
    assert all(r['since'] and r['ip'] for r in rows if r['what'] == 'open')
    claims = [r for r in rows if r['what'] == 'claim']
    assert [(r['colleague'], r['uid']) for r in claims] == [('alice', str(box.uids[1]))]
    assert claims[0]['since'] < claims[0]['until']
