# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drafts and sent mail in the forms of mail clients, from fixtures/: {id} stands
for the Message-ID of what is answered, {own} for a part of the mail's own."""
import os

import pytest

from instance import wait_for
from test_claims import CLAIMED_BY_ALICE, check_refused, claim, claims_now, flags_now, store
from test_claims_drafts import alerts, append

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fixtures')
# the flags that they give to a draft
CLIENTS = {
    'thunderbird': '\\Draft \\Seen', 'roundcube': '\\Seen', 'neomutt': '\\Draft', 'alpine': '',
    'apple-mail': '\\Draft \\Seen', 'outlook': '\\Draft', 'gmail': '\\Draft', 'old': '\\Draft',
    'unknown-parent': '\\Draft', 'malformed': '\\Draft',
}


def mail(box, client, kind, number, huge=False):
    with open(os.path.join(FIXTURES, '%s-%s.eml' % (client, kind))) as f:
        text = f.read()
    text = text.replace('{{', '{').replace('}}', '}').replace(
        '{id}', box.message_id(1)).replace('{own}', '%s.%s.%d' % (client, kind, number))
    if huge:
        text = 'References:%s\n %s\n' % (
            ''.join('\n <old%d@customers.example>' % n for n in range(4000)), box.message_id(1)) + \
            text.replace('References: ', 'X-References: ')
    return text.replace('\n', '\r\n').encode()


def expunge_drafts(session, box):
    """Drafts that this test saved, by their number in the folder."""
    session.select('Drafts')
    uids = session.search('ALL')
    assert session.attempt('UID STORE 1:%d +FLAGS (\\Seen \\Deleted)' % uids[-1]).ok
    assert session.attempt('EXPUNGE').ok


def test_fixtures_are_all_used():
    assert sorted(os.listdir(FIXTURES)) == sorted(
        '%s-%s.eml' % (client, kind) for client in CLIENTS for kind in ('draft', 'sent'))


@pytest.mark.parametrize('client', sorted(CLIENTS))
def test_from_the_draft_to_the_sent_mail(box, client):
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    uid, flags = box.uids[0], CLIENTS[client]
    answer = append(alice, 'Drafts', mail(box, client, 'draft', 1), flags)
    assert answer.ok and not alerts(answer), answer
    assert wait_for(lambda: claims_now(bob, uid) == CLAIMED_BY_ALICE, 5)
    check_refused(store(bob, uid, '+FLAGS', 'claimed'))
    assert claims_now(bob, box.uids[1]) == set()
    # saved anew: first the new one, then the old one goes
    assert append(alice, 'Drafts', mail(box, client, 'draft', 2), flags).ok
    alice.select('Drafts')
    first = alice.search('ALL')[-2]
    assert alice.attempt('UID STORE %d +FLAGS (\\Seen \\Deleted)' % first).ok
    assert alice.attempt('UID EXPUNGE %d' % first).ok
    assert claims_now(bob, uid) == CLAIMED_BY_ALICE
    # sent
    answer = append(alice, 'Sent', mail(box, client, 'sent', 3), '\\Seen')
    assert answer.ok and not alerts(answer), answer
    assert wait_for(lambda: flags_now(bob, uid) == {'\\Answered'}, 5)
    expunge_drafts(alice, box)
    claim(bob, uid)
    # what a colleague holds: the draft is saved, and the colleague named
    alice.select('INBOX')
    answer = append(alice, 'Drafts', mail(box, client, 'draft', 4), flags)
    assert answer.ok and len(alerts(answer)) == 1, answer
    assert 'claimed by bob since' in alerts(answer)[0]
    assert claims_now(bob, uid) == {'claimed', 'claimed-bob'}
    expunge_drafts(alice, box)


@pytest.mark.parametrize('client', ['thunderbird', 'roundcube', 'alpine', 'outlook'])
def test_deleted_without_sending(box, client):
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    assert append(alice, 'Drafts', mail(box, client, 'draft', 1), CLIENTS[client]).ok
    assert wait_for(lambda: claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE, 5)
    expunge_drafts(alice, box)
    assert wait_for(lambda: claims_now(bob, box.uids[0]) == set(), 5)


def test_a_thread_of_thousands(box):
    """The nearest of 4,000 References."""
    alice, bob = box.login('alice', box='INBOX'), box.login('bob')
    message = mail(box, 'gmail', 'draft', 1, huge=True)
    assert len(message) > 100000
    assert append(alice, 'Drafts', message, '\\Draft').ok
    assert wait_for(lambda: claims_now(bob, box.uids[0]) == CLAIMED_BY_ALICE, 5)
    expunge_drafts(alice, box)
