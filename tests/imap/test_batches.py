# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records that reach PostgreSQL thousands at once have the effects that they
would have had one by one."""
import collections
import os
import random
import socket

import pytest

from instance import wait_for

COLLEAGUES = ['batch1', 'batch2', 'batch3']
BOXES = 4
RECORDS = 6000


def uidset(uids):
    return ','.join(str(uid) for uid in sorted(uids))


class Model:
    """Makes records, and knows what becomes of the private flags."""

    def __init__(self, seed, storage):
        self.random = random.Random(seed)
        self.guids = ['%032x' % (self.random.getrandbits(120) << 8 | box) for box in range(BOXES)]
        self.storage = storage
        self.next_uid = [1] * BOXES
        self.there = [[] for _ in range(BOXES)]
        # by mailbox, UID and flag: the colleagues who have it set
        self.flags = collections.defaultdict(set)
        self.message_ids = {}

    def mailbox(self, box):
        return ['mailbox=' + self.guids[box], 'uidvalidity=1', 'name=Batch%d' % box]

    def some(self, box):
        count = self.random.choice([1, 1, 1, 1, 1, 2, 5])
        return sorted(self.random.sample(self.there[box], min(count, len(self.there[box]))))

    def append(self, box):
        uid = self.next_uid[box]
        self.next_uid[box] += 1
        self.there[box].append(uid)
        self.message_ids[box, uid] = '<%d.%d.%s@batch.example>' % (box, uid, self.guids[box])
        return ['action=append'] + self.mailbox(box) + [
            'uids=%d' % uid, 'mids=%d %s' % (uid, self.message_ids[box, uid])]

    def change(self, who, box, uids):
        flag = self.random.choice(['\\Seen', '\\Flagged', 'my-word', 'my-Word'])
        sign = self.random.choice('++-')
        # now and then in some of the messages only
        part = uids if self.random.random() < 0.8 else uids[:1]
        for uid in part:
            entry = self.flags[box, uid, flag.lower()]
            if sign == '+':
                entry.add(who)
            else:
                entry.discard(who)
        return ['action=flag'] + self.mailbox(box) + [
            'uids=' + uidset(uids), 'p%s%s=%s' % (sign, flag, uidset(part))]

    def copy(self, action, box, uids):
        to = self.random.choice([b for b in range(BOXES) if b != box])
        new = []
        for uid in uids:
            new.append(self.next_uid[to])
            self.next_uid[to] += 1
            self.there[to].append(new[-1])
            self.message_ids[to, new[-1]] = self.message_ids[box, uid]
            for flag in ('\\seen', '\\flagged', 'my-word'):
                self.flags[to, new[-1], flag] = set(self.flags[box, uid, flag])
            if action == 'move':
                self.gone(box, uid)
        return ['action=' + action] + self.mailbox(to) + [
            'uids=' + uidset(new), 'from=' + self.guids[box], 'fromvalidity=1',
            'fromname=Batch%d' % box, 'fromuids=' + uidset(uids)]

    def gone(self, box, uid):
        self.there[box].remove(uid)
        for flag in ('\\seen', '\\flagged', 'my-word'):
            self.flags.pop((box, uid, flag), None)

    def record(self, who):
        box = self.random.randrange(BOXES)
        if not self.there[box] or self.random.random() < 0.15:
            return self.append(box)
        uids = self.some(box)
        what = self.random.random()
        if what < 0.7:
            return self.change(who, box, uids)
        if what < 0.8:
            return self.copy('copy', box, uids)
        if what < 0.92:
            return self.copy('move', box, uids)
        for uid in uids:
            self.gone(box, uid)
        return ['action=expunge'] + self.mailbox(box) + ['uids=' + uidset(uids)]

    def next(self, _number):
        who = self.random.randrange(len(COLLEAGUES))
        return who, self.record(COLLEAGUES[who])

    def flagged(self):
        return {key + (who,) for key, names in self.flags.items() for who in names}


def send(server, count, record):
    """One process's records, sent without waiting. record returns a session's
    number and what it did."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(os.path.join(server.dir, 'run', 'dovecot', 'team'))
        lines = ['VERSION\tteam-client\t1\t0', 'HELLO\t%032x\t%d' % (
            random.getrandbits(127), os.getpid())]
        for number, name in enumerate(COLLEAGUES):
            lines.append('SESSION\t%d\tcolleague=%s\tservice=imap' % (number + 1, name))
        for number in range(count):
            who, deed = record(number)
            lines.append('\t'.join(['EVENT', str(number + 1), str(who + 1)] + deed))
        sock.sendall(('\n'.join(lines) + '\n').encode())
        answers = b''
        while not answers.endswith(b'OK\t%d\n' % count):
            data = sock.recv(1 << 20)
            assert data, answers[-300:]
            answers += data
        assert b'NO\t' not in answers, answers


