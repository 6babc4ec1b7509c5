# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may speak to the service, and for whom."""
import contextlib
import os
import pwd
import secrets
import socket

import pytest

import instance

NOBODY = pwd.getpwnam('nobody').pw_uid


@pytest.fixture(scope='module')
def open_socket():
    """An instance whose socket lets every system user in, as a group of
    system users would be."""
    running = instance.Instance('sdbox', settings='''
service team {
  unix_listener team {
    mode = 0666
  }
}
''')
    yield running
    running.stop()
    assert not running.crashes()


class Peer:
    """A process of another system user that speaks the protocol itself."""

    def __init__(self, running, uid, name='team'):
        os.seteuid(uid)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(10)
            self.sock.connect(os.path.join(running.dir, 'run/dovecot', name))
        finally:
            os.seteuid(0)
        self.input = self.sock.makefile('r', newline='\n')
        self.send('VERSION\tteam-client\t1\t0')
        self.send('HELLO\t%s\t1' % secrets.token_hex(16))

    def send(self, line):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(line.encode() + b'\n')

    def record(self, name, **fields):
        """Records a login in the colleague's name. Returns whether the service
        took it."""
        self.send('SESSION\t1\tcolleague=%s\tservice=imap' % name)
        self.send('EVENT\t1\t1\taction=login\toutcome=ok' +
                  ''.join('\t%s=%s' % pair for pair in fields.items()))
        with contextlib.suppress(ConnectionResetError):
            for line in self.input:
                if line.split('\t')[:2] in (['OK', '1\n'], ['NO', '1']):
                    return line.startswith('OK')
        return False


def test_own_name(open_socket):
    """A colleague's own process may record what it does."""
    assert Peer(open_socket, NOBODY).record('nobody')


@pytest.mark.parametrize('name', ['alice', '', 'root', 'nobody2'])
def test_another_name(open_socket, name):
    """It can't record anything in another's name."""
    assert not Peer(open_socket, NOBODY).record(name)
    open_socket.all_shipped()
    assert not open_socket.audit("colleague = %s AND action = 'login' AND remote_ip IS NULL",
                                 (name,))


def test_name_in_record(open_socket):
    """Nor by naming somebody in the record itself."""
    assert not Peer(open_socket, NOBODY).record('nobody', colleague='alice')
    open_socket.all_shipped()
    assert not open_socket.audit("colleague = 'alice' AND remote_ip IS NULL")


def test_change_of_name(open_socket):
    """Nor by changing a session's name later."""
    peer = Peer(open_socket, NOBODY)
    assert peer.record('nobody')
    peer.send('SESSION\t1\tcolleague=alice')
    peer.send('EVENT\t2\t1\taction=login\toutcome=ok')
    with contextlib.suppress(ConnectionResetError):
        assert not any(line.startswith('OK\t2') for line in peer.input)


def test_refusal_is_logged(open_socket):
    """The admin learns who tried, and whom to trust if that was right."""
    assert not Peer(open_socket, NOBODY).record('erin')
    assert instance.wait_for(lambda: [
        line for line in open_socket.log().splitlines()
        if 'nobody' in line and 'erin' in line and 'team_trusted_users' in line])


def test_admin_commands(open_socket):
    """The mail processes' socket takes no administrator's commands."""
    peer = Peer(open_socket, NOBODY)
    peer.send('SESSION\t1\tcolleague=nobody')
    peer.send('ROTATE-KEY\t1')
    assert any(line.startswith('NO\t1\tdenied\t') for line in peer.input)


def test_admin_socket_is_closed(open_socket):
    """The administrators' socket lets only its owner in."""
    with pytest.raises(PermissionError):
        Peer(open_socket, NOBODY, 'team-admin')


@pytest.mark.parametrize('what', ['journal', 'journal/team.key'])
def test_files_are_closed(open_socket, what):
    """Mail processes can't read the journal, nor the key that signs it."""
    path = os.path.join(open_socket.dir, what)
    assert os.path.exists(path)
    os.seteuid(pwd.getpwnam('mail').pw_uid)
    try:
        with pytest.raises(PermissionError):
            os.listdir(path) if os.path.isdir(path) else open(path).close()
    finally:
        os.seteuid(0)
