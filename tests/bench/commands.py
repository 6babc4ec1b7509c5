# SPDX-License-Identifier: LGPL-2.1-or-later
"""What single commands cost, run alternately on all instances."""
import socket
import time

import pair

BOX = 'Team/Bench'
# messages to read, copy and move, in sizes as they are
MAIL, SIZE = 'Team/Mail', 6000
COPIES = 1000


class Command:
    """A command with what prepares it, which isn't timed. %d stands for the
    number of a message."""

    def __init__(self, name, command, rounds, mark=None, prepare=None, box=BOX):
        self.name = name
        self.command = command
        self.rounds = rounds
        self.mark = mark
        self.prepare = prepare
        self.box = box

    def begin(self, session):
        session.select(self.box)

    def run(self, session, n, message):
        """Returns what the n-th round took in ms."""
        if self.prepare:
            session.command(self.prepare.replace('%d', str(message)))
        command = self.command.replace('%d', str(message))
        start = time.perf_counter()
        session.command(command)
        return (time.perf_counter() - start) * 1000


class Append(Command):
    def run(self, session, n, message):
        data = session.start_append(MAIL, [(pair.message(n, SIZE), '', None)])
        start = time.perf_counter()
        session.send(data)
        session.finish('a%d' % session.count)
        return (time.perf_counter() - start) * 1000


class Copy(Command):
    """Between two mailboxes, forth and back."""

    def begin(self, session):
        pair.fill(session, MAIL + '0', COPIES, SIZE)
        session.attempt('CREATE %s1' % MAIL)

    def run(self, session, n, message):
        forth = self.command.startswith('MOVE') and n % 2 == 1
        session.select(MAIL + ('1' if forth else '0'))
        start = time.perf_counter()
        session.command('%s 1:%d %s%d' % (self.command, COPIES, MAIL, 0 if forth else 1))
        spent = (time.perf_counter() - start) * 1000
        if self.command == 'COPY':
            session.select(MAIL + '1')
            session.command('STORE 1:* +FLAGS.SILENT (\\Deleted)')
            session.command('EXPUNGE')
        return spent


def work(count):
    """The commands for a mailbox of that many messages."""
    few = max(3, min(15, 750000 // count))
    return [
        Command('SELECT', 'SELECT ' + BOX, 61, 1.15, 'UNSELECT'),
        Command('FETCH 1:* FLAGS', 'FETCH 1:* (FLAGS)', few, 1.10),
        Command('SEARCH UNSEEN', 'SEARCH UNSEEN', 41, 1.10),
        Command('STORE one', 'STORE %d +FLAGS.SILENT (\\Seen)', 201, 1.5,
                'STORE %d -FLAGS.SILENT (\\Seen)'),
        Command('STORE one, shared flag', 'STORE %d +FLAGS.SILENT (\\Answered)', 101, 1.5,
                'STORE %d -FLAGS.SILENT (\\Answered)'),
        Command('STORE 1:*', 'STORE 1:* +FLAGS.SILENT (\\Seen)', few, 1.5,
                'STORE 1:* -FLAGS.SILENT (\\Seen)'),
        Command('STORE 1:* my-todo', 'STORE 1:* +FLAGS.SILENT (my-todo)', few, 1.5,
                'STORE 1:* -FLAGS.SILENT (my-todo)'),
        Command('SEARCH KEYWORD', 'SEARCH KEYWORD my-todo', 41, 1.10),
        Command('FETCH BODY.PEEK[]', 'FETCH %d (BODY.PEEK[])', 401, 1.10, box=MAIL),
        Command('FETCH BODY.PEEK[] again', 'FETCH %d (BODY.PEEK[])', 401, 1.10, box=MAIL),
        Command('FETCH BODY[], unseen', 'FETCH %d (BODY[])', 201, None, box=MAIL),
        Append('APPEND', None, 101, 1.10),
        Copy('COPY of 1,000', 'COPY', 5, 1.5),
        Copy('MOVE of 1,000', 'MOVE', 10, 1.5),
    ]


class Delivery:
    """An LMTP session as a mail server holds it."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(server.lmtp_path())
        self.sock.settimeout(60)
        self.file = self.sock.makefile('rb')
        self.answer()
        self.ask('LHLO bench.example')

    def answer(self):
        while True:
            line = self.file.readline()
            if line[3:4] != b'-':
                break
        if line[:1] not in (b'2', b'3'):
            raise RuntimeError('LMTP: %r' % line)

    def ask(self, text):
        self.sock.sendall(text.encode() + b'\r\n')
        self.answer()

    def deliver(self, number):
        data = pair.message(number, SIZE) + b'.\r\n'
        start = time.perf_counter()
        self.ask('MAIL FROM:<c@customers.example>')
        self.ask('RCPT TO:<support@support.example>')
        self.ask('DATA')
        self.sock.sendall(data)
        self.answer()
        return (time.perf_counter() - start) * 1000


def alternate(servers, rounds, run):
    """Calls run(server, n) for each server in turn; returns values by kind."""
    values = {server.kind: [] for server in servers}
    for n in range(rounds):
        for server in pair.turned(servers, n):
            values[server.kind].append(run(server, n))
    return values


def measure(servers, count, only=None):
    """Yields a row for each command."""
    sessions = {}
    for server in servers:
        sessions[server.kind] = session = server.login()
        pair.fill(session, MAIL, 500, SIZE)
        pair.fill(session, BOX, count)
        session.command('STORE 1:%d +FLAGS.SILENT (\\Seen)' % (count // 2))
    section = 'commands, %d messages' % count
    for command in work(count):
        if only and only not in command.name:
            continue
        for session in sessions.values():
            command.begin(session)
        there = count if command.box == BOX else 500
        values = alternate(servers, command.rounds, lambda server, n: command.run(
            sessions[server.kind], n, n * 7919 % there + 1))
        yield pair.Row(section, command.name, 'ms', values, command.mark)
    if not only or only == 'LMTP':
        lmtp = {server.kind: Delivery(server) for server in servers}
        values = alternate(servers, 101, lambda server, n: lmtp[server.kind].deliver(n))
        yield pair.Row(section, 'LMTP delivery', 'ms', values, 1.10)
    for session in sessions.values():
        session.logout()
