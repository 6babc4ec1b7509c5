# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plain IMAP session that shows exactly what the server sends.

Used by quickstart's mail filling and tour, and by the tests: unlike imaplib
it keeps untagged answers in their order and with their time of arrival.
"""
import re
import select
import socket
import time


class IMAPError(Exception):
    """The server closed the connection, timed out or answered NO or BAD."""


class Answer:
    """What one command got: untagged lines (bytes), status and text."""

    def __init__(self, untagged, status, text):
        self.untagged = untagged
        self.status = status
        self.text = text

    @property
    def ok(self):
        return self.status == 'OK'

    def lines(self, word):
        """The untagged lines that hold the word (case-insensitive)."""
        return [line for line in self.untagged
                if word.upper().encode() in line.upper()]

    def fetched(self):
        """Parsed FETCH lines: list of dicts with seq, uid, flags, raw."""
        return [f for f in map(parse_fetch, self.untagged) if f]

    def __repr__(self):
        return 'Answer(%s %s, untagged=%r)' % (self.status, self.text, self.untagged)


def parse_fetch(line):
    match = re.match(rb'\* (\d+) FETCH \(', line)
    if not match:
        return None
    uid = re.search(rb'\bUID (\d+)', line)
    flags = re.search(rb'\bFLAGS \(([^)]*)\)', line)
    return {
        'seq': int(match.group(1)),
        'uid': int(uid.group(1)) if uid else None,
        'flags': set(flags.group(1).decode().split()) if flags else None,
        'raw': line,
    }


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


class Session:
    """One logged-in connection."""

    def __init__(self, port, user=None, password='pass', host='127.0.0.1',
                 timeout=20):
        self.user = user
        self.timeout = timeout
        self.buffer = b''
        self.count = 0
        self.idle_tag = None
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.greeting = self.read_line()
        if user is not None:
            self.command('LOGIN %s %s' % (quote(user), quote(password)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise TimeoutError('%s: no answer from the server within the time'
                               % self.user)
        data = self.sock.recv(65536)
        if not data:
            raise IMAPError('%s: the server closed the connection (last: %r)'
                            % (self.user, self.buffer[-200:]))
        self.buffer += data

    def read_line(self, timeout=None):
        """One logical line: literals are part of it."""
        deadline = time.monotonic() + (timeout or self.timeout)
        line = b''
        while True:
            while b'\r\n' not in self.buffer:
                self.fill(deadline)
            part, self.buffer = self.buffer.split(b'\r\n', 1)
            line += part
            literal = re.search(rb'\{(\d+)\}$', part)
            if not literal:
                return line
            size = int(literal.group(1))
            while len(self.buffer) < size:
                self.fill(deadline)
            line += b'\r\n' + self.buffer[:size]
            self.buffer = self.buffer[size:]

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def next_tag(self):
        self.count += 1
        return 'a%d' % self.count

    def start(self, command):
        """Sends a command and returns its tag; finish() reads the answer."""
        tag = self.next_tag()
        data = command if isinstance(command, bytes) else command.encode()
        self.send(tag.encode() + b' ' + data + b'\r\n')
        return tag

    def finish(self, tag, timeout=None):
        untagged = []
        while True:
            line = self.read_line(timeout)
            if line.startswith(tag.encode() + b' '):
                _, status, text = (line.decode('utf-8', 'replace') + ' ').split(' ', 2)
                return Answer(untagged, status, text.strip())
            untagged.append(line)

    def attempt(self, command, timeout=None):
        """Runs a command and returns its Answer, whatever it is."""
        return self.finish(self.start(command), timeout)

    def command(self, command, timeout=None):
        """Runs a command; anything but OK raises IMAPError."""
        data = command if isinstance(command, bytes) else command.encode()
        answer = self.attempt(data, timeout)
        if not answer.ok:
            raise IMAPError('%s: %s answered %s %s' %
                            (self.user, data.split(b' ')[0].decode(), answer.status,
                             answer.text))
        return answer

    def select(self, mailbox, command='SELECT'):
        return self.command('%s %s' % (command, quote(mailbox)))

    def append(self, mailbox, messages, timeout=None):
        """Appends (message, flags, date) tuples in one MULTIAPPEND."""
        self.send(self.start_append(mailbox, messages))
        answer = self.finish('a%d' % self.count, timeout)
        if not answer.ok:
            raise IMAPError('%s: APPEND answered %s %s' %
                            (self.user, answer.status, answer.text))
        return answer

    def start_append(self, mailbox, messages):
        parts = [self.next_tag().encode() + b' APPEND ' + quote(mailbox).encode()]
        for message, flags, date in messages:
            parts.append(b' (' + flags.encode() + b')')
            if date:
                parts.append(b' "' + date.encode() + b'"')
            parts.append(b' {%d+}\r\n' % len(message) + message)
        return b''.join(parts) + b'\r\n'

    def append_one(self, mailbox, message, flags='', date=None):
        """Appends one message and returns its UID."""
        answer = self.append(mailbox, [(message, flags, date)])
        return int(re.search(r'APPENDUID \d+ (\d+)', answer.text).group(1))

    def flags(self, uid):
        """The flags of one message, as this user sees them."""
        answer = self.command('UID FETCH %d (UID FLAGS)' % uid)
        for fetch in answer.fetched():
            if fetch['uid'] == uid:
                return fetch['flags']
        raise IMAPError('%s: no message with UID %d' % (self.user, uid))

    def search(self, criteria):
        """UIDs that match."""
        answer = self.command('UID SEARCH ' + criteria)
        for line in answer.untagged:
            if line.startswith(b'* SEARCH'):
                return [int(n) for n in line.split()[2:]]
        return []

    def status(self, mailbox, item):
        answer = self.command('STATUS %s (%s)' % (quote(mailbox), item))
        for line in answer.untagged:
            match = re.search(rb'%s (\d+)' % item.encode(), line)
            if match:
                return int(match.group(1))
        raise IMAPError('%s: STATUS gave no %s' % (self.user, item))

    def idle(self):
        """Enters IDLE."""
        self.idle_tag = self.start('IDLE')
        untagged = []
        while True:
            line = self.read_line()
            if line.startswith(b'+'):
                return untagged
            untagged.append(line)

    def idle_lines(self, seconds):
        """(time, line) of everything that arrives within the seconds."""
        lines = []
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.read_line(max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                return lines
            lines.append((time.monotonic(), line))

    def idle_until(self, condition, seconds):
        """Reads in IDLE until condition(line) holds; returns (time, line)
        or None when the seconds have passed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                line = self.read_line(max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                return None
            if condition(line):
                return time.monotonic(), line
        return None

    def done(self):
        """Leaves IDLE."""
        self.send('DONE\r\n')
        tag, self.idle_tag = self.idle_tag, None
        return self.finish(tag)

    def logout(self):
        self.command('LOGOUT')
        self.close()
