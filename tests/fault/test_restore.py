# SPDX-License-Identifier: LGPL-2.1-or-later
"""The database is set back to an older backup, as dovecot-team-operations(7)
describes it: what the journal still has is shipped again."""
import glob
import os
import subprocess

from instance import wait_for


def run(*args):
    subprocess.run(args, check=True, timeout=60, stdin=subprocess.DEVNULL, capture_output=True)


def postgresql(program):
    return sorted(glob.glob('/usr/lib/postgresql/*/bin/' + program))[-1]


def add_seen(server, uids):
    server.doveadm('flags', 'add', '-u', 'alice', '\\Seen', 'mailbox', 'Team/INBOX', 'uid', uids)


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
    backup, database = os.path.join(server.dir, 'backup'), server.env['TEAM_PGDSN']
    run(postgresql('pg_dump'), '-Fc', '-f', backup, '-d', database)

    add_seen(server, '%d:%d' % (last - 1, last))
    assert server.all_shipped()
    flags, records = seen(server), server.audit()
    run('psql', '-q', '-d', database, '-c', 'DROP SCHEMA team CASCADE')
    run(postgresql('pg_restore'), '-d', database, backup)
    assert seen(server) != flags

    # the next record shows what is missing
    server.login('u97').logout()
    assert wait_for(lambda: seen(server) == flags, 20)
    assert server.all_shipped()
    assert server.audit()[:len(records)] == records
    assert 'was set back to an older state' in server.log()
