# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pushes to many sessions at once, as the service sends them."""
import os
import secrets
import select
import socket
import time

WATCHERS, CHANGES = 60, 100
BOX = '%s\t1' % secrets.token_hex(16)


class Process:
    """A mail process with one session."""

    def __init__(self, server, name):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(os.path.join(server.dir, 'run', 'dovecot', 'team'))
        self.buffer = b''
        self.id = 0
        self.pushed = []
        self.send('VERSION\tteam-client\t1\t0\nHELLO\t%s\t%d\n'
                  'SESSION\t1\tcolleague=%s\tservice=imap' % (
                      secrets.token_hex(16), os.getpid(), name))

    def send(self, text):
        self.sock.sendall(text.encode() + b'\n')

    def request(self, name, text):
        """Sends a request and waits for its answer."""
        self.id += 1
        self.send('%s\t%d\t1\t%s' % (name, self.id, text))
        while b'\nOK\t%d\n' % self.id not in b'\n' + self.buffer:
            self.read()

    def read(self):
        data = self.sock.recv(65536)
        assert data, 'the service closed the connection'
        self.pushed += [time.monotonic()] * data.count(b'PUSH')
        self.buffer += data


def read_all(processes, seconds):
    until = time.monotonic() + seconds
    by_socket = {process.sock: process for process in processes}
    while time.monotonic() < until:
        for sock in select.select(list(by_socket), [], [], 0.05)[0]:
            by_socket[sock].read()


def test_busy_mailbox_wakes_sessions_less_often(server):
    watchers = [Process(server, 'u%d' % n) for n in range(WATCHERS)]
    worker = Process(server, 'alice')
    for watcher in watchers:
        watcher.request('WATCH', BOX)

    def change(uid):
        worker.request('EVENT', 'action=flag\tmailbox=%s\tuidvalidity=%s\tname=Team/Pushes\t'
                       'uids=%d\tadd=\\Answered' % (*BOX.split('\t'), uid))
    change(1)
    read_all(watchers, 0.1)
    assert all(len(watcher.pushed) == 1 for watcher in watchers), 'the first comes at once'
    time.sleep(0.5)
    start = time.monotonic()
    for uid in range(2, CHANGES):
        change(uid)
        read_all(watchers, 0.002)
    last = time.monotonic()
    change(CHANGES)
    read_all(watchers, 1)
    allowed = 2 + (last - start) / 0.12 + 1
    for watcher in watchers:
        assert len(watcher.pushed) - 1 <= allowed, 'each change woke it'
        assert watcher.pushed[-1] >= last, 'the last change is told, too'
