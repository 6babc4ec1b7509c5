# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instances to compare, and what the benchmarks have in common.

Three instances of quickstart on one machine, that differ in nothing else:
  plain   Dovecot with a private index, notify, mail_log and acl, as a site
          would run otherwise
  logged  the same, with mail_log told to log all events
  team    with the plugin
"""
import os
import re
import shlex
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QUICKSTART = os.path.join(ROOT, 'packaging', 'quickstart')
sys.path.insert(0, QUICKSTART + '.d')
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'imap'))
import imapsession  # noqa: E402
from instance import free_port, is_dovecot_2_3, wait_for  # noqa: E402

KINDS = ('plain', 'logged', 'team')
ALL_EVENTS = 'delete undelete expunge save copy mailbox_create mailbox_delete mailbox_rename ' \
    'flag_change'
# what logging needs of Dovecot 2.3 and 2.4
PLUGINS_23 = 'protocol %s {\n  mail_plugins = acl%s notify mail_log\n}\n'
PLUGINS_24 = 'protocol %s {\n  mail_plugins {\n    notify = yes\n    mail_log = yes\n  }\n}\n'


def plain_config(all_events):
    if not is_dovecot_2_3():
        text = PLUGINS_24 % 'imap' + PLUGINS_24 % 'lmtp'
        if all_events:
            text += 'mail_log_events = %s\n' % ALL_EVENTS
        return text
    text = PLUGINS_23 % ('imap', ' imap_acl') + PLUGINS_23 % ('lmtp', '')
    if all_events:
        text += 'plugin {\n  mail_log_events = %s\n  mail_log_fields = uid box msgid\n}\n' % ALL_EVENTS
    return text


class Server:
    """A quickstart instance of its own."""

    def __init__(self, folder, kind, storage='sdbox', build_dir=None, config=''):
        self.dir = folder
        self.kind = kind
        self.port = free_port()
        options = [] if kind == 'team' else ['--without-team']
        if build_dir:
            options += ['--build-dir', build_dir]
        subprocess.run([QUICKSTART, '--dir', folder, '--port', str(self.port), '--detach',
                        '--no-tour', '--no-install', '--mail', '0', '--storage', storage] + options,
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.env = {}
        with open(os.path.join(folder, 'env')) as f:
            for line in f:
                name, _, value = line.strip().partition('=')
                self.env[name] = ' '.join(shlex.split(value))
        self.configure(config if kind == 'team' else plain_config(kind == 'logged') + config)

    def configure(self, config):
        """Sets settings, for all processes that are started from now on."""
        with open(os.path.join(self.dir, 'local.conf'), 'w') as f:
            f.write(config)
        subprocess.run(['doveadm', '-c', self.env['TEAM_DOVECOT_CONF'], 'reload'], check=True)

    def is_ready(self):
        """Does the service reach PostgreSQL?"""
        out = subprocess.run(shlex.split(self.env['TEAM_DOVEADM']) + ['team', 'status'],
                             capture_output=True, text=True, check=False).stdout
        return re.search(r'^postgres: reachable', out, re.M)

    def wait_for_service(self):
        if not wait_for(self.is_ready, 15):
            raise RuntimeError('the service does not reach PostgreSQL')

    def login(self, user='alice', timeout=300):
        return imapsession.Session(self.port, user, timeout=timeout)

    def lmtp_path(self):
        return os.path.join(self.dir, 'run', 'dovecot', 'lmtp')

    def stop(self):
        subprocess.run([QUICKSTART, '--stop', '--dir', self.dir], check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Servers:
    """Several of them, by kind. With a with statement they are stopped in the
    end."""

    def __init__(self, folder, kinds=KINDS, **options):
        self.folder = folder
        self.all = []
        try:
            for kind in kinds:
                self.all.append(Server(os.path.join(folder, kind), kind, **options))
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __iter__(self):
        return iter(self.all)

    def stop(self):
        for server in self.all:
            server.stop()


def turned(servers, n):
    """Another one is first each time: the first finds other caches."""
    servers = list(servers)
    n %= len(servers)
    return servers[n:] + servers[:n]


def message(number, size=0):
    head = ('From: Customer %d <c%d@customers.example>\r\nTo: support@support.example\r\n'
            'Subject: Order %d\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n'
            'Message-ID: <bench%d.%d@test.example>\r\n\r\nHello\r\n' % (
                number, number, number, number, os.getpid())).encode()
    line = b'All the rest is only here to make this message longer than it was.\r\n'
    return head + line * max(0, (size - len(head)) // len(line))


def fill(session, box, count, size=0):
    """Makes the mailbox with that many messages, and has Dovecot index them."""
    session.attempt('CREATE ' + box)
    have = session.status(box, 'MESSAGES')
    for first in range(have, count, 500):
        session.append(box, [(message(n, size), '', None)
                             for n in range(first, min(first + 500, count))], timeout=300)
    session.select(box)
    session.command('FETCH 1:* (FLAGS)', timeout=300)


def spread(values):
    """Median, first and third quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4)
    return statistics.median(values), low, high


