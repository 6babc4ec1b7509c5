# SPDX-License-Identifier: LGPL-2.1-or-later
"""A role account whose own mailbox colleagues open under their own names, as
support*alice, by IMAP and POP3: what is private goes by the name that logged
in."""
import itertools
import os
import poplib

import pytest

import instance
from conftest import SMALL_LOGS, STORAGES
from instance import lose_index, wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now
from test_private_flags import copied_uid, flags_of, refreshed, store
from test_private_keywords import listed

SETTINGS = '''
auth_master_user_separator = *
passdb {
  driver = passwd-file
  master = yes
  args = %(masters)s
}
plugin {
  acl_user = %%u
}
namespace inbox {
  location = %(storage)s:~/mail:INDEXPVT=~/private/%%{auth_user}
}
''' if instance.is_dovecot_2_3() else '''
auth_master_user_separator = *
passdb masters {
  driver = passwd-file
  master = yes
  passwd_file_path = %(masters)s
}
acl_user = %%{user}
namespace inbox {
  mail_index_private_path = ~/private/%%{auth_user}
}
'''
POP3 = '''
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
MASTERS = ''.join('%s:{PLAIN}pass::::::\n' % name for name in ('alice', 'bob', 'carol'))
accounts = ('u%d' % n for n in itertools.count(1))


@pytest.fixture(scope='module', params=STORAGES)
def server(request, tmp_path_factory):
    masters = instance.public_folder(tmp_path_factory, 'masters') / 'masters'
    masters.write_text(MASTERS)
    port = instance.free_port()
    running = instance.Instance(request.param, settings=SMALL_LOGS + (SETTINGS + POP3) % {
        'masters': masters, 'storage': request.param, 'pop3': port})
    running.pop3_port = port
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


class Role:
    """An account that has no mail of earlier tests, with three messages."""

    def __init__(self, server):
        self.server = server
        self.account = next(accounts)
        self.sessions = []
        owner = self.login(self.account)
        owner.append('INBOX', [(self.message(n), '', None) for n in (1, 2, 3)])
        owner.command('NOOP')
        self.uids = owner.search('ALL')
        owner.logout()

    def login(self, who, select='INBOX'):
        session = self.server.login(who)
        self.sessions.append(session)
        if select:
            session.opened = session.select(select)
        return session

    def as_role(self, who, select='INBOX'):
        return self.login('%s*%s' % (self.account, who), select)

    def close(self):
        for session in self.sessions:
            session.close()

    def message(self, n):
        return ('From: c%d@customers.example\r\nSubject: Question %d\r\n'
                'Message-ID: <m%d.%s@test.example>\r\n\r\nHello\r\n' % (
                    n, n, n, self.account)).encode()


@pytest.fixture
def role(server):
    made = Role(server)
    yield made
    made.close()


def test_flags_go_by_the_login(role):
    alice, bob = role.as_role('alice'), role.as_role('bob')
    store(alice, role.uids[0], '+FLAGS', r'\Seen \Flagged my-x \Answered common')
    assert flags_of(alice, role.uids[0]) == {'\\Seen', '\\Flagged', 'my-x', '\\Answered', 'common'}
    assert refreshed(bob, role.uids[0]) == {'\\Answered', 'common'}
    store(bob, role.uids[0], 'FLAGS', 'my-b common')
    assert refreshed(alice, role.uids[0]) == {'\\Seen', '\\Flagged', 'my-x', 'common'}
    assert alice.search('UNSEEN') == role.uids[1:] and bob.search('UNSEEN') == role.uids


def test_names_go_by_the_login(role):
    alice = role.as_role('alice')
    store(alice, role.uids[0], '+FLAGS', 'my-secret common')
    assert listed(role.as_role('bob').opened) & {'my-secret', 'common'} == {'common'}
    assert {'my-secret', 'common'} <= listed(role.as_role('alice').opened)


def test_counts_go_by_the_login(role):
    alice, bob = role.as_role('alice'), role.as_role('bob', None)
    other = role.as_role('alice', None)
    alice.command('UID FETCH %d (BODY[])' % role.uids[0])
    assert other.status('INBOX', 'UNSEEN') == 2 and bob.status('INBOX', 'UNSEEN') == 3
    assert other.select('INBOX').lines('[UNSEEN 2]') and bob.select('INBOX').lines('[UNSEEN 1]')


def test_new_folders_too(role):
    """Inherited: a folder that a colleague makes, with flags coming along."""
    alice, bob = role.as_role('alice'), role.as_role('bob')
    store(bob, role.uids[1], '+FLAGS', r'\Flagged my-b')
    role.server.all_shipped()
    alice.command('CREATE Work')
    new = copied_uid(alice.command('UID COPY %d Work' % role.uids[1]))
    alice.select('Work')
    bob.select('Work')
    store(alice, new, '+FLAGS', '\\Seen')
    assert flags_of(alice, new) == {'\\Seen'}
    assert wait_for(lambda: refreshed(bob, new) == {'\\Flagged', 'my-b'}, 5)


def test_shared_changes_come_in_idle(role):
    alice, bob = role.as_role('alice'), role.as_role('bob')
    bob.idle()
    store(alice, role.uids[0], '+FLAGS', r'\Seen my-x')
    assert not [line for _, line in bob.idle_lines(0.5) if b'FETCH' in line]
    store(alice, role.uids[0], '+FLAGS', '\\Answered')
    assert bob.idle_until(lambda line: b'FETCH' in line and b'Answered' in line, 3)
    bob.done()


def test_claims_go_by_the_login(role):
    alice, bob = role.as_role('alice'), role.as_role('bob')
    claim(alice, role.uids[2])
    assert claims_now(bob, role.uids[2]) == CLAIMED_BY_ALICE
    check_refused(bob.attempt('UID STORE %d +FLAGS (claimed)' % role.uids[2]))
    check_refused(bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % role.uids[2]))
    assert bob.search('UNDELETED') == role.uids


def test_records_name_the_login(role):
    alice = role.as_role('alice')
    store(alice, role.uids[0], '+FLAGS', r'\Answered')
    row, = role.server.wait_audit("action = 'flag' AND message_id = %s",
                                  ('<m1.%s@test.example>' % role.account,))
    assert (row['colleague'], row['mailbox'], row['detail']['user']) == (
        'alice', 'INBOX', role.account)


def test_rebuilt(role):
    alice = role.as_role('alice')
    store(alice, role.uids[0], '+FLAGS', r'\Seen my-x')
    role.server.all_shipped()
    alice.logout()
    folder = os.path.join(role.server.dir, 'mail/users', role.account, 'private')
    assert sorted(os.listdir(folder)) == sorted(['alice', role.account])
    lose_index(os.path.join(folder, 'alice'))
    alice = role.as_role('alice')
    assert wait_for(lambda: refreshed(alice, role.uids[0]) == {'\\Seen', 'my-x'}, 5)
    assert refreshed(role.as_role('bob'), role.uids[0]) == set()


def test_who_owns_it_takes_over(role):
    """All colleagues have the owner's rights there; the owner has them alone."""
    alice, owner = role.as_role('alice'), role.login(role.account)
    claim(alice, role.uids[0])
    assert owner.attempt('UID STORE %d +FLAGS (claimed)' % role.uids[0]).ok
    assert claims_now(alice, role.uids[0]) == {'claimed', 'claimed-' + role.account}


def pop3(role, who):
    session = poplib.POP3('127.0.0.1', role.server.pop3_port, timeout=20)
    session.user('%s*%s' % (role.account, who) if who else role.account)
    session.pass_('pass')
    return session


def test_pop3_reads_for_oneself(role):
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


def test_pop3_leaves_what_a_colleague_holds(role):
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


def test_pop3_deletes_what_one_holds(role):
    alice = role.as_role('alice')
    claim(alice, role.uids[1])
    session = pop3(role, 'alice')
    session.dele(2)
    session.quit()
    assert wait_for(lambda: alice.command('NOOP') and
                    alice.search('ALL') == [role.uids[0], role.uids[2]], 3)


def test_pop3_rset(role):
    session = pop3(role, 'bob')
    session.dele(1)
    session.rset()
    session.quit()
    assert role.as_role('alice').search('ALL') == role.uids


def test_pop3_leaves_flags_of_others(role):
    alice, bob = role.as_role('alice'), role.as_role('bob')
    store(alice, role.uids[0], '+FLAGS', r'\Flagged my-x \Answered')
    session = pop3(role, 'bob')
    session.retr(1)
    session.dele(3)
    session.quit()
    assert refreshed(alice, role.uids[0]) == {'\\Flagged', 'my-x', '\\Answered'}
    assert refreshed(bob, role.uids[0]) == {'\\Seen', '\\Answered'}
    assert alice.search('ALL') == role.uids[:2]
