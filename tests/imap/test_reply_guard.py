# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reply guard: a mail that answers what a colleague is at, or has answered
meanwhile, is refused once."""
import itertools
import smtplib
import time

import pytest

import conftest
import instance
from instance import wait_for
from submit import outgoing, swaks
from test_claims import CLAIMED_BY_ALICE, claim, claims_now, flags_now, store
from ways import recorded

OVERRIDE = 3
numbers = itertools.count(1)


@pytest.fixture(scope='module')
def holding():
    running = instance.Instance('sdbox', settings=instance.mail_settings(
        team_guard='hold', team_guard_override='%ds' % OVERRIDE))
    yield running
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def hold_box(holding):
    made = conftest.Box(holding)
    made.fill(2)
    yield made
    made.close()


class Mail:
    """A mail that answers message n, with a mark of its own."""

    def __init__(self, box, n, headers='In-Reply-To: {id}\r\nReferences: <a@x> {id}\r\n',
                 body='Hello\r\n'):
        self.mark = '<sent%d.%s@support.example>' % (next(numbers), box.name.replace('/', '.'))
        self.box = box
        self.data = ('From: someone@support.example\r\nTo: customer@customers.example\r\n'
                     'Subject: Re: Question %d\r\nMessage-ID: %s\r\n%s\r\n%s' % (
                         n, self.mark, headers.format(id=box.message_id(n)), body)).encode()

    def send(self, user):
        return swaks(self.box.server, user, self.data)

    def arrived(self):
        return len(outgoing(self.box.server, self.mark))


def read(session, uid):
    session.command('UID FETCH %d (BODY[])' % uid)


def replies(box, n, outcome, count=1):
    return [(row['colleague'], row['detail'].get('holder'), row['detail'].get('override'))
            for row in box.server.wait_audit(
                "action = 'reply' AND outcome = %s AND mailbox = %s AND uid = %s "
                "AND detail->>'service' = 'submission'", (outcome, box.name, box.uids[n - 1]), count)]


def test_replying_to_what_a_colleague_holds_is_refused_once(box):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    mail = Mail(box, 1)
    answer = mail.send('bob')
    assert answer.startswith('550 5.7.1 Not sent: the message that you answer is claimed '
                             'by alice since '), answer
    assert answer.endswith('To send all the same, send again within 10 minutes.'), answer
    assert mail.arrived() == 0
    assert flags_now(alice, box.uids[0]) == CLAIMED_BY_ALICE
    assert replies(box, 1, 'refused') == [('bob', 'alice', None)]

    assert mail.send('bob').startswith('250 ')
    assert mail.arrived() == 1
    assert replies(box, 1, 'ok') == [('bob', 'alice', 'claimed')]
    assert flags_now(alice, box.uids[0]) == CLAIMED_BY_ALICE | {'\\Answered'}
    # each colleague is told
    assert Mail(box, 1).send('carol').startswith('550 ')


@recorded('reply: Sent through the submission service')
def test_the_holder_may_reply(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    mail = Mail(box, 1)
    assert mail.send('alice').startswith('250 ')
    assert mail.arrived() == 1
    # answered, and given back
    assert wait_for(lambda: flags_now(bob, box.uids[0]) == {'\\Answered'}, 5)
    assert replies(box, 1, 'ok') == [('alice', None, None)]
    assert replies(box, 1, 'refused', 0) == []


@pytest.mark.parametrize('how', ['sends', 'marks'])
def test_replying_after_a_colleague_answered_is_refused_once(box, how):
    alice, bob = box.people('alice', 'bob')
    read(bob, box.uids[0])
    if how == 'sends':
        assert Mail(box, 1).send('alice').startswith('250 ')
    else:
        assert store(alice, box.uids[0], '+FLAGS', '\\Answered').ok
    box.server.all_shipped()
    mail = Mail(box, 1)
    answer = mail.send('bob')
    assert answer.startswith('550 5.7.1 Not sent: alice answered the message that you answer '
                             'at '), answer
    assert mail.arrived() == 0
    assert mail.send('bob').startswith('250 ')
    assert mail.arrived() == 1
    assert replies(box, 1, 'ok', 2 if how == 'sends' else 1)[-1] == ('bob', 'alice', 'answered')


def test_who_read_it_after_the_answer_knows(box):
    alice, carol = box.people('alice', 'carol')
    assert store(alice, box.uids[0], '+FLAGS', '\\Answered').ok
    read(carol, box.uids[0])
    box.server.all_shipped()
    assert Mail(box, 1).send('carol').startswith('250 ')


def test_an_answer_taken_back_does_not_count(box):
    alice = box.login('alice')
    assert store(alice, box.uids[0], '+FLAGS', '\\Answered').ok
    assert store(alice, box.uids[0], '-FLAGS', '\\Answered').ok
    box.server.all_shipped()
    assert Mail(box, 1).send('bob').startswith('250 ')


def test_what_was_moved_is_known(box, other_box):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    assert alice.attempt('UID MOVE %d %s' % (box.uids[0], other_box.name)).ok
    box.server.all_shipped()
    assert 'claimed by alice' in Mail(box, 1).send('bob')


def test_what_is_new_is_told_again(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    assert 'claimed by alice' in Mail(box, 1).send('bob')
    assert Mail(box, 1).send('alice').startswith('250 ')
    box.server.all_shipped()
    assert 'alice answered' in Mail(box, 1).send('bob')
    assert Mail(box, 1).send('bob').startswith('250 ')


@pytest.mark.parametrize('headers', [
    '', 'In-Reply-To: <nobody@x>\r\n', 'In-Reply-To:\r\nReferences:\r\n',
    'In-Reply-To: <<<\r\nReferences: ><z@x<\r\n',
    'References:%s\r\n' % ('\r\n <y@x>' * 50000), 'In-Reply-To: %s\r\n' % ('x' * 300000),
], ids=['none', 'unknown', 'empty', 'broken', 'many', 'long'])
def test_other_mail_just_goes(box, headers):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    mail = Mail(box, 1, headers)
    assert mail.send('bob').startswith('250 ')
    assert mail.arrived() == 1


@pytest.mark.parametrize('headers', [
    'References:%s\r\n {id}\r\n' % ('\r\n <y@x>' * 20000),
    'References: %s {id}\r\n' % ('<y@x> ' * 20000),
    'in-reply-to:\r\n\t{id}\r\n', 'In-Reply-To: Your message of "Mon" {id} (really)\r\n',
], ids=['many', 'long', 'folded', 'phrases'])
def test_odd_headers_are_understood(box, headers):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    assert 'claimed by alice' in Mail(box, 1, headers).send('bob')


def test_a_large_mail_is_sent_whole(box):
    line = 'x' * 70 + '\r\n'
    mail = Mail(box, 1, body=line * 150000)
    assert mail.send('bob').startswith('250 ')
    sent = outgoing(box.server, mail.mark)
    assert len(sent) == 1 and sent[0].count(line.encode()) == 150000


def test_a_connection_goes_on_after_a_refusal(box):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    refused, other = Mail(box, 1), Mail(box, 2)
    with smtplib.SMTP('127.0.0.1', int(box.server.env['TEAM_SUBMISSION_PORT'])) as smtp:
        smtp.login('bob', 'pass')
        to = ['c1@customers.example', 'c2@customers.example']
        with pytest.raises(smtplib.SMTPDataError) as error:
            smtp.sendmail('bob@support.example', to, refused.data)
        assert error.value.smtp_code == 550
        smtp.sendmail('bob@support.example', to, other.data)
        smtp.sendmail('bob@support.example', to, refused.data)
    assert refused.arrived() == 1 and other.arrived() == 1


def test_what_one_may_not_read_is_not_told(box):
    alice = box.login('alice')
    claim(alice, box.uids[0])
    # neither look up nor read
    box.server.doveadm('acl', 'set', '-u', 'support', box.name.partition('/')[2],
                       'user=bob', 'post')
    try:
        assert Mail(box, 1).send('bob').startswith('250 ')
    finally:
        box.server.doveadm('acl', 'delete', '-u', 'support', box.name.partition('/')[2],
                           'user=bob')


def test_hold_waits_for_the_holder(hold_box):
    alice = hold_box.login('alice')
    claim(alice, hold_box.uids[0])
    mail = Mail(hold_box, 1)
    for _ in range(3):
        answer = mail.send('bob')
        assert 'claimed by alice' in answer and 'Ask alice to give it back' in answer, answer
    assert store(alice, hold_box.uids[0], '-FLAGS', 'claimed').ok
    assert mail.send('bob').startswith('250 ')
    assert claims_now(alice, hold_box.uids[0]) == set()


def test_being_told_is_forgotten(hold_box):
    alice = hold_box.login('alice')
    assert store(alice, hold_box.uids[0], '+FLAGS', '\\Answered').ok
    hold_box.server.all_shipped()
    mail = Mail(hold_box, 1)
    assert 'alice answered' in mail.send('bob')
    time.sleep(OVERRIDE + 0.5)
    assert 'send again within 3 seconds' in mail.send('bob')
    assert mail.send('bob').startswith('250 ')
