# SPDX-License-Identifier: LGPL-2.1-or-later
"""Colleagues at work at the same time: how much gets done, with fresh private
indexes and after long use, and what idle sessions cost."""
import json
import os
import subprocess
import threading
import time

import pair

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGES, SIZE = 5000, 2000
# plain Dovecot's private logs never get shorter again
BOX, AGED = 'Team/Mixed', 'Team/Aged'


def build_load(folder):
    """Compiles the generator of load; returns its path."""
    program = os.path.join(folder, 'load')
    subprocess.run(['cc', '-O2', '-Wall', '-Wextra', '-std=gnu11', '-o', program,
                    os.path.join(HERE, 'load.c')], check=True)
    return program


class Load:
    def __init__(self, folder):
        self.program = build_load(folder)
        self.seed = 0

    def run(self, server, seconds, sessions=8, **more):
        self.seed += 1
        options = {'port': server.port if server else 0, 'seconds': seconds,
                   'sessions': sessions, 'seed': self.seed, **more}
        command = [self.program] + [] if server else [self.program, '--null']
        for name, value in options.items():
            command += ['--' + name, str(value)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError('load: %s' % result.stderr.strip())
        return json.loads(result.stdout)


def rates(load, servers, rounds, seconds, **options):
    """Commands per second by kind, in alternating runs."""
    values = {server.kind: [] for server in servers}
    for n in range(rounds):
        for server in pair.turned(servers, n):
            values[server.kind].append(load.run(server, seconds, **options)['per_second'])
    return values


def use(load, servers, seconds, box):
    """Uses a mailbox on all of them at the same time; returns how many commands
    each did."""
    done = {}

    def work(server):
        done[server.kind] = load.run(server, seconds, box=box)['commands']
    threads = [threading.Thread(target=work, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def private_logs(server, box):
    """Bytes of the colleagues' private transaction logs of the mailbox."""
    total = 0
    for folder, _, names in os.walk(os.path.join(server.dir, 'mail', 'users')):
        if folder.rstrip('/').endswith(box.split('/')[1]) or \
           '/%s/' % box.split('/')[1] in folder:
            total += sum(os.path.getsize(os.path.join(folder, name)) for name in names
                         if name.startswith('dovecot.index.pvt.log'))
    return total


def measure_mixed(load, servers, rounds, seconds, age):
    section = 'mixed load, 4 colleagues in 8 sessions'
    for server in servers:
        with server.login() as session:
            pair.fill(session, BOX, MESSAGES, SIZE)
            pair.fill(session, AGED, MESSAGES, SIZE)
    null = load.run(None, seconds)
    yield pair.Row(section, 'the generator alone', '/s', {'plain': [null['per_second']]})
    values = rates(load, servers, rounds, seconds, box=BOX)
    yield pair.Row(section, 'fresh private indexes', '/s', values, 0.95, more_is_better=True)
    two = [server for server in servers if server.kind != 'logged']
    use(load, two, age, AGED)
    logs = {server.kind: [private_logs(server, AGED) / 1024] for server in two}
    yield pair.Row(section, 'private logs after %d s of use' % age, 'KiB', logs)
    values = rates(load, two, rounds, seconds, box=AGED)
    yield pair.Row(section, 'after that use', '/s', values, 2.0, more_is_better=True)


# ---- idle sessions ----

def memory(server, count):
    """KiB for each of so many sessions in IDLE, of all imap processes."""
    sessions = []
    before = set(pair.children(server, 'imap'))
    try:
        for n in range(count):
            session = server.login('u%d' % (n % 20 + 1))
            sessions.append(session)
            session.select(BOX)
            session.idle()
        time.sleep(1)
        processes = set(pair.children(server, 'imap')) - before
        return [pair.process_memory(pid) for pid in processes]
    finally:
        for session in sessions:
            session.close()


def push_times(server, rounds):
    """How long until a colleague in IDLE is told of a change, in ms."""
    times = []
    with server.login('bob') as idler, server.login('alice') as worker:
        idler.select(BOX)
        worker.select(BOX)
        idler.idle()
        idler.idle_lines(0.7)
        for n in range(rounds):
            number = n + 1
            sign = '-' if worker_has(worker, number) else '+'
            start = time.monotonic()
            worker.command('STORE %d %sFLAGS.SILENT (\\Answered)' % (number, sign))
            seen = idler.idle_until(lambda line, found=number: line.startswith(
                b'* %d FETCH' % found), 5)
            if seen is None:
                raise RuntimeError('%s: nothing was pushed within 5 seconds' % server.kind)
            times.append((seen[0] - start) * 1000)
            time.sleep(0.1)
    return times


def worker_has(session, number):
    answer = session.command('FETCH %d (FLAGS)' % number)
    return any('\\Answered' in fetch['flags'] for fetch in answer.fetched())


def database_connections(server):
    out = subprocess.run(['psql', '-qXAtd', server.env['TEAM_PGDSN'], '-c',
                          "SELECT count(*) FROM pg_stat_activity WHERE application_name "
                          "LIKE 'dovecot-team%'"],
                         capture_output=True, text=True, check=True)
    return int(out.stdout)


def measure_idle(load, servers, rounds, seconds):
    section = 'idle sessions'
    two = [server for server in servers if server.kind != 'logged']
    for server in two:
        with server.login() as session:
            pair.fill(session, BOX, MESSAGES, SIZE)
    values = {server.kind: push_times(server, 15) for server in two}
    yield pair.Row(section, 'a change shows after', 'ms', values, 5, base=None)
    values = {server.kind: memory(server, 40) for server in two}
    yield pair.Row(section, 'memory of a session', 'KiB', values)
    more = [mine - pair.spread(values['plain'])[0] for mine in values['team']]
    yield pair.Row(section, '  more than plain', 'KiB', {'team': more}, 200, base=None)
    values = rates(load, two, rounds, seconds, sessions=50, idle=500, colleagues=99, box=BOX)
    yield pair.Row(section, '50 working beside 500 idle', '/s', values, 0.95, more_is_better=True)
    team = [server for server in two if server.kind == 'team'][0]
    yield pair.Row(section, 'database connections', '', {'team': [database_connections(team)]})
