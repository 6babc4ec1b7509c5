# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of claims while PostgreSQL, the service or the disk fails."""
import pytest

import instance
from instance import wait_for
from work import mailbox


@pytest.fixture
def refusing(server):
    """The server with team_offline = refuse."""
    with open(server.dir + '/local.conf') as f:
        before = f.read()
    server.settings(before + instance.mail_settings(team_offline='refuse'))
    server.doveadm('reload')
    yield server
    server.settings(before)
    server.doveadm('reload')


PROTECTED = ['UID STORE %d +FLAGS (\\Deleted)', 'UID MOVE %d Team/INBOX', 'UID EXPUNGE %d']


@pytest.mark.parametrize('command', PROTECTED)
def test_what_claims_protect_is_refused_while_they_are_not_known(refusing, command):
    box, uids = mailbox(refusing, 4)
    alice, bob = refusing.login('alice'), refusing.login('bob')
    for session in (alice, bob):
        session.select(box)
    alice.command('UID STORE %d +FLAGS (claimed)' % uids[0])
    bob.command('UID STORE %d +FLAGS (\\Deleted)' % uids[1])
    refusing.stop_postgresql()
    free = uids[1] if 'EXPUNGE' in command else uids[3]
    for session, uid, word in ((bob, uids[0], 'INUSE'), (bob, free, 'UNAVAILABLE'),
                               (alice, uids[0], 'UNAVAILABLE')):
        if uid == uids[0] and 'EXPUNGE' in command:
            continue
        answer = session.attempt(command % uid)
        assert answer.status == 'NO' and '[%s]' % word in answer.text, answer
        assert 'PostgreSQL' not in answer.text, answer
        session.command('NOOP')
        assert session.search('ALL') == uids
    assert bob.flags(uids[0]) & {'\\Deleted'} == set()
    # all else goes on
    assert bob.attempt('UID STORE %d +FLAGS (\\Seen \\Answered invoice)' % uids[2]).ok
    assert bob.attempt('UID COPY %d Team/INBOX' % uids[2]).ok
    assert bob.attempt('UID STORE %d -FLAGS (\\Deleted)' % uids[1]).ok
    refusing.start_postgresql()
    assert wait_for(lambda: bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % uids[2]).ok, 30, 0.3)
    assert wait_for(lambda: bob.attempt('UID EXPUNGE %d' % uids[2]).ok, 30, 0.3)
    assert refusing.all_shipped()
    rows = refusing.audit("mailbox = %s AND outcome = 'refused' AND detail->>'reason' = "
                          "'claims unknown'", (box,))
    assert {row['colleague'] for row in rows} == (
        {'bob'} if 'EXPUNGE' in command else {'alice', 'bob'})


def test_private_part_is_done_while_claims_are_not_known(refusing):
    box, uids = mailbox(refusing, 1)
    with refusing.login('bob') as bob:
        bob.select(box)
        refusing.stop_postgresql()
        answer = bob.attempt('UID STORE %d +FLAGS (\\Seen \\Deleted)' % uids[0])
        assert answer.status == 'NO' and '[UNAVAILABLE]' in answer.text, answer
        assert [f['flags'] - {'\\Recent'} for f in answer.fetched()][-1] == {'\\Seen'}
