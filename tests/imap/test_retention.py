# SPDX-License-Identifier: LGPL-2.1-or-later
"""Retention: months are dropped, and what is left can still be checked."""
import json
import os
import re
import shutil
import types

import pytest

import instance
from clock import Clock
from node import Node
from test_tree import Log, last_size


class OldLog(Log):
    """A log that began 14 months ago."""

    def __init__(self, folder):
        super().__init__(folder)
        self.clock = Clock(self.server)
        self.go_to(-430)
        self.server.stop()
        # what was recorded at the right time would stand before what is older
        shutil.rmtree(os.path.join(self.server.dir, 'postgresql'), ignore_errors=True)
        shutil.rmtree(os.path.join(self.server.dir, 'journal'), ignore_errors=True)
        self.server.settings('team_checkpoint_interval = 1s\n' + self.clock.settings)
        self.server.start()

    def go_to(self, days):
        self.clock.set(days * 86400)

    def travel(self, days):
        self.server.stop()
        self.go_to(days)
        self.server.start()

    def retain(self, *args, database=None):
        result = self.server.doveadm('team', 'audit', 'retain', '--database',
                                     database or self.server.env['TEAM_PGDSN'],
                                     *args, check=False)
        return result.returncode, result.stdout + result.stderr


@pytest.fixture(scope='module')
def old(tmp_path_factory):
    made = OldLog(tmp_path_factory.mktemp('retention'))
    made.work(2)
    made.take()
    shutil.copy(made.checkpoints, made.path('first-checkpoints'))
    made.work(1)
    made.take()
    made.cut = len(made.lines)
    made.travel(-60)
    made.work(1)
    made.take()
    made.travel(0)
    made.work(1)
    made.take()
    shutil.copy(made.export, made.path('whole.jsonl'))
    yield made
    crashes = made.server.crashes()
    made.server.stop()
    made.server.remove()
    assert not crashes, '\n'.join(crashes)


def count(old):
    return old.server.query('SELECT count(*) FROM team.record', who='TEAM_PGDSN')[0][0]


def test_dry_run(old):
    before = count(old)
    code, text = old.retain('--dry-run', '12mo')
    assert code == 0, text
    last = int(re.search(r'records 1 to (\d+) of quickstart', text).group(1))
    # the service said goodbye before the journey
    assert old.cut <= last <= old.cut + 5
    assert count(old) >= before
    assert not old.server.query("SELECT 1 FROM team.note WHERE kind = 'cut'", who='TEAM_PGDSN')


@pytest.mark.parametrize('keep', ['12', '0mo', 'mo', '12 hours', '-1y', '1y2mo'])
def test_not_a_time(old, keep):
    assert old.retain('--', keep)[0] == 64


def test_owner_only(old):
    before = count(old)
    code, text = old.retain('12mo', database=old.server.env['TEAM_PGDSN_AUDITOR'])
    assert code == 65 and 'Nothing was dropped: ' in text, text
    assert count(old) >= before


def test_not_covered(old):
    """Without a checkpoint behind the cut nobody knows that it's the log that
    was signed."""
    before = count(old)
    code, text = old.retain('--checkpoints', old.path('first-checkpoints'), '12mo')
    assert code == 65 and 'no checkpoint covers the records up to' in text, text
    assert count(old) >= before


def test_altered(old):
    """What was altered stays, as evidence."""
    owner = 'TEAM_PGDSN'
    with old.server.database(owner) as cursor:
        cursor.execute('ALTER TABLE team.record DISABLE TRIGGER ALL')
        cursor.execute("SELECT tableoid::regclass, ip FROM team.record WHERE seq = 9")
        table, ip = cursor.fetchone()
        cursor.execute('ALTER TABLE %s DISABLE TRIGGER ALL' % table)
        cursor.execute("UPDATE team.record SET ip = '192.0.2.7' WHERE seq = 9")
    code, text = old.retain('12mo')
    with old.server.database(owner) as cursor:
        cursor.execute('UPDATE team.record SET ip = %s WHERE seq = 9', (ip,))
        cursor.execute('ALTER TABLE team.record ENABLE TRIGGER ALL')
    assert code == 65 and 'altered at record 9' in text, text
    assert old.server.query('SELECT 1 FROM team.record WHERE seq = 1', who=owner)


