# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody holds the lock of an index for too long: what can't be written isn't done
by halves, nobody is shown that it were, and nobody is disconnected."""
import contextlib
import fcntl
import os

import pytest

import instance
from instance import wait_for
from work import mailbox


@pytest.fixture(scope='module')
def impatient():
    made = instance.Instance('sdbox', settings='mail_max_lock_timeout = 1 secs\n')
    yield made
    crashes = made.crashes()
    made.stop()
    assert not crashes, '\n'.join(crashes)


@contextlib.contextmanager
def locked(server, box, *path):
    name = os.path.join(server.dir, 'mail', *path[:-1], 'mailboxes', box.partition('/')[2], 'dbox-Mails'
                        if path[0] == 'team' else '', path[-1])
    with open(name, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        yield


def shown(session, uid):
    return session.flags(uid) - {'\\Recent'}


def test_shared_index(impatient):
    server = impatient
    box, uids = mailbox(server, 4)
    alice = server.login('alice')
    alice.select(box)
    alice.command('UID STORE %d +FLAGS (\\Flagged my-one)' % uids[0])
    with locked(server, box, 'team', 'dovecot.index.log'):
        answer = alice.attempt('UID STORE %d FLAGS.SILENT (\\Seen \\Answered my-two)' % uids[0])
        assert answer.status == 'NO', answer
        # FETCH has told the truth before
        assert [f['flags'] - {'\\Recent'} for f in answer.fetched()] == [{'\\Flagged', 'my-one'}]
        assert shown(alice, uids[0]) == {'\\Flagged', 'my-one'}
        answer = alice.command('UID FETCH %d (BODY[])' % uids[1])
        assert answer.lines('Hello')
        assert answer.fetched()[-1]['flags'] - {'\\Recent'} == set()
        assert shown(alice, uids[1]) == set()
    new = server.login('alice')
    new.select(box)
    for session in (alice, new):
        session.command('NOOP')
        assert shown(session, uids[0]) == {'\\Flagged', 'my-one'}
        assert shown(session, uids[1]) == set()
    assert server.all_shipped()
    rows = server.audit("mailbox = %s AND colleague = 'alice' AND outcome = 'failed'", (box,))
    assert {row['uid'] for row in rows} == {uids[0], uids[1]}
    alice.command('UID STORE %d +FLAGS (\\Seen \\Answered)' % uids[0])
    assert shown(alice, uids[0]) == {'\\Flagged', 'my-one', '\\Seen', '\\Answered'}


def test_private_index(impatient):
    """It is brought up to date when it can be."""
    server = impatient
    box, uids = mailbox(server, 4)
    alice = server.login('alice')
    alice.select(box)
    alice.command('UID STORE %d +FLAGS (\\Flagged my-one)' % uids[0])
    with locked(server, box, 'users', 'alice', 'team', 'dovecot.index.pvt.log'):
        alice.command('UID STORE %d FLAGS (\\Seen \\Answered my-two)' % uids[0])
        assert alice.command('UID FETCH %d (BODY[])' % uids[1]).lines('Hello')
    wanted = {uids[0]: {'\\Seen', '\\Answered', 'my-two'}, uids[1]: {'\\Seen'}}

    def is_so(session):
        session.command('NOOP')
        return {uid: shown(session, uid) for uid in wanted} == wanted
    assert server.all_shipped()
    new = server.login('alice')
    new.select(box)
    for session in (alice, new):
        assert wait_for(lambda s=session: is_so(s), 15)
    assert server.audit("mailbox = %s AND outcome <> 'ok'", (box,)) == []
