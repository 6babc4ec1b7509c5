# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which IMAP command leads to which record: one for what it did, and no other."""
import re

import pytest

from instance import is_dovecot_2_3
from ways import recorded

OPENED = ('login', 'logout', 'open')


def done(box, colleague):
    """(action, outcome) of all that the colleague did in the box and below, a
    pair for each record."""
    assert box.server.all_shipped()
    found = box.server.audit(
        "colleague = %s AND action <> ALL (%s) AND (mailbox LIKE %s OR detail->>'from' LIKE %s)",
        (colleague, list(OPENED), box.name + '%', box.name + '%'))
    seen = {}
    for row in found:
        seen.setdefault(row['seq'], row)
    return [(row['action'], row['outcome']) for row in seen.values()]


def rows(box, colleague, action):
    assert box.server.all_shipped()
    return box.server.audit("colleague = %s AND action = %s AND (mailbox = %s OR detail->>'from' = %s)",
                            (colleague, action, box.name, box.name))


def url(box, session, uid):
    status = session.attempt('STATUS %s (UIDVALIDITY)' % box.name).untagged[-1]
    validity = re.search(rb'UIDVALIDITY (\d+)', status).group(1).decode()
    return '"/%s;UIDVALIDITY=%s/;UID=%d"' % (box.name, validity, uid)


@pytest.mark.parametrize('item', [
    'BODY[]', 'BODY[TEXT]', 'BODY[1]', 'BODY[1.MIME]', 'BINARY[1]', 'BINARY[]', 'RFC822', 'RFC822.TEXT',
    'BODY[]<0.10>'])
@recorded('fetch: FETCH BODY[]', 'fetch: FETCH BODY[TEXT]', 'fetch: FETCH BINARY[]',
          'fetch: FETCH of a MIME part, also of its header only', 'fetch: FETCH RFC822',
          'fetch: FETCH RFC822.TEXT', 'read: FETCH of the text')
def test_text_is_fetched_and_read(box, item):
    bob = box.login('bob')
    assert bob.attempt('UID FETCH %d (%s)' % (box.uids[0], item)).ok
    assert sorted(done(box, 'bob')) == [('fetch', 'ok'), ('read', 'ok')]
    assert [row['uid'] for row in rows(box, 'bob', 'fetch')] == box.uids[:1]


def test_the_rest_is_not_fetched(box):
    bob = box.login('bob')
    for item in ('FLAGS', 'ENVELOPE', 'BODY', 'BODYSTRUCTURE', 'RFC822.SIZE', 'RFC822.HEADER', 'PREVIEW',
                 'INTERNALDATE', 'BODY.PEEK[HEADER]', 'BODY.PEEK[HEADER.FIELDS (SUBJECT)]', 'BINARY.SIZE[1]',
                 'MODSEQ'):
        assert bob.attempt('UID FETCH 1:* (%s)' % item).ok, item
    assert bob.attempt('UID SEARCH TEXT Hello').ok
    assert done(box, 'bob') == []


@recorded('open: SELECT', 'open: EXAMINE', 'login, logout: IMAP')
def test_sessions(box):
    for command in 'SELECT', 'EXAMINE':
        session = box.login('u41', select=False)
        session.command('%s %s' % (command, box.name))
        session.logout()
    assert box.server.all_shipped()
    found = box.server.audit("colleague = 'u41' AND (mailbox IS NULL OR mailbox = %s)", (box.name,))
    assert [row['action'] for row in found[-6:]] == ['login', 'open', 'logout'] * 2


@recorded('flag: STORE of shared flags', "flag: STORE of one's own flags", 'flag: STORE of keywords',
          'read: STORE')
def test_store(box):
    bob = box.login('bob')
    uid = box.uids[0]
    for flags, action, added, private in (
            ('\\Answered', 'flag', '\\Answered', False), ('\\Flagged', 'flag', '\\Flagged', True),
            ('invoice', 'flag', 'invoice', False), ('my-own', 'flag', 'my-own', True),
            ('\\Seen', 'read', '\\Seen', True)):
        assert bob.attempt('UID STORE %d +FLAGS (%s)' % (uid, flags)).ok
        row = rows(box, 'bob', action)[-1]
        assert (row['uid'], row['detail']['added'], row['detail']['private']) == (uid, added, private)
    assert done(box, 'bob') == [('flag', 'ok')] * 4 + [('read', 'ok')]


