# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command on 50,000 messages is one record with a set of UIDs, or one for each
thousand where Dovecot commits so many at a time; the view shows it message by
message."""
import time

import pytest

import conftest
import instance

COUNT = 50000


@pytest.fixture(scope='module')
def crowded():
    """A folder with so many messages, most of them copies."""
    running = instance.Instance('mdbox')
    box = conftest.Box(running)
    box.fill(500)
    session = box.login('alice')
    size = 500
    while size < COUNT:
        some = min(size, COUNT - size)
        session.command('COPY 1:%d %s' % (some, box.name), timeout=120)
        session.command('NOOP', timeout=60)
        size += some
    assert running.all_shipped(120)
    yield box, session
    box.close()
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


def records(box, action):
    """(number of records, of rows, of messages) of the view."""
    assert box.server.all_shipped(120)
    return box.server.query(
        "SELECT count(DISTINCT seq), count(*), count(DISTINCT uid) FROM team.audit "
        "WHERE action = %s AND colleague = 'alice' AND (mailbox = %s OR detail->>'from' = %s) "
        "AND at > %s", (action, box.name, box.name, box.since))[0]


def run(box, session, command):
    box.since = box.server.query('SELECT clock_timestamp()')[0][0]
    time.sleep(0.01)
    session.command(command, timeout=180)


@pytest.mark.parametrize('flag, action', [('\\Seen', 'read'), ('\\Answered', 'flag'), ('my-own', 'flag')])
def test_store(crowded, flag, action):
    box, session = crowded
    run(box, session, 'STORE 1:* +FLAGS.SILENT (%s)' % flag)
    assert records(box, action) == (1, COUNT, COUNT)


def test_move_and_expunge(crowded):
    box, session = crowded
    session.command('CREATE %s-other' % box.name)
    run(box, session, 'MOVE 1:%d %s-other' % (COUNT // 2, box.name))
    # Dovecot itself does a thousand at a time
    assert records(box, 'move') == (COUNT // 2 // 1000, COUNT // 2, COUNT // 2)
    session.command('STORE 1:* +FLAGS.SILENT (\\Deleted)', timeout=60)
    run(box, session, 'EXPUNGE')
    assert records(box, 'expunge') == (COUNT // 2 // 1000, COUNT // 2, COUNT // 2)
