# SPDX-License-Identifier: LGPL-2.1-or-later
"""team_audit_reading=no: nothing is told about who read what, and each colleague
has the flags of one's own all the same."""
import json
import os
import shutil
import subprocess

import pytest

import conftest
import instance
from instance import wait_for
from ways import recorded


@pytest.fixture(scope='module')
def silent(tmp_path_factory):
    running = instance.Instance('sdbox', settings='team_audit_reading = no\n')
    running.work = str(tmp_path_factory.mktemp('silent'))
    yield running
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def sbox(silent):
    made = conftest.Box(silent)
    made.fill(3)
    yield made
    made.close()


def flags_in_database(box, colleague):
    return {flag for flag, in box.server.query(
        "SELECT f.flag FROM team.flag f JOIN team.colleague c ON c.id = f.colleague_id "
        "JOIN team.mailbox m ON m.id = f.mailbox_id WHERE m.name = %s AND c.name = %s "
        "AND NOT isempty(f.uids)", (box.name, colleague), who='TEAM_PGDSN')}


def database_text(box, colleague):
    """All that the log has about the colleague, for the owner of the database,
    as text."""
    return '\n'.join(row for row, in box.server.query(
        "SELECT to_jsonb(r)::text FROM team.record r LEFT JOIN team.colleague c ON c.id = r.colleague_id "
        "WHERE c.name = %s OR r.action = 'private'", (colleague,), who='TEAM_PGDSN'))


def lost_replica(box, colleague):
    """The colleague's flags as PostgreSQL has them."""
    shutil.rmtree(os.path.join(box.server.dir, 'mail', 'users', colleague, 'team'))
    session = box.login(colleague)
    return [fetched['flags'] - {'\\Recent'} for fetched in session.attempt('UID FETCH 1:* FLAGS').fetched()]


def test_nothing_is_told_about_reading(silent, sbox):
    bob = sbox.login('bob')
    first, second, third = sbox.uids
    bob.command('UID FETCH %d (BODY[])' % first)
    bob.command('UID STORE %d +FLAGS (\\Seen)' % second)
    bob.command('UID STORE %d +FLAGS (\\Seen \\Flagged my-own)' % third)
    bob.command('UID STORE %d -FLAGS (\\Seen)' % second)
    assert silent.all_shipped()
    rows = silent.audit("colleague = 'bob' AND mailbox = %s", (sbox.name,))
    assert [(row['action'], row['detail'].get('added')) for row in rows] == \
        [('open', None), ('flag', '\\Flagged my-own')]
    assert not silent.audit("action IN ('read', 'fetch', 'private') OR detail::text LIKE '%%Seen%%'")
    found = silent.doveadm_json('team', 'audit', 'search', '--since', '1 hour')
    assert found and not {'read', 'fetch', 'private'} & {row['action'] for row in found}
    # nor to the owner of the database
    text = database_text(sbox, 'bob')
    assert 'private' in text
    assert 'Seen' not in text and 'effect"' not in text.replace('d.effect"', '')
    for row in silent.query("SELECT to_jsonb(r) FROM team.record r WHERE action = 'private'",
                            who='TEAM_PGDSN'):
        told = {key for key, value in row[0].items() if value is not None}
        assert told == {'at', 'node', 'seq', 'action', 'outcome', 'source_only', 'leaf', 'opened'}
        assert row[0]['opened']['salts'] == {}
    # but it is done
    assert flags_in_database(sbox, 'bob') == {'\\Seen', '\\Flagged', 'my-own'}
    assert lost_replica(sbox, 'bob') == [{'\\Seen'}, set(), {'\\Seen', '\\Flagged', 'my-own'}]


def test_copies_do_not_tell_either(silent, sbox):
    bob = sbox.login('bob')
    bob.append_one('INBOX', sbox.message(11), '\\Seen')
    bob.append_one(sbox.name, sbox.message(12), '\\Seen')
    bob.select('INBOX')
    bob.command('UID COPY * %s' % sbox.name)
    bob.select(sbox.name)
    bob.command('UID STORE %d +FLAGS (\\Seen)' % sbox.uids[0])
    bob.command('UID MOVE %d INBOX' % sbox.uids[0])
    assert silent.all_shipped()
    rows = silent.audit("colleague = 'bob' AND (mailbox = %s OR detail->>'from' = %s)",
                        (sbox.name, sbox.name))
    assert [row['action'] for row in rows] == ['open', 'append', 'copy', 'open', 'move']
    assert 'Seen' not in database_text(sbox, 'bob')
    assert lost_replica(sbox, 'bob') == [set(), set(), {'\\Seen'}, {'\\Seen'}]


def test_the_log_can_be_checked(silent, sbox):
    bob = sbox.login('bob')
    bob.command('UID FETCH 1:* (BODY[])')
    assert silent.all_shipped()
    export, notes = os.path.join(silent.work, 'export'), silent.env['TEAM_CHECKPOINTS']
    size = silent.query('SELECT max(hwm) FROM team.nodes')[0][0]
    silent.kill_service(15)
    assert wait_for(lambda: silent.doveadm('team', 'status', check=False).returncode == 0)
    silent.doveadm('team', 'audit', 'export', '--output', export)
    result = subprocess.run([os.path.join(silent.build, 'root', 'bin', 'team-verify'), 'log', '--key',
                             silent.env['TEAM_PUBKEY'], '--checkpoints', notes, export],
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    with open(export) as f:
        records = [json.loads(line) for line in f]
    assert len(records) >= size
    private = [record for record in records if record.get('action') == 'private']
    assert private and not any({'colleague', 'mailbox', 'uids', 'mids', 'd.effect'} & set(record)
                               for record in private)
    assert '\\\\Seen' not in json.dumps(records)


@recorded('gap: reading is not recorded, or again, from now on')
def test_each_choice_is_recorded(silent, sbox):
    def choices():
        assert silent.all_shipped()
        return [row['detail']['reason'].partition(':')[0] for row in silent.audit(
            "action = 'gap' AND outcome = 'ok' AND detail->>'reason' LIKE 'team_audit_reading%%'")]

    assert choices() == ['team_audit_reading=no']
    silent.kill_service(15)
    assert wait_for(lambda: silent.doveadm('team', 'status', check=False).returncode == 0)
    assert choices() == ['team_audit_reading=no']
    silent.stop()
    silent.settings('')
    silent.start()
    assert choices() == ['team_audit_reading=no', 'team_audit_reading=yes']
    bob = sbox.login('bob')
    bob.command('UID FETCH %d (BODY[])' % sbox.uids[0])
    assert silent.all_shipped()
    assert [row['action'] for row in silent.audit("message_id = %s AND colleague = 'bob'",
                                                  (sbox.message_id(1),))] == ['fetch', 'read']
