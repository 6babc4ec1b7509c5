# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is recorded by other ways than a plain IMAP command: deliveries, scripts,
POP3, submission, virtual mailboxes, doveadm."""
import os
import poplib
import re
import shlex
import shutil
import smtplib
import subprocess

import pytest

import conftest
import instance
import test_claims_virtual
from submit import swaks
from test_audit_coverage import operator
from ways import recorded

POP3 = '''
service pop3-login {
  inet_listener pop3 {
    port = %(port)d
  }
  inet_listener pop3s {
    port = 0
  }
}
'''
SETTINGS = (POP3 + '''
protocols = $protocols pop3
protocol pop3 {
  mail_plugins = acl team virtual
}
protocol submission {
  mail_plugins = acl team virtual submission_team
}
protocol lmtp {
  mail_plugins = acl team virtual sieve
}
plugin {
  sieve = file:%(dir)s/%%u.sieve
}
''', POP3 + '''
protocols {
  imap = yes
  lmtp = yes
  submission = yes
  pop3 = yes
}
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script personal {
  driver = file
  path = %(dir)s/%%{user}.sieve
}
''')
# what the tests have a script for; the others' deliveries are kept as they are
SCRIPTED, PLAIN = 'support', 'alice'
SCRIPT = '''require ["fileinto", "imap4flags", "mailbox"];
if header :contains "subject" "Question 51" { addflag ["\\\\Answered", "scripted"]; keep; }
elsif header :contains "subject" "Question 52" { fileinto :create "Scripted"; }
elsif header :contains "subject" "Question 53" { discard; }
'''


@pytest.fixture(scope='module')
def others(tmp_path_factory):
    folder = instance.public_folder(tmp_path_factory, 'others')
    (folder / (SCRIPTED + '.sieve')).write_text(SCRIPT)
    shutil.chown(folder, 'mail', 'mail')
    version = 0 if instance.is_dovecot_2_3() else 1
    port = instance.free_port()
    values = {'dir': folder, 'port': port}
    running = instance.Instance('sdbox', settings=(
        test_claims_virtual.PLUGINS[version] + SETTINGS[version]) % values)
    running.virtual, running.pop3_port = str(folder), port
    yield running
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def obox(others):
    made = conftest.Box(others)
    made.fill(3)
    made.virtual = test_claims_virtual.make_virtual(others, made)
    yield made
    made.close()


def told(box, n):
    """(colleague, action, outcome, mailbox) of all rows about the n-th message
    but its arrival as dave's."""
    assert box.server.all_shipped()
    return [(row['colleague'], row['action'], row['outcome'], row['mailbox'])
            for row in box.server.audit("message_id = %s AND colleague <> 'dave'", (box.message_id(n),))]


# deliveries

def deliver(server, user, message):
    with smtplib.LMTP(os.path.join(server.dir, 'run', 'dovecot', 'lmtp')) as lmtp:
        assert lmtp.sendmail('someone@customers.example', [user + '@support.example'], message) == {}


@recorded('deliver: LMTP')
def test_lmtp(others, obox):
    script = os.path.join(others.virtual, SCRIPTED + '.sieve')
    os.rename(script, script + '.off')
    try:
        deliver(others, SCRIPTED, obox.message(50))
    finally:
        os.rename(script + '.off', script)
    assert told(obox, 50) == [('lmtp', 'deliver', 'ok', 'INBOX')]
    row, = others.audit('message_id = %s', (obox.message_id(50),))
    assert row['detail']['user'] == SCRIPTED and row['detail']['service'] == 'lmtp'
    # the colleagues see the same message
    with others.login('alice') as alice:
        alice.select('Team/INBOX')
        assert row['uid'] in alice.search('HEADER Message-ID "%s"' % obox.message_id(50))


@recorded("deliver: Sieve's keep, with the flags of imap4flags", "deliver: Sieve's fileinto",
          "create: Sieve's fileinto :create")
def test_sieve(others, obox):
    for n in 51, 52, 53:
        deliver(others, SCRIPTED, obox.message(n))
    assert told(obox, 51) == [('sieve', 'deliver', 'ok', 'INBOX')]
    row, = others.audit('message_id = %s', (obox.message_id(51),))
    assert set(row['detail']['added'].split()) == {'\\Answered', 'scripted'}
    assert told(obox, 52) == [('sieve', 'deliver', 'ok', 'Scripted')]
    assert [row['colleague'] for row in others.audit(
        "action = 'create' AND mailbox = 'Scripted'")] == ['lmtp']
    assert told(obox, 53) == []


# POP3

