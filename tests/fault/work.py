# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load for the fault tests: sessions that remember what was acknowledged."""
import collections
import itertools
import threading

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
    Message-ID); what was answered with NO must not have happened.
    """

    def __init__(self, server, user, box, uids):
        super().__init__(daemon=True)
        self.server = server
        self.user = user
        self.box = box
        self.uids = uids
        self.halt = threading.Event()
        self.acknowledged = collections.Counter()
        self.starred = set()
        self.refused = []
        self.errors = []

    def run(self):
        try:
            with self.server.login(self.user, timeout=60) as session:
                session.select(self.box)
                for number in itertools.count(1):
                    if self.halt.is_set():
                        break
                    self.star(session, self.uids[number % len(self.uids)])
                    if number % 5 == 0:
                        self.append(session, number)
                    self.read(session, self.uids[number % len(self.uids)])
                session.logout()
        except Exception as error:  # reported by the test
            self.errors.append(repr(error))

    def star(self, session, uid):
        sign = '-' if uid in self.starred else '+'
        answer = session.attempt('UID STORE %d %sFLAGS.SILENT (\\Flagged)' % (uid, sign))
        if answer.ok:
            self.starred ^= {uid}
            self.acknowledged['flag', uid] += 1
        else:
            self.refused.append(answer.text)

    def append(self, session, number):
        name = '%s.%s.%d' % (self.user, self.box.replace('/', '.'), number)
        tag_and_message = session.start_append(self.box, [(message(name), '', None)])
        session.send(tag_and_message)
        answer = session.finish('a%d' % session.count)
        if answer.ok:
            self.acknowledged['append', '<%s@fault.example>' % name] += 1
        else:
            self.refused.append(answer.text)

    def read(self, session, uid):
        """Reading never fails."""
        answer = session.attempt('UID FETCH %d (FLAGS BODY.PEEK[])' % uid)
        if not answer.ok:
            self.errors.append('FETCH: ' + answer.text)
        for fetch in answer.fetched():
            if fetch['uid'] == uid and ('\\Flagged' in fetch['flags']) != (uid in self.starred):
                self.errors.append('the star of UID %d is not as acknowledged: %s' %
                                   (uid, fetch['flags']))

    def check(self):
        """Each acknowledged action stands in the log exactly once, and
        nothing else."""
        rows = self.server.query(
            "SELECT action, coalesce(CASE action WHEN 'append' THEN message_id END, uid::text), count(*) "
            "FROM team.audit WHERE colleague = %s AND mailbox = %s AND outcome = 'ok' "
            "AND action IN ('flag', 'append') GROUP BY 1, 2", (self.user, self.box))
        logged = {(action, what): count for action, what, count in rows}
        expected = {(action, str(what)): count
                    for (action, what), count in self.acknowledged.items()}
        assert sum(expected.values()) > 0, '%s did nothing' % self.user
        assert logged == expected

    def check_flags(self):
        """The private flags are what was acknowledged last."""
        with self.server.login(self.user) as session:
            session.select(self.box)
            found = set(session.search('FLAGGED'))
        assert found == self.starred


def run_workers(workers, fault):
    """Runs the fault while the workers work; stops them afterwards."""
    for worker in workers:
        worker.start()
    try:
        fault()
    finally:
        for worker in workers:
            worker.halt.set()
        for worker in workers:
            worker.join(90)
    stuck = [worker.user for worker in workers if worker.is_alive()]
    assert not stuck, 'sessions hang: %s' % stuck
