# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every call of the service and of mail processes that could fail, or be the last
one: each is tried for each kind of action. Afterwards the log, the mailboxes
and PostgreSQL agree with what was acknowledged.

By default a part of the points: for each kind of action one in the service and
one in a mail process, then as many as TEAM_TEST_POINTS_SECONDS allow, others each
time (TEAM_TEST_SEED repeats them); tests/run --long goes through all.
TEAM_TEST_DEEDS and TEAM_TEST_POINT (a pattern) leave out others."""
import collections
import os
import random
import re
import time

import pytest

import deeds
import instance
import points
from instance import imapsession

LONG = 'TEAM_TEST_LONG' in os.environ
SECONDS = float(os.environ.get('TEAM_TEST_POINTS_SECONDS', '1e9' if LONG else '20'))
POINT = re.compile(os.environ.get('TEAM_TEST_POINT', ''))
ONLY = os.environ.get('TEAM_TEST_DEEDS', '').split()
TIMEOUT = 3
# so long nobody has anything to do when what comes after the answer is done
AFTERWARDS = 0.15

# what was wrong once: these come first
FIRST = {('flag', 'pwrite segment', 'fail'), ('flag', 'PQgetResult', 'fail'),
         ('claim', 'PQntuples', 'before'), ('release', 'PQntuples', 'before')}
# and these last: what is done afterwards in the same folder mends what they leave
LAST = {('append', 'commit', 'before'), ('copy', 'commit', 'before')}

Result = collections.namedtuple('Result', 'deed case item answer carried_out')


@pytest.fixture
def server():
    made = points.Server('sdbox', settings=instance.mail_settings(team_timeout='%ds' % TIMEOUT) +
                         'lmtp_save_to_detail_mailbox = yes\n'
                         'team_checkpoint_interval = 1 secs\n')
    yield made
    made.stop()
    assert not made.crashes(), '\n'.join(made.crashes())


def found_points(server, deed):
    """Runs the action twice to see which points it passes."""
    found = []
    for who in ('service', 'mail'):
        item, = deed.items(1)
        with deed.session() as session:
            server.wait_settled()
            server.wait_quiet(0.1)
            with server.counting(who) as passed:
                assert deed.do(session, item) == 'OK'
                server.wait_quiet(AFTERWARDS)
        found += points.cases(who, passed)
    # all allocations fail alike: some of them
    allocations = [case for case in found if case.point == 'allocation']
    step = max(len(allocations) // 40, 1)
    return [case for case in found if case not in set(allocations)] + allocations[::step]


class Run:
    def __init__(self, server, made):
        self.server = server
        self.deeds = made
        self.results = []
        self.sessions = {}

    def session(self, deed):
        """One that has seen what was done before."""
        if deed in self.sessions:
            try:
                deed.look(self.sessions[deed])
            except imapsession.IMAPError:
                # sdbox rebuilds its index after a kill, and disconnects others
                assert 'view is now inconsistent' in self.server.log(), \
                    '%s: %s\n%s' % (deed.kind, [r.case for r in self.results[-6:]], self.server.log()[-5000:])
                del self.sessions[deed]
        if deed not in self.sessions:
            self.sessions[deed] = deed.session()
        return self.sessions[deed]

    def one(self, deed, case, item):
        """Does it once, with the fault."""
        try:
            self.server.wait_settled()
        except AssertionError as error:
            raise AssertionError('after %s' % (self.results[-1:],)) from error
        session = self.session(deed)
        self.server.arm(case, session)
        try:
            answer = deed.do(session, item)
        except (imapsession.IMAPError, ConnectionError):
            answer = 'lost'
            # only its own process can cut it off
            assert case.who == 'mail', (deed.kind, case, self.server.log()[-3000:])
            del self.sessions[deed]
            self.server.remove_stale_locks()
        except TimeoutError:
            pytest.fail('%s: no answer: %s\n%s' % (deed.kind, case, self.server.log()[-3000:]))
        carried_out = self.server.wait_carried_out(AFTERWARDS)
        self.server.set_plan(points.OFF)
        # what stands in the spool is sent after the answer
        if deed in self.sessions and case.who == 'mail' and carried_out and \
           hasattr(session, 'pid') and instance.wait_for(
                   lambda: not os.path.exists('/proc/%d' % session.pid),
                   # until it has died of that, on a busy machine
                   0 if case.what == 'fail' else 2):
            del self.sessions[deed]
            self.server.remove_stale_locks()
        self.results.append(Result(deed, case, item, answer, carried_out))

    def check(self, deed):
        """Returns what is wrong, in words."""
        wrong = []
        results = [result for result in self.results if result.deed is deed]
        happened = collections.Counter(deed.happened())
        elsewhere = collections.Counter(deed.elsewhere())
        rows = self.server.audit(
            "colleague = %s AND action IN (%s, 'gap') AND mailbox ~ %s",
            (deed.colleague, deed.action, '^(%s|Team/(new-)?%s[0-9])' % (deed.box, deed.kind)))
        logged = collections.Counter(deed.record_key(row) for row in rows
                                     if row['action'] == deed.action and row['outcome'] == 'ok')
        gaps = [row for row in rows if row['action'] == 'gap' and
                row['detail'].get('unresolved') == deed.action]
        unrecorded = []
        for result in results:
            key = deed.item_key(result.item)
            done, records = happened[key], logged[key]
            if result.answer == 'lost':
                if done > 0 and records == 0:
                    unrecorded.append((key, result.case))
                right = records <= 1 and (records == 0 or done > 0)
            elif result.answer == 'OK':
                right = (records, done, elsewhere[key]) in ((1, 1, 0), (0, 0, 1))
            elif done and isinstance(deed, (deeds.Claim, deeds.Release)):
                # not known to be done
                if records == 0:
                    unrecorded.append((key, result.case))
                right = records <= 1
            else:
                right = records == 0 and done == 0
            if not right:
                wrong.append('%s: %s: answered %s, done %d, recorded %d' % (
                    key, result.case, result.answer, done, records))
        if len(unrecorded) > len(gaps):
            wrong.append('not acknowledged, done, and neither record nor gap: %s (gaps: %s)' % (
                unrecorded, gaps))
        return wrong

    def check_flags(self, box):
        """Alice's private flags are in PostgreSQL as her client sees them."""
        with self.server.login('alice') as session:
            session.select(box)
            seen = {flag: session.search(word) for flag, word in
                    (('\\Seen', 'SEEN'), ('\\Flagged', 'FLAGGED'))}
            session.logout()
        for flag, uids in seen.items():
            rows = self.server.query(
                "SELECT u FROM team.flag f JOIN team.mailbox m ON m.id = f.mailbox_id "
                "JOIN team.colleague c ON c.id = f.colleague_id, "
                "unnest(f.uids) r, generate_series(lower(r), upper(r) - 1) u "
                "WHERE m.name = %s AND c.name = 'alice' AND f.flag = %s ORDER BY u",
                (box, flag), who='TEAM_PGDSN')
            stored = [row[0] for row in rows]
            if stored != uids:
                yield '%s in %s: client %s, PostgreSQL %s' % (flag, box, uids, stored)


