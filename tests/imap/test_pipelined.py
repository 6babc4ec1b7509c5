# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several commands sent at once, as mbsync does: each is answered for itself."""
import pytest

import imapsession
from test_claims import check_refused, claim
from test_private_flags import refreshed, store


def pipeline(session, *commands):
    """Sends all in one packet; returns what each was answered. A command that waits
    for others' changes may be answered after the next one."""
    tags = [session.next_tag() for _ in commands]
    session.send(''.join('%s %s\r\n' % pair for pair in zip(tags, commands)))
    answers, untagged = {}, []
    while len(answers) < len(tags):
        line = session.read_line()
        tag = line.split(b' ')[0].decode()
        if tag in tags:
            _, status, text = line.decode().split(' ', 2)
            answers[tag] = imapsession.Answer(untagged, status, text)
            untagged = []
        else:
            untagged.append(line)
    return [answers[tag] for tag in tags]


@pytest.mark.parametrize('silent', ['', '.SILENT'])
def test_the_refused_one_is_answered_with_no(box, silent):
    alice, bob = box.people('alice', 'bob')
    claim(bob, box.uids[1])
    first, second, third = pipeline(alice, *(
        'UID STORE %d +FLAGS%s (%s)' % (uid, silent, flags) for uid, flags in zip(
            box.uids, (r'\Flagged \Seen', r'\Deleted', r'\Answered'))))
    assert first.ok and third.ok, (first, third)
    check_refused(second, 'bob')
    fetched = [f for f in second.fetched() if f['uid'] == box.uids[1]]
    assert fetched and '\\Deleted' not in fetched[-1]['flags']
    assert refreshed(alice, box.uids[0]) == {'\\Flagged', '\\Seen'}
    assert refreshed(bob, box.uids[2]) == {'\\Answered'}


def test_all_kinds_of_commands(box, other_box):
    """Among commands that are answered at once and such that wait."""
    alice, bob = box.people('alice', 'bob')
    claim(bob, '%d,%d' % (box.uids[0], box.uids[2]))
    answers = pipeline(
        alice, 'UID STORE %d +FLAGS (claimed)' % box.uids[1],
        'UID MOVE %d %s' % (box.uids[0], other_box.name), 'UID SEARCH ALL', 'NOOP',
        'UID STORE %d +FLAGS (claimed)' % box.uids[2], 'UID FETCH 1:* (FLAGS)',
        'UID STORE %d -FLAGS (claimed)' % box.uids[1])
    assert [answer.status for answer in answers] == ['OK', 'NO', 'OK', 'OK', 'NO', 'OK', 'OK']
    assert bob.command('NOOP') and bob.search('KEYWORD claimed') == [box.uids[0], box.uids[2]]


def test_refused_twice(box):
    alice, bob = box.people('alice', 'bob')
    claim(bob, '%d:%d' % (box.uids[0], box.uids[1]))
    claim(box.login('carol'), box.uids[2])
    answers = pipeline(alice, *('UID STORE %d +FLAGS (\\Deleted)' % uid for uid in box.uids))
    for answer, holder in zip(answers, ('bob', 'bob', 'carol')):
        check_refused(answer, holder)
    store(alice, '1:*', '+FLAGS', '\\Seen')
    assert alice.attempt('NOOP').ok


def test_each_failure_is_recorded_once(server, box):
    alice = box.login('alice')
    answers = pipeline(alice, 'UID STORE %d +FLAGS (\\Seen)' % box.uids[0],
                       'UID COPY %d %s-none' % (box.uids[0], box.name),
                       'UID STORE %d +FLAGS (\\Seen)' % box.uids[1],
                       'SELECT %s-none' % box.name)
    assert [answer.status for answer in answers] == ['OK', 'NO', 'OK', 'NO']
    server.all_shipped()
    rows = server.audit("colleague = 'alice' AND outcome = 'failed' AND "
                        "(mailbox LIKE %s OR detail->>'from' = %s)", (box.name + '%', box.name))
    assert sorted(row['action'] for row in rows) == ['copy', 'open']
