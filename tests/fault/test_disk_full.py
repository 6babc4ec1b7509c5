# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk with the journal is full: nothing is changed without a record,
reading goes on, and the log says afterwards what was the matter."""
import os
import subprocess

import pytest

import instance
from instance import wait_for
from ways import recorded
from work import mailbox


class SmallDisk(instance.Instance):
    """An instance whose journal has a disk of its own."""

    def settings(self, text):
        super().settings(text)
        self.journal = os.path.join(self.dir, 'journal')
        os.mkdir(self.journal)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m,mode=0700', 'tmpfs', self.journal],
                       check=True)

    def fill(self):
        with open(os.path.join(self.journal, 'filler'), 'wb', buffering=0) as f:
            try:
                while True:
                    f.write(b'x' * 4096)
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.journal, 'filler'))


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
    assert 'changes are refused until it can be written again' in small.log()

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
