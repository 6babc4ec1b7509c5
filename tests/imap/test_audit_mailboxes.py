# SPDX-License-Identifier: LGPL-2.1-or-later
"""Downloads, and mailboxes created, renamed and deleted, in the log."""


def downloads(box, colleague='bob'):
    box.server.all_shipped()
    return [row['uid'] for row in box.server.audit(
        "action = 'fetch' AND mailbox = %s AND colleague = %s", (box.name, colleague))]


def test_a_download_is_not_a_reading(box):
    bob, = box.people('bob')
    bob.command('UID FETCH %d (BODY.PEEK[])' % box.uids[0])
    row, = box.server.wait_audit("action = 'fetch' AND message_id = %s", (box.message_id(1),))
    assert (row['colleague'], row['uid'], row['outcome']) == ('bob', box.uids[0], 'ok')
    box.server.all_shipped()
    assert box.server.audit("action = 'read' AND mailbox = %s", (box.name,)) == []


def test_downloads_are_recorded_once_a_session(box):
    bob, = box.people('bob')
    for _ in range(2):
        bob.command('UID FETCH %d:%d (BODY.PEEK[])' % (box.uids[0], box.uids[1]))
    bob.command('UID FETCH %d:%d (BODY.PEEK[TEXT])' % (box.uids[0], box.uids[2]))
    assert sorted(downloads(box)) == sorted(box.uids)
    bob.select('INBOX')
    bob.select(box.name)
    bob.command('UID FETCH %d (BODY.PEEK[1])' % box.uids[0])
    assert sorted(downloads(box)) == sorted(box.uids)
    again, = box.people('bob')
    again.command('UID FETCH %d (BODY.PEEK[])' % box.uids[0])
    assert sorted(downloads(box)) == sorted(box.uids + box.uids[:1])


def test_headers_searches_and_copies_are_no_downloads(box, other_box):
    bob, = box.people('bob')
    bob.command('UID FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[HEADER])')
    bob.command('UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])')
    bob.command('UID SEARCH BODY Hello')
    bob.command('UID COPY 1:* %s' % other_box.name)
    assert downloads(box) == []


def test_create_rename_delete(box):
    erin = box.login('erin', select=False)
    first, second = box.name + '-new', box.name + '-renamed'
    assert erin.command('CREATE %s' % first).ok
    assert erin.command('RENAME %s %s' % (first, second)).ok
    assert erin.command('DELETE %s' % second).ok
    box.server.all_shipped()
    rows = box.server.audit("colleague = 'erin' AND action IN ('create', 'rename', 'delete')")
    rows = [row for row in rows if box.name + '-' in str(row['mailbox']) + str(row['detail'])]
    assert [row['action'] for row in rows] == ['create', 'rename', 'delete']
    assert all(row['outcome'] == 'ok' for row in rows)
    assert rows[1]['detail']['from'] == first


def test_a_failed_create_is_recorded_as_failed(box):
    erin = box.login('erin', select=False)
    assert not erin.attempt('CREATE %s' % box.name).ok
    row, = box.server.wait_audit("colleague = 'erin' AND action = 'create' AND outcome = 'failed' "
                                 "AND mailbox = %s", (box.name,))
    assert row['detail']['error']