@recorded('login, logout: POP3', "open: POP3's maildrop", 'fetch: POP3 RETR',
          'fetch: POP3 TOP, however much of it', 'expunge: POP3 DELE, at QUIT', 'read: POP3 RETR, at QUIT')
def test_pop3(others, obox):
    for n in 61, 62, 63:
        deliver(others, SCRIPTED, obox.message(n))
    pop3 = poplib.POP3('127.0.0.1', others.pop3_port, timeout=20)
    pop3.user(SCRIPTED)
    pop3.pass_('pass')
    count = len(pop3.list()[1])
    pop3.retr(count)
    pop3.retr(count)
    # it stands in the journal before the client has it
    assert others.wait_audit("action = 'fetch' AND message_id = %s", (obox.message_id(63),), timeout=5)
    pop3.top(count - 1, 0)
    pop3.dele(count - 2)
    pop3.quit()
    assert told(obox, 63)[1:] == [(SCRIPTED, 'fetch', 'ok', 'INBOX'), (SCRIPTED, 'read', 'ok', 'INBOX')]
    assert told(obox, 62)[1:] == [(SCRIPTED, 'fetch', 'ok', 'INBOX')]
    assert told(obox, 61)[1:] == [(SCRIPTED, 'expunge', 'ok', 'INBOX')]
    session = others.audit("action = 'fetch' AND message_id = %s", (obox.message_id(63),))[0]['session']
    rows = others.audit('session = %s AND uid IS NULL', (session,))
    assert [(row['action'], row['mailbox']) for row in rows] == \
        [('login', None), ('open', 'INBOX'), ('logout', None)]


# submission

@recorded('login, logout: submission')
def test_submission_sessions(others, obox):
    assert swaks(others, 'u42', obox.message(70)).startswith('250')
    assert others.all_shipped()
    assert [(row['action'], row['detail']['service']) for row in others.audit("colleague = 'u42'")] == \
        [('login', 'submission'), ('logout', 'submission')]


# virtual mailboxes

@recorded('fetch: FETCH through a virtual mailbox', 'read: FETCH of the text through a virtual mailbox',
          'flag: STORE through a virtual mailbox', 'copy: COPY through a virtual mailbox',
          'move: MOVE through a virtual mailbox', 'expunge: EXPUNGE through a virtual mailbox')
def test_virtual(obox):
    bob = obox.login('bob', box=obox.virtual)
    first, second, third = bob.search('ALL')
    bob.command('UID FETCH %d (BODY[])' % first)
    bob.command('UID FETCH %d (BINARY.PEEK[1])' % second)
    bob.command('UID FETCH %d (BODY.PEEK[HEADER] BODYSTRUCTURE PREVIEW)' % third)
    bob.command('UID STORE %d +FLAGS (\\Answered)' % first)
    bob.command('UID COPY %d INBOX' % first)
    bob.command('UID MOVE %d INBOX' % second)
    bob.command('UID STORE %d +FLAGS (\\Deleted)' % third)
    bob.command('EXPUNGE')
    name = obox.name
    assert sorted(told(obox, 1)) == sorted(
        [('bob', action, 'ok', name) for action in ('fetch', 'read', 'flag')] +
        [('bob', 'copy', 'ok', 'INBOX')])
    assert told(obox, 2) == [('bob', 'fetch', 'ok', name), ('bob', 'move', 'ok', 'INBOX')]
    assert told(obox, 3) == [('bob', 'flag', 'ok', name), ('bob', 'expunge', 'ok', name)]


# doveadm

@recorded('fetch: doveadm fetch of text or body', 'flag: doveadm flags', 'read: doveadm flags',
          'copy: doveadm copy', 'move: doveadm move', 'expunge: doveadm expunge')
def test_doveadm_messages(others, obox):
    def doveadm(*args, uid=obox.uids[0]):
        others.doveadm(*args, 'mailbox', obox.name, 'uid', str(uid))

    doveadm('fetch', '-u', 'alice', 'hdr')
    doveadm('fetch', '-u', 'alice', 'text')
    doveadm('flags', 'add', '-u', 'alice', '\\Seen')
    doveadm('flags', 'add', '-u', 'alice', '\\Answered')
    doveadm('copy', '-u', 'alice', 'INBOX')
    doveadm('fetch', '-u', 'alice', 'body', uid=obox.uids[1])
    doveadm('move', '-u', 'alice', 'INBOX', uid=obox.uids[1])
    doveadm('expunge', '-u', 'alice', uid=obox.uids[2])
    who, name = operator(), obox.name
    assert told(obox, 1) == [(who, action, 'ok', name) for action in ('fetch', 'read', 'flag')] + \
        [(who, 'copy', 'ok', 'INBOX')]
    assert told(obox, 2) == [(who, 'fetch', 'ok', name), (who, 'move', 'ok', 'INBOX')]
    assert told(obox, 3) == [(who, 'expunge', 'ok', name)]
    assert {row['detail']['user'] for row in others.audit("colleague = %s AND message_id = %s",
                                                          (who, obox.message_id(1)))} == {'alice'}


