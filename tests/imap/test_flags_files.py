# SPDX-License-Identifier: LGPL-2.1-or-later
"""doveadm team flags: taking over private indexes of plain Dovecot, giving them
back, and files of all private flags."""
import json
import os

import pytest

from conftest import Box
from instance import mail_settings, wait_for
from namespaces import reload
from node import Node
from plain import Plain
from test_private_flags import flags_of, private_folders, refreshed, store
from ways import recorded

SEEN, FLAGGED = '\\Seen', '\\Flagged'


@pytest.fixture
def plain(server):
    return Plain(server)


def flags(server, *args):
    """The rows that the command prints."""
    return server.doveadm_json('team', 'flags', *args)


def exported(server, box, *args):
    """The export's lines about the mailbox."""
    assert server.all_shipped()
    text = server.doveadm('team', 'flags', 'export', '--mailbox', box.name, *args).stdout
    return [json.loads(line) for line in text.splitlines()]


def states(lines):
    return {(line['colleague'], line['flag']): line['uids'] for line in lines}


def write_lines(server, lines, name='flags.jsonl'):
    path = os.path.join(server.dir, name)
    with open(path, 'w') as f:
        f.writelines(line if isinstance(line, str) else json.dumps(line) + '\n'
                     for line in lines)
    return path


@recorded('flag: doveadm team flags import')
def test_import_takes_over_plain_seen(server, box, plain):
    one, two, three = box.uids
    plain.store('alice', box.name, [one, three], SEEN)
    plain.store('bob', box.name, [two], SEEN)
    assert flags(server, 'import', '-u', 'alice', box.name) == [
        {'mailbox': box.name, 'messages': '2', 'imported': '2'}]
    flags(server, 'import', '-u', 'b*', box.name)
    assert states(exported(server, box)) == {
        ('alice', SEEN): '%d,%d' % (one, three), ('bob', SEEN): str(two)}
    # the same on a node that has never seen these indexes
    node = Node(server, 'third')
    try:
        there = node.login('alice')
        there.select(box.name)
        assert {uid for uid in box.uids if SEEN in flags_of(there, uid)} == {one, three}
        there.close()
    finally:
        node.stop()
    # by whom, and not as if anybody had read them now
    rows = server.audit("mailbox = %s AND detail->>'user' = %s", (box.name, 'alice'))
    rows = [row for row in rows if row['action'] in ('read', 'flag')]
    assert {row['action'] for row in rows} == {'flag'}
    assert {row['uid'] for row in rows} == {one, three}
    assert all(row['detail']['import'] == 'index' for row in rows)
    assert all(row['colleague'].startswith('doveadm:') for row in rows)


def test_import_twice_changes_nothing(server, box, plain):
    plain.store('alice', box.name, box.uids[:2], SEEN)
    flags(server, 'import', '-u', 'alice', box.name)
    before = exported(server, box)
    records = len(server.audit('mailbox = %s', (box.name,)))
    assert flags(server, 'import', '-u', 'alice', box.name)[0]['imported'] == '0'
    assert exported(server, box) == before
    assert len(server.audit('mailbox = %s', (box.name,))) == records


def test_import_after_the_plugin_was_used(server, box, plain):
    """What was there before is still only in the index, and what was changed
    since then, on any node, stays as it is."""
    one, two, three = box.uids
    plain.store('alice', box.name, [one, two], SEEN)
    alice = box.login('alice')
    store(alice, two, '-FLAGS', SEEN)
    store(alice, three, '+FLAGS', SEEN + ' my-todo')
    flags(server, 'import', '-u', 'alice', box.name)
    assert states(exported(server, box)) == {
        ('alice', SEEN): '%d,%d' % (one, three), ('alice', 'my-todo'): str(three)}
    assert refreshed(alice, two) == set()


def test_import_does_not_bring_back_what_another_node_took_away(server, box, plain):
    """The index on this node is older than PostgreSQL."""
    one, two, _ = box.uids
    plain.store('alice', box.name, [one, two], SEEN)
    flags(server, 'import', '-u', 'alice', box.name)
    assert server.all_shipped()
    node = Node(server, 'fourth')
    try:
        there = node.login('alice')
        there.select(box.name)
        store(there, one, '-FLAGS', SEEN)
        assert node.all_shipped()
        there.close()
    finally:
        node.stop()
    flags(server, 'import', '-u', 'alice', box.name)
    assert states(exported(server, box)) == {('alice', SEEN): str(two)}


