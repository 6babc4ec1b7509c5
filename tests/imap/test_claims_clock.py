# SPDX-License-Identifier: LGPL-2.1-or-later
"""A node whose clock is wrong keeps claims as long as PostgreSQL's says."""
import time

import pytest

import conftest
import instance
from clock import Clock
from test_claims import check_refused, claim, claims_now, store

LEASE = 3
SETTINGS = 'team_claim_time = %ds\n' % LEASE


@pytest.fixture(scope='module')
def wrong_clock():
    running = instance.Instance('sdbox', settings=SETTINGS)
    clock = Clock(running)
    running.stop()
    running.settings(SETTINGS + clock.settings)
    running.start()
    yield running, clock
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


@pytest.mark.parametrize('hours', [1, -1])
def test_lapses_when_postgresql_says(wrong_clock, hours):
    server, clock = wrong_clock
    clock.set(hours * 3600)
    server.kill_service()
    assert instance.wait_for(server.service_pid)
    box = conftest.Box(server)
    box.fill(2)
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    start = time.monotonic()
    check_refused(store(bob, uid, '+FLAGS', '\\Deleted'))
    assert claims_now(bob, uid)
    bob.idle()
    seen = bob.idle_until(lambda line: b'FETCH' in line and b'claimed' not in line, LEASE + 5)
    bob.done()
    assert seen, 'bob did not see the lapse in IDLE'
    assert LEASE - 1 < seen[0] - start < LEASE + 3
    claim(bob, uid)
    box.close()