def test_flags_that_doveadm_sets_are_the_users(others, obox):
    """The record names who ran it; the private flag is the user's."""
    uid = obox.uids[0]
    others.doveadm('flags', 'add', '-u', 'carol', '\\Seen my-own', 'mailbox', obox.name, 'uid', str(uid))
    assert others.all_shipped()
    kept = others.query("SELECT c.name, f.flag FROM team.flag f JOIN team.colleague c ON c.id = f.colleague_id "
                        "JOIN team.mailbox m ON m.id = f.mailbox_id WHERE m.name = %s", (obox.name,),
                        who='TEAM_PGDSN')
    assert set(kept) == {('carol', '\\Seen'), ('carol', 'my-own')}
    shutil.rmtree(os.path.join(others.dir, 'mail', 'users', 'carol', 'team'))
    carol = obox.login('carol')
    assert {'\\Seen', 'my-own'} <= carol.attempt('UID FETCH %d FLAGS' % uid).fetched()[0]['flags']


@recorded('append: doveadm save')
def test_doveadm_save(others, obox):
    subprocess.run(shlex.split(others.env['TEAM_DOVEADM']) + ['save', '-u', 'alice', '-m', obox.name],
                   input=obox.message(81), capture_output=True, timeout=60, check=True)
    assert told(obox, 81) == [(operator(), 'append', 'ok', obox.name)]


@recorded('create: doveadm mailbox create', 'rename: doveadm mailbox rename',
          'delete: doveadm mailbox delete', 'acl: doveadm acl')
def test_doveadm_mailboxes(others, obox):
    old, new = obox.name + '-old', obox.name + '-new'
    others.doveadm('mailbox', 'create', '-u', 'alice', old)
    others.doveadm('mailbox', 'rename', '-u', 'alice', old, new)
    others.doveadm('acl', 'set', '-u', 'erin', new, 'user=bob', 'lookup')
    others.doveadm('mailbox', 'delete', '-u', 'alice', new)
    assert others.all_shipped()
    found = others.audit('mailbox = ANY (%s)', ([old, new],))
    assert [(row['colleague'], row['action'], row['outcome']) for row in found] == \
        [(operator(), action, 'ok') for action in ('create', 'rename', 'acl', 'delete')]


@recorded('claim: doveadm team claim', 'release: doveadm team claim release',
          'query: doveadm team claim list')
def test_doveadm_claims(others, obox):
    uid = str(obox.uids[0])
    others.doveadm('team', 'claim', 'take', 'bob', obox.name, uid)
    others.doveadm('team', 'claim', 'list', obox.name)
    others.doveadm('team', 'claim', 'release', obox.name, uid)
    assert told(obox, 1) == [(operator(), 'claim', 'ok', obox.name), (operator(), 'release', 'ok', obox.name)]
    assert re.search('claims', others.wait_audit(
        "action = 'query' AND detail::text LIKE %s", ('%' + obox.name + '%',))[0]['detail']['query'])


@recorded('acl: team.limit_auditor()')
def test_auditor_limited(server):
    """Not an auditor's name, so that nobody else's test is limited."""
    for mailboxes, wanted in (('{Team/Support,"Team/a b*"}', '{Team/Support,"Team/a b*"}'), (None, 'all')):
        before = {row['seq'] for row in server.audit("action = 'acl'")}
        server.query("SELECT team.limit_auditor('team_service', %s)", (mailboxes,), who='TEAM_PGDSN')
        found = []

        def new():
            found[:] = [row for row in server.audit("action = 'acl'") if row['seq'] not in before]
            return found
        assert instance.wait_for(new, 10)
        assert server.all_shipped()
        record, = [row for row in server.audit("action = 'acl'") if row['seq'] not in before]
        assert (record['detail']['auditor'], record['detail']['mailboxes'], record['detail']['by']) == \
            ('team_service', wanted, 'team')
        assert record['outcome'] == 'ok' and record['detail']['at'][:4].isdigit()
    assert not server.query('SELECT 1 FROM team.auditor_change', who='TEAM_PGDSN')
