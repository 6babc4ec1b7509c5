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


LEASE = 3


def restart_service(server, how):
    old = server.service_pid()
    how()
    assert wait_for(lambda: server.service_pid() not in (None, old), 20)


@pytest.fixture
def short_lease(server):
    """The server with claims that lapse soon."""
    with open(server.dir + '/local.conf') as f:
        before = f.read()
    server.settings(before + 'team_claim_time = %ds\n' % LEASE)
    restart_service(server, lambda: server.doveadm('reload'))
    yield server
    server.settings(before)
    restart_service(server, lambda: server.doveadm('reload'))


def lapses(server, box):
    return server.audit("mailbox = %s AND action = 'lapse'", (box,))


def claimed(server, count=1):
    """A mailbox with messages that alice claims."""
    box, uids = mailbox(server, count)
    with server.login('alice') as alice:
        alice.select(box)
        alice.command('UID STORE 1:* +FLAGS (claimed)')
    return box, uids


def claims_left(server, box):
    return server.query('SELECT count(*) FROM team.claims(%s)', (box,), 'TEAM_PGDSN')[0][0] + \
        server.query('SELECT count(*) FROM team.claim c JOIN team.mailbox m ON m.id = mailbox_id '
                     'WHERE m.name = %s', (box,), 'TEAM_PGDSN')[0][0]


def test_lapse_is_not_lost_with_the_service(short_lease):
    """PostgreSQL takes the claims away, and the service dies before it hears of
    it."""
    box, uids = claimed(short_lease, 3)
    assert short_lease.all_shipped()
    with short_lease.database('TEAM_PGDSN') as cursor:
        # lets team.claim_lapse begin and not end
        cursor.execute('LOCK TABLE team.claim_lapsed IN SHARE MODE')
        assert wait_for(lambda: short_lease.query(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
            "'team.claim_lapsed'::regclass", (), 'TEAM_PGDSN')[0][0] > 0, LEASE + 10)
        restart_service(short_lease, short_lease.kill_service)
    assert wait_for(lambda: len(lapses(short_lease, box)) >= 3, 40)
    assert sorted(row['uid'] for row in lapses(short_lease, box)) == uids
    assert claims_left(short_lease, box) == 0


def test_lapse_is_recorded_once_although_the_service_is_killed(short_lease):
    """The journal has it and PostgreSQL hasn't when the service dies."""
    box, uids = claimed(short_lease, 3)
    assert short_lease.all_shipped()
    with short_lease.database('TEAM_PGDSN') as cursor:
        # nothing can be shipped
        cursor.execute('LOCK TABLE team.record IN SHARE MODE')
        assert wait_for(lambda: claims_left(short_lease, box) == 0, LEASE + 10)
        wait_for(lambda: int(short_lease.status()['journal_records']) >= 3, 5)
        for _ in range(2):
            restart_service(short_lease, short_lease.kill_service)
    assert wait_for(lambda: len(lapses(short_lease, box)) >= 3, 20)
    # the next looks for lapses come
    restart_service(short_lease, short_lease.kill_service)
    assert wait_for(lambda: short_lease.query(
        'SELECT bool_and(reported) FROM team.claim_lapsed', (), 'TEAM_PGDSN') == [(True,)], 40)
    assert sorted(row['uid'] for row in lapses(short_lease, box)) == uids


def test_claims_survive_a_restart_of_everything(server):
    box, uids = claimed(server, 2)
    server.stop()
    server.start()
    with server.login('bob') as bob:
        bob.select(box)
        for uid in uids:
            assert bob.flags(uid) - {'\\Recent'} == {'claimed', 'claimed-alice'}
            assert '[INUSE]' in bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % uid).text