def some(found, which):
    return [(deed, case) for deed, case in found if (deed.kind, case.point, case.what) in which]


def choose(found, seed):
    """Kinds of faults in turn, so that the time is spread over all."""
    first = some(found, FIRST)
    yield from first
    rnd = random.Random(seed)
    groups = collections.defaultdict(list)
    for deed, case in found:
        if (deed, case) not in first:
            groups[deed, case.who].append((deed, case))
    for group in groups.values():
        rnd.shuffle(group)
    while any(groups.values()):
        for group in groups.values():
            if group:
                yield group.pop()


def test_fault_points(server):
    seed = int(os.environ.get('TEAM_TEST_SEED', random.randrange(1 << 30)))
    print('seed %d' % seed)
    made = [kind(server) for kind in deeds.ALL if not ONLY or kind.__name__.lower() in ONLY]
    found = [(deed, case) for deed in made for case in found_points(server, deed)]
    for who in ('service', 'mail'):
        assert sum(case.who == who for _, case in found) > 5 * len(made), 'points were not found'
    run = Run(server, made)
    items = {deed: iter(()) for deed in made}
    watcher = server.login('bob')
    watcher.select(made[0].box)

    last = some(found, LAST)
    chosen = [tried for tried in choose([(deed, case) for deed, case in found
                                         if POINT.match(case.point)], seed) if tried not in last]
    least = len(FIRST) + 2 * len(made)
    started = time.monotonic()
    for number, (deed, case) in enumerate(chosen + last):
        if least <= number < len(chosen) and time.monotonic() - started > SECONDS:
            continue
        item = next(items[deed], None)
        if item is None:
            items[deed] = iter(deed.items(20))
            item = next(items[deed])
        run.one(deed, case, item)
    carried_out = sum(result.carried_out for result in run.results)
    print('%d of %d points, %d faults happened' % (
        len(run.results), len(found), carried_out))

    for session in run.sessions.values():
        session.close()
    server.wait_given_up()
    server.wait_settled()
    assert server.all_shipped()
    wrong = [text for deed in made for text in run.check(deed)]
    for deed in made:
        if deed.with_flags() is not None:
            wrong += run.check_flags(deed.with_flags())
    assert not wrong, 'seed %d:\n%s' % (seed, '\n'.join(wrong))
    # whatever came true, most faults must have
    assert carried_out > len(run.results) * 0.6
    watcher.command('NOOP')
    verified = server.doveadm('team', 'audit', 'verify', check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