@recorded('append: APPEND', 'append: MULTIAPPEND')
def test_append(box):
    bob = box.login('bob')
    assert bob.append(box.name, [(box.message(11), '\\Answered', None)]).ok
    assert bob.append(box.name, [(box.message(12), '', None), (box.message(13), '', None)]).ok
    assert done(box, 'bob') == [('append', 'ok')] * 2
    assert [row['message_id'] for row in rows(box, 'bob', 'append')] == \
        [box.message_id(n) for n in (11, 12, 13)]


@recorded('append: APPEND with CATENATE', 'fetch: CATENATE of the message')
def test_catenate(box):
    bob = box.login('bob', select=False)
    place = url(box, bob, box.uids[0])
    assert bob.attempt('APPEND %s CATENATE (URL %s TEXT {4+}\r\nmore)' % (box.name, place)).ok
    assert sorted(done(box, 'bob')) == [('append', 'ok'), ('fetch', 'ok')]
    place = url(box, bob, box.uids[1])
    assert bob.attempt('APPEND INBOX CATENATE (URL %s)' % place).ok
    assert sorted(row['uid'] for row in rows(box, 'bob', 'fetch')) == box.uids[:2]


@recorded('append: REPLACE, from Dovecot 2.4 on', 'expunge: REPLACE, from Dovecot 2.4 on')
def test_replace(box):
    bob = box.login('bob')
    if is_dovecot_2_3():
        assert b'REPLACE' not in bob.attempt('CAPABILITY').untagged[0].split()
        return
    message = box.message(21)
    tag = bob.start('UID REPLACE %d %s {%d+}' % (box.uids[0], box.name, len(message)))
    bob.send(message + b'\r\n')
    assert bob.finish(tag).ok
    assert sorted(done(box, 'bob')) == [('append', 'ok'), ('expunge', 'ok')]
    assert [row['message_id'] for row in rows(box, 'bob', 'append') + rows(box, 'bob', 'expunge')] == \
        [box.message_id(21), box.message_id(1)]


@recorded('copy: COPY', 'move: MOVE')
def test_copy_and_move(box, other_box):
    bob = box.login('bob')
    assert bob.attempt('UID COPY %d %s' % (box.uids[0], other_box.name)).ok
    assert bob.attempt('UID MOVE %d %s' % (box.uids[1], other_box.name)).ok
    assert done(box, 'bob') == [('copy', 'ok'), ('move', 'ok')]
    assert [(row['mailbox'], row['uid'], row['detail']['fromuid'], row['message_id'])
            for row in rows(box, 'bob', 'copy') + rows(box, 'bob', 'move')] == \
        [(other_box.name, 1, box.uids[0], box.message_id(1)),
         (other_box.name, 2, box.uids[1], box.message_id(2))]


@recorded("copy: COPY into a mailbox of one's own", "move: MOVE into a mailbox of one's own",
          "copy: COPY out of a mailbox of one's own")
def test_ones_own_mailboxes(box):
    bob = box.login('bob')
    assert bob.attempt('UID COPY %d INBOX' % box.uids[0]).ok
    assert bob.attempt('UID MOVE %d INBOX' % box.uids[1]).ok
    assert done(box, 'bob') == [('copy', 'ok'), ('move', 'ok')]
    assert [(row['mailbox'], row['message_id'])
            for row in rows(box, 'bob', 'copy') + rows(box, 'bob', 'move')] == \
        [('INBOX', box.message_id(1)), ('INBOX', box.message_id(2))]
    bob.select('INBOX')
    assert bob.attempt('COPY * %s' % box.name).ok
    back = rows(box, 'bob', 'copy')[-1]
    assert (back['mailbox'], back['detail']['from'], back['message_id']) == \
        (box.name, 'INBOX', box.message_id(2))


