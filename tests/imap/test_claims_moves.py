# SPDX-License-Identifier: LGPL-2.1-or-later
"""A claim goes with its message, without a moment in which another can have it."""
import contextlib

import psycopg2

from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now, store


@contextlib.contextmanager
def shipping_stopped(server):
    """What is recorded doesn't reach PostgreSQL."""
    connection = psycopg2.connect(server.env['TEAM_PGDSN'])
    try:
        with connection.cursor() as cursor:
            cursor.execute('SELECT FROM team.node FOR UPDATE')
            yield
    finally:
        connection.rollback()
        connection.close()


def test_nobody_is_faster_in_the_new_place(box, other_box):
    alice, bob = box.login('alice'), box.login('bob', box=other_box.name)
    claim(alice, box.uids[0])
    with shipping_stopped(box.server):
        assert alice.attempt('UID MOVE %d %s' % (box.uids[0], other_box.name)).ok
        bob.command('NOOP')
        uid = bob.search('ALL')[0]
        check_refused(store(bob, uid, '+FLAGS', 'claimed'))
        check_refused(store(bob, uid, '+FLAGS', '\\Deleted'))
        # and what wasn't claimed is free
        assert alice.attempt('UID MOVE %d %s' % (box.uids[1], other_box.name)).ok
        bob.command('NOOP')
        claim(bob, bob.search('ALL')[1])
    assert box.server.all_shipped()
    assert wait_for(lambda: claims_now(bob, uid) == CLAIMED_BY_ALICE, 3)
    since = box.server.query(
        'SELECT count(DISTINCT c.since) FROM team.claim c JOIN team.mailbox m '
        "ON m.id = c.mailbox_id WHERE m.name = %s AND c.uid = %s AND c.since < "
        "(SELECT min(at) FROM team.audit WHERE action = 'move' AND mailbox = %s)",
        (other_box.name, uid, other_box.name), 'TEAM_PGDSN')
    assert since == [(1,)], 'the claim is as old as it was'
