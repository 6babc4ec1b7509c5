# SPDX-License-Identifier: LGPL-2.1-or-later
"""What fails after its record was begun is recorded as failed, and nothing else
is recorded of it."""
import os
import smtplib

import pytest

import conftest
import instance

LIMIT = 12
QUOTA = ('''
mail_plugins = acl team quota
protocol imap {
  mail_plugins = acl team quota imap_acl imap_team
}
protocol lmtp {
  mail_plugins = acl team quota
}
plugin {
  quota = count:Team:ns=Team/
  quota_rule = *:messages=%(limit)d
  quota_vsizes = yes
}
''', '''
mail_plugins {
  quota = yes
}
namespace team {
  quota "Team" {
    driver = count
    quota_message_count = %(limit)d
  }
}
''')


@pytest.fixture(scope='module')
def full():
    """An instance with a quota, whose Team/ takes no more."""
    running = instance.Instance('sdbox', settings='lmtp_save_to_detail_mailbox = yes\n' + QUOTA[
        0 if instance.is_dovecot_2_3() else 1] % {'limit': LIMIT})
    yield running
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def fbox(full):
    made = conftest.Box(full)
    made.fill(3)
    session = made.login('alice', select=False)
    for n in range(40, 40 + LIMIT):
        message = made.message(n)
        tag = session.start(b'APPEND "%s" {%d+}\r\n%s' % (made.name.encode(), len(message), message))
        if not session.finish(tag).ok:
            break
    else:
        raise AssertionError('the quota does not count')
    made.full_at = n
    yield made
    session.select(made.name)
    session.command('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    session.command('EXPUNGE')
    made.close()


def told(box, where, args=()):
    assert box.server.all_shipped()
    return [(row['action'], row['outcome']) for row in box.server.audit(where, args)]


def test_append_over_quota(fbox):
    rows = fbox.server.all_shipped() and fbox.server.audit(
        "mailbox = %s AND action = 'append' AND outcome <> 'ok'", (fbox.name,))
    assert [(row['outcome'], row['uid']) for row in rows] == [('failed', None)]
    assert 'uota' in rows[0]['detail']['error']
    assert told(fbox, "message_id = %s", (fbox.message_id(fbox.full_at),)) == []


def test_copy_and_move_over_quota(fbox):
    bob = fbox.login('bob', box='INBOX')
    bob.append('INBOX', [(fbox.message(90), '', None), (fbox.message(91), '', None)])
    bob.select('INBOX')
    for command, action in (('COPY', 'copy'), ('MOVE', 'move')):
        answer = bob.attempt('%s %d:* %s' % (command, len(bob.search('ALL')) - 1, fbox.name))
        assert answer.status == 'NO' and 'OVERQUOTA' in answer.text, answer
        assert told(fbox, "colleague = 'bob' AND mailbox = %s AND action = %s",
                    (fbox.name, action)) == [(action, 'failed')]
    assert len(bob.search('HEADER Message-ID "%s"' % fbox.message_id(91))) == 1


def test_a_delivery_over_quota(fbox):
    with smtplib.LMTP(os.path.join(fbox.server.dir, 'run', 'dovecot', 'lmtp')) as lmtp:
        # Dovecot puts it into bob's own INBOX instead
        lmtp.sendmail('x@customers.example', ['bob+%s@support.example' % fbox.name], fbox.message(95))
    assert told(fbox, "mailbox = %s AND action = 'deliver'", (fbox.name,)) == [('deliver', 'failed')]


def test_a_folder_that_cannot_be_made(full, fbox):
    """The rights are there, the disk says no."""
    root = os.path.join(full.dir, 'mail', 'team', 'mailboxes')
    mode = os.stat(root).st_mode
    os.chmod(root, 0o500)
    try:
        erin = fbox.login('erin', select=False)
        created = erin.attempt('CREATE %s-no' % fbox.name)
        renamed = erin.attempt('RENAME %s %s-moved' % (fbox.name, fbox.name))
    finally:
        os.chmod(root, mode)
    assert created.status == renamed.status == 'NO'
    assert told(fbox, "mailbox = %s", (fbox.name + '-no',)) in (
        [('create', 'failed')], [('create', 'refused')])
    assert told(fbox, "mailbox = %s", (fbox.name + '-moved',)) in (
        [('rename', 'failed')], [('rename', 'refused')])