class Row:
    """A line of the table: values by kind, as they were measured."""

    def __init__(self, section, name, unit, values, mark=None, more_is_better=False, base='plain'):
        self.section = section
        self.name = name
        self.unit = unit
        self.values = values
        self.mark = mark
        self.more_is_better = more_is_better
        self.base = base

    def median(self, kind):
        return spread(self.values[kind])[0] if self.values.get(kind) else None

    def ratio(self, kind='team'):
        base, value = self.median(self.base), self.median(kind)
        return value / base if base and value is not None else None

    def over(self):
        """Is it beyond its mark? None if it has none."""
        if self.mark is None:
            return None
        value = self.ratio() if self.base else self.median('team')
        if value is None:
            return None
        return value < self.mark if self.more_is_better else value > self.mark

    def as_dict(self):
        return {'section': self.section, 'name': self.name, 'unit': self.unit, 'mark': self.mark,
                'ratio': self.ratio() if self.base else None, 'over': self.over(),
                'values': {kind: spread(found) for kind, found in self.values.items() if found}}

    HEAD = '%-30s %-5s %10s %19s %10s %19s %10s %7s %7s' % (
        '', 'unit', 'plain', '', 'team', '', 'logged', 'ratio', 'mark')

    def text(self):
        cells = []
        for kind in ('plain', 'team', 'logged'):
            if self.values.get(kind):
                median, low, high = spread(self.values[kind])
                cells += [number(median), '%s-%s' % (number(low), number(high))]
            else:
                cells += ['', '']
        ratio, over = self.ratio() if self.base else None, self.over()
        return '%-30s %-5s %10s %19s %10s %19s %10s %7s %7s%s' % (
            (self.name, self.unit) + tuple(cells[:5]) + (
                '' if ratio is None else '%.2f' % ratio,
                '' if self.mark is None else number(self.mark),
                '' if over is None else '  OVER' if over else '  met'))


def number(value):
    return '%.3f' % value if value < 10 else '%.1f' % value if value < 1000 else '%.0f' % value


def process_memory(pid):
    """What the process takes for itself alone, in KiB."""
    with open('/proc/%d/smaps_rollup' % pid) as f:
        text = f.read()
    return sum(int(n) for n in re.findall(r'^Private_(?:Clean|Dirty): +(\d+)', text, re.M))


def children(server, name):
    """Processes of that name which this instance's Dovecot started."""
    with open(os.path.join(server.dir, 'run', 'dovecot', 'master.pid')) as f:
        master = f.read().strip()
    out = subprocess.run(['pgrep', '-P', master, '-x', name], capture_output=True, text=True,
                         check=False).stdout
    return [int(pid) for pid in out.split()]
