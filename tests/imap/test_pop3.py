# SPDX-License-Identifier: LGPL-2.1-or-later
"""POP3 on a role account's INBOX, opened as support*alice."""
import poplib

import pytest

import instance
import test_role_account
from conftest import STORAGES
from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, claim, claims_now
from test_private_flags import flags_of, refreshed, store
from test_role_account import Role

SETTINGS = test_role_account.SETTINGS + '''
protocols = imap lmtp submission pop3
service pop3-login {
  inet_listener pop3 {
    port = %(pop3)d
  }
  inet_listener pop3s {
    port = 0
  }
}
'''


@pytest.fixture(scope='module', params=STORAGES)
def server(request, tmp_path_factory):
    port = instance.free_port()
    running = test_role_account.start(request.param, tmp_path_factory, SETTINGS, pop3=port)
    running.pop3_port = port
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def role(server):
    made = Role(server)
    yield made
    made.close()


def pop3(role, who):
    session = poplib.POP3('127.0.0.1', role.server.pop3_port, timeout=20)
    session.user('%s*%s' % (role.account, who) if who else role.account)
    session.pass_('pass')
    return session


def test_reading_is_private(role):
    session = pop3(role, 'alice')
    assert b'Subject: Question 1' in session.retr(1)[1]
    session.top(2, 0)
    session.quit()
    alice, bob = role.as_role('alice'), role.as_role('bob')
    assert flags_of(alice, role.uids[0]) == {'\\Seen'}
    assert alice.search('UNSEEN') == role.uids[1:]
    assert bob.search('UNSEEN') == role.uids
    row, = role.server.wait_audit("action = 'read' AND message_id = %s",
                                  ('<m1.%s@test.example>' % role.account,))
    assert (row['colleague'], row['detail']['service']) == ('alice', 'pop3')


def test_what_a_colleague_holds_is_not_deleted(role):
    alice = role.as_role('alice')
    claim(alice, role.uids[1])
    session = pop3(role, 'bob')
    for n in (1, 2):
        session.dele(n)
    with pytest.raises(poplib.error_proto) as error:
        session.quit()
    assert b'claimed by alice since' in error.value.args[0]
    alice.command('NOOP')
    assert alice.search('ALL') == role.uids[1:]
    assert claims_now(alice, role.uids[1]) == CLAIMED_BY_ALICE
    rows = role.server.wait_audit("action = 'expunge' AND colleague = 'bob' AND session = "
                                  "(SELECT session FROM team.audit WHERE action = 'expunge' AND "
                                  "message_id = %s)",
                                  ('<m1.%s@test.example>' % role.account,), 2)
    assert sorted((row['uid'], row['outcome']) for row in rows) == [
        (role.uids[0], 'ok'), (role.uids[1], 'refused')]


def test_who_holds_it_deletes_it(role):
    alice = role.as_role('alice')
    claim(alice, role.uids[1])
    session = pop3(role, 'alice')
    session.dele(2)
    session.quit()
    assert wait_for(lambda: alice.command('NOOP') and
                    alice.search('ALL') == [role.uids[0], role.uids[2]], 3)


def test_rset_gives_up(role):
    session = pop3(role, 'bob')
    session.dele(1)
    session.rset()
    session.quit()
    assert role.as_role('alice').search('ALL') == role.uids


def test_flags_of_others_stay(role):
    alice, bob = role.as_role('alice'), role.as_role('bob')
    store(alice, role.uids[0], '+FLAGS', r'\Flagged my-x \Answered')
    session = pop3(role, 'bob')
    session.retr(1)
    session.dele(3)
    session.quit()
    assert refreshed(alice, role.uids[0]) == {'\\Flagged', 'my-x', '\\Answered'}
    assert refreshed(bob, role.uids[0]) == {'\\Seen', '\\Answered'}
    assert alice.search('ALL') == role.uids[:2]
