# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log can be checked: exports, proofs and the database itself against the
checkpoints, and whatever is done to them is found."""
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import time

import pytest

import instance
from ways import recorded


class Log:
    """An instance with some history, and what an auditor took home."""

    def __init__(self, folder):
        self.server = instance.Instance(
            'sdbox', settings='team_checkpoint_interval = 1s\n')
        self.folder = str(folder)
        self.key = self.path('key')
        self.checkpoints = self.path('checkpoints')
        self.export = self.path('export.jsonl')

    def path(self, name):
        return os.path.join(self.folder, name)

    def work(self, rounds=1):
        with self.server.login('alice') as alice, self.server.login('bob') as bob:
            for n in range(rounds):
                uid = alice.append_one('Team/INBOX', (
                    'From: c@customers.example\r\nSubject: "q\\\t%d" \xc3\xa4\r\n'
                    'Message-ID: <tree%d.%f@test.example>\r\n\r\nx\r\n' %
                    (n, n, time.time())).encode())
                for session in (alice, bob):
                    session.select('Team/INBOX')
                bob.command('UID STORE %d +FLAGS (\\Seen \\Answered $Todo)' % uid)
                alice.command('UID STORE 1:* +FLAGS (\\Flagged claimed)')
                alice.command('UID COPY 1:* Team/INBOX')
                bob.command('UID STORE 1:* -FLAGS ($Todo)')
            alice.logout()
            bob.logout()

    def take(self):
        """Copies key and checkpoints once all that is there is signed."""
        def signed():
            status = self.server.status()
            return (int(status['checkpoint_size']) > 0 and
                    status['checkpoint_size'] == status['seq'] and
                    status['journal_records'] == '0')
        assert instance.wait_for(signed, 20), self.server.log()[-2000:]
        shutil.copy(self.server.env['TEAM_PUBKEY'], self.key)
        shutil.copy(self.server.env['TEAM_CHECKPOINTS'], self.checkpoints)
        self.server.doveadm('team', 'audit', 'export', '--output', self.export)
        with open(self.export) as f:
            self.lines = f.read().splitlines()

    def verify(self, *args):
        result = subprocess.run(
            [os.path.join(self.server.build, 'root', 'bin', 'team-verify'), *args],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False)
        return result.returncode, result.stdout + result.stderr

    def verify_log(self, lines=None, checkpoints=None, key=None):
        path = self.export
        if lines is not None:
            path = self.path('changed.jsonl')
            with open(path, 'w') as f:
                f.write(''.join(line + '\n' for line in lines))
        return self.verify('log', '--key', key or self.key, '--checkpoints',
                           checkpoints or self.checkpoints, path)

    def verify_here(self):
        result = self.server.doveadm('team', 'audit', 'verify', '--key', self.key,
                                     '--checkpoints', self.checkpoints, check=False)
        return result.returncode, result.stdout + result.stderr


def last_size(path):
    """The size in the last checkpoint of the file."""
    with open(path) as f:
        lines = f.read().splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith('dovecot-team/')]
    return int(lines[starts[-1] + 1])


@pytest.fixture(scope='module')
def log(tmp_path_factory):
    made = Log(tmp_path_factory.mktemp('tree'))
    made.work(2)
    made.take()
    made.work(1)
    made.take()
    yield made
    crashes = made.server.crashes()
    made.server.stop()
    made.server.remove()
    assert not crashes, '\n'.join(crashes)


def test_all_is_well(log):
    code, text = log.verify_log()
    assert code == 0, text
    assert text.splitlines()[-1].startswith('ok: ')
    assert len(log.lines) > 30
    assert all(json.loads(line)['salt'] for line in log.lines)
    code, text = log.verify_here()
    assert code == 0, text


def test_signed_before_it_is_shipped(log):
    """Checkpoints cover what PostgreSQL doesn't have yet: that isn't cut off."""
    with log.server.database('TEAM_PGDSN') as cursor:
        # records wait for this, queries don't
        cursor.execute('SELECT FROM team.node FOR UPDATE')
        log.server.login('alice').logout()

        def ahead():
            status = log.server.status()
            return int(status['checkpoint_size']) > int(status['shipped_seq'])
        assert instance.wait_for(ahead, 10)
        shutil.copy(log.server.env['TEAM_CHECKPOINTS'], log.path('ahead'))
        verify, export = [subprocess.Popen(
            shlex.split(log.server.env['TEAM_DOVEADM']) + ['team', 'audit'] + args, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for args in (['verify'], ['export', '--output', log.path('ahead.jsonl')])]
        time.sleep(1)
    text = verify.communicate(timeout=60)[0]
    assert verify.returncode == 0 and 'ok: ' in text, text
    export.communicate(timeout=60)
    code, text = log.verify('log', '--key', log.key, '--checkpoints', log.path('ahead'), log.path('ahead.jsonl'))
    assert code == 0, text


def test_numbers_have_no_hole(log):
    assert [json.loads(line)['seq'] for line in log.lines] == \
        list(range(1, len(log.lines) + 1))


@pytest.mark.parametrize('key,value', [
    ('colleague', 'mallory'), ('action', 'read'), ('outcome', 'refused'),
    ('at', 1700000000000000), ('uids', '2:3'), ('name', 'Team/Other'),
    ('add', '$Other'), ('ip', '192.0.2.7'), ('d.note', 'x'), ('salt', 'aa' * 16),
    ('leaf', 'bb' * 32)])
def test_changed(log, key, value):
    n = next(i for i, line in enumerate(log.lines)
             if json.loads(line)['action'] == 'flag')
    record = dict(json.loads(log.lines[n]), **{key: value})
    code, text = log.verify_log(log.lines[:n] + [json.dumps(record)] + log.lines[n + 1:])
    assert code == 1, text
    assert 'altered at record %d ' % (n + 1) in text


def test_every_field_counts(log):
    """Taking any field out of any record is found, at that record."""
    for n in range(0, len(log.lines), 7):
        record = json.loads(log.lines[n])
        for key in record:
            if key in ('time', 'leaf'):
                continue
            changed = {k: v for k, v in record.items() if k != key}
            code, text = log.verify_log(
                log.lines[:n] + [json.dumps(changed)] + log.lines[n + 1:])
            assert code == 1, (key, text)


def test_changed_with_its_leaf(log):
    """Who changes the leaf as well is found by the checkpoint."""
    n = 12
    record = json.loads(log.lines[n])
    other = json.loads(log.lines[n + 1])
    record = dict(other, seq=record['seq'])
    code, text = log.verify_log(log.lines[:n] + [json.dumps(record)] + log.lines[n + 1:])
    assert code == 1, text
    assert 'altered at ' in text


def test_removed(log):
    code, text = log.verify_log(log.lines[:9] + log.lines[12:])
    assert code == 2, text
    assert 'missing from 10 to 12 ' in text


def test_removed_at_the_beginning(log):
    code, text = log.verify_log(log.lines[4:])
    assert code == 2, text
    assert 'missing from 1 to 4 ' in text


def test_removed_and_numbered_anew(log):
    lines = log.lines[:9]
    for line in log.lines[10:]:
        record = json.loads(line)
        record['seq'] -= 1
        lines.append(json.dumps(record))
    code, text = log.verify_log(lines)
    assert code == 1, text


def test_reordered(log):
    lines = list(log.lines)
    lines[5], lines[6] = lines[6], lines[5]
    code, text = log.verify_log(lines)
    assert code in (1, 2), text
    # with the numbers in order, too
    first, second = json.loads(log.lines[5]), json.loads(log.lines[6])
    first['seq'], second['seq'] = second['seq'], first['seq']
    code, text = log.verify_log(
        log.lines[:5] + [json.dumps(second), json.dumps(first)] + log.lines[7:])
    assert code == 1, text


def test_cut(log):
    # what was recorded since the last checkpoint isn't covered yet
    signed = last_size(log.checkpoints)
    code, text = log.verify_log(log.lines[:signed - 3])
    assert code == 3, text
    assert 'cut after checkpoint ' in text
    assert 'records %d to %d ' % (signed - 2, signed) in text


def test_doubled(log):
    code, text = log.verify_log(log.lines[:6] + log.lines[5:])
    assert code == 1, text


def test_nothing_there(log):
    code, text = log.verify_log([])
    assert code == 2, text


def test_other_key(log):
    with open(log.key) as f:
        name = f.readline().split('+')[0]
    other = log.path('other.key')
    # the key of the note package's documentation
    with open(other, 'w') as f:
        f.write('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n')
    assert name
    code, text = log.verify_log(key=other)
    assert code == 4, text
    assert 'unknown key' in text


def test_changed_checkpoint(log):
    with open(log.checkpoints) as f:
        text = f.read()
    forged = log.path('forged')
    with open(forged, 'w') as f:
        f.write(text.replace('first 1\n', 'first 2\n', 1))
    code, text = log.verify_log(checkpoints=forged)
    assert code == 1, text
    assert 'signature is wrong' in text


def test_no_checkpoints(log):
    code, text = log.verify_log(checkpoints='/dev/null')
    assert code == 5, text
    assert 'not checkable' in text and 'before the tree' not in text


def test_usage(log):
    assert log.verify('log')[0] == 64
    assert log.verify('log', '--key', log.key, '--checkpoints', log.checkpoints,
                      '/nonexistent')[0] == 66
    assert log.verify()[0] == 64


def test_inclusion(log):
    proof = log.path('proof')
    for seq in (1, 7, last_size(log.checkpoints)):
        log.server.doveadm('team', 'audit', 'prove', '--record', str(seq),
                           '--output', proof)
        code, text = log.verify('inclusion', '--key', log.key, proof)
        assert code == 0, text
        assert json.loads(text.splitlines()[1]) == json.loads(log.lines[seq - 1])
    with open(proof) as f:
        text = f.read()
    for old, new in (('index %d' % (last_size(log.checkpoints) - 1), 'index 3'), ('first 1\n', 'first 2\n')):
        with open(proof, 'w') as f:
            f.write(text.replace(old, new))
        assert log.verify('inclusion', '--key', log.key, proof)[0] == 1


def test_consistency(log):
    """The newest checkpoint continues the first one."""
    with open(log.checkpoints) as f:
        notes = f.read().split('\n\n')
    # text, signature and text of the next ...
    first = notes[0] + '\n\n' + notes[1] + '\n'
    size = first.splitlines()[1]
    if size == str(len(log.lines)):
        pytest.fail('there is one checkpoint only')
    old, proof = log.path('old'), log.path('consistency')
    with open(old, 'w') as f:
        f.write(first)
    log.server.doveadm('team', 'audit', 'prove', '--consistency', size,
                       '--checkpoints', log.checkpoints, '--output', proof)
    code, text = log.verify('consistency', '--key', log.key, old, log.checkpoints, proof)
    assert code == 0, text
    with open(proof) as f:
        lines = f.read().splitlines()
    with open(proof, 'w') as f:
        f.write('\n'.join(lines[:-1]) + '\n')
    assert log.verify('consistency', '--key', log.key, old, log.checkpoints, proof)[0] == 1
    code, text = log.verify('consistency', '--key', log.key, log.checkpoints, old, proof)
    assert code == 5, text


def test_formats(log):
    csv = log.server.doveadm('team', 'audit', 'export', '--format', 'csv').stdout
    assert csv.startswith('node,seq,time,action,')
    assert csv.count('\n') > len(log.lines)
    ecs = log.server.doveadm('team', 'audit', 'export', '--format', 'ecs').stdout
    first = next(row for row in map(json.loads, ecs.splitlines()) if row['event.action'] == 'login')
    assert first['event.outcome'] == 'success'
    assert first['@timestamp'].endswith('Z') and first['source.ip'] == '127.0.0.1'


@pytest.mark.parametrize('file_format', ['csv', 'ecs'])
def test_formats_without_what_a_check_needs(log, file_format):
    """are no sign that anything was altered."""
    path = log.path('other.' + file_format)
    log.server.doveadm('team', 'audit', 'export', '--format', file_format, '--output', path)
    code, text = log.verify('log', '--key', log.key, '--checkpoints', log.checkpoints, path)
    assert code == 5 and 'not checkable' in text and '--format jsonl' in text, text
    assert 'altered' not in text


@pytest.mark.parametrize('file_format', ['jsonl', 'csv', 'ecs'])
@pytest.mark.parametrize('cut', [0, 30, 0.5, -1])
def test_resume(log, file_format, cut):
    """A file that was broken off anywhere becomes the whole one."""
    log.take()
    whole, part = log.path('whole.' + file_format), log.path('part.' + file_format)
    log.server.doveadm('team', 'audit', 'export', '--format', file_format, '--output', whole)
    with open(whole, 'rb') as f:
        data = f.read()
    end = int(len(data) * cut) if isinstance(cut, float) else cut
    with open(part, 'wb') as f:
        f.write(data[:end])
    log.server.doveadm('team', 'audit', 'export', '--format', file_format, '--output', part,
                       '--resume')
    with open(part, 'rb') as f:
        resumed = f.read()
    # what was recorded meanwhile stands behind it
    assert resumed.startswith(data)
    if file_format == 'jsonl':
        code, text = log.verify('log', '--key', log.key, '--checkpoints', log.checkpoints, part)
        assert code == 0, text


def test_resume_of_something_else(log):
    other = log.path('other')
    for text, file_format in (('a,b,c\r\n1,2,3\r\n', 'csv'), ('{"node":"x","seq":1}\n', 'jsonl'),
                              ('{"host.name":"x","event.sequence":1}\n', 'ecs'), ('x\n', 'jsonl')):
        with open(other, 'w', newline='') as f:
            f.write(text)
        result = log.server.doveadm('team', 'audit', 'export', '--format', file_format, '--output',
                                    other, '--resume', check=False)
        assert result.returncode == 65 and "can't be resumed" in result.stderr, result.stderr
        with open(other, newline='') as f:
            assert f.read() == text


def queries(log):
    log.server.all_shipped()
    return [row['detail']['query'] for row in log.server.audit("action = 'query'")]


def test_commands_are_recorded_once(log):
    """Whatever the number of pages; what tells nothing about anybody, not."""
    before = queries(log)
    log.server.doveadm('team', 'audit', 'export')
    log.server.doveadm('team', 'audit', 'search', '--limit', '0')
    log.server.doveadm('team', 'audit', 'checkpoints')
    new = queries(log)[len(before):]
    assert [query.split()[0] for query in new] == ['audit-export', 'audit-search']


def test_search_in_pages(log):
    """More rows than a page has, and records of many messages at its end."""
    with log.server.login('carol') as carol:
        carol.command('CREATE Team/Pages')
        uid = carol.append_one('Team/Pages', b'Subject: x\r\n\r\nx\r\n')
        carol.select('Team/Pages')
        # doubles: 1 + 2 + 4 ... 4096 messages
        for _ in range(12):
            carol.command('UID COPY %d:* Team/Pages' % uid)
        carol.command('UID STORE 1:* +FLAGS ($Paged)')
        carol.logout()
    log.server.all_shipped()

    def rows(*args):
        return log.server.doveadm('-f', 'tab', 'team', 'audit', 'search', '--mailbox', 'Team/Pages',
                                  *args).stdout.splitlines()[1:]
    every = rows('--limit', '0')
    assert len(every) >= 2 * 4096
    assert len(set(every)) == len(every)
    in_sql = log.server.query("SELECT count(*) FROM team.audit WHERE mailbox = 'Team/Pages'")
    assert len(every) == in_sql[0][0]
    for limit in (1, 4999, 5000, 5001, 8000):
        assert rows('--limit', str(limit)) == every[:limit]
    assert sorted(rows('--limit', '0', '--order', 'asc')) == sorted(every)


# ---- the database is changed by its owner; every test undoes what it did

TAMPER = [
    ("UPDATE team.record SET action = 'read' WHERE seq = 9",
     1, 'altered at record 9 '),
    ("UPDATE team.record SET at = at - interval '1 microsecond' WHERE seq = 9",
     1, 'altered at record 9 '),
    ("UPDATE team.record SET colleague_id = (SELECT id FROM team.colleague "
     "WHERE name = 'carol') WHERE seq = 9", 1, 'altered at record 9 '),
    ("UPDATE team.record SET salt = NULL WHERE seq = 9",
     1, 'altered at record 9 '),
    ("UPDATE team.colleague SET name = 'mallory' WHERE name = 'bob'",
     1, 'altered at record '),
    ("UPDATE team.mailbox SET guid = md5('x') WHERE name = 'Team/INBOX'",
     1, 'altered at record '),
    ("DELETE FROM team.record WHERE seq IN (4, 5)", 2, 'missing from 4 to 5 '),
    # from 1, or from behind the first checkpoint if one was made meanwhile
    ("UPDATE team.record SET seq = CASE seq WHEN 4 THEN 1000005 ELSE 1000004 END "
     "WHERE seq IN (4, 5); UPDATE team.record SET seq = seq - 1000000 "
     "WHERE seq > 1000000", 1, 'altered at a record from '),
    # missing if the record of the check itself is already there behind it,
    # otherwise cut
    ("DELETE FROM team.record WHERE seq > 20", (2, 3), ' 21 to '),
    ("DELETE FROM team.record", 5, None),
]


@pytest.mark.parametrize('sql,code,text', TAMPER)
def test_database_tampered(log, sql, code, text):
    log.take()
    owner = 'TEAM_PGDSN'
    tables = 'record note colleague mailbox'.split()
    with log.server.database(owner) as cursor:
        cursor.execute('ALTER TABLE team.record DISABLE TRIGGER ALL')
        for (name,) in log.server.query(
                "SELECT inhrelid::regclass::text FROM pg_inherits "
                "WHERE inhparent = 'team.record'::regclass", who=owner):
            cursor.execute('ALTER TABLE %s DISABLE TRIGGER ALL' % name)
        for table in tables:
            cursor.execute('CREATE TABLE public.old_%s AS TABLE team.%s' % (table, table))
        cursor.execute(sql)
    try:
        got, output = log.verify_here()
        if text is None:
            assert got != 0, output
        else:
            assert got in (code if isinstance(code, tuple) else (code,)), output
            assert text in output
    finally:
        with log.server.database(owner) as cursor:
            cursor.execute('DELETE FROM team.record r WHERE EXISTS (SELECT FROM '
                           'public.old_record o WHERE o.node = r.node AND o.seq = r.seq)')
            cursor.execute('INSERT INTO team.record TABLE public.old_record')
            cursor.execute('UPDATE team.colleague c SET name = o.name '
                           'FROM public.old_colleague o WHERE o.id = c.id')
            cursor.execute('UPDATE team.mailbox c SET guid = o.guid '
                           'FROM public.old_mailbox o WHERE o.id = c.id')
            for table in tables:
                cursor.execute('DROP TABLE public.old_%s' % table)
            cursor.execute('ALTER TABLE team.record ENABLE TRIGGER ALL')
    log.take()
    got, output = log.verify_here()
    assert got == 0, output


def test_killed(log):
    """A service that is killed goes on with the very same tree."""
    with open(log.checkpoints) as f:
        origin = f.readline()
    for _ in range(3):
        log.work()
        log.server.kill_service()
        instance.wait_for(log.server.service_pid)
        log.work()
    log.take()
    with open(log.checkpoints) as f:
        origins = [line for line in f if line.startswith('dovecot-team/')]
    assert len(origins) > 3 and set(origins) == {origin}
    code, text = log.verify_log()
    assert code == 0, text


@pytest.mark.parametrize('tty', [True, False])
def test_progress(log, tty):
    """What takes long shows how far it is on a terminal, and only there."""
    line = b'{"node":"n","seq":1,"action":"read"}\n'
    reading, writing = os.openpty() if tty else os.pipe()
    process = subprocess.Popen(
        [os.path.join(log.server.build, 'root', 'bin', 'team-verify'), 'log', '--key', log.key,
         '--checkpoints', log.checkpoints, '-'],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    process.stdin.write(line)
    process.stdin.flush()
    time.sleep(0.6)
    process.stdin.write(line * 5000)
    process.stdin.close()
    assert process.wait(30) == 1
    # a terminal without programs ends with an error
    text = b''
    with contextlib.suppress(OSError):
        while part := os.read(reading, 10000):
            text += part
    os.close(reading)
    assert (b'4096 records, ' in text) == tty, text


def test_key_files(log):
    path = log.server.env['TEAM_PUBKEY']
    assert os.stat(path.replace('team.pub', 'team.key')).st_mode & 0o077 == 0
    with open(path) as f:
        assert f.read().startswith('dovecot-team/quickstart/')


def test_rotated_key(log):
    """Who has the first key only can check what later ones signed."""
    log.take()
    first = log.path('first.key')
    shutil.copy(log.key, first)
    log.server.doveadm('team', 'audit', 'rotate-key')
    log.work()
    log.take()
    with open(log.key) as f:
        assert len(f.read().splitlines()) == 2
    code, text = log.verify_log(key=first)
    assert code == 0, text
    # without the statement that the old key signed, the new one is unknown
    with open(log.checkpoints) as f:
        text = f.read()
    start = text.index('dovecot-team key\n')
    end = text.index('\n\n', start + 1)
    end = text.index('\n\n', end + 2) + 2
    without = log.path('without')
    with open(without, 'w') as f:
        f.write(text[:start] + text[end:])
    code, text = log.verify_log(key=first, checkpoints=without)
    assert code == 4, text
    code, text = log.verify_log(checkpoints=without)
    assert code == 0, text


def test_postgresql_has_the_checkpoints(log):
    log.take()
    with open(log.checkpoints) as f:
        notes = f.read()
    assert instance.wait_for(lambda: log.server.doveadm(
        'team', 'audit', 'checkpoints').stdout.startswith(notes))


@recorded('erase: doveadm team erase, without the name')
def test_erased(log):
    """Who is erased is gone from the log, and older proofs and checkpoints
    stay right."""
    log.take()
    seq = next(json.loads(line)['seq'] for line in log.lines
               if json.loads(line).get('colleague') == 'bob')
    dsn = log.server.env['TEAM_PGDSN']
    log.server.doveadm('team', 'erase', '--database', dsn, 'bob')
    old = log.path('old-checkpoints')
    shutil.copy(log.checkpoints, old)
    log.take()
    for checkpoints in (old, log.checkpoints):
        code, text = log.verify_log(checkpoints=checkpoints)
        assert code == 0, text
    with open(log.export) as f:
        text = f.read()
    assert '"bob"' not in text and 'claimed-bob' not in text
    record = json.loads(log.lines[seq - 1])
    assert 'colleague' not in record and record['opened']['erased']['colleague']
    assert not log.server.audit("colleague = 'bob'")
    assert len(log.server.audit("action = 'erase' AND outcome = 'ok'")) == 1
    proof = log.path('erased-proof')
    log.server.doveadm('team', 'audit', 'prove', '--record', str(seq), '--output', proof)
    code, text = log.verify('inclusion', '--key', log.key, proof)
    assert code == 0, text
    # nor does the journal have it, once the next record is shipped
    log.server.login('alice').logout()
    log.take()
    folder = os.path.join(log.server.dir, 'journal')
    for name in os.listdir(folder):
        if name.endswith('.journal'):
            with open(os.path.join(folder, name), 'rb') as f:
                assert b'colleague=bob' not in f.read()
    code, text = log.verify('inclusion', '--key', log.key, proof)
    assert code == 0, text
    # who comes back is somebody new
    log.work()
    log.take()
    code, text = log.verify_log()
    assert code == 0, text


def test_shutdown_signs(log):
    log.work()
    before = int(log.server.status()['seq'])
    log.server.stop()
    assert last_size(log.server.env['TEAM_CHECKPOINTS']) >= before
    log.server.start()
    log.take()
    code, text = log.verify_log()
    assert code == 0, text
