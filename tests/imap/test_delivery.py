# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deliveries by LMTP, with Sieve scripts that file into a team's folder and set
flags: what is private is the script's owner's, and nothing claims."""
import os
import shutil
import smtplib

import pytest

from conftest import Box
from instance import lose_index, wait_for
from test_claims import CLAIMED_BY_ALICE, claim, claims_now
from test_private_flags import flags_of, refreshed, store
from test_private_keywords import listed



@pytest.fixture
def box(more_paths):
    made = Box(more_paths)
    made.fill(2)
    yield made
    made.close()


def set_script(server, user, *actions):
    path = os.path.join(server.dir, 'mail/users', user, '.dovecot.sieve')
    with open(path, 'w') as f:
        f.write('require ["fileinto", "imap4flags", "copy"];\n' + '\n'.join(actions) + '\n')
    shutil.chown(path, 'mail', 'mail')


def deliver(box, to, n):
    path = os.path.join(box.server.dir, 'run/dovecot/lmtp')
    with smtplib.LMTP(path, timeout=20) as lmtp:
        lmtp.sendmail('c@customers.example', to + '@support.example', box.message(n))


def arrived(session, box, n):
    """The UID of the message in the folder that is open."""
    found = []
    assert wait_for(lambda: session.command('NOOP') and found.extend(
        session.search('HEADER Message-ID "%s"' % box.message_id(n))) or found, 5)
    return found[-1]


def test_flags_of_a_script_are_its_owners(box):
    alice, bob = box.people('alice', 'bob')
    set_script(box.server, 'alice', 'setflag ["\\\\Seen", "\\\\Answered", "my-x", "common"];',
               'fileinto "%s";' % box.name)
    deliver(box, 'alice', 20)
    uid = arrived(alice, box, 20)
    assert flags_of(alice, uid) == {'\\Seen', '\\Answered', 'my-x', 'common'}
    arrived(bob, box, 20)
    assert flags_of(bob, uid) == {'\\Answered', 'common'}
    assert 'my-x' not in listed(bob.select(box.name))
    box.server.all_shipped()
    alice.logout()
    lose_index(os.path.join(box.server.dir, 'mail/users/alice/team'))
    alice = box.login('alice')
    assert wait_for(lambda: refreshed(alice, uid) == {'\\Seen', '\\Answered', 'my-x', 'common'}, 5)


def test_a_script_claims_nothing(box):
    """A claim is what a person does."""
    bob, = box.people('bob')
    claim(bob, box.uids[0])
    set_script(box.server, 'alice', 'setflag ["claimed", "claimed-bob", "todo"];',
               'fileinto :copy "%s";' % box.name)
    deliver(box, 'alice', 21)
    uid = arrived(bob, box, 21)
    assert flags_of(bob, uid) == {'todo'}
    assert claims_now(bob, box.uids[0]) == {'claimed', 'claimed-bob'}


def test_delivery_leaves_claims_and_flags(box):
    alice, bob = box.people('alice', 'bob')
    claim(alice, box.uids[0])
    store(bob, box.uids[0], '+FLAGS', r'\Seen my-b')
    set_script(box.server, 'alice', 'fileinto "%s";' % box.name)
    deliver(box, 'alice', 22)
    uid = arrived(bob, box, 22)
    assert flags_of(bob, uid) == set()
    assert refreshed(bob, box.uids[0]) == {'\\Seen', 'my-b'} | CLAIMED_BY_ALICE


def test_delivery_reaches_idle(box):
    bob, = box.people('bob')
    set_script(box.server, 'alice', 'fileinto "%s";' % box.name)
    bob.idle()
    deliver(box, 'alice', 23)
    assert bob.idle_until(lambda line: b'EXISTS' in line, 5)
    bob.done()
    assert bob.search('UNSEEN') == bob.search('ALL')


def test_the_owners_delivery_is_new_for_all(box):
    """support's own INBOX is everybody's Team/INBOX."""
    box.server.login('support').logout()
    deliver(box, 'support', 24)
    for name in ('alice', 'bob'):
        session = box.login(name, box='Team/INBOX')
        uid = arrived(session, box, 24)
        assert flags_of(session, uid) == set()
    store(session, uid, '+FLAGS', r'\Seen my-x')
    support = box.login('support', box='INBOX')
    assert flags_of(support, uid) == set()
