# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults at chosen points: the plan that tests/points/fault-points.c carries
out in the service and in mail processes."""
import collections
import contextlib
import errno
import os
import re
import socket
import struct
import time

import instance

OFF, COUNT, ARMED, READ_ONLY = range(4)
BEFORE, AFTER, FAIL, TORN = range(4)
WHAT = {'before': BEFORE, 'after': AFTER, 'fail': FAIL, 'torn': TORN}
PLAN = struct.Struct('=IiIiII12s64s')
LIBRARY = os.path.join('obj', 'tests', 'points', '.libs', 'fault-points.so')

Case = collections.namedtuple('Case', 'who point number what')


class Server(instance.Instance):
    """An instance whose processes look at a plan."""

    def settings(self, text):
        self.plan = os.path.join(self.dir, 'faults', 'plan')
        self.trace = os.path.join(self.dir, 'faults', 'trace')
        os.mkdir(os.path.dirname(self.plan))
        for path, content in ((self.plan, bytes(PLAN.size)), (self.trace, b'')):
            with open(path, 'wb') as f:
                f.write(content)
            os.chmod(path, 0o666)
        super().settings(text + instance.environment(
            LD_PRELOAD=os.path.join(self.build, LIBRARY),
            TEAM_FAULT_POINTS=os.path.dirname(self.plan)))

    def login_known(self, user):
        """A session that knows its process."""
        session = self.login(user, timeout=60)
        pattern = r'(?:Login|Logged in): user=<%s>.* mpid=(\d+)' % user
        # the log is written before the answer
        session.pid = int(re.findall(pattern, self.log())[-1])
        return session

    def set_plan(self, state, who='', point='', number=0, what=BEFORE, error=0, pid=0):
        with open(self.plan, 'r+b', buffering=0) as f:
            # the state last: it is what the processes look at
            packed = PLAN.pack(OFF, number, what, error, 0, pid, who.encode(), point.encode())
            f.write(packed)
            f.seek(0)
            f.write(struct.pack('=I', state))

    def is_carried_out(self):
        with open(self.plan, 'rb') as f:
            return PLAN.unpack(f.read())[0] == OFF

    def arm(self, case, session):
        """session: whose process is meant, if it isn't the service."""
        pid = 0 if case.who == 'service' else getattr(session, 'pid', 0)
        # sockets and files fail with what they fail with
        error = errno.ECONNRESET if re.search(r' (client|team|postgresql)$', case.point) else errno.EIO
        self.set_plan(ARMED, case.who, case.point, case.number, WHAT[case.what], error, pid)

    @contextlib.contextmanager
    def counting(self, who):
        """Gives a list that has the points that were passed, afterwards."""
        os.truncate(self.trace, 0)
        self.set_plan(COUNT, who)
        points = []
        yield points
        with open(self.plan, 'rb') as f:
            allocations = PLAN.unpack(f.read())[4]
        self.set_plan(OFF)
        with open(self.trace) as f:
            points += f.read().splitlines()
        points += ['allocation'] * allocations

    def remove_stale_locks(self):
        """A process that is killed while it makes an index leaves a lock file, which
        Dovecot takes for stale after minutes only."""
        for folder, _, names in os.walk(os.path.join(self.dir, 'mail')):
            for name in names:
                if name.endswith('lock'):
                    os.unlink(os.path.join(folder, name))

    # the service, asked without starting a program each time

    def service_status(self):
        """doveadm team status, or {} if the service doesn't answer."""
        status = {}
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(2)
            sock.connect(os.path.join(self.dir, 'run/dovecot/team-admin'))
            sock.sendall(b'VERSION\tteam-client\t1\t0\nHELLO\t%s\t%d\nSTATUS\t1\n' %
                         (os.urandom(16).hex().encode(), os.getpid()))
            for line in sock.makefile():
                fields = line.rstrip('\n').split('\t')
                if fields[0] == 'D':
                    status[fields[2]] = fields[3] if len(fields) > 3 else ''
                elif fields[0] in ('OK', 'NO'):
                    break
        return status

    def wait_settled(self, seconds=60):
        """Waits until the service works, PostgreSQL is there and all is shipped."""
        def settled():
            status = self.service_status()
            return status.get('postgres') == 'reachable' and \
                status.get('journal') == 'writable' and status.get('journal_records') == '0'
        assert instance.wait_for(settled, seconds, 0.01), (self.service_status(), self.log()[-3000:])

    def wait_given_up(self, seconds=60):
        """Waits until the log says of all that was cut off that nobody knows."""
        def given_up():
            gaps, = self.query("SELECT count(*) FROM team.audit "
                               "WHERE action = 'gap' AND detail ? 'unresolved'")
            return self.service_status().get('intents') == str(gaps[0])
        assert instance.wait_for(given_up, seconds, 0.5), self.service_status()

    def is_at_work(self):
        return any(map(instance.at_work, (self.pid('TEAM_PG_PIDFILE'), self.dovecot_pid())))

    def wait_quiet(self, seconds, until=lambda: False):
        """Waits until nobody had anything to do for so long, or until() is true, and
        returns that: on a busy machine things take longer."""
        deadline = time.monotonic() + 30
        quiet = time.monotonic()
        while not until():
            now = time.monotonic()
            if self.is_at_work():
                quiet = now
            if now - quiet > seconds or now > deadline:
                return until()
            time.sleep(0.002)
        return True

    def wait_carried_out(self, seconds):
        """Whether the fault happens before all is quiet."""
        return self.wait_quiet(seconds, self.is_carried_out)

    def crashes(self):
        """Processes are killed here: what they leave half-written is Dovecot's to
        mend, and it says so. Without memory the service ends, without a panic."""
        return [line for line in super().crashes()
                if not re.search(r'Corrupted| team(\(\d+\))?: .*(Raw backtrace|killed with signal 6)|'
                                 r'service\(team\): .*returned error', line)]


def cases(who, points):
    """All that can go wrong at the points that were passed."""
    counts = collections.Counter(points)
    for point in dict.fromkeys(points):
        for number in range(1, counts[point] + 1):
            for what in whats(who, point):
                yield Case(who, point, number, what)


def whats(who, point):
    if point == 'allocation':
        return ['fail']
    call, *about = point.split(' ')
    if call in ('PQisBusy', 'PQnotifies', 'PQntuples'):
        return ['before']
    if who == 'mail' and call in ('prepare', 'commit', 'abort', 'request'):
        return ['before', 'after']
    # what Dovecot makes of a failing disk under its mail isn't ours
    if who == 'mail' and about != ['team']:
        return ['before']
    kinds = ['before', 'fail']
    if who == 'service' and call in ('pwrite', 'write', 'writev', 'send'):
        kinds.append('torn')
    return kinds
