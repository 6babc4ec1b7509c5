# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a mail process wrote to its spool stands in the journal: it gets to
PostgreSQL exactly once, whoever dies before the service was told."""
import contextlib
import glob
import os
import re
import secrets
import signal
import socket
import time

import pytest

from instance import wait_for
from work import mailbox


def mail_process(server, user):
    """The number of the user's last mail process."""
    pids = wait_for(lambda: re.findall(r'(?:Login|Logged in): user=<%s>.* mpid=(\d+)' % user,
                                       server.log()))
    return int(pids[-1])


def spools(server):
    """Names of files. Other sessions may still have theirs."""
    return set(os.listdir(os.path.join(server.dir, 'journal', 'spool')))


@pytest.fixture
def others(server):
    return spools(server)


def spool_of(pid):
    """The path of the process's spool, or None."""
    for link in glob.glob('/proc/%d/fd/*' % pid):
        with contextlib.suppress(FileNotFoundError):
            path = os.readlink(link)
            if os.path.basename(os.path.dirname(path)) == 'spool':
                return path
    return None


def session_of(server, user):
    """A session that has got its spool."""
    session = server.login(user)
    session.command('NOOP')
    session.spool = wait_for(lambda: spool_of(mail_process(server, user)))
    assert session.spool
    return session


def check_recorded(server, box, user, uids):
    """Each action is there, and none twice."""
    assert server.all_shipped(30)
    for action, expected in (('open', [None]), ('fetch', uids)):
        rows = server.wait_audit('mailbox = %s AND colleague = %s AND action = %s',
                                 (box, user, action), len(expected), 20)
        assert [row['uid'] for row in rows] == expected, action
        assert all(row['session'] and row['client'] == 'Spooler' for row in rows)


@pytest.mark.parametrize('dies', ['both', 'mail process', 'service'])
def test_killed_before_the_service_was_told(server, others, dies):
    box, uids = mailbox(server, 5)
    user = 'u%d' % (71 + ['both', 'mail process', 'service'].index(dies))
    session = session_of(server, user)
    session.command('ID ("name" "Spooler")')
    # it reads nothing from now on
    service = wait_for(server.service_pid)
    os.kill(service, signal.SIGSTOP)
    try:
        session.select(box)
        for uid in uids:
            session.command('UID FETCH %d (BODY.PEEK[])' % uid)
        if dies != 'service':
            os.kill(mail_process(server, user), signal.SIGKILL)
        if dies != 'mail process':
            os.kill(service, signal.SIGKILL)
    finally:
        if dies == 'mail process':
            os.kill(service, signal.SIGCONT)
    if dies == 'service':
        session.command('NOOP')
    check_recorded(server, box, user, uids)
    if dies == 'service':
        session.logout()
    assert wait_for(lambda: not spools(server) - others, 10), 'a spool of a dead process is left'


@pytest.mark.parametrize('dies', ['both', 'mail process', 'service'])
@pytest.mark.parametrize('flag', ['\\Seen', '\\Answered', 'my-work', 'urgent'])
def test_flags_killed_before_the_service_was_told(server, others, dies, flag):
    """The answer waits for neither the intent nor its end."""
    box, uids = mailbox(server, 3)
    user = 'u%d' % (50 + ['both', 'mail process', 'service'].index(dies))
    session = session_of(server, user)
    session.select(box)
    session.command('UID STORE %d +FLAGS (%s)' % (uids[0], flag))
    assert server.all_shipped(30)
    service = wait_for(server.service_pid)
    os.kill(service, signal.SIGSTOP)
    try:
        session.command('UID STORE %d +FLAGS (%s)' % (uids[1], flag))
        session.command('UID STORE %d -FLAGS (%s)' % (uids[0], flag))
        if dies != 'service':
            os.kill(mail_process(server, user), signal.SIGKILL)
        if dies != 'mail process':
            os.kill(service, signal.SIGKILL)
    finally:
        if dies == 'mail process':
            os.kill(service, signal.SIGCONT)
    if dies == 'service':
        session.command('NOOP')
        session.logout()
    assert wait_for(lambda: not spools(server) - others, 10), 'a spool of a dead process is left'
    assert server.all_shipped(30)
    rows = server.wait_audit("mailbox = %s AND colleague = %s AND action IN ('flag', 'read', 'gap')",
                             (box, user), 3, 20)
    assert [(row['uid'], row['outcome'], 'added' in row['detail']) for row in rows] == [
        (uids[0], 'ok', True), (uids[1], 'ok', True), (uids[0], 'ok', False)]
    again = server.login(user)
    again.select(box)
    assert [flag in again.flags(uid) for uid in uids] == [False, True, False]


