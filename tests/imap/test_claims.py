# SPDX-License-Identifier: LGPL-2.1-or-later
"""Claims: one holder, seen by all, protecting the message."""
import datetime
import re
import time

import pytest

from instance import wait_for

CLAIMED_BY_ALICE = {'claimed', 'claimed-alice'}


def store(session, uids, what, flags):
    return session.attempt('UID STORE %s %s (%s)' % (uids, what, flags))


def claim(session, uids):
    answer = store(session, uids, '+FLAGS', 'claimed')
    assert answer.ok, answer
    return answer


def flags_now(session, uid):
    session.command('NOOP')
    return session.flags(uid) - {'\\Recent'}


def claims_now(session, uid):
    return {f for f in flags_now(session, uid) if f.startswith('claimed')}


def minutes(text):
    hours, mins = text.split(':')
    return int(hours) * 60 + int(mins)


def check_refused(answer, holder='alice'):
    """A refusal says who, since when and until when: with its date if it is of
    another day."""
    assert answer.status == 'NO', answer
    when = r'(?:\d{4}-\d\d-\d\d )?(\d\d:\d\d)'
    match = re.search(r'\[INUSE\].*\bclaimed by %s since %s, until %s' % (holder, when, when),
                      answer.text)
    assert match, answer.text
    return match.groups()


def check_truth_before_no(answer, uid, without):
    """The refused message's true flags come as a FETCH before the NO."""
    fetches = [f for f in answer.fetched() if f['uid'] == uid and f['flags'] is not None]
    assert fetches, 'no FETCH with UID %d and FLAGS in %r' % (uid, answer)
    assert without not in fetches[-1]['flags']
    assert CLAIMED_BY_ALICE <= fetches[-1]['flags']


def copied(answer):
    """Source UIDs that a COPYUID names."""
    found = []
    for line in [line.decode() for line in answer.untagged] + [answer.text]:
        match = re.search(r'COPYUID \d+ (\S+) ', line)
        if match:
            for part in match.group(1).split(','):
                first, _, last = part.partition(':')
                found.extend(range(int(first), int(last or first) + 1))
    return sorted(found)


def test_everybody_sees_the_claim_within_a_second(box):
    alice, bob, carol = box.people('alice', 'bob', 'carol')
    uid = box.uids[0]
    bob.idle()
    carol.idle()
    claim(alice, uid)
    start = time.monotonic()
    assert CLAIMED_BY_ALICE <= alice.flags(uid)
    for session in (bob, carol):
        seen = session.idle_until(lambda line: b'FETCH' in line and b'claimed-alice' in line, 5)
        session.done()
        assert seen, '%s saw nothing in IDLE' % session.user
        assert seen[0] - start < 1.0
        assert b'claimed ' in seen[1] or b'claimed)' in seen[1]
        assert claims_now(session, uid) == CLAIMED_BY_ALICE
    later = box.login('dave')
    assert claims_now(later, uid) == CLAIMED_BY_ALICE
    assert later.search('KEYWORD claimed') == [uid]
    assert later.search('KEYWORD claimed-alice') == [uid]


