# SPDX-License-Identifier: LGPL-2.1-or-later
"""\\Seen and \\Flagged are each colleague's own; everything else is shared."""
import glob
import os
import subprocess
import time

import pytest

from instance import lose_index, wait_for

SEEN, FLAGGED = '\\Seen', '\\Flagged'
PRIVATE = {SEEN, FLAGGED}


def store(session, uids, what, flags):
    return session.command('UID STORE %s %s (%s)' % (uids, what, flags))


def flags_of(session, uid):
    """Without \\Recent, which depends on who came first."""
    return session.flags(uid) - {'\\Recent'}


def refreshed(session, uid):
    session.command('NOOP')
    return flags_of(session, uid)


def test_reading_is_private(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    alice.command('UID FETCH %d (BODY[])' % uid)
    assert SEEN in flags_of(alice, uid)
    assert refreshed(bob, uid) == set()
    assert alice.search('UNSEEN') == box.uids[1:]
    assert bob.search('UNSEEN') == box.uids
    assert bob.search('SEEN') == []


def test_peek_and_examine_do_not_read(box):
    alice, = box.people('alice')
    alice.command('UID FETCH %d (BODY.PEEK[])' % box.uids[0])
    assert flags_of(alice, box.uids[0]) == set()
    alice.select(box.name, 'EXAMINE')
    alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    assert flags_of(alice, box.uids[0]) == set()


@pytest.mark.parametrize('flag', [SEEN, FLAGGED])
def test_add_and_remove(box, flag):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[1]
    word = flag[1:].upper()
    store(alice, uid, '+FLAGS', flag)
    assert flags_of(alice, uid) == {flag}
    assert alice.search(word) == [uid]
    assert refreshed(bob, uid) == set()
    assert bob.search(word) == []
    assert bob.search('UN' + word) == box.uids
    store(alice, uid, '-FLAGS', flag)
    assert flags_of(alice, uid) == set()
    assert alice.search(word) == []


@pytest.mark.parametrize('flag', [SEEN, FLAGGED])
def test_removing_leaves_the_others(box, flag):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    store(alice, uid, '+FLAGS', flag)
    store(bob, uid, '+FLAGS', flag)
    store(alice, uid, '-FLAGS.SILENT', flag)
    assert refreshed(alice, uid) == set()
    assert refreshed(bob, uid) == {flag}


def test_replace_leaves_the_others(box):
    """Replacing all flags touches one's own private ones and the shared ones."""
    alice, bob, carol = box.people('alice', 'bob', 'carol')
    uid = box.uids[0]
    store(alice, uid, 'FLAGS', r'\Seen \Flagged')
    store(bob, uid, 'FLAGS', r'\Seen \Answered')
    assert refreshed(alice, uid) == PRIVATE | {'\\Answered'}
    assert flags_of(bob, uid) == {SEEN, '\\Answered'}
    assert refreshed(carol, uid) == {'\\Answered'}
    store(carol, uid, 'FLAGS', '')
    assert refreshed(alice, uid) == PRIVATE
    assert refreshed(bob, uid) == {SEEN}
    assert flags_of(carol, uid) == set()


def test_replace_leaves_the_owner(server, box):
    """D2: plain Dovecot wipes the owner's own \\Seen and \\Flagged."""
    alice, = box.people('alice')
    support = box.login('support', box=box.name.partition('/')[2])
    uid = box.uids[0]
    # while alice already has her own record of the message
    store(alice, uid, '+FLAGS', SEEN)
    store(alice, uid, '-FLAGS', SEEN)
    store(support, uid, '+FLAGS', r'\Seen \Flagged')
    store(alice, uid, 'FLAGS', '\\Answered')
    support.command('NOOP')
    assert flags_of(support, uid) == PRIVATE | {'\\Answered'}


def test_replace_without_change_tells_nobody(box):
    """D2: others got a FETCH with unchanged flags."""
    alice, bob = box.people('alice', 'bob')
    bob.idle()
    store(alice, box.uids[0], 'FLAGS', r'\Seen \Flagged')
    lines = [line for _, line in bob.idle_lines(0.7) if b'FETCH' in line]
    bob.done()
    assert lines == []


def test_shared_flags_are_shared(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[2]
    shared = {'\\Answered', '\\Draft', '$Forwarded', 'invoice'}
    store(alice, uid, '+FLAGS', ' '.join(shared))
    assert refreshed(bob, uid) == shared
    assert bob.search('KEYWORD invoice') == [uid]
    store(bob, uid, '-FLAGS', 'invoice')
    assert refreshed(alice, uid) == shared - {'invoice'}


def test_mixed_store(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    store(alice, uid, '+FLAGS', r'\Seen \Answered \Flagged')
    assert flags_of(alice, uid) == PRIVATE | {'\\Answered'}
    assert refreshed(bob, uid) == {'\\Answered'}


def test_status_counts_for_each(box):
    alice, bob = box.people('alice', 'bob')
    other = box.login('alice', select=False)
    bobs = box.login('bob', select=False)
    store(alice, '%d:%d' % (box.uids[0], box.uids[1]), '+FLAGS', SEEN)
    assert other.status(box.name, 'UNSEEN') == 1
    assert bobs.status(box.name, 'UNSEEN') == 3
    store(bob, box.uids[2], '+FLAGS', SEEN)
    assert bobs.status(box.name, 'UNSEEN') == 2
    assert other.status(box.name, 'UNSEEN') == 1


def test_select_shows_own_first_unseen(box):
    alice, = box.people('alice')
    store(alice, box.uids[0], '+FLAGS', SEEN)
    again = box.login('alice', select=False).select(box.name)
    assert again.lines('[UNSEEN 2]')
    bob = box.login('bob', select=False).select(box.name)
    assert bob.lines('[UNSEEN 1]')


def test_permanent_flags_tell_the_truth(box):
    bob = box.login('bob', select=False)
    line, = bob.select(box.name).lines('PERMANENTFLAGS')
    for flag in ('\\Seen', '\\Flagged', '\\Answered', '\\Deleted', '\\*'):
        assert flag.encode() in line


def test_flags_last_over_sessions(box):
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', r'\Seen \Flagged')
    alice.logout()
    bob.logout()
    alice, bob = box.people('alice', 'bob')
    assert flags_of(alice, box.uids[0]) == PRIVATE
    assert flags_of(bob, box.uids[0]) == set()


def test_many_messages_at_once(box):
    box.fill(60)
    alice, bob = box.people('alice', 'bob')
    store(alice, '1:*', '+FLAGS.SILENT', SEEN)
    assert alice.search('SEEN') == box.uids
    bob.command('NOOP')
    assert bob.search('SEEN') == []
    middle = box.uids[10:20]
    store(alice, '%d:%d' % (middle[0], middle[-1]), '-FLAGS.SILENT', SEEN)
    assert alice.search('UNSEEN') == middle


def test_own_other_session_sees_it_in_idle(box):
    """D1: Maildir's IDLE misses changes of the private index."""
    first = box.login('alice')
    second = box.login('alice')
    second.idle()
    store(first, box.uids[0], '+FLAGS', FLAGGED)
    seen = second.idle_until(lambda line: b'FETCH' in line and b'\\Flagged' in line, 5)
    second.done()
    assert seen, "the colleague's other session saw nothing in IDLE"


def test_own_other_session_sees_it_within_a_second(box):
    first = box.login('alice')
    second = box.login('alice')
    second.idle()
    store(first, box.uids[0], '+FLAGS', SEEN)
    start = time.monotonic()
    seen = second.idle_until(lambda line: b'FETCH' in line and b'\\Seen' in line, 5)
    second.done()
    assert seen and seen[0] - start < 1.0


def test_others_see_nothing_in_idle(box):
    alice, bob = box.people('alice', 'bob')
    bob.idle()
    alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    store(alice, box.uids[0], '+FLAGS', FLAGGED)
    lines = [line for _, line in bob.idle_lines(0.7) if b'FETCH' in line]
    bob.done()
    assert lines == []


def test_shared_flag_reaches_idle_within_a_second(box):
    alice, bob = box.people('alice', 'bob')
    bob.idle()
    store(alice, box.uids[0], '+FLAGS', '\\Answered')
    start = time.monotonic()
    seen = bob.idle_until(lambda line: b'FETCH' in line and b'\\Answered' in line, 5)
    bob.done()
    assert seen and seen[0] - start < 1.0


def test_new_message_reaches_idle(box):
    bob, = box.people('bob')
    bob.idle()
    box.fill(1)
    assert bob.idle_until(lambda line: b'EXISTS' in line, 5)
    bob.done()


def test_append_with_flags(box):
    alice, bob = box.people('alice', 'bob')
    uid = alice.append_one(box.name, box.message(90), r'\Seen \Flagged \Answered')
    assert refreshed(alice, uid) == PRIVATE | {'\\Answered'}
    assert refreshed(bob, uid) == {'\\Answered'}


def copied_uid(answer):
    """The new UID in an answer's COPYUID."""
    lines = [line.decode() for line in answer.lines('COPYUID')] + [answer.text]
    for line in lines:
        if 'COPYUID' in line:
            return int(line.split('COPYUID')[1].split(']')[0].split()[2])
    raise AssertionError('no COPYUID in %r' % answer)


@pytest.mark.parametrize('command', ['COPY', 'MOVE'])
def test_every_colleagues_flags_go_along(box, other_box, command):
    """Plain Dovecot loses those of the others."""
    alice, bob, carol = box.people('alice', 'bob', 'carol')
    uid = box.uids[0]
    store(alice, uid, '+FLAGS', FLAGGED)
    store(bob, uid, '+FLAGS', SEEN)
    box.server.all_shipped()
    new = copied_uid(alice.command('UID %s %d %s' % (command, uid, other_box.name)))
    box.server.all_shipped()
    alice, bob, carol = other_box.people('alice', 'bob', 'carol')
    for session, flags in ((alice, {FLAGGED}), (bob, {SEEN}), (carol, set())):
        assert wait_for(lambda s=session, f=flags: refreshed(s, new) == f, 5), \
            '%s sees %s, not %s' % (session.user, flags_of(session, new), flags)


def test_expunged_flags_do_not_come_back(box):
    alice, = box.people('alice')
    uid = box.uids[0]
    store(alice, uid, '+FLAGS', r'\Seen \Flagged \Deleted')
    alice.command('EXPUNGE')
    assert alice.search('ALL') == box.uids[1:]
    new = alice.append_one(box.name, box.message(91))
    assert refreshed(alice, new) == set()


def private_folders(server, user, name='team'):
    return glob.glob(os.path.join(server.dir, 'mail', 'users', user, name))


def test_lost_private_index_is_rebuilt(server, box):
    """PostgreSQL is the truth, the index on the node a replica."""
    box.fill(40)
    alice, bob = box.people('alice', 'bob')
    store(alice, '1:*', '+FLAGS.SILENT', SEEN)
    store(alice, '%d,%d' % (box.uids[0], box.uids[20]), '+FLAGS.SILENT', FLAGGED)
    store(alice, box.uids[5], '-FLAGS.SILENT', SEEN)
    assert server.all_shipped()
    for session in (alice, bob):
        session.logout()
    folders = private_folders(server, 'alice')
    assert folders, 'there is no private index to delete'
    lose_index(*folders)
    alice, bob = box.people('alice', 'bob')
    assert wait_for(lambda: alice.command('NOOP') and
                    alice.search('UNSEEN') == [box.uids[5]], 5), \
        'unseen after the loss: %s' % alice.search('UNSEEN')
    assert alice.search('FLAGGED') == [box.uids[0], box.uids[20]]
    assert alice.status(box.name, 'UNSEEN') == 1
    assert bob.search('SEEN') == []


def test_private_log_does_not_grow_for_ever(server, box):
    """D3: plain Dovecot never rotates the private index's log. The instances
    run with 32 kB as the size at which logs are rotated."""
    alice, = box.people('alice')
    uid = box.uids[0]
    for _ in range(20):
        tags = [alice.start('UID STORE %d %sFLAGS.SILENT (%s)' %
                            (uid, '+-'[n % 2], r'\Seen \Flagged')) for n in range(200)]
        for tag in tags:
            assert alice.finish(tag).ok
    alice.logout()
    sizes = {}
    for folder, _, files in os.walk(private_folders(server, 'alice')[0]):
        if {'T%d' % box.number, '.T%d' % box.number} & set(folder.split('/')):
            sizes.update((name, os.path.getsize(os.path.join(folder, name)))
                         for name in files if name.startswith('dovecot.index.pvt.log'))
    assert sizes, 'no private log found'
    # 4,000 changes write more than 80 kB
    assert all(size < 48 * 1024 for size in sizes.values()), sizes


def test_doveconf_knows_the_settings(server):
    for name in ('team_database', 'team_node', 'team_journal_dir', 'team_fsync',
                 'team_commit', 'team_claim_time'):
        result = server_doveconf(server, name)
        assert result.startswith(name + ' ='), result


def test_doveconf_is_silent(server):
    """No warning and no obsolete setting, and what was set is shown."""
    result = subprocess.run(['doveconf', '-n', '-c', server.env['TEAM_DOVECOT_CONF']],
                            capture_output=True, text=True, check=True)
    assert not result.stderr
    assert 'team_database = ' in result.stdout


def server_doveconf(server, name):
    return subprocess.run(['doveconf', '-c', server.env['TEAM_DOVECOT_CONF'], name],
                          capture_output=True, text=True, check=True).stdout