def test_import_masks_and_all_users(server, box, other_box, plain):
    other_box.fill(1)
    for made in (box, other_box):
        plain.store('carol', made.name, made.uids[:1], SEEN)
    rows = flags(server, 'import', '-A', box.name)
    assert {(row['username'], row['imported']) for row in rows if row['messages'] != '0'} == \
        {('carol', '1')}
    assert exported(server, other_box) == []
    rows = flags(server, 'import', '-u', 'carol')
    assert {'mailbox': other_box.name, 'messages': '1', 'imported': '1'} in rows
    result = server.doveadm('team', 'flags', 'import', '-u', 'carol', 'INBOX', check=False)
    assert result.returncode == 68 and 'private indexes' in result.stderr


@recorded('query: doveadm team flags export')
def test_file_round_trip(server, box):
    one, two, three = box.uids
    alice, bob = box.people('alice', 'bob')
    store(alice, '%d,%d' % (one, three), '+FLAGS', SEEN)
    store(alice, two, '+FLAGS', FLAGGED + ' my-todo')
    store(bob, two, '+FLAGS', SEEN)
    path = os.path.join(server.dir, 'export.jsonl')
    assert server.all_shipped()
    server.doveadm('team', 'flags', 'export', '--mailbox', box.name, '--output', path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path) as f:
        lines = [json.loads(line) for line in f]
    assert lines == exported(server, box)
    assert states(lines) == {
        ('alice', SEEN): '%d,%d' % (one, three), ('alice', FLAGGED): str(two),
        ('alice', 'my-todo'): str(two), ('bob', SEEN): str(two)}
    assert {line['colleague'] for line in exported(server, box, '--colleague', 'bob')} == {'bob'}

    # into sessions that are open, in IDLE and not
    store(alice, '1:*', '-FLAGS', SEEN + ' my-todo')
    store(bob, '1:*', '-FLAGS', SEEN)
    assert server.all_shipped()
    bob.idle()
    result = server.doveadm('team', 'flags', 'import', '--input', path)
    assert '4 private flags of messages imported, 1 were there' in result.stderr, result.stderr
    assert bob.idle_until(lambda line: b'FETCH' in line and b'\\Seen' in line, 5)
    bob.done()
    assert wait_for(lambda: refreshed(alice, one) == {SEEN}, 3)
    assert flags_of(alice, two) == {FLAGGED, 'my-todo'} and flags_of(bob, two) == {SEEN}
    assert flags_of(bob, one) == set()
    assert exported(server, box) == lines
    rows = server.audit("mailbox = %s AND detail->>'import' = %s", (box.name, path))
    assert all(row['colleague'].startswith('doveadm:') for row in rows)
    assert {(row['detail']['user'], row['uid'], row['action']) for row in rows} == {
        ('alice', one, 'flag'), ('alice', two, 'flag'), ('alice', three, 'flag'),
        ('bob', two, 'flag')}

    result = server.doveadm('team', 'flags', 'import', '--input', path)
    assert '0 private flags of messages imported, 5 were there' in result.stderr, result.stderr
    query, = server.wait_audit("action = 'query' AND detail->>'query' LIKE 'flags %%' AND "
                               "detail->>'query' LIKE %s", ('%colleague=bob%' + box.name + '%',))
    assert query['detail']['rows'] == '1' and query['colleague'].startswith('doveadm:')


@pytest.mark.parametrize('bad, error', [
    ('{"colleague":"alice"\n', 'line 2: it isn\'t a JSON object'),
    ({'uids': '4:1'}, 'line 2: uids isn\'t a set'),
    ({'flag': '\\Recent'}, 'line 2: flag is neither'),
    ({'uidvalidity': 1}, 'line 2: the mailbox %(name)s has the UIDVALIDITY %(uidvalidity)d, not 1'),
])
def test_bad_file_changes_nothing(server, box, bad, error):
    alice = box.login('alice')
    store(alice, box.uids[0], '+FLAGS', SEEN)
    line, = exported(server, box)
    good = dict(line, uids=str(box.uids[1]))
    path = write_lines(server, [good, bad if isinstance(bad, str) else dict(line, **bad), good])
    result = server.doveadm('team', 'flags', 'import', '--input', path, check=False)
    wanted = error % {'name': box.name, 'uidvalidity': line['uidvalidity']}
    assert result.returncode == 65 and wanted in result.stderr and path in result.stderr, \
        result.stderr
    assert 'Nothing was imported' in result.stderr
    assert exported(server, box) == [line]
    assert refreshed(alice, box.uids[1]) == set()