def test_release_reaches_idle(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE
    bob.idle()
    assert store(alice, uid, '-FLAGS', 'claimed').ok
    start = time.monotonic()
    seen = bob.idle_until(lambda line: b'FETCH' in line and b'claimed' not in line, 5)
    bob.done()
    assert seen and seen[0] - start < 1.0
    assert claims_now(alice, uid) == set()


def test_second_is_refused_with_name_and_times(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    since, until = check_refused(store(bob, uid, '+FLAGS', 'claimed'))
    assert (minutes(until) - minutes(since)) % 1440 == 30
    now = datetime.datetime.now()
    assert (now.hour * 60 + now.minute - minutes(since)) % 1440 in (0, 1)
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE


def test_refused_before_the_session_has_seen_the_claim(box):
    """Not the session's view decides, but the service."""
    bob, alice = box.people('bob', 'alice')
    claim(alice, box.uids[1])
    check_refused(store(bob, box.uids[1], '+FLAGS', 'claimed'))


@pytest.mark.parametrize('command, what', [
    ('UID STORE', '+FLAGS'), ('UID STORE', '+FLAGS.SILENT'), ('STORE', '+FLAGS'),
    ('STORE', '+FLAGS.SILENT'), ('UID STORE', 'FLAGS'), ('UID STORE', 'FLAGS.SILENT'),
])
def test_forms_of_claiming(box, command, what):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    target = uid if command.startswith('UID') else 1
    answer = alice.attempt('%s %d %s (claimed)' % (command, target, what))
    assert answer.ok, answer
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE
    assert claims_now(alice, uid) == CLAIMED_BY_ALICE
    check_refused(bob.attempt('%s %d %s (claimed)' % (command, target, what)))
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE


def test_case_of_the_keyword_does_not_matter(box):
    alice, bob = box.people('alice', 'bob')
    assert store(alice, box.uids[0], '+FLAGS', 'Claimed').ok
    check_refused(store(bob, box.uids[0], '+FLAGS', 'CLAIMED'))


@pytest.mark.parametrize('what, flags', [
    ('-FLAGS', 'claimed'), ('-FLAGS.SILENT', 'claimed'), ('FLAGS', '\\Answered'),
    ('FLAGS', ''),
])
def test_forms_of_releasing(box, what, flags):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    assert store(alice, uid, what, flags).ok
    assert claims_now(alice, uid) == set()
    assert claims_now(bob, uid) == set()
    claim(bob, uid)
    check_refused(store(alice, uid, '+FLAGS', 'claimed'), 'bob')


def test_only_the_holder_releases(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    check_refused(store(bob, uid, '-FLAGS', 'claimed'))
    store(bob, uid, 'FLAGS', '\\Seen')
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE
    assert claims_now(alice, uid) == CLAIMED_BY_ALICE


def test_claiming_again_is_no_conflict(box):
    alice, = box.people('alice')
    claim(alice, box.uids[0])
    claim(alice, box.uids[0])
    second = box.login('alice')
    claim(second, box.uids[0])


def test_many_at_once_message_by_message(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[1])
    check_refused(store(bob, '1:*', '+FLAGS', 'claimed'))
    assert claims_now(bob, box.uids[0]) == {'claimed', 'claimed-bob'}
    assert claims_now(bob, box.uids[1]) == CLAIMED_BY_ALICE
    assert claims_now(alice, box.uids[2]) == {'claimed', 'claimed-bob'}


@pytest.mark.parametrize('command', ['UID STORE', 'STORE'])
@pytest.mark.parametrize('what', ['+FLAGS', 'FLAGS', '+FLAGS.SILENT'])
def test_deleted_is_refused(box, command, what):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    target = uid if command.startswith('UID') else 1
    answer = bob.attempt('%s %d %s (\\Deleted)' % (command, target, what))
    check_refused(answer)
    check_truth_before_no(answer, uid, '\\Deleted')
    assert '\\Deleted' not in flags_now(bob, uid)
    assert '\\Deleted' not in flags_now(alice, uid)
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE


def test_private_part_of_a_refused_store_is_done(box):
    """Thunderbird deletes with +FLAGS (\\Seen \\Deleted)."""
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    answer = store(bob, uid, '+FLAGS', r'\Seen \Deleted')
    check_refused(answer)
    check_truth_before_no(answer, uid, '\\Deleted')
    assert flags_now(bob, uid) == CLAIMED_BY_ALICE | {'\\Seen'}
    assert flags_now(alice, uid) == CLAIMED_BY_ALICE


def test_deleted_message_by_message(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[1])
    answer = store(bob, '1:*', '+FLAGS', '\\Deleted')
    check_refused(answer)
    check_truth_before_no(answer, box.uids[1], '\\Deleted')
    bob.command('NOOP')
    assert bob.search('DELETED') == [box.uids[0], box.uids[2]]


@pytest.mark.parametrize('command', ['UID MOVE', 'MOVE'])
def test_move_is_refused_message_by_message(box, other_box, command):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[1])
    target = '%d:%d' % (box.uids[0], box.uids[2]) if command.startswith('UID') else '1:3'
    answer = bob.attempt('%s %s %s' % (command, target, other_box.name))
    check_refused(answer)
    check_truth_before_no(answer, box.uids[1], '\\Deleted')
    bob.command('NOOP')
    assert bob.search('ALL') == [box.uids[1]]
    assert copied(answer) == [box.uids[0], box.uids[2]]
    assert len(other_box.login('bob').search('ALL')) == 2
    assert claims_now(alice, box.uids[1]) == CLAIMED_BY_ALICE


def test_move_of_one_claimed_is_refused(box, other_box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    answer = bob.attempt('UID MOVE %d %s' % (box.uids[0], other_box.name))
    check_refused(answer)
    bob.command('NOOP')
    assert bob.search('ALL') == box.uids
    assert other_box.login('bob').search('ALL') == []


def expunge_setup(box):
    """Bob has marked all three as deleted, then alice claims the second."""
    alice, bob = box.people('alice', 'bob')
    assert store(bob, '1:*', '+FLAGS', '\\Deleted').ok
    claim(alice, box.uids[1])
    return alice, bob


@pytest.mark.parametrize('command', ['EXPUNGE', 'UID EXPUNGE 1:*'])
def test_expunge_leaves_the_claimed(box, command):
    alice, bob = expunge_setup(box)
    answer = bob.attempt(command)
    check_refused(answer)
    bob.command('NOOP')
    assert bob.search('ALL') == [box.uids[1]]
    assert claims_now(alice, box.uids[1]) == CLAIMED_BY_ALICE


def test_close_leaves_the_claimed(box):
    alice, bob = expunge_setup(box)
    bob.attempt('CLOSE')
    alice.command('NOOP')
    assert alice.search('ALL') == [box.uids[1]]


def test_expunge_by_the_holder(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    assert store(alice, box.uids[0], '+FLAGS', '\\Deleted').ok
    assert alice.attempt('EXPUNGE').ok
    bob.command('NOOP')
    assert bob.search('ALL') == box.uids[1:]


def test_claim_follows_the_holders_move(box, other_box):
    alice, = box.people('alice')
    claim(alice, box.uids[0])
    assert alice.attempt('UID MOVE %d %s' % (box.uids[0], other_box.name)).ok
    bob = other_box.login('bob')
    uid = bob.search('ALL')[0]
    assert wait_for(lambda: claims_now(bob, uid) == CLAIMED_BY_ALICE, 5)
    check_refused(store(bob, uid, '+FLAGS', 'claimed'))


def test_copy_is_not_refused_and_not_claimed(box, other_box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    assert bob.attempt('UID COPY %d %s' % (box.uids[0], other_box.name)).ok
    carol = other_box.login('carol')
    assert claims_now(carol, carol.search('ALL')[0]) == set()


def test_the_rest_is_not_refused(box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    claim(alice, uid)
    assert bob.attempt('UID FETCH %d (BODY[])' % uid).ok
    assert store(bob, uid, '+FLAGS', r'\Flagged \Answered invoice').ok
    assert flags_now(alice, uid) == CLAIMED_BY_ALICE | {'\\Answered', 'invoice'}
    assert flags_now(bob, uid) == CLAIMED_BY_ALICE | {
        '\\Answered', 'invoice', '\\Seen', '\\Flagged'}


@pytest.mark.parametrize('keyword', ['claimed-alice', 'claimed-bob', 'Claimed-Carol'])
def test_holder_keywords_cannot_be_forged(box, keyword):
    alice, bob = box.people('alice', 'bob')
    store(bob, box.uids[0], '+FLAGS', keyword)
    assert claims_now(alice, box.uids[0]) == set()
    store(bob, box.uids[1], 'FLAGS', keyword + ' \\Answered')
    assert claims_now(alice, box.uids[1]) == set()


def test_holder_keyword_cannot_be_removed(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    store(bob, box.uids[0], '-FLAGS', 'claimed-alice')
    assert claims_now(alice, box.uids[0]) == CLAIMED_BY_ALICE
    store(bob, box.uids[0], '+FLAGS', 'claimed-bob')
    assert claims_now(alice, box.uids[0]) == CLAIMED_BY_ALICE


def test_append_cannot_forge_a_claim(box):
    bob, alice = box.people('bob', 'alice')
    try:
        uid = bob.append_one(box.name, box.message(80), 'claimed claimed-alice')
    except Exception:  # refusing it is as good
        return
    assert 'claimed-alice' not in claims_now(alice, uid)
    assert store(alice, uid, '+FLAGS', 'claimed').ok or \
        'claimed-bob' in claims_now(alice, uid)


def test_doveadm_lists_the_claims(box):
    alice, = box.people('alice')
    claim(alice, box.uids[1])
    rows = [row for row in box.server.doveadm_json('team', 'claim', 'list')
            if row['mailbox'] == box.name]
    assert [(row['uid'], row['holder']) for row in rows] == [(str(box.uids[1]), 'alice')]


def test_many_colleagues_one_winner(box):
    """All ask at the same moment: exactly one gets it."""
    sessions = [box.login('u%d' % n) for n in range(1, 13)]
    for uid in box.uids:
        tags = [s.start('UID STORE %d +FLAGS (claimed)' % uid) for s in sessions]
        answers = [s.finish(tag) for s, tag in zip(sessions, tags)]
        winners = [s.user for s, a in zip(sessions, answers) if a.ok]
        assert len(winners) == 1, winners
        for session, answer in zip(sessions, answers):
            if session.user != winners[0]:
                check_refused(answer, winners[0])
            assert claims_now(session, uid) == {'claimed', 'claimed-' + winners[0]}
