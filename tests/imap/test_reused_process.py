# SPDX-License-Identifier: LGPL-2.1-or-later
"""One imap process that serves several colleagues, at once and one after the
other: what it remembers of one isn't told to another."""
import os

import pytest

import instance
from conftest import Box
from instance import wait_for
from test_private_keywords import flags_of, listed, refreshed, store

SETTINGS = '''
service imap {
  %s
  process_limit = 1
  client_limit = 20
}
''' % ('service_count = 0' if instance.is_dovecot_2_3() else 'restart_request_count = unlimited')


@pytest.fixture(scope='module')
def one_process():
    running = instance.Instance('sdbox', settings=SETTINGS)
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def crowd(one_process):
    made = Box(one_process)
    made.fill(3)
    yield made
    made.close()


def test_at_the_same_time(crowd):
    alice, = crowd.people('alice')
    store(alice, crowd.uids[0], '+FLAGS', 'my-secret common')
    bob = crowd.login('bob', select=False)
    assert listed(bob.select(crowd.name)) & {'my-secret', 'common'} == {'common'}
    again = crowd.login('alice', select=False)
    assert {'my-secret', 'common'} <= listed(again.select(crowd.name))
    store(bob, crowd.uids[0], '+FLAGS', 'my-own other')
    assert refreshed(alice, crowd.uids[0]) == {'my-secret', 'common', 'other'}
    assert refreshed(again, crowd.uids[0]) == {'my-secret', 'common', 'other'}
    assert flags_of(bob, crowd.uids[0]) == {'my-own', 'common', 'other'}


def test_one_after_the_other(crowd):
    alice, = crowd.people('alice')
    store(alice, crowd.uids[0], '+FLAGS', 'my-gone common')
    alice.logout()
    bob = crowd.login('bob', select=False)
    assert listed(bob.select(crowd.name)) & {'my-gone', 'common'} == {'common'}
    bob.logout()
    alice = crowd.login('alice', select=False)
    assert {'my-gone', 'common'} <= listed(alice.select(crowd.name))


def test_spool_is_let_go(one_process):
    """When nobody is served any more, the service has what was left there."""
    alice = one_process.login('alice')
    alice.select('Team/INBOX')
    folder = os.path.join(one_process.dir, 'journal', 'spool')
    assert wait_for(lambda: os.listdir(folder))
    alice.logout()
    assert wait_for(lambda: not os.listdir(folder), 20)


def test_search_for_it(crowd):
    """Asking for a name makes it known to the process."""
    alice, = crowd.people('alice')
    alice.search('KEYWORD my-question')
    bob = crowd.login('bob', select=False)
    assert 'my-question' not in listed(bob.select(crowd.name))


@pytest.mark.parametrize('leave', ['UNSELECT', 'CLOSE', 'SELECT INBOX', 'STATUS'])
def test_closed_but_still_logged_in(crowd, leave):
    """Dovecot keeps a closed index for a while, for whoever opens it next."""
    alice = crowd.login('alice')
    store(alice, crowd.uids[0], '+FLAGS', 'my-left common')
    alice.command('STATUS INBOX (UNSEEN)' if leave == 'STATUS' else leave)
    if leave == 'STATUS':
        alice.command('UNSELECT')
        alice.status(crowd.name, 'UNSEEN')
    bob = crowd.login('bob', select=False)
    assert listed(bob.select(crowd.name)) & {'my-left', 'common'} == {'common'}
    bob.command('UNSELECT')
    assert {'my-left', 'common'} <= listed(alice.select(crowd.name))


@pytest.mark.parametrize('first', ['alice', 'support'])
def test_the_owner_beside_her(crowd, first):
    """Who owns the mail opens it outside the team's namespace."""
    def select(name, session=None):
        session = session or crowd.login(name, select=False)
        session.last = listed(session.select(
            crowd.name if name == 'alice' else crowd.name.partition('/')[2]))
        return session
    if first == 'support':
        support = select('support')
    alice = select('alice')
    store(alice, crowd.uids[0], '+FLAGS', 'my-hers common')
    support = select('support', support if first == 'support' else None)
    assert support.last & {'my-hers', 'common'} == {'common'}
    alice.command('UNSELECT')
    assert select('support', support).last & {'my-hers', 'common'} == {'common'}
    support.command('UNSELECT')
    assert {'my-hers', 'common'} <= select('alice', alice).last