@pytest.mark.parametrize('seed', [1, 2])
def test_effects_in_order(server, seed):
    model = Model(random.getrandbits(32) ^ seed, server.storage)
    # they wait until all are there, and come as full batches
    server.stop_postgresql()
    try:
        send(server, RECORDS, model.next)
    finally:
        server.start_postgresql()
    assert wait_for(lambda: server.all_shipped(2), 40)
    found = set()
    for guid, name, flag, uids in server.query(
            'SELECT m.guid, c.name, lower(f.flag), array_agg(g) FROM team.flag f '
            'JOIN team.mailbox m ON m.id = f.mailbox_id '
            'JOIN team.colleague c ON c.id = f.colleague_id, '
            'unnest(f.uids) u, generate_series(lower(u), upper(u) - 1) g '
            'WHERE m.guid = ANY (%s) GROUP BY 1, 2, 3', (model.guids,), who='TEAM_PGDSN'):
        found |= {(model.guids.index(guid), uid, flag, name) for uid in uids}
    assert found == model.flagged(), sorted(found ^ model.flagged())[:20]
    ids = dict(((model.guids.index(guid), uid), message_id) for guid, uid, message_id in server.query(
        'SELECT m.guid, g.uid, g.message_id FROM team.message g '
        'JOIN team.mailbox m ON m.id = g.mailbox_id WHERE m.guid = ANY (%s)',
        (model.guids,), who='TEAM_PGDSN'))
    assert ids == model.message_ids
    rows = server.query('SELECT count(*) FROM team.record r JOIN team.mailbox m ON m.id = r.mailbox_id '
                        'WHERE m.guid = ANY (%s)', (model.guids,), who='TEAM_PGDSN')
    assert rows == [(RECORDS,)]
    bad = server.query("SELECT count(*) FROM team.record WHERE detail ? 'invalid' AND "
                       "detail->>'record' NOT LIKE '%%d.mark%%'", who='TEAM_PGDSN')
    assert bad == [(0,)]
    assert 'refused record' not in server.log()


def test_behind_one_that_fails(server):
    """Full batches are sent behind one that isn't taken, first for a while and
    then for what is in it: they come after it, each record once."""
    mark = '%032x' % random.getrandbits(127)

    def record(number):
        return 0, ['action=flag', 'add=Odd' if number == 700 else 'add=Even', 'd.mark=' + mark,
                   'd.number=%d' % number]

    def change(sql):
        with server.database('TEAM_PGDSN') as cursor:
            cursor.execute(sql)

    rename = 'ALTER FUNCTION team.%s RENAME TO %s'
    refused = 'shipping records failed'
    before = server.log().count(refused)
    change("ALTER TABLE team.record ADD CONSTRAINT test_odd CHECK (added <> 'Odd') NOT VALID")
    try:
        change(rename % ('append_records', 'append_later'))
        try:
            send(server, RECORDS, record)
            assert wait_for(lambda: server.log().count(refused) > before)
        finally:
            change(rename % ('append_later', 'append_records'))
        assert wait_for(lambda: server.all_shipped(2), 40)
    finally:
        change('ALTER TABLE team.record DROP CONSTRAINT test_odd')
    rows = server.query(
        "SELECT coalesce(detail->>'number', (detail->>'record')::jsonb->>'d.number')::int, "
        "detail ? 'invalid' FROM team.record WHERE detail->>'mark' = %s OR "
        "detail->>'record' LIKE %s ORDER BY node, seq", (mark, '%%%s%%' % mark), who='TEAM_PGDSN')
    assert rows == [(n, n == 700) for n in range(RECORDS)]
    assert 'are missing' not in server.log()
