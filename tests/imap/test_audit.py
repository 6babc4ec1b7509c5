# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log: a row for what everybody did, with who, where, when and what."""
import datetime
import os
import re

import psycopg2
import pytest

from instance import wait_for
from ways import recorded


def rows_of(box, n, action, count=1, colleague=None, outcome='ok'):
    """Rows about the n-th message of the box."""
    where = 'message_id = %s AND action = %s AND outcome = %s'
    args = [box.message_id(n), action, outcome]
    if colleague:
        where += ' AND colleague = %s'
        args.append(colleague)
    return box.server.wait_audit(where, args, count)


def check_who(row, box, colleague, uid):
    assert row['colleague'] == colleague
    assert row['mailbox'] == box.name
    assert row['uid'] == uid
    assert str(row['remote_ip']).split('/')[0] == '127.0.0.1'
    assert row['session']
    assert row['seq'] > 0
    age = datetime.datetime.now(datetime.timezone.utc) - row['at']
    assert abs(age.total_seconds()) < 120


def words(value):
    """A detail that lists flags, whether as text or as a list."""
    if value is None:
        return set()
    return set(value.split() if isinstance(value, str) else value)


def test_session_and_open(box):
    alice = box.login('alice', select=False)
    alice.command('ID ("name" "audit-test" "version" "1")')
    alice.select(box.name)
    opened = box.server.wait_audit("colleague = 'alice' AND action = 'open' AND mailbox = %s",
                                   (box.name,))
    assert len(opened) == 1
    assert opened[0]['client'] and 'audit-test' in opened[0]['client']
    session = opened[0]['session']
    alice.logout()
    both = box.server.wait_audit(
        "session = %s AND action IN ('login', 'logout')", (session,), 2)
    assert [row['action'] for row in both] == ['login', 'logout']
    assert all(row['colleague'] == 'alice' and str(row['remote_ip']).startswith('127.0.0.1')
               for row in both)


def test_read(box):
    alice, bob = box.people('alice', 'bob')
    alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    bob.command('UID STORE %d +FLAGS (\\Seen)' % box.uids[0])
    rows = rows_of(box, 1, 'read', 2)
    assert [row['colleague'] for row in rows] == ['alice', 'bob']
    for row in rows:
        check_who(row, box, row['colleague'], box.uids[0])
        assert row['detail'].get('private') is True
        assert words(row['detail']['added']) == {'\\Seen'}


def test_reading_twice_is_recorded_once(box):
    alice, = box.people('alice')
    for _ in range(3):
        alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    alice.command('UID STORE %d +FLAGS (\\Seen)' % box.uids[0])
    box.server.all_shipped()
    assert len(rows_of(box, 1, 'read')) == 1


def test_flags_old_and_new(box):
    alice, = box.people('alice')
    uid = box.uids[1]
    alice.command('UID STORE %d +FLAGS (\\Flagged)' % uid)
    alice.command('UID STORE %d +FLAGS (\\Answered invoice)' % uid)
    alice.command('UID STORE %d FLAGS (\\Draft)' % uid)
    box.server.all_shipped()
    rows = rows_of(box, 2, 'flag', 3)
    for row in rows:
        check_who(row, box, 'alice', uid)
    added, removed = set(), set()
    for row in rows:
        now_added, now_removed = words(row['detail'].get('added')), words(row['detail'].get('removed'))
        added |= now_added
        removed |= now_removed
    assert added == {'\\Flagged', '\\Answered', 'invoice', '\\Draft'}
    assert removed == {'\\Flagged', '\\Answered', 'invoice'}
    assert words(rows[0]['detail']['added']) == {'\\Flagged'}
    assert rows[0]['detail'].get('private') is True