@recorded('move: MOVE of more than a thousand messages')
def test_move_in_batches(box, other_box):
    box.fill(1100)
    bob = box.login('bob')
    assert bob.attempt('UID MOVE 1:* %s' % other_box.name, timeout=60).ok
    moved = rows(box, 'bob', 'move')
    assert [row['detail']['fromuid'] for row in moved] == box.uids
    assert 1 < len({row['seq'] for row in moved}) <= 3
    assert set(done(box, 'bob')) == {('move', 'ok')}


@recorded('expunge: EXPUNGE', 'expunge: UID EXPUNGE', 'expunge: CLOSE')
def test_expunge(box):
    bob = box.login('bob')
    for uid, command in zip(box.uids, ('EXPUNGE', 'UID EXPUNGE %d' % box.uids[1], 'CLOSE')):
        assert bob.attempt('UID STORE %d +FLAGS.SILENT (\\Deleted)' % uid).ok
        assert bob.attempt(command).ok
    assert done(box, 'bob') == [('flag', 'ok'), ('expunge', 'ok')] * 3
    assert [row['message_id'] for row in rows(box, 'bob', 'expunge')] == \
        [box.message_id(n) for n in (1, 2, 3)]


@recorded('create: CREATE', 'delete: DELETE', 'rename: RENAME',
          'expunge: a mailbox that is deleted: all its messages, before')
def test_mailboxes(box):
    erin = box.login('erin', select=False)
    old, new = box.name + '-old', box.name + '-new'
    erin.command('CREATE %s' % old)
    erin.command('CREATE %s/below' % old)
    erin.append_one(old, box.message(31))
    erin.command('RENAME %s %s' % (old, new))
    erin.command('DELETE %s/below' % new)
    erin.command('DELETE %s' % new)
    assert done(box, 'erin') == [
        ('create', 'ok')] * 2 + [('append', 'ok')] + [('rename', 'ok')] * 2 + [
        ('delete', 'ok'), ('expunge', 'ok'), ('delete', 'ok')]
    found = box.server.audit("action = 'expunge' AND mailbox = %s", (new,))
    assert [row['message_id'] for row in found] == [box.message_id(31)]


@recorded('acl: SETACL', 'acl: DELETEACL')
def test_rights(box):
    erin = box.login('erin', select=False)
    erin.command('SETACL %s bob lr' % box.name)
    erin.command('DELETEACL %s bob' % box.name)
    assert done(box, 'erin') == [('acl', 'ok')] * 2
    first, second = rows(box, 'erin', 'acl')
    assert first['detail']['identifier'] == second['detail']['identifier'] == 'user=bob'
    assert set(first['detail']['rights'].split()) == {'lookup', 'read'}


@recorded('claim: The keyword set', 'release: The keyword removed',
          'refused: Somebody holds the message, in the detail holder')
def test_claims(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    assert bob.attempt('UID STORE %d +FLAGS (claimed)' % uid).ok
    for command in ('UID STORE %d +FLAGS (claimed)', 'UID STORE %d +FLAGS (\\Deleted)',
                    'UID MOVE %d INBOX'):
        assert alice.attempt(command % uid).status == 'NO'
    assert bob.attempt('UID STORE %d -FLAGS (claimed)' % uid).ok
    assert done(box, 'bob') == [('claim', 'ok'), ('release', 'ok')]
    assert done(box, 'alice') == [('create', 'ok'), ('claim', 'refused'), ('flag', 'refused'),
                                  ('move', 'refused')]
    found = box.server.audit("outcome = 'refused' AND mailbox = %s", (box.name,))
    assert {row['detail']['holder'] for row in found} == {'bob'}


@recorded('claim: a message moved into the folder of claims')
def test_claimed_by_a_move(box):
    bob = box.login('bob')
    assert bob.attempt('UID MOVE %d Team/Claimed/bob' % box.uids[0]).ok
    assert box.server.all_shipped()
    found = box.server.audit("message_id = %s AND colleague = 'bob'", (box.message_id(1),))
    assert {(row['action'], row['mailbox']) for row in found} == \
        {('move', 'Team/Claimed/bob'), ('claim', 'Team/Claimed/bob')}
