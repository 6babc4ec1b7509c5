# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever is tried stands in the log: what is refused without a word, rights
that are changed, whole trees of mailboxes, and who ran doveadm."""
import os
import re

from test_flag_rights import set_rights
from ways import documented, proven, recorded


def rows(box, where, args=(), count=1):
    assert box.server.all_shipped()
    found = box.server.wait_audit(where, args, count)
    assert len(found) == count, found
    return found


def test_every_way_that_is_documented_is_proven():
    assert documented() - proven() == set()
    assert proven() - documented() == set()


@recorded('refused: the access rights forbid it, and Dovecot says OK')
def test_what_rights_forbid_is_refused(server, box):
    set_rights(server, box, 'dave', 'lookup', 'read')
    dave = box.login('dave')
    uid = box.uids[0]
    assert dave.attempt('UID STORE %d +FLAGS (\\Answered other)' % uid).ok
    assert dave.attempt('UID STORE %d +FLAGS (\\Seen)' % uid).ok
    found = rows(box, "message_id = %s AND colleague = 'dave' AND outcome <> 'ok'",
                 (box.message_id(1),), 3)
    assert [(row['action'], row['outcome'], row['detail']['added']) for row in found] == \
        [('flag', 'refused', '\\Answered'), ('flag', 'refused', 'other'),
         ('read', 'refused', '\\Seen')]
    assert {row['detail']['reason'] for row in found} == {'no right'}
    assert not server.audit("message_id = %s AND colleague = 'dave' AND outcome = 'ok' "
                            "AND action IN ('flag', 'read')", (box.message_id(1),))


def test_an_expunge_that_rights_forbid_is_refused(server, box):
    alice = box.login('alice')
    alice.command('UID STORE %d:%d +FLAGS (\\Deleted)' % (box.uids[0], box.uids[1]))
    set_rights(server, box, 'dave', 'lookup', 'read', 'write', 'write-seen', 'write-deleted')
    dave = box.login('dave')
    dave.attempt('EXPUNGE')
    found = rows(box, "action = 'expunge' AND colleague = 'dave' AND mailbox = %s",
                 (box.name,), 2)
    assert {(row['uid'], row['outcome']) for row in found} == \
        {(box.uids[0], 'refused'), (box.uids[1], 'refused')}
    assert len({row['seq'] for row in found}) == 1
    assert len(alice.search('ALL')) == 3


def test_refusals_say_who_holds_the_message(box):
    alice, bob = box.people('alice', 'bob')
    alice.command('UID STORE %d +FLAGS (claimed)' % box.uids[0])
    bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % box.uids[0])
    row, = rows(box, "message_id = %s AND action = 'flag' AND outcome = 'refused'",
                (box.message_id(1),))
    assert (row['detail']['added'], row['detail']['holder']) == ('\\Deleted', 'alice')


@recorded('refused: the access rights forbid it', 'failed: Dovecot answered NO for another reason')
def test_commands_that_are_answered_with_no(server, box):
    set_rights(server, box, 'dave', 'lookup', 'read')
    dave = box.login('dave')
    commands = {
        'append': 'APPEND %s {3+}\r\nx\r\n' % box.name,
        'rename': 'RENAME %s %s-other' % (box.name, box.name),
        'acl': 'SETACL %s dave lra' % box.name,
        'move': 'UID MOVE %d INBOX' % box.uids[0],
    }
    for command in commands.values():
        assert dave.attempt(command).status == 'NO', command
    assert dave.attempt('SELECT %s-none' % box.name).status == 'NO'
    assert server.all_shipped()
    found = server.audit("colleague = 'dave' AND outcome <> 'ok' AND "
                         "(mailbox LIKE %s OR detail->>'from' = %s)",
                         (box.name + '%', box.name))
    actions = [row['action'] for row in found if row['uid'] is None]
    for action in commands:
        assert actions.count(action) == 1, (action, found)
    assert actions.count('open') == 1
    for row in found:
        assert row['outcome'] == ('failed' if row['action'] == 'open' else 'refused'), row
        assert row['detail'].get('error') or row['detail'].get('reason')


def test_flags_of_new_messages(box):
    alice = box.login('alice')
    message = box.message(7)
    tag = alice.start('APPEND %s (\\Seen \\Answered mine) {%d+}' % (box.name, len(message)))
    alice.sock.sendall(message + b'\r\n')
    assert alice.finish(tag).ok
    row, = rows(box, "message_id = %s AND action = 'append'", (box.message_id(7),))
    assert set(row['detail']['added'].split()) == {'\\Seen', '\\Answered', 'mine'}


def test_a_tree_is_renamed(box):
    erin = box.login('erin', select=False)
    old, new = box.name + '-tree', box.name + '-wood'
    for name in (old, old + '/a', old + '/a/b'):
        erin.command('CREATE %s' % name)
    erin.command('RENAME %s %s' % (old, new))
    found = rows(box, "action = 'rename' AND mailbox LIKE %s", (new + '%',), 3)
    assert {(row['detail']['from'], row['mailbox']) for row in found} == \
        {(old + end, new + end) for end in ('', '/a', '/a/b')}


def test_messages_go_with_their_mailbox(box):
    erin = box.login('erin', select=False)
    erin.command('DELETE %s' % box.name)
    found = rows(box, "action = 'expunge' AND mailbox = %s", (box.name,), 3)
    assert {row['message_id'] for row in found} == {box.message_id(n) for n in (1, 2, 3)}
    assert len({row['seq'] for row in found}) == 1
    assert {row['outcome'] for row in found} == {'ok'}
    row, = rows(box, "action = 'delete' AND mailbox = %s", (box.name,))
    assert str(row['detail']['messages']) == '3'


def test_rights_that_are_changed(server, box):
    erin = box.login('erin', select=False)
    erin.command('SETACL %s bob lr' % box.name)
    erin.command('DELETEACL %s bob' % box.name)
    found = rows(box, "action = 'acl' AND colleague = 'erin' AND mailbox = %s", (box.name,), 2)
    assert all(row['outcome'] == 'ok' and row['detail']['identifier'] == 'user=bob'
               for row in found)
    assert set(found[0]['detail']['rights'].split()) == {'lookup', 'read'}
    assert found[0]['detail']['mode'] == 'replace'


def operator():
    return 'doveadm:' + (os.environ.get('SUDO_USER') or 'root')


def test_who_ran_doveadm(server, box):
    server.doveadm('flags', 'add', '-u', 'alice', '\\Answered', 'mailbox', box.name,
                   'uid', str(box.uids[0]))
    server.doveadm('fetch', '-u', 'alice', 'text', 'mailbox', box.name, 'uid', str(box.uids[0]))
    server.doveadm('expunge', '-u', 'alice', 'mailbox', box.name, 'uid', str(box.uids[0]))
    server.doveadm('search', '-u', 'alice', 'mailbox', box.name, 'body', 'Hello')
    assert server.all_shipped()
    found = server.wait_audit("message_id = %s AND detail->>'service' = 'doveadm'",
                              (box.message_id(1),), 3)
    assert [row['action'] for row in found] == ['flag', 'fetch', 'expunge']
    assert all(re.fullmatch(r'doveadm:\S+', row['client']) for row in found)
    assert {row['client'] for row in found} == {operator()}
    assert not server.audit("mailbox = %s AND action = 'fetch' AND message_id = %s",
                            (box.name, box.message_id(2)))