def exports(old):
    assert old.server.all_shipped()
    return [record for record in old.server.audit("action = 'query'")
            if record['detail']['query'].startswith('audit-export ')]


def test_cut(old):
    before = {record['seq'] for record in exports(old)}
    code, text = old.retain('12mo')
    assert code == 0 and 'Dropped ' in text, text
    first = old.server.query('SELECT min(seq) FROM team.record', who='TEAM_PGDSN')[0][0]
    assert first > old.cut
    records = old.server.wait_audit("action = 'erase'")
    done = [record for record in records if record['outcome'] == 'ok']
    assert len(done) == 1 and done[0]['detail']['records'] == str(first - 1)
    assert re.match(r'%d \S{44}$' % (first - 1), done[0]['detail']['cut'])
    # what it read to check the log, it read to the end
    queries = [record for record in exports(old) if record['seq'] not in before]
    assert [record['outcome'] for record in queries] == ['ok'] * len(queries), queries
    assert sum(int(record['detail']['rows']) for record in queries) >= first - 1
    code, text = old.retain('12mo')
    assert code == 0 and 'no month that is that old' in text, text


def test_what_is_left_verifies(old):
    old.take()
    code, text = old.verify_here()
    assert code == 0 and 'were dropped by retention' in text, text
    code, text = old.verify_log()
    assert code == 0 and 'were dropped by retention' in text, text
    # and so does all of it, where an export was made before
    first = json.loads(old.lines[0])['seq']
    with open(old.path('whole.jsonl')) as f:
        dropped = f.read().splitlines()[:first - 1]
    code, text = old.verify_log(dropped + old.lines)
    assert code == 0 and 'retention' not in text, text


def test_more_is_not_excused(old):
    """Only what was signed may be missing."""
    old.take()
    first = json.loads(old.lines[0])['seq']
    code, text = old.verify_log(old.lines[1:])
    assert code == 2 and 'missing from %d to %d ' % (first, first) in text, text
    with open(old.checkpoints) as f:
        notes = f.read()
    start = notes.index('dovecot-team cut\n')
    end = notes.index('\n\n', notes.index('\n\n', start) + 2) + 2
    without = old.path('without-cut')
    with open(without, 'w') as f:
        f.write(notes[:start] + notes[end:])
    code, text = old.verify_log(checkpoints=without)
    assert code == 2 and 'missing from 1 to %d ' % (first - 1) in text, text
    forged = old.path('forged-cut')
    with open(forged, 'w') as f:
        f.write(notes[:start] + notes[start:end].replace('first 1\n', 'first 2\n') + notes[end:])
    assert old.verify_log(checkpoints=forged)[0] == 1


def test_proofs_across_the_cut(old):
    old.take()
    proof = old.path('proof')
    first = json.loads(old.lines[0])['seq']
    for seq in (first, first + 5, last_size(old.checkpoints)):
        old.server.doveadm('team', 'audit', 'prove', '--record', str(seq), '--output', proof)
        code, text = old.verify('inclusion', '--key', old.key, proof)
        assert code == 0, text
    # from a checkpoint older than the cut
    first_notes = old.path('first-checkpoints')
    size = last_size(first_notes)
    assert size < first
    old.server.doveadm('team', 'audit', 'prove', '--consistency', str(size),
                       '--checkpoints', old.checkpoints, '--output', proof)
    code, text = old.verify('consistency', '--key', old.key, first_notes, old.checkpoints, proof)
    assert code == 0, text
    result = old.server.doveadm('team', 'audit', 'prove', '--record', '3', check=False)
    assert result.returncode == 68 and "isn't there any more" in result.stderr


