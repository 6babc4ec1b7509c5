# SPDX-License-Identifier: LGPL-2.1-or-later
"""The database is set back to an older backup, as dovecot-team-operations(7)
describes it: what the journal still has is shipped again."""
import glob
import os
import shutil
import subprocess

import pytest

import instance
from instance import wait_for
from test_private_flags import flags_of, store
from work import mailbox


def run(*args):
    subprocess.run(args, check=True, timeout=60, stdin=subprocess.DEVNULL, capture_output=True)


def postgresql(program):
    return sorted(glob.glob('/usr/lib/postgresql/*/bin/' + program))[-1]


def add_seen(server, uids):
    server.doveadm('flags', 'add', '-u', 'alice', '\\Seen', 'mailbox', 'Team/INBOX', 'uid', uids)


def backup_of(server):
    return os.path.join(server.dir, 'backup')


def dump(server):
    run(postgresql('pg_dump'), '-Fc', '-f', backup_of(server), '-d', server.env['TEAM_PGDSN'])


def restore(server):
    database = server.env['TEAM_PGDSN']
    run('psql', '-q', '-d', database, '-c', 'DROP SCHEMA team CASCADE')
    run(postgresql('pg_restore'), '-d', database, backup_of(server))


def seen(server):
    return server.query('''SELECT f.uids::text FROM team.flag f
        JOIN team.colleague c ON c.id = f.colleague_id
        JOIN team.mailbox m ON m.id = f.mailbox_id
        WHERE m.name = 'Team/INBOX' AND c.name = 'alice' AND f.flag = '\\Seen' ''',
                        who='TEAM_PGDSN')


def test_older_backup(server):
    with server.login('dave') as session:
        session.select('Team/INBOX')
        for n in range(4):
            session.append_one('Team/INBOX', b'Subject: restore %d\r\n\r\nyes\r\n' % n)
    uids = server.login('dave')
    uids.select('Team/INBOX')
    last = max(uids.search('ALL'))
    uids.close()
    add_seen(server, '%d:%d' % (last - 3, last - 2))
    assert server.all_shipped()
    dump(server)

    add_seen(server, '%d:%d' % (last - 1, last))
    assert server.all_shipped()
    flags, records = seen(server), server.audit()
    restore(server)
    assert seen(server) != flags

    # the next record shows what is missing
    server.login('u97').logout()
    assert wait_for(lambda: seen(server) == flags, 20)
    assert server.all_shipped()
    assert server.audit()[:len(records)] == records
    assert 'was set back to an older state' in server.log()
    assert 'The database was set back' in server.log()


@pytest.fixture
def own():
    """An instance whose log loses records."""
    made = instance.Instance('sdbox', settings='team_checkpoint_interval = 1 secs\n')
    yield made
    crashes = made.crashes()
    made.stop()
    assert not crashes, '\n'.join(crashes)


def verified(server):
    result = server.doveadm('team', 'audit', 'verify', check=False)
    return result.returncode, result.stdout


def all_signed(server):
    status = server.status()
    return status['journal_records'] == '0' and status['checkpoint_size'] == status['seq']


def lose_what_was_shipped(own, keep_state, set_back):
    """The database is set back to the state that was kept, when the journal has
    nothing any more of what was recorded since: what is lost, is lost for all.
    Private indexes show what PostgreSQL has, and the log says what is missing."""
    box, uids = mailbox(own, 3)
    own.login('u1').logout()
    alice = own.login('alice')
    alice.select(box)
    store(alice, uids[0], '+FLAGS', '\\Seen')
    assert own.all_shipped()
    keep_state()

    store(alice, uids[1], '+FLAGS', '\\Flagged')
    before, = glob.glob(os.path.join(own.dir, 'journal', '*.journal'))
    assert own.all_shipped()
    # begins a new segment
    own.doveadm('team', 'erase', '--database', own.env['TEAM_PGDSN'], 'u1')
    own.login('u97').logout()
    assert wait_for(lambda: not os.path.exists(before), 20)
    # of what was never signed nobody can say that it's missing
    assert wait_for(lambda: all_signed(own), 20), own.status()
    assert verified(own)[0] == 0, verified(own)
    alice.close()
    set_back()
    assert own.all_shipped()

    # others go on: revisions reach what they were
    bob = own.login('bob')
    bob.select(box)
    for uid in uids:
        store(bob, uid, '+FLAGS', '\\Flagged')
        store(bob, uid, '+FLAGS', '\\Answered')
    assert own.all_shipped()
    alice = own.login('alice')
    alice.select(box)
    assert [flags_of(alice, uid) for uid in uids] == \
        [{'\\Seen', '\\Answered'}, {'\\Answered'}, {'\\Answered'}]
    gap, = own.audit("action = 'gap' AND detail->>'reason' LIKE 'the database was set back%%'")
    assert int(gap['detail']['first']) <= int(gap['detail']['last'])
    assert wait_for(lambda: verified(own)[0] == 2 and 'was set back' in verified(own)[1], 20), \
        verified(own)


def test_backup_from_before_the_journal(own):
    lose_what_was_shipped(own, lambda: dump(own), lambda: restore(own))


def test_journal_lost_and_key_kept(own):
    """The key alone goes back into an empty folder: the log goes on, and what is
    signed from now on is trusted as before."""
    own.login('u1').logout()
    assert own.all_shipped()
    assert wait_for(lambda: verified(own)[0] == 0, 20), verified(own)
    with open(own.env['TEAM_PUBKEY']) as f:
        public = f.read()
    with open(own.env['TEAM_CHECKPOINTS']) as f:
        notes = f.read()
    folder = os.path.join(own.dir, 'journal')
    own.stop()
    for entry in os.scandir(folder):
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != 'team.key':
            os.unlink(entry)
    own.start()
    with open(own.env['TEAM_PUBKEY']) as f:
        assert f.read() == public
    own.login('u2').logout()
    assert own.all_shipped()
    assert len(own.audit("action = 'gap' AND detail->>'reason' LIKE 'the journal was made anew%%'")) == 1
    kept = os.path.join(own.dir, 'kept')

    def both():
        with open(own.env['TEAM_CHECKPOINTS']) as new, open(kept, 'w') as f:
            f.write(notes + new.read())
        return own.doveadm('team', 'audit', 'verify', '--checkpoints', kept, check=False)
    assert wait_for(lambda: both().returncode == 0, 20), both().stdout
