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
        self.connect(running, uid, name)
        self.input = self.sock.makefile('r', newline='\n')
        self.send('VERSION\tteam-client\t1\t0')
        self.send('HELLO\t%s\t1' % secrets.token_hex(16))

    def connect(self, running, uid, name):
        os.seteuid(uid)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(10)
            self.sock.connect(os.path.join(running.dir, 'run/dovecot', name))
        finally:
            os.seteuid(0)

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


class Spooler:
    """A process that writes to its spool, and sends nothing of it."""

    def __init__(self, running):
        self.peer = peer = Peer.__new__(Peer)
        peer.connect(running, NOBODY, 'team')
        peer.send('VERSION\tteam-client\t1\t0')
        peer.send('HELLO\t%s\t1\tspool' % secrets.token_hex(16))
        self.fd, data = -1, b''
        while b'READY' not in data:
            part, fds, _, _ = socket.recv_fds(peer.sock, 4096, 1)
            assert part, 'the service closed the connection'
            data += part
            self.fd = fds[0] if fds else self.fd
        assert self.fd >= 0, data

    def write(self, *lines):
        os.write(self.fd, '\n'.join(lines).encode())

    def die(self):
        os.close(self.fd)
        self.peer.sock.close()


def event(number, name, more=''):
    return 'EVENT\t%d\t1\taction=open\toutcome=ok\tname=%s%s' % (number, name, more)


def spooled(running, name):
    """How often the log has what was spooled, when all of it has been read."""
    spool = os.path.join(running.dir, 'journal', 'spool')
    assert instance.wait_for(lambda: not os.listdir(spool), 10)
    running.all_shipped()
    return len(running.audit("detail->>'name' = %s OR mailbox = %s", (name, name)))


def test_spool_of_own(open_socket):
    """What stands in a spool is recorded when its process is gone; what isn't
    complete, or doesn't belong there, is left out."""
    spooler = Spooler(open_socket)
    spooler.write('SESSION\t1\tcolleague=nobody\tservice=imap', event(1, 'Team/Spool1'),
                  'PREPARE\t2\t1\t2\taction=flag\tname=Team/Spool2',
                  'COMMIT\t3\t1\t2', 'CLAIM\t4\t1\t%s\t1\ttake\t1' % secrets.token_hex(16),
                  event(5, 'Team/Spool1'), event(6, 'Team/Spool3'))
    spooler.die()
    assert spooled(open_socket, 'Team/Spool1') == 2
    assert spooled(open_socket, 'Team/Spool2') == 1
    assert spooled(open_socket, 'Team/Spool3') == 0


@pytest.mark.parametrize('lines', [
    ['SESSION\t1\tcolleague=alice', event(1, 'Team/Forged')],
    ['SESSION\t1\tcolleague=nobody', event(1, 'Team/Forged', '\tcolleague=alice')],
    ['SESSION\t1\tcolleague=nobody', 'SESSION\t1\tcolleague=alice', event(1, 'Team/Forged')],
    [event(1, 'Team/Forged')], ['\001\0', 'nonsense', event(1, 'Team/Forged')]])
def test_spool_in_another_name(open_socket, lines):
    """A spool is no way to write in another's name."""
    spooler = Spooler(open_socket)
    spooler.write(*lines, '')
    spooler.die()
    assert spooled(open_socket, 'Team/Forged') == 0


def test_watching_has_a_limit(open_socket):
    """A process can't make the service remember mailboxes without end."""
    peer = Peer(open_socket, NOBODY)
    assert peer.record('nobody')
    peer.sock.settimeout(10)
    for number in range(2, 10012):
        peer.send('WATCH\t%d\t1\t%032x\t1' % (number, number))
    answers = {}
    for line in peer.input:
        fields = line.split('\t')
        answers[int(fields[1])] = fields[0]
        if len(answers) == 10010:
            break
    assert [answers[n] for n in (2, 10001, 10002, 10011)] == ['OK', 'OK', 'NO', 'NO']
    # once more for what is watched
    peer.send('WATCH\t10012\t1\t%032x\t1' % 5)
    assert next(peer.input).startswith('OK')


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
