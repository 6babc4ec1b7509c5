# SPDX-License-Identifier: LGPL-2.1-or-later
"""Claims are leases: they lapse quietly."""
import time

import pytest

import conftest
import instance
from instance import wait_for
from test_claims import check_refused, claim, claims_now, store
from ways import recorded

LEASE = 3


@pytest.fixture(scope='module')
def short_lease():
    running = instance.Instance('sdbox', settings='team_claim_time = %ds\n' % LEASE)
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


@recorded('lapse: The time of a claim is up')
def test_lapse_frees_the_message(lease_box):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    claim(alice, uid)
    check_refused(store(bob, uid, '+FLAGS', 'claimed'))
    assert claims_now(bob, uid)
    bob.idle()
    start = time.monotonic()
    seen = bob.idle_until(lambda line: b'FETCH' in line and b'claimed' not in line, LEASE + 5)
    bob.done()
    assert seen, 'bob did not see the lapse in IDLE'
    assert LEASE - 1 < seen[0] - start < LEASE + 2
    assert claims_now(alice, uid) == set()
    claim(bob, uid)
    rows = lease_box.server.wait_audit("action = 'lapse' AND mailbox = %s AND uid = %s",
                                       (lease_box.name, uid))
    assert len(rows) == 1 and rows[0]['message_id'] == lease_box.message_id(1)


def test_claiming_again_renews(lease_box):
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[0]
    for _ in range(4):
        claim(alice, uid)
        time.sleep(LEASE / 2)
    check_refused(store(bob, uid, '+FLAGS', 'claimed'))


def test_lapse_without_the_service(lease_box):
    """What lapses while the service is away is free when it is back."""
    alice, bob = lease_box.people('alice', 'bob')
    uid = lease_box.uids[1]
    claim(alice, uid)
    lease_box.server.kill_service()
    time.sleep(LEASE)
    assert wait_for(lambda: store(bob, uid, '+FLAGS', 'claimed').ok, 10)
    assert wait_for(lambda: claims_now(alice, uid) == {'claimed', 'claimed-bob'}, 5)
