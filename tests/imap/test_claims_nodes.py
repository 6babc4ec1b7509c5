# SPDX-License-Identifier: LGPL-2.1-or-later
"""Claims on two nodes: one winner, and nothing protected crosses a claim."""
import pytest

from instance import wait_for
from node import Node
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now, store
from test_nodes import pair, second  # noqa: F401 (fixtures)


def test_seen_on_the_other_node(pair):  # noqa: F811
    here, there = pair.here('alice'), pair.there('bob')
    uid = pair.box.uids[0]
    claim(here, uid)
    check_refused(store(there, uid, '+FLAGS', 'claimed'))
    assert wait_for(lambda: claims_now(there, uid) == CLAIMED_BY_ALICE, 5)
    assert store(here, uid, '-FLAGS', 'claimed').ok
    assert wait_for(lambda: claims_now(there, uid) == set(), 5)
    claim(there, uid)
    check_refused(store(here, uid, '+FLAGS', 'claimed'), 'bob')


def test_one_winner_on_two_nodes(pair):  # noqa: F811
    pair.box.fill(5)
    sessions = [pair.here('u%d' % n) for n in range(1, 9)] + \
        [pair.there('u%d' % n) for n in range(9, 17)]
    for session in sessions:
        session.command('NOOP')
    for uid in pair.box.uids:
        tags = [s.start('UID STORE %d +FLAGS (claimed)' % uid) for s in sessions]
        answers = [s.finish(tag) for s, tag in zip(sessions, tags)]
        winners = [s.user for s, a in zip(sessions, answers) if a.ok]
        assert len(winners) == 1, winners
        for session, answer in zip(sessions, answers):
            if session.user != winners[0]:
                check_refused(answer, winners[0])


@pytest.mark.parametrize('action', ['UID STORE %d +FLAGS (\\Deleted)', 'UID MOVE %d %s'])
def test_claim_and_protected_action_at_once(pair, other_box, action):  # noqa: F811
    """Either the claim stands and the message was left alone, or the claim was
    refused, or came when the message was gone."""
    pair.box.fill(17)
    alice, bob = pair.here('alice'), pair.there('bob')
    alice.command('NOOP')
    bob.command('NOOP')
    won = set()
    for n, uid in enumerate(pair.box.uids):
        first, last = (alice, bob) if n % 2 else (bob, alice)
        commands = {alice: 'UID STORE %d +FLAGS (claimed)' % uid,
                    bob: action % ((uid, other_box.name) if '%s' in action else uid)}
        tags = {s: s.start(commands[s]) for s in (first, last)}
        claimed, acted = alice.finish(tags[alice]), bob.finish(tags[bob])
        if not acted.ok:
            check_refused(acted)
            assert claimed.ok
            won.add('claim')
        elif 'MOVE' not in action:
            # what came first is done: the claim of a deleted message is no harm
            won.add('action')
        else:
            won.add('action')
            pair.box.server.all_shipped() and pair.second.all_shipped()
            rows = pair.box.server.query(
                'SELECT count(*) FROM team.claim c JOIN team.mailbox m ON m.id = c.mailbox_id '
                'WHERE m.name = %s AND c.uid = %s', (pair.box.name, uid), 'TEAM_PGDSN')
            assert rows == [(0,)]
    assert won


def test_leases_renewed_on_the_other_node(pair):  # noqa: F811
    here, there = pair.here('alice'), pair.there('alice')
    claim(here, pair.box.uids[0])
    claim(there, pair.box.uids[0])
    bob = pair.there('bob')
    check_refused(store(bob, pair.box.uids[0], '-FLAGS', 'claimed'))


def test_taken_over_on_the_other_node(pair):  # noqa: F811
    alice, erin = pair.here('alice'), pair.there('erin')
    claim(alice, pair.box.uids[0])
    claim(erin, pair.box.uids[0])
    told = []

    def is_told():
        told.extend(line for line in alice.attempt('NOOP').untagged if b'[ALERT]' in line)
        return told
    assert wait_for(is_told, 5)
    assert b'erin' in told[0]
    assert wait_for(lambda: claims_now(alice, pair.box.uids[0]) == {'claimed', 'claimed-erin'}, 5)


def who(server, box):
    return sorted((row['node'], row['colleague']) for row in
                  server.doveadm_json('team', 'who', box) if row['what'] == 'open')


def test_who_on_all_nodes(pair):  # noqa: F811
    server, box = pair.box.server, pair.box.name
    pair.here('alice'), pair.there('bob')
    first, = {row[0] for row in server.query('SELECT DISTINCT node FROM team.audit WHERE '
                                             "mailbox = %s AND colleague = 'dave'", (box,))}
    third = Node(server, 'third')
    try:
        carol = third.login('carol')
        carol.select(box)
        wanted = {(first, 'alice'), ('second', 'bob'), ('third', 'carol')}
        assert wait_for(lambda: wanted <= set(who(server, box)), 5), who(server, box)
    finally:
        third.kill()
    # and without one that died
    wanted.remove(('third', 'carol'))
    assert wait_for(lambda: set(who(server, box)) == wanted, 10), who(server, box)
