# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service says when the database's schema is older than it needs, and goes
on: upgrading is left to the administrator."""
import glob
import os
import re
import signal

import pytest

from instance import ROOT, wait_for

OWNER = 'TEAM_PGDSN'
# by the service's connections, and by queries, which have their own
NEEDED = 'hello', 'claims'


def newest():
    return max(int(os.path.basename(name)[:4])
               for name in glob.glob(os.path.join(ROOT, 'sql', '[0-9]*.sql')))


def restart(server):
    old = server.kill_service(signal.SIGTERM)
    assert wait_for(lambda: server.service_pid() not in (None, old))
    assert wait_for(lambda: server.doveadm('team', 'status', check=False).returncode == 0 and
                    server.status()['postgres'] == 'reachable', timeout=30)


def test_older_schema_is_told(server):
    last = newest()
    assert server.status()['schema'] == str(last)
    row = server.query('DELETE FROM team.migration WHERE version = %s RETURNING *',
                       (last,), OWNER)[0]
    try:
        restart(server)
        status = server.status()['schema']
        assert status.startswith('%d, older' % (last - 1)) and 'schema upgrade' in status, status
        assert re.search(r"Warning: The database's schema %d is older" % (last - 1), server.log())
        # what it has does for all that there is
        with server.login('alice') as session:
            session.select('Team/INBOX')
    finally:
        with server.database(OWNER) as cursor:
            cursor.execute('INSERT INTO team.migration VALUES (%s, %s, %s, %s)', row)
        restart(server)
    assert server.status()['schema'] == str(last)


@pytest.mark.parametrize('version, advice', [
    (-1, 'is older than this dovecot-team\'s, which is %d: run doveadm team schema upgrade'),
    (+1, 'is newer than this dovecot-team\'s, which is %d: upgrade dovecot-team on this machine'),
], ids=['older', 'newer'])
def test_unfit_schema_is_told(server, box, version, advice):
    """Without what the service needs it works as if PostgreSQL were away, says
    what is the matter, and goes on when the schema fits."""
    last, uid = newest(), box.uids[0]
    message = "The database's schema %d " % (last + version) + advice % last
    with server.database(OWNER) as cursor:
        for name in NEEDED:
            cursor.execute('ALTER FUNCTION team.%s RENAME TO %s_gone' % (name, name))
        cursor.execute('UPDATE team.migration SET version = %s WHERE version = %s', (
            last + version if version > 0 else -1, last))
    try:
        old = server.kill_service(signal.SIGTERM)
        assert wait_for(lambda: server.service_pid() not in (None, old), timeout=30)
        with box.login('alice') as session:
            assert session.attempt('UID STORE %d +FLAGS (\\Flagged)' % uid).ok
            assert '[UNAVAILABLE]' in session.attempt('UID STORE %d +FLAGS (claimed)' % uid).text
        assert wait_for(lambda: server.status()['postgres'].startswith('away since'))
        status = server.status()
        assert status['postgres_error'] == message and int(status['journal_records']) > 0, status
        refused = server.doveadm('team', 'claim', 'list', check=False)
        assert refused.returncode == os.EX_TEMPFAIL and message in refused.stderr, refused
        assert "can't be reached" not in refused.stderr
        assert re.search(r'Error: PostgreSQL \(\S+\): ' + re.escape(message), server.log())
    finally:
        with server.database(OWNER) as cursor:
            for name in NEEDED:
                cursor.execute('ALTER FUNCTION team.%s_gone RENAME TO %s' % (name, name))
            cursor.execute('UPDATE team.migration SET version = %s WHERE version IN (-1, %s)',
                           (last, last + version if version > 0 else -1))
    assert wait_for(lambda: server.status()['postgres'] == 'reachable', timeout=30)
    assert server.all_shipped()
    assert server.status()['schema'] == str(last)