def test_a_store_that_changes_nothing_is_no_change(box):
    alice, = box.people('alice')
    alice.command('UID STORE %d +FLAGS (\\Answered)' % box.uids[0])
    alice.command('UID STORE %d +FLAGS (\\Answered)' % box.uids[0])
    alice.command('UID STORE %d -FLAGS (\\Flagged nothing)' % box.uids[0])
    box.server.all_shipped()
    assert len(rows_of(box, 1, 'flag')) == 1


def test_a_row_for_each_message(box):
    alice, = box.people('alice')
    alice.command('UID STORE 1:* +FLAGS (\\Answered)')
    for n, uid in enumerate(box.uids, 1):
        row, = rows_of(box, n, 'flag')
        check_who(row, box, 'alice', uid)
    assert len({rows_of(box, n, 'flag')[0]['seq'] for n in (1, 2, 3)}) == 1


def test_append(box):
    row, = rows_of(box, 1, 'append')
    check_who(row, box, 'dave', box.uids[0])


def test_copy_and_move(box, other_box):
    alice, bob = box.people('alice', 'bob')
    alice.command('UID COPY %d %s' % (box.uids[0], other_box.name))
    bob.command('UID MOVE %d %s' % (box.uids[1], other_box.name))
    copy, = rows_of(box, 1, 'copy')
    check_who(copy, other_box, 'alice', 1)
    assert copy['detail']['from'] == box.name
    assert str(copy['detail']['fromuid']) == str(box.uids[0])
    move, = rows_of(box, 2, 'move')
    check_who(move, other_box, 'bob', 2)
    assert move['detail']['from'] == box.name
    assert str(move['detail']['fromuid']) == str(box.uids[1])


def test_expunge(box):
    alice, bob = box.people('alice', 'bob')
    alice.command('UID STORE %d +FLAGS (\\Deleted)' % box.uids[2])
    alice.command('EXPUNGE')
    bob.command('NOOP')
    box.server.all_shipped()
    rows = rows_of(box, 3, 'expunge')
    assert len(rows) == 1
    check_who(rows[0], box, 'alice', box.uids[2])


def test_claim_release_and_refusals(box, other_box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    alice.command('UID STORE %d +FLAGS (claimed)' % uid)
    assert bob.attempt('UID STORE %d +FLAGS (claimed)' % uid).status == 'NO'
    assert bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % uid).status == 'NO'
    assert bob.attempt('UID MOVE %d %s' % (uid, other_box.name)).status == 'NO'
    alice.command('UID STORE %d -FLAGS (claimed)' % uid)
    row, = rows_of(box, 1, 'claim', colleague='alice')
    check_who(row, box, 'alice', uid)
    row, = rows_of(box, 1, 'release')
    check_who(row, box, 'alice', uid)
    for action in ('claim', 'flag', 'move'):
        rows = rows_of(box, 1, action, outcome='refused')
        assert len(rows) == 1, (action, rows)
        check_who(rows[0], box, 'bob', uid)


def test_refused_expunge(box):
    alice, bob = box.people('alice', 'bob')
    bob.command('UID STORE %d +FLAGS (\\Deleted)' % box.uids[0])
    alice.command('UID STORE %d +FLAGS (claimed)' % box.uids[0])
    assert bob.attempt('EXPUNGE').status == 'NO'
    rows = rows_of(box, 1, 'expunge', outcome='refused')
    assert len(rows) == 1
    check_who(rows[0], box, 'bob', box.uids[0])


# doveadm

def test_show_follows_a_message_through_a_move(box, other_box):
    alice, bob = box.people('alice', 'bob')
    alice.command('UID FETCH %d (BODY[])' % box.uids[0])
    alice.command('UID MOVE %d %s' % (box.uids[0], other_box.name))
    bob = other_box.login('bob')
    bob.command('UID STORE 1 +FLAGS (\\Answered)')
    box.server.all_shipped()
    rows = box.server.doveadm_json('team', 'audit', 'show', box.message_id(1))
    steps = [(row['colleague'], row['action'], row['mailbox']) for row in rows]
    assert steps == [('dave', 'append', box.name), ('alice', 'fetch', box.name),
                     ('alice', 'read', box.name), ('alice', 'move', other_box.name),
                     ('bob', 'flag', other_box.name)]


