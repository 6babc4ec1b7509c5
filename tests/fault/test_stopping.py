# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dovecot is stopped while sessions are open: nobody waits for a service that
has gone, and each session's end is in the log."""
import contextlib
import os
import signal
import time

import pytest

from instance import wait_for
from test_spool import mail_process, session_of
from work import mailbox


def is_gone(pid):
    """True also if only its parent hasn't looked yet."""
    try:
        with open('/proc/%d/stat' % pid) as stat:
            return stat.read().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


@pytest.fixture
def stopped(server):
    """Dovecot runs again afterwards."""
    yield server
    server.start()


def stop_master(server, sessions):
    """As doveadm stop. Processes of sessions in which something was done within the
    last 10 seconds stay."""
    master = server.dovecot_pid()
    os.kill(master, signal.SIGTERM)
    assert wait_for(lambda: all(session.command('NOOP') for session in sessions) and is_gone(master), 30)


@pytest.mark.parametrize('how', ['by the clients', 'by the system', 'without the service'])
def test_sessions_are_open(stopped, how):
    server, began = stopped, time.time()
    box, uids = mailbox(server, 1)
    users = ['u%d' % (11 + 10 * ['by the clients', 'by the system', 'without the service'].index(how) + n)
             for n in range(3)]
    sessions = [session_of(server, user) for user in users]
    for session in sessions:
        session.select(box)
    processes = [mail_process(server, user) for user in users]
    service, logged = server.service_pid(), len(server.log())
    stop_master(server, sessions)
    sessions[0].command('UID STORE %d +FLAGS (shared)' % uids[0])
    if how == 'by the system':
        for pid in (*processes, service):
            os.kill(pid, signal.SIGTERM)
    else:
        if how == 'without the service':
            os.kill(service, signal.SIGKILL)
        for session in sessions:
            session.logout()
    assert wait_for(lambda: all(map(is_gone, (*processes, service))), 30)
    log = server.log()[logged:]
    assert 'did not take a record' not in log and 'are kept for now' not in log, log
    server.start()
    assert server.all_shipped(30)
    for user in users:
        rows = server.audit("colleague = %s AND action IN ('login', 'logout') AND at >= to_timestamp(%s)",
                            (user, began))
        assert [row['action'] for row in rows] == ['login', 'logout'], user
    rows = server.audit("mailbox = %s AND action = 'flag'", (box,))
    assert [row['outcome'] for row in rows] == ['ok']


def test_stopped_twice(server):
    """The second signal comes while the service still ships."""
    with server.database('TEAM_PGDSN') as cursor:
        cursor.execute('LOCK TABLE team.node IN EXCLUSIVE MODE')
        server.login('u10').logout()
        pid_file = server.env['TEAM_SERVICE_PIDFILE']
        service = server.kill_service(signal.SIGTERM)
        assert wait_for(lambda: os.path.getsize(pid_file) == 0, 10)
        with contextlib.suppress(ProcessLookupError):
            os.kill(service, signal.SIGTERM)
        assert wait_for(lambda: is_gone(service), 30)
