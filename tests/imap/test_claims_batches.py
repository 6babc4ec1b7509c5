# SPDX-License-Identifier: LGPL-2.1-or-later
"""Claims in commands over thousands of messages, and what they cost."""
import pytest

import conftest
from test_claims import (CLAIMED_BY_ALICE, check_refused, check_truth_before_no, claim,
                         claims_now, store)

COUNT = 3000


@pytest.fixture
def big(server):
    """3,000 messages, of which alice holds one in each batch of 1,000."""
    made = conftest.Box(server)
    first = made.fill(1)[0]
    with server.login('dave') as session:
        session.select(made.name)
        count = 1
        while count < COUNT:
            more = min(count, COUNT - count)
            session.command('COPY 1:%d %s' % (more, made.name))
            count += more
            session.command('NOOP')
        made.uids = session.search('ALL')
    assert len(made.uids) == COUNT and made.uids[0] == first
    made.held = [made.uids[n] for n in (10, 1500, 2999)]
    made.alice = made.login('alice')
    claim(made.alice, ','.join(map(str, made.held)))
    yield made
    made.close()


def check_truths(answer, uids, without='\\Deleted'):
    for uid in uids:
        check_truth_before_no(answer, uid, without)


@pytest.mark.parametrize('command', ['STORE 1:*', 'UID STORE 1:*'])
def test_store_of_3000(big, command):
    bob = big.login('bob')
    answer = bob.attempt(command + ' +FLAGS.SILENT (\\Deleted)')
    check_refused(answer)
    check_truths(answer, big.held)
    assert bob.search('UNDELETED') == big.held
    # and nothing stands against claiming them afterwards
    claim(bob, big.uids[20])


@pytest.mark.parametrize('command', ['MOVE 1:*', 'UID MOVE 1:*'])
def test_move_of_3000(big, other_box, command):
    bob = big.login('bob')
    answer = bob.attempt('%s %s' % (command, other_box.name))
    check_refused(answer)
    bob.command('NOOP')
    assert bob.search('ALL') == big.held
    assert len(other_box.login('bob').search('ALL')) == COUNT - len(big.held)
    for uid in big.held:
        assert claims_now(bob, uid) == CLAIMED_BY_ALICE


@pytest.mark.parametrize('command', ['EXPUNGE', 'UID EXPUNGE 1:*', 'CLOSE'])
def test_expunge_of_3000(big, command):
    bob = big.login('bob')
    store(bob, '1:*', '+FLAGS.SILENT', '\\Deleted')
    assert store(big.alice, '1:*', '+FLAGS.SILENT', '\\Deleted').ok
    answer = bob.attempt(command)
    if command != 'CLOSE':
        check_refused(answer)
    carol = big.login('carol')
    assert carol.search('ALL') == big.held


def test_copy_of_3000_is_free(big, other_box):
    bob = big.login('bob')
    assert bob.attempt('UID COPY 1:* %s' % other_box.name).ok
    carol = other_box.login('carol')
    assert len(carol.search('ALL')) == COUNT
    assert carol.search('KEYWORD claimed') == []


def test_claim_of_3000(big):
    bob = big.login('bob')
    check_refused(store(bob, '1:*', '+FLAGS.SILENT', 'claimed'))
    bob.command('NOOP')
    assert bob.search('KEYWORD claimed-bob') == [u for u in big.uids if u not in big.held]
    assert bob.search('KEYWORD claimed-alice') == big.held
    assert store(bob, '1:*', 'FLAGS.SILENT', '\\Answered').ok
    big.alice.command('NOOP')
    assert big.alice.search('KEYWORD claimed') == big.held
