# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service says when the database's schema is older than it needs, and goes
on: upgrading is left to the administrator."""
import glob
import os
import re
import signal

from instance import ROOT, wait_for

OWNER = 'TEAM_PGDSN'


def restart(server):
    old = server.kill_service(signal.SIGTERM)
    assert wait_for(lambda: server.service_pid() not in (None, old))
    assert wait_for(lambda: server.doveadm('team', 'status', check=False).returncode == 0 and
                    server.status()['postgres'] == 'reachable')


def test_older_schema_is_told(server):
    last = max(int(os.path.basename(name)[:4])
               for name in glob.glob(os.path.join(ROOT, 'sql', '[0-9]*.sql')))
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
