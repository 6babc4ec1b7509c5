# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drafts that answer a team's message claim it, sent replies answer it."""
import pytest

from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now, flags_now, store
from ways import recorded


def reply(box, n, headers=None):
    """A reply to message n, with what a client writes into its headers."""
    if headers is None:
        headers = 'In-Reply-To: {id}\r\nReferences: {id}\r\n'
    return ('From: alice@support.example\r\nTo: c%d@customers.example\r\n'
            'Subject: Re: Question %d\r\n'
            'Message-ID: <reply%d.%d@support.example>\r\n%s'
            '\r\nHello\r\n' % (n, n, n, box.number,
                               headers.format(id=box.message_id(n)))).encode()


def append(session, folder, message, flags=''):
    tag = session.start('APPEND %s (%s) {%d+}' % (folder, flags, len(message)))
    session.sock.sendall(message + b'\r\n')
    return session.finish(tag)


def alerts(answer):
    return [line.decode() for line in answer.untagged if b'[ALERT]' in line]


def test_who_answers_what_another_holds_is_told(box):
    alice, bob = box.login('alice'), box.login('bob', box='INBOX')
    claim(alice, box.uids[0])
    bob.select('Drafts')
    before = len(bob.search('ALL'))
    answer = append(bob, 'Drafts', reply(box, 1), '\\Draft')
    assert answer.ok, answer
    assert len(alerts(answer)) == 1 and 'claimed by alice since' in alerts(answer)[0]
    bob.command('NOOP')
    assert len(bob.search('ALL')) == before + 1
    assert claims_now(alice, box.uids[0]) == CLAIMED_BY_ALICE


def test_even_who_administers_is_told(box):
    alice, erin = box.login('alice'), box.login('erin', box='INBOX')
    claim(alice, box.uids[0])
    assert len(alerts(append(erin, 'Drafts', reply(box, 1), '\\Draft'))) == 1
    assert claims_now(alice, box.uids[0]) == CLAIMED_BY_ALICE


@pytest.mark.parametrize('headers', [
    '', 'In-Reply-To: \r\n', 'In-Reply-To: <<<>>>\r\n', 'References: <m1.t <\r\n',
    'In-Reply-To: <%s>\r\n' % ('x' * 5000), 'References:%s\r\n' % ('\r\n <y@x>' * 20000),
    'In-Reply-To: <a\\"b@x>\r\nReferences: <{{}},"@x>\r\n',
])
def test_odd_headers_claim_nothing(box, headers):
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    answer = append(alice, 'Drafts', reply(box, 1, headers), '\\Draft')
    assert answer.ok and not alerts(answer), answer
    assert claims_now(bob, box.uids[0]) == set()


def test_other_mail_claims_nothing(box):
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    assert append(alice, 'INBOX', reply(box, 1)).ok
    assert claims_now(bob, box.uids[0]) == set()


def test_a_draft_finds_the_message_where_it_was_moved(box, other_box):
    alice, bob = box.people('alice', 'bob')
    assert alice.attempt('UID MOVE %d %s' % (box.uids[0], other_box.name)).ok
    box.server.all_shipped()
    assert append(alice, 'Drafts', reply(box, 1), '\\Draft').ok
    bob.select(other_box.name)
    uid = bob.search('ALL')[0]
    assert wait_for(lambda: claims_now(bob, uid) == CLAIMED_BY_ALICE, 5)


def test_sent_mail_answers_and_releases(box):
    alice, bob = box.people('alice', 'bob')
    assert append(alice, 'Drafts', reply(box, 1), '\\Draft').ok
    assert wait_for(lambda: claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE, 5)
    answer = append(alice, 'Sent', reply(box, 1), '\\Seen')
    assert answer.ok and not alerts(answer)
    assert wait_for(lambda: flags_now(bob, box.uids[0]) == {'\\Answered'}, 5)
    claim(bob, box.uids[0])


def test_sent_mail_does_not_release_anothers(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    assert append(bob, 'Sent', reply(box, 1), '\\Seen').ok
    assert flags_now(alice, box.uids[0]) == CLAIMED_BY_ALICE | {'\\Answered'}


def draft(session, box, n=1):
    """Saves a draft and returns its UID."""
    answer = append(session, 'Drafts', reply(box, n), '\\Draft')
    assert answer.ok, answer
    return int(answer.text.split()[2].rstrip(']'))


def is_free(session, uid):
    return wait_for(lambda: claims_now(session, uid) == set(), 3)


@pytest.mark.parametrize('how', [
    ['UID STORE %d +FLAGS (\\Deleted)', 'UID EXPUNGE %d'],
    ['UID MOVE %d Trash'],
], ids=['expunge', 'trash'])
@recorded('draft: A draft saved that answers a message')
def test_deleting_the_draft_gives_back(box, how):
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    alice.attempt('CREATE Trash')
    uid = draft(alice, box)
    assert wait_for(lambda: claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE, 5)
    alice.select('Drafts')
    for command in how:
        assert alice.attempt(command % uid).ok
    assert is_free(bob, box.uids[0])
    rows = box.server.wait_audit("action = 'draft' AND mailbox = %s", (box.name,))
    assert [(r['colleague'], r['outcome'], r['uid']) for r in rows] == \
        [('alice', 'ok', box.uids[0])]


def test_another_draft_keeps_it(box):
    """Saved anew by another connection, as webmail does."""
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    first = draft(alice, box)
    second = draft(alice, box)
    alice.select('Drafts')
    for uid, left in (first, CLAIMED_BY_ALICE), (second, set()):
        other = box.login('alice', box='Drafts')
        assert other.attempt('UID STORE %d +FLAGS (\\Deleted)' % uid).ok
        assert other.attempt('UID EXPUNGE %d' % uid).ok
        assert wait_for(lambda: claims_now(bob, box.uids[0]) == left, 3)
        if left:
            check_refused(store(bob, box.uids[0], '+FLAGS', 'claimed'))


def test_what_was_claimed_by_hand_stays(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    by_hand_first = draft(alice, box, 1)
    by_hand_later = draft(alice, box, 2)
    claim(alice, box.uids[1])
    alice.select('Drafts')
    assert alice.attempt('UID STORE %d,%d +FLAGS (\\Deleted)' % (by_hand_first, by_hand_later)).ok
    assert alice.attempt('EXPUNGE').ok
    for uid in box.uids[:2]:
        assert claims_now(bob, uid) == CLAIMED_BY_ALICE
        check_refused(store(bob, uid, '+FLAGS', 'claimed'))


@recorded('reply: saved to the own mailbox with \\Sent')
def test_sent_mail_is_recorded_as_reply(box):
    alice = box.login('alice')
    assert append(alice, 'Sent', reply(box, 1), '\\Seen').ok
    rows = box.server.wait_audit("action = 'reply' AND mailbox = %s", (box.name,))
    assert [(r['colleague'], r['uid'], r['detail']['reply']) for r in rows] == \
        [('alice', box.uids[0], '<reply1.%d@support.example>' % box.number)]