def test_show_of_an_unknown_message_says_so(server):
    result = server.doveadm('team', 'audit', 'show', '<no.such@message.example>', check=False)
    assert result.returncode != 0
    assert 'no.such@message.example' in result.stderr


def test_search(box):
    alice, = box.people('alice')
    alice.command('UID STORE %d +FLAGS (\\Answered)' % box.uids[0])
    box.server.all_shipped()
    rows = box.server.doveadm_json('team', 'audit', 'search', '--colleague', 'alice',
                                   '--action', 'flag', '--mailbox', box.name)
    assert [(row['uid'], row['message_id']) for row in rows] == \
        [(str(box.uids[0]), box.message_id(1))]
    assert box.server.doveadm_json('team', 'audit', 'search', '--colleague', 'bob',
                                   '--mailbox', box.name) == []
    table = box.server.doveadm('team', 'audit', 'search', '--mailbox', box.name,
                               '--action', 'append').stdout
    assert len(re.findall(r'\bappend\b', table)) == 3


@recorded('query: doveadm team audit')
def test_queries_are_recorded(box):
    box.server.doveadm('team', 'audit', 'search', '--mailbox', box.name)
    rows = box.server.wait_audit("action = 'query' AND detail::text LIKE %s",
                                 ('%' + box.name + '%',))
    assert rows, 'the auditor\'s own query is not in the log'


def test_status(server, box):
    alice, = box.people('alice')
    alice.command('UID STORE %d +FLAGS (claimed)' % box.uids[0])

    def shown():
        text = ' '.join('%s=%s' % item for item in server.status().items()).lower()
        return text
    text = shown()
    for word in ('journal', 'lag', 'sessions', 'claims', 'postgres'):
        assert word in text, text
    # nothing stays in the journal while PostgreSQL is there
    assert wait_for(lambda: server.audit(
        "action = 'claim' AND mailbox = %s", (box.name,)), 5)


# roles

@pytest.mark.parametrize('statement', [
    'DELETE FROM team.audit', "INSERT INTO team.audit (action) VALUES ('x')",
    "UPDATE team.audit SET colleague = 'nobody'", 'CREATE TABLE team.mine (x int)',
    'CREATE TABLE public.mine (x int)', 'CREATE TEMPORARY TABLE mine (x int)',
    "SELECT team.ingest(1, '[]')", "SELECT * FROM team.hello('x')", 'TRUNCATE team.audit',
])
def test_auditor_can_only_read(server, statement):
    with pytest.raises(psycopg2.Error):
        with server.database() as cursor:
            cursor.execute(statement)


def test_auditor_reaches_views_only(server):
    tables = server.query(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'team' AND c.relkind IN ('r', 'p')", who='TEAM_PGDSN')
    assert tables
    for (table,) in tables:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            server.query('SELECT 1 FROM team."%s" LIMIT 1' % table)


def test_service_role_cannot_touch_tables(server):
    rights = server.query(
        "SELECT c.relname, p.privilege FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, "
        "unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE']) AS p(privilege) "
        "WHERE n.nspname = 'team' AND c.relkind IN ('r', 'p', 'v') "
        "AND has_table_privilege('team_service', c.oid, p.privilege)", who='TEAM_PGDSN')
    assert rights == []


def test_sequence_has_no_gaps(server):
    """Every number once, from 1."""
    assert server.all_shipped()
    numbers = server.query('SELECT node, min(seq), max(seq), count(DISTINCT seq) '
                           'FROM team.audit GROUP BY node')
    assert numbers
    for _, first, last, count in numbers:
        assert first == 1
        assert last == count


def test_journal_is_private(server):
    folder = os.path.join(server.dir, 'journal')
    assert os.stat(folder).st_mode & 0o077 == 0
