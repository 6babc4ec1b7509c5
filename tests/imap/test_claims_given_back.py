# SPDX-License-Identifier: LGPL-2.1-or-later
"""A claim that was taken for a command which then fails is given back."""
from instance import imapsession


def claims_in(server, guid):
    return server.query('SELECT count(*) FROM team.claim c JOIN team.mailbox m ON m.id = mailbox_id '
                        'WHERE m.guid = %s', (guid,), 'TEAM_PGDSN')[0][0]


def test_the_mailbox_is_deleted_meanwhile(other_box):
    """The claim is granted, the mailbox's transaction fails."""
    server = other_box.server
    other_box.fill(3)
    alice, bob = other_box.people('alice', 'bob')
    assert server.all_shipped()
    guid = server.query('SELECT guid FROM team.mailbox WHERE name = %s', (other_box.name,),
                        'TEAM_PGDSN')[0][0]
    bob.command('UNSELECT')
    bob.command('DELETE ' + other_box.name)
    assert server.all_shipped()
    try:
        answer = alice.attempt('UID STORE %d +FLAGS (claimed)' % other_box.uids[1])
        assert not answer.ok, answer
    except imapsession.IMAPError:
        # told that the mailbox is gone
        pass
    assert server.all_shipped()
    rows = server.audit("colleague = 'alice' AND action IN ('claim', 'release') AND uid = %s AND "
                        "mailbox = %s", (other_box.uids[1], other_box.name))
    assert [(row['action'], row['outcome']) for row in rows] == \
        [('claim', 'ok'), ('release', 'ok')]
    assert claims_in(server, guid) == 0
