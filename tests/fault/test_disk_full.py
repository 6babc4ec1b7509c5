# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk with the journal is full: nothing is changed without a record,
reading goes on, and the log says afterwards what was the matter. That with a
colleague's private index is full: all goes on."""
import collections
import json
import os
import pwd
import shutil
import subprocess

import pytest

import instance
from instance import wait_for
from test_damage import verified
from ways import recorded
from work import mailbox


class SmallDisk(instance.Instance):
    """An instance whose journal has a disk of its own."""

    def settings(self, text):
        super().settings(text)
        self.journal = os.path.join(self.dir, 'journal')
        os.mkdir(self.journal)
        mount(self.journal)

    def fill(self):
        fill(self.journal)

    def free(self):
        os.unlink(os.path.join(self.journal, 'filler'))


def mount(folder, *options):
    subprocess.run(['mount', '-t', 'tmpfs', '-o', ','.join(('size=2m', 'mode=0700', *options)),
                    'tmpfs', folder], check=True)


def fill(folder):
    with open(os.path.join(folder, 'filler'), 'wb', buffering=0) as f:
        try:
            while True:
                f.write(b'x' * 4096)
        except OSError:
            pass


@pytest.fixture
def small():
    made = SmallDisk('sdbox', settings=instance.mail_settings(team_timeout='3s'))
    yield made
    made.stop()
    subprocess.run(['umount', made.journal], check=True)
    assert not made.crashes()


@recorded("gap: the journal couldn't be written")
def test_disk_full(small):
    box, uids = mailbox(small, 3)
    alice = small.login('alice')
    alice.select(box)
    small.fill()
    # the journal's last block may have some room yet
    answer = None
    done = 0
    for n in range(200):
        answer = alice.attempt('UID STORE %d %sFLAGS (\\Flagged)' % (uids[0], '-' if n % 2 else '+'))
        if not answer.ok:
            break
        done += 1
    assert answer.status == 'NO', answer
    assert '[UNAVAILABLE]' in answer.text, answer
    assert len(answer.text.replace('[UNAVAILABLE]', '').split()) > 3, 'no plain words'
    assert small.journal not in answer.text
    # Dovecot's own log says it at once
    assert wait_for(lambda: 'changes are refused until it can be written again' in small.log(), 10)

    assert alice.command('UID FETCH %d (BODY[])' % uids[1]).lines('Hello')
    alice.command('NOOP')
    assert ('\\Flagged' in alice.flags(uids[0])) == (done % 2 == 1)
    assert '\\Seen' not in alice.flags(uids[1])
    assert alice.attempt('UID STORE %d +FLAGS (\\Deleted)' % uids[2]).status == 'NO'
    assert '\\Deleted' not in alice.flags(uids[2])
    assert 'failing' in str(small.status())

    small.free()
    assert wait_for(lambda: alice.attempt(
        'UID STORE %d +FLAGS (\\Answered)' % uids[2]).ok, 10, 0.2)
    assert small.all_shipped()
    gaps = small.audit("action = 'gap'")
    assert [gap['detail']['reason'] for gap in gaps] == ['journal failed'], gaps
    assert 'No space left' in gaps[0]['detail']['error']
    assert int(gaps[0]['detail']['refused']) >= 2
    assert gaps[0]['detail']['from'] < gaps[0]['detail']['to']
    rows = small.audit("mailbox = %s AND colleague = 'alice' AND outcome = 'ok' "
                       "AND action IN ('flag', 'read', 'expunge')", (box,))
    assert len(rows) == done + 1, rows
    assert rows[-1]['uid'] == uids[2] and '\\Answered' in rows[-1]['detail']['added']


@pytest.fixture
def small_index():
    """An instance where alice's private indexes have a disk of their own."""
    made = instance.Instance('sdbox', settings='team_checkpoint_interval = 1 secs\n')
    made.private = os.path.join(made.dir, 'mail/users/alice/team')
    os.makedirs(made.private)
    for folder in (os.path.dirname(made.private), made.private):
        shutil.chown(folder, 'mail', 'mail')
    mount(made.private, 'uid=%d' % pwd.getpwnam('mail').pw_uid)
    yield made
    made.stop()
    subprocess.run(['umount', made.private], check=True)
    assert not made.crashes()


def exported(server, box):
    """What is known of alice's flags, by UID."""
    text = server.doveadm('team', 'flags', 'export', '--mailbox', box).stdout
    found = collections.defaultdict(set)
    for line in map(json.loads, text.splitlines()):
        for part in line['uids'].split(',') if line['colleague'] == 'alice' else ():
            first, _, last = part.partition(':')
            for uid in range(int(first), int(last or first) + 1):
                found[uid].add(line['flag'])
    return found


def test_private_disk_full(small_index):
    server = small_index
    (box, uids), (other, _) = mailbox(server, 40), mailbox(server, 0)
    alice, second = server.login('alice'), server.login('alice')
    for session in (alice, second):
        session.select(box)
    alice.command('UID STORE %d +FLAGS (\\Seen my-one)' % uids[0])
    wanted = {uid: set() for uid in uids}
    wanted[uids[0]] = {'\\Seen', 'my-one'}

    def others(session):
        """What the session shows that isn't so."""
        session.command('NOOP')
        return {f['uid']: f['flags'] - {'\\Recent'}
                for f in session.command('UID FETCH 1:* (UID FLAGS)').fetched()
                if f['flags'] - {'\\Recent'} != wanted[f['uid']]}
    fill(server.private)
    # until the log's last block has no more room
    for n in range(400):
        uid = uids[1 + n % 30]
        alice.command('UID STORE %d %sFLAGS.SILENT (\\Flagged my-n%d)' % (
            uid, '-' if n // 30 % 2 else '+', uid))
        wanted[uid] ^= {'\\Flagged', 'my-n%d' % uid}
    assert "team: The private index can't be used (%s" % server.private in server.log()
    assert 'No space left' in server.log()
    alice.command('UID FETCH %d (BODY[])' % uids[39])
    wanted[uids[39]] |= {'\\Seen'}
    assert others(alice) == {}
    second.command('UID STORE %d +FLAGS (\\Answered my-two)' % uids[38])
    wanted[uids[38]] |= {'\\Answered', 'my-two'}
    third = server.login('alice')
    third.select(box)
    # who can still write to the disk doesn't know of what others have in memory
    for session in (third, alice):
        assert wait_for(lambda s=session: not others(s), 15), others(session)
    # a folder that has no index yet
    alice.command('UID COPY %d %s' % (uids[0], other))
    new = server.login('alice')
    new.select(other)
    new.command('UID STORE 1 +FLAGS (\\Flagged)')
    assert new.flags(1) - {'\\Recent'} == wanted[uids[0]] | {'\\Flagged'}

    os.unlink(os.path.join(server.private, 'filler'))
    third.command('UID STORE %d -FLAGS (my-one)' % uids[0])
    wanted[uids[0]] = {'\\Seen'}
    assert server.all_shipped()
    last = server.login('alice')
    last.select(box)
    for session in (alice, second, third, last):
        assert wait_for(lambda s=session: not others(s), 15), others(session)
    assert exported(server, box) == {uid: flags - {'\\Answered'} for uid, flags in wanted.items()
                                     if flags}
    verified(server)
    assert server.audit("outcome <> 'ok'") == []