def test_file_into_a_database_that_knows_nothing(server, box):
    """As after the move to a new one: the mailbox is known by its GUID later."""
    guid = 'ab' * 16
    line = {'colleague': 'alice', 'mailbox': 'Team/Elsewhere', 'guid': guid, 'uidvalidity': 7,
            'flag': 'my-x', 'uids': '1:70000'}
    server.doveadm('team', 'flags', 'import', '--input', write_lines(server, [line]))
    assert server.all_shipped()
    text = server.doveadm('team', 'flags', 'export', '--mailbox', guid).stdout
    lines = [json.loads(part) for part in text.splitlines()]
    assert [part['uids'] for part in lines] == ['1:32767', '32768:65535', '65536:70000']
    assert all(dict(part, uids=0) == dict(line, uids=0) for part in lines)


@recorded('query: doveadm team flags write-back')
def test_write_back(server, box, plain):
    """What came from elsewhere is in the private index when plain Dovecot takes
    over: it shows one's own \\Seen, and no other private flag."""
    one, two, three = box.uids
    alice, bob = box.people('alice', 'bob')
    store(alice, one, '+FLAGS', SEEN)
    store(alice, two, '+FLAGS', FLAGGED + ' my-todo')
    store(bob, three, '+FLAGS', SEEN + ' shared')
    assert server.all_shipped()
    for session in (alice, bob):
        session.close()
    for folder in private_folders(server, 'alice') + private_folders(server, 'bob'):
        os.rename(folder, folder + '.gone')
    for _ in range(2):
        result = server.doveadm('-f', 'tab', 'team', 'flags', 'write-back', '-u', 'alice', box.name)
        assert result.stdout.splitlines()[1:] == ['%s\t2\t1' % box.name]
        assert '1 messages have some' in result.stderr
    flags(server, 'write-back', '-u', 'bob', box.name)
    queries = server.wait_audit("mailbox = %s AND action = 'query'", (box.name,), 3)
    assert [(row['detail']['user'], row['detail']['query'], row['detail']['rows'], row['outcome'])
            for row in queries] == [(user, 'flags write-back', rows, 'ok') for user, rows in
                                    (('alice', '2'), ('alice', '2'), ('bob', '1'))]
    assert all(row['colleague'].startswith('doveadm:') for row in queries)
    assert plain.flags('alice', box.name) == {one: {SEEN}, two: set(), three: {'shared'}}
    assert plain.flags('bob', box.name) == {one: set(), two: set(), three: {SEEN, 'shared'}}
    plain.store('alice', box.name, [three], SEEN)
    plain.store('alice', box.name, [one], SEEN, 'remove')
    # and back again: taken over is what was added
    flags(server, 'import', '-u', 'alice', box.name)
    alice = box.login('alice')
    assert [refreshed(alice, uid) for uid in box.uids] == \
        [{SEEN}, {FLAGGED, 'my-todo'}, {SEEN, 'shared'}]


def test_write_back_of_a_shared_seen(server, plain):
    """Plain Dovecot takes \\Seen for private: all get what was shared."""
    path = os.path.join(server.dir, 'local.conf')
    with open(path) as f:
        before = f.read()
    with open(path, 'a') as f:
        f.write(mail_settings(team_private_flags=FLAGGED))
    try:
        reload(server)
        box = Box(server)
        box.fill(3)
        one, two, three = box.uids
        alice, bob = box.people('alice', 'bob')
        store(alice, one, '+FLAGS', SEEN)
        store(bob, two, '+FLAGS', SEEN)
        store(bob, three, '+FLAGS', FLAGGED)
        assert refreshed(bob, one) == refreshed(alice, two) == {SEEN}
        store(alice, two, '-FLAGS', SEEN)
        box.close()
        for user in ('alice', 'bob'):
            flags(server, 'write-back', '-u', user, box.name)
    finally:
        with open(path, 'w') as f:
            f.write(before)
        reload(server)
    for user in ('alice', 'bob'):
        assert plain.flags(user, box.name) == {one: {SEEN}, two: set(), three: set()}


def test_nothing_is_done_without_postgresql(server, box, plain):
    plain.store('alice', box.name, box.uids[:1], SEEN)
    server.stop_postgresql()
    try:
        for command in ('import', 'write-back'):
            result = server.doveadm('team', 'flags', command, '-u', 'alice', box.name, check=False)
            assert result.returncode == 75 and 'have to be reachable' in result.stderr, \
                result.stderr
    finally:
        server.start_postgresql()
    assert wait_for(lambda: server.status()['postgres'] == 'reachable', 20)
    assert SEEN in plain.flags('alice', box.name)[box.uids[0]]
