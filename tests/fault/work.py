# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load for the fault tests: sessions that remember what was acknowledged."""
import collections
import itertools
import os
import threading

from instance import imapsession, sanitizers, wait_for

# how long mail processes wait for the service before they refuse, seconds
TIMEOUT = 3

numbers = itertools.count(1)


def message(name):
    return ('From: c@customers.example\r\nTo: support@support.example\r\n'
            'Subject: %s\r\nMessage-ID: <%s@fault.example>\r\n\r\nHello\r\n' %
            (name, name)).encode()


def mailbox(server, count):
    """A fresh folder with messages; returns its name and the UIDs."""
    name = 'Team/F%d' % next(numbers)
    with server.login('erin') as session:
        session.command('CREATE ' + name)
        uids = [session.append_one(name, message('%s.%d' % (name.replace('/', '.'), n)))
                for n in range(count)]
        session.logout()
    return name, uids


class Worker(threading.Thread):
    """Reads, stars and appends as one colleague until it is told to stop.

    acknowledged counts what was answered with OK, by (action, uid or
    Message-ID); what was answered with NO must not have happened. may_die: the
    session's process is killed now and then; then unknown counts what had not
    been answered.
    """

    def __init__(self, server, user, box, uids, may_die=False):
        super().__init__(daemon=True)
        self.server = server
        self.user = user
        self.box = box
        self.uids = uids
        self.may_die = may_die
        self.halt = threading.Event()
        self.numbers = itertools.count(1)
        self.acknowledged = collections.Counter()
        self.unknown = collections.Counter()
        self.asked = None
        self.starred = set()
        # whose star was last asked for by a command that was cut off: it is there
        # or not, and may go again when the index is brought in line with the log
        self.undecided = set()
        self.refused = []
        self.errors = []

    def run(self):
        while not self.halt.is_set():
            try:
                self.work()
            except (imapsession.IMAPError, ConnectionError) as error:
                if not self.may_die:
                    self.errors.append(repr(error))
                    return
                if self.asked:
                    self.unknown[self.asked] += 1
                    if self.asked[0] == 'flag':
                        self.undecided.add(int(self.asked[1]))
            except Exception as error:  # reported by the test
                self.errors.append(repr(error))
                return

    def work(self):
        self.asked = None
        with self.server.login(self.user, timeout=60) as session:
            session.select(self.box)
            self.starred = set(session.search('FLAGGED'))
            while not self.halt.is_set():
                number = next(self.numbers)
                uid = self.uids[number % len(self.uids)]
                self.star(session, uid)
                if number % 5 == 0:
                    self.append(session, number)
                self.read(session, uid)
            session.logout()

    def answered(self, answer):
        if answer.ok and self.asked[0] == 'flag' and int(self.asked[1]) in self.undecided:
            # it may have been so already: then nothing was changed
            self.unknown[self.asked] += 1
        elif answer.ok:
            self.acknowledged[self.asked] += 1
        else:
            self.refused.append(answer.text)
        self.asked = None
        return answer.ok

    def star(self, session, uid):
        sign = '-' if uid in self.starred else '+'
        self.asked = 'flag', str(uid)
        if self.answered(session.attempt(
                'UID STORE %d %sFLAGS.SILENT (\\Flagged)' % (uid, sign))):
            self.starred ^= {uid}
            self.undecided.discard(uid)

    def append(self, session, number):
        name = '%s.%s.%d' % (self.user, self.box.replace('/', '.'), number)
        self.asked = 'append', '<%s@fault.example>' % name
        session.send(session.start_append(self.box, [(message(name), '', None)]))
        self.answered(session.finish('a%d' % session.count))

    def read(self, session, uid):
        """Reading never fails."""
        answer = session.attempt('UID FETCH %d (FLAGS BODY.PEEK[])' % uid)
        if not answer.ok:
            self.errors.append('FETCH: ' + answer.text)
        for fetch in answer.fetched():
            if fetch['uid'] == uid and uid not in self.undecided and \
                    ('\\Flagged' in fetch['flags']) != (uid in self.starred):
                self.errors.append('the star of UID %d is not as acknowledged: %s' %
                                   (uid, fetch['flags']))

    def check(self):
        """Each acknowledged action stands in the log exactly once, and
        nothing else but what nobody can know."""
        rows = self.server.query(
            "SELECT action, CASE action WHEN 'append' THEN message_id ELSE uid::text END, count(*) "
            "FROM team.audit WHERE colleague = %s AND mailbox = %s AND outcome = 'ok' "
            "AND action IN ('flag', 'append') GROUP BY 1, 2", (self.user, self.box))
        logged = {(action, what): count for action, what, count in rows}
        assert sum(self.acknowledged.values()) > 0, '%s did nothing' % self.user
        for key in set(logged) | set(self.acknowledged):
            least = self.acknowledged[key]
            assert least <= logged.get(key, 0) <= least + self.unknown[key], \
                (self.user, key, logged.get(key, 0), least, self.unknown[key])

    def check_flags(self):
        """The private flags are what was acknowledged last."""
        with self.server.login(self.user) as session:
            session.select(self.box)
            found = set(session.search('FLAGGED'))
        assert found - self.undecided == self.starred - self.undecided, \
            (self.user, sorted(found), sorted(self.starred), sorted(self.undecided))


def missing(server):
    """What gap records tell of but that PostgreSQL was away: of a claim that it
    didn't answer any more nobody knows, and half a minute later that is recorded."""
    gaps = [gap['detail'] for gap in server.audit("action = 'gap'")]
    return [gap for gap in gaps if gap.get('reason') != "PostgreSQL couldn't be reached" and
            gap.get('unresolved') != 'claim']


def run_workers(workers, fault):
    """Runs the fault while the workers work; stops them afterwards."""
    for worker in workers:
        worker.start()
    try:
        # all have begun
        wait_for(lambda: all(worker.acknowledged or worker.errors for worker in workers), 30)
        fault()
    finally:
        for worker in workers:
            worker.halt.set()
        for worker in workers:
            worker.join(90)
    stuck = [worker.user for worker in workers if worker.is_alive()]
    assert not stuck, 'sessions hang: %s' % stuck


def resources(server):
    """The service's memory (kB) and number of descriptors. Sanitizers keep memory that
    was freed: nothing is said of it."""
    pid = server.service_pid()
    with open('/proc/%d/status' % pid) as f:
        memory = next(int(line.split()[1]) for line in f if line.startswith('VmRSS:'))
    return 0 if sanitizers() else memory, len(os.listdir('/proc/%d/fd' % pid))
