# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answers of any length come to their end."""
import os
import secrets
import shlex
import signal
import socket
import subprocess
import time

import pytest

ROWS = 50000
BOX = secrets.token_hex(16)


def admin(server):
    """A connection of an administrator's, as doveadm's are."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(server.dir, 'run', 'dovecot', 'team-admin'))
    sock.sendall(('VERSION\tteam-client\t1\t0\nHELLO\t%s\t%d\n'
                  'SESSION\t1\tcolleague=root\tservice=doveadm\n' % (
                      secrets.token_hex(16), os.getpid())).encode())
    return sock


@pytest.fixture(scope='module')
def long_log(server):
    with admin(server) as sock:
        sock.settimeout(20)
        sock.sendall(('EVENT\t1\t1\taction=flag\tmailbox=%s\tuidvalidity=1\tname=Team/Stream\t'
                      'uids=1:%d\tadd=\\Answered\n' % (BOX, ROWS)).encode())
        answer = b''
        while b'\nOK\t1' not in answer:
            answer += sock.recv(4096)
    assert server.all_shipped()
    return server


def read(sock, buffer):
    """Waits busily: sleeping would let the service get ahead."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            return sock.recv_into(buffer)
        except BlockingIOError:
            pass
    raise TimeoutError


def test_fast_reader(long_log):
    """Who takes the service's output while it's being written empties it at
    once, and nobody is called for room that was never missing."""
    buffer = bytearray(1 << 21)
    for _ in range(4):
        with admin(long_log) as sock:
            sock.setblocking(False)
            sock.sendall(b'QUERY\t1\t1\taudit-search\tmailbox=%s\tlimit=0\n' % BOX.encode())
            end, answer = b'\nOK\t1\t%d\n' % ROWS, b''
            while not answer.endswith(end):
                size = read(sock, buffer)
                assert size > 0, answer
                answer = (answer + buffer[max(size - 100, 0):size])[-100:]


def test_reader_leaves(long_log):
    """doveadm doesn't go on when nobody reads any more, as after "| head"."""
    command = shlex.split(long_log.env['TEAM_DOVEADM']) + [
        '-f', 'tab', 'team', 'audit', 'search', '--mailbox', BOX, '--limit', '0']
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as search:
        assert search.stdout.readline().startswith(b'at\t')
        search.stdout.close()
        assert search.wait(timeout=30) == -signal.SIGPIPE
    found = long_log.wait_audit("action = 'query' AND outcome = 'failed' AND detail->>'query' LIKE %s",
                                ('%mailbox=' + BOX + '%',))
    assert 0 < int(found[0]['detail']['rows']) < ROWS


@pytest.mark.parametrize('command', [
    ['team', 'audit', 'search', '--limit', '3'],
    ['-f', 'json', 'team', 'audit', 'search', '--limit', '3'],
    ['team', 'audit', 'export'],
    ['team', 'status'],
], ids=' '.join)
def test_disk_full(long_log, command):
    """What couldn't be printed is told, also when it is the last of it only."""
    with open('/dev/full', 'w', encoding='ascii') as full:
        result = subprocess.run(shlex.split(long_log.env['TEAM_DOVEADM']) + command, check=False,
                                stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert result.returncode == os.EX_IOERR, result.stderr
    assert result.stderr.count(b'write(stdout) failed: No space left on device') == 1, result.stderr


def test_disk_full_ends_a_search(long_log):
    """doveadm doesn't read on what it can't print."""
    test_disk_full(long_log, ['-f', 'tab', 'team', 'audit', 'search', '--mailbox', BOX,
                              '--action', 'flag', '--limit', '0'])
    found = long_log.wait_audit("action = 'query' AND outcome = 'failed' AND detail->>'query' LIKE %s",
                                ('%action=flag%mailbox=' + BOX + '%',))
    assert 0 < int(found[0]['detail']['rows']) < ROWS