class Process:
    """What a mail process of a colleague's says."""

    def __init__(self, server, colleague):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(os.path.join(server.dir, 'run/dovecot/team'))
        self.input = self.sock.makefile('r', newline='\n')
        self.send('VERSION\tteam-client\t1\t0', 'HELLO\t%s\t1' % secrets.token_hex(16),
                  'SESSION\t1\tcolleague=%s\tservice=imap' % colleague)
        self.until('READY')

    def send(self, *lines):
        self.sock.sendall(''.join(line + '\n' for line in lines).encode())

    def until(self, start):
        """Lines up to the one that begins so."""
        lines = []
        for line in self.input:
            lines.append(line.rstrip('\n'))
            if line.startswith(start):
                return lines
        raise AssertionError('the service closed the connection after %r' % lines)


def test_asked_before_the_intent_is_read(server):
    """Another process of the colleague's reaches the service first, but saw in
    the private index what the intent led to: the answer has it as well."""
    guid, name = secrets.token_hex(16), 'Team/Unread'
    first, second = Process(server, 'u60'), Process(server, 'u60')
    service = wait_for(server.service_pid)
    os.kill(service, signal.SIGSTOP)
    try:
        # so it is read from first
        second.send('WATCH\t1\t1\t%s\t1' % guid)
        first.send('PREPARE\t1\t1\t1\taction=read\toutcome=ok\tmailbox=%s\tuidvalidity=1\t'
                   'name=%s\tuids=2\tp+\\Seen=2' % (guid, name))
        second.send('SYNC\t2\t1\t%s\t1\t0\t%s\t0' % (guid, name))
    finally:
        os.kill(service, signal.SIGCONT)
    first.until('OK\t1')
    time.sleep(0.2)
    first.send('COMMIT\t2\t1\t1')
    assert 'D\t2\tflag\t\\Seen\t1\t1023\t2' in second.until('OK\t2')


def test_overtaken_by_another_device(server):
    """Its intent was left in the spool later, and is read first: the private index has
    another order than the journal, and mustn't be taken for right."""
    guid = secrets.token_hex(16)
    process = Process(server, 'u61')

    def prepare(number, own):
        process.send('PREPARE\t%d\t1\t%d\t%saction=read\toutcome=ok\tmailbox=%s\tuidvalidity=1\t'
                     'name=Team/Overtaken\tuids=2\tp+\\Seen=2' % (number, number, own, guid))
        return int(process.until('OK\t%d' % number)[-1].split('\t')[2])
    begun = prepare(1, '')
    assert prepare(2, 'own=%d\t' % (begun + 1)) == begun + 1
    # the one before this comes next
    assert prepare(3, 'own=%d\t' % (begun + 3)) == begun + 2
    assert prepare(4, 'own=%d\t' % (begun + 2)) == begun + 4
    # what both noted is begun + 3
    assert prepare(5, '') == begun + 6


def test_more_than_a_spool_takes(server, others):
    """Then it is waited for, and the spool begins anew."""
    box, uids = mailbox(server, 3)
    session = session_of(server, 'u75')
    session.command('ID ("name" "Spooler")')
    sizes = []
    for _ in range(800):
        session.select(box)
        session.command('UNSELECT')
        sizes.append(os.path.getsize(session.spool))
    assert max(sizes) <= 64 * 1024
    assert any(after < before for before, after in zip(sizes, sizes[1:])), 'never begun anew'
    os.kill(mail_process(server, 'u75'), signal.SIGKILL)
    assert server.all_shipped(30)
    rows = server.wait_audit("mailbox = %s AND colleague = 'u75' AND action = 'open'", (box,), 800)
    assert len(rows) == 800
    assert wait_for(lambda: not spools(server) - others, 10)


def test_nothing_piles_up(server, others):
    def descriptors():
        return len(os.listdir('/proc/%d/fd' % server.service_pid()))

    def known():
        return int(server.status()['sessions'])
    before, known_before = descriptors(), known()
    sessions = [session_of(server, 'u%d' % n) for n in range(80, 90)]
    # each has its connection, and the service keeps no file open
    assert wait_for(lambda: descriptors() <= before + len(sessions) + 2)
    for session in sessions:
        session.select('Team/INBOX')
        session.logout()
    assert wait_for(lambda: not spools(server) - others, 10)
    assert wait_for(lambda: descriptors() <= before + 2, 10)
    assert wait_for(lambda: known() <= known_before, 10)