def test_goes_on(old):
    old.server.kill_service()
    instance.wait_for(old.server.service_pid)
    old.work()
    old.take()
    code, text = old.verify_log()
    assert code == 0, text
    # a cut behind the first one
    code, text = old.retain('20d')
    assert code == 0 and 'Dropped ' in text, text
    old.take()
    code, text = old.verify_log()
    assert code == 0, text
    code, text = old.verify_here()
    assert code == 0, text


class OldNode(Node):
    """A further node, whose log began 14 months ago."""

    def __init__(self, first, name, clock):
        super().__init__(first, name, settings=clock.settings)
        self.name = name

    def work(self):
        with self.login('alice') as alice:
            alice.select('Team/INBOX')
            for sign in '+-':
                alice.command('UID STORE 1:* %sFLAGS (my-%s)' % (sign, self.name))
            alice.logout()

        def signed():
            status, = json.loads(self.doveadm('-f', 'json', 'team', 'status').stdout)
            return status['checkpoint_size'] == status['seq'] == status['shipped_seq']
        assert instance.wait_for(signed, 20), self.log()[-2000:]

    def retain(self, *args):
        result = self.doveadm('team', 'audit', 'retain', '--database', self.first.env['TEAM_PGDSN'], *args)
        return result.returncode, result.stdout + result.stderr

    def verify(self):
        result = self.doveadm('team', 'audit', 'verify', '--node', self.name)
        return result.returncode, result.stdout + result.stderr

    def first_seq(self):
        return self.first.query('SELECT min(r.seq) FROM team.record r JOIN team.node n ON n.id = r.node '
                                'WHERE n.name = %s', (self.name,), who='TEAM_PGDSN')[0][0]


@pytest.fixture
def old_nodes(old):
    for keep in ('12mo', '20d'):
        old.retain(keep)
    folder = os.path.join(old.server.dir, 'clock-of-nodes')
    os.mkdir(folder)
    shutil.copy(os.path.join(old.server.dir, 'dovecot.conf'), folder)
    clock = Clock(types.SimpleNamespace(dir=folder))
    clock.set(-430 * 86400)
    nodes = [OldNode(old.server, name, clock) for name in ('second', 'third')]
    for days in (-430, -60, 0):
        clock.set(days * 86400)
        for node in nodes:
            assert days == -430 or instance.wait_for(
                lambda n=node: n.log().count('the clock was set forward') >= (1 if days == -60 else 2), 10)
            node.work()
    yield nodes
    for node in nodes:
        node.stop()
    assert not [line for node in nodes for line in node.crashes()]


def test_several_nodes(old_nodes):
    """Nothing goes until each node has signed, or was given up."""
    second, third = old_nodes
    code, text = second.retain('12mo')
    assert code == 65 and 'Nothing was dropped: third has to sign' in text, text
    assert (second.first_seq(), third.first_seq()) == (1, 1)
    code, text = third.retain('12mo')
    assert code == 0 and 'Dropped ' in text, text
    cuts = [node.first_seq() for node in old_nodes]
    assert min(cuts) > 1
    for node in old_nodes:
        code, text = node.verify()
        assert code == 0 and 'were dropped by retention' in text, text

    third.stop()
    code, text = second.retain('20d')
    assert code == 65 and 'third has to sign' in text, text
    assert [node.first_seq() for node in old_nodes] == cuts
    code, text = second.retain('--given-up', 'third', '20d')
    assert code == 0 and 'Dropped ' in text, text
    assert second.first_seq() > cuts[0] and third.first_seq() > cuts[1]
    code, text = second.verify()
    assert code == 0 and 'were dropped by retention' in text, text
    assert second.first.query("SELECT n.name, c.signed IS NULL FROM team.cut c JOIN team.node n ON n.id = c.node "
                              "WHERE n.name IN ('second', 'third') ORDER BY c.at, n.name", who='TEAM_PGDSN') == [
        ('second', False), ('third', False), ('second', False), ('third', True)]
