# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does what a command costs depend on how large the mailbox or the log is, on
how many colleagues there are, or on how far away PostgreSQL is?"""
import argparse
import os
import re
import signal
import socket
import threading
import time

import commands
import pair
import search

# copies of one message that mdbox takes
COPIES_MAX = 16000
CLAIM = 'STORE %d +FLAGS.SILENT (claimed)', 'STORE %d -FLAGS.SILENT (claimed)'


def fill_by_copies(session, box, count):
    """Large mailboxes take too long by APPEND."""
    pair.fill(session, box, 1)
    have = 1
    while have < count:
        if have % COPIES_MAX == 0:
            session.append(box, [(pair.message(have), '', None)])
            have += 1
        first = have - (have - 1) % COPIES_MAX
        more = min(have - first + 1, COPIES_MAX - (have - first + 1), count - have)
        if more == 0:
            session.append(box, [(pair.message(have), '', None)])
            have += 1
            continue
        session.select(box)
        session.command('COPY %d:%d %s' % (first, first + more - 1, box), timeout=300)
        have += more
    session.select(box)
    session.command('FETCH 1:* (FLAGS)', timeout=300)


def one_message(box, rounds):
    """Commands whose cost shouldn't depend on anything else."""
    return [commands.Command('SELECT', 'SELECT ' + box, rounds, None, 'UNSELECT', box=box),
            commands.Command('STORE one', 'STORE %d +FLAGS.SILENT (\\Seen)', rounds, None,
                             'STORE %d -FLAGS.SILENT (\\Seen)', box=box)]


def rows(section, what, servers, box, count, rounds, sessions):
    for command in one_message(box, rounds):
        for session in sessions.values():
            command.begin(session)
        values = commands.alternate(servers, rounds, lambda server, n: command.run(
            sessions[server.kind], n, n * 7919 % count + 1))
        yield pair.Row(section, '%s, %s' % (command.name, what), 'ms', values)


def measure_sizes(servers, sizes, rounds):
    sessions = {server.kind: server.login() for server in servers}
    for count in sizes:
        box = 'Team/Size%d' % count
        for session in sessions.values():
            fill_by_copies(session, box, count)
        yield from rows('size of the mailbox', '%d messages' % count, servers, box, count,
                        rounds, sessions)
    for session in sessions.values():
        session.logout()


def add_colleagues(server, count):
    """quickstart has u1 to u99."""
    path = os.path.join(server.dir, 'passwd')
    with open(path) as f:
        lines = f.read().splitlines()
    model = [line for line in lines if line.startswith('u99:')][0]
    with open(path, 'a') as f:
        for n in range(100, count + 1):
            if not any(line.startswith('u%d:' % n) for line in lines):
                f.write(model.replace('u99', 'u%d' % n) + '\n')


def measure_colleagues(servers, counts, rounds):
    box, size = 'Team/Colleagues', 2000
    others = {server.kind: [] for server in servers}
    sessions = {}
    for server in servers:
        add_colleagues(server, max(counts))
        sessions[server.kind] = server.login()
        pair.fill(sessions[server.kind], box, size)
    try:
        for count in counts:
            for server in servers:
                open_sessions = others[server.kind]
                while len(open_sessions) < count - 1:
                    session = server.login('u%d' % (len(open_sessions) + 1))
                    session.select(box)
                    session.command('STORE %d +FLAGS.SILENT (\\Seen)' % (
                        len(open_sessions) % size + 1))
                    open_sessions.append(session)
            yield from rows('colleagues that have it open', '%d' % count, servers, box, size,
                            rounds, sessions)
    finally:
        for session in sum(others.values(), list(sessions.values())):
            session.close()


def measure_log(server, sizes, rounds):
    """Of the plugin alone: plain Dovecot has no log."""
    box, size = 'Team/Log', 2000
    session = server.login()
    pair.fill(session, box, size)
    for count in sizes:
        search.Bench(argparse.Namespace(dir=server.dir, records=count, months=10)).fill()
        for row in rows('records in the log', '%d' % count, [server], box, size, rounds,
                        {server.kind: session}):
            row.base = None
            yield row
    session.logout()


# ---- PostgreSQL far away ----

class Distance:
    """A socket in a folder of its own behind which PostgreSQL is, as far away as
    it takes seconds there and back. A process of the service's user, whom
    PostgreSQL knows by that."""

    def __init__(self, folder, target, seconds, user):
        self.target = target
        self.delay = seconds / 2
        os.makedirs(folder, 0o755)
        path = os.path.join(folder, '.s.PGSQL.5432')
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen(16)
        self.pid = os.fork()
        if self.pid == 0:
            os.setgid(user.st_gid)
            os.setuid(user.st_uid)
            self.accept()

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.forward, args=(source, sink), daemon=True).start()

    def forward(self, source, sink):
        """What was sent together arrives together, each its time later."""
        waiting = []
        there = threading.Condition()

        def deliver():
            while True:
                with there:
                    while not waiting:
                        there.wait()
                    due, data = waiting.pop(0)
                time.sleep(max(0, due - time.monotonic()))
                try:
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    sink.sendall(data)
                except OSError:
                    return
        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b''
            with there:
                waiting.append((time.monotonic() + self.delay, data))
                there.notify()
            if not data:
                return


def distance_commands(box, rounds):
    return one_message(box, rounds) + [
        commands.Command('FETCH BODY.PEEK[]', 'FETCH %d (BODY.PEEK[])', rounds, box=box),
        commands.Command('a claim', CLAIM[0], rounds, None, CLAIM[1], box=box)]


def measure_distance(folder, server, rounds, seconds=0.005):
    """The same commands with PostgreSQL here (shown as plain) and far away."""
    box, size = 'Team/Distance', 500
    near = os.path.join(server.dir, 'run', 'postgresql')
    far = os.path.join(folder, 'far')
    proxy = Distance(far, os.path.join(near, '.s.PGSQL.5432'), seconds,
                     os.stat(os.path.join(server.dir, 'journal')))
    with open(server.env['TEAM_DOVECOT_CONF']) as f:
        database = re.search(r'^team_database = (.*)', f.read(), re.M).group(1)
    values = {}
    try:
        for kind, place in (('plain', near), ('team', far)):
            server.configure('team_database = %s\n' % database.replace(near, place))
            server.wait_for_service()
            with server.login() as session:
                pair.fill(session, box, size)
                for command in distance_commands(box, rounds):
                    command.begin(session)
                    values.setdefault(command.name, {})[kind] = [
                        command.run(session, n, n + 1) for n in range(rounds)]
    finally:
        proxy.stop()
    for command in distance_commands(box, rounds):
        yield pair.Row('PostgreSQL %.0f ms away (beside: here)' % (seconds * 1000), command.name,
                       'ms', values[command.name])
