# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private flags and keywords through a virtual mailbox on top of a team's."""
import re

from test_claims_virtual import vbox, virtual_server  # noqa: F401 (fixtures)
from instance import wait_for
from test_private_flags import store
from test_private_keywords import listed


def shown(session, n):
    """The flags of the n-th message."""
    session.command('NOOP')
    found = [f['flags'] for f in session.command('FETCH %d (FLAGS)' % n).fetched()
             if f['seq'] == n and f['flags'] is not None]
    return found[-1] - {'\\Recent'}


def test_changed_there_seen_here(vbox):  # noqa: F811
    alice, bob = vbox.login('alice', box=vbox.virtual), vbox.login('bob', box=vbox.virtual)
    direct, bobs = vbox.people('alice', 'bob')
    alice.command('STORE 1 +FLAGS (\\Seen \\Flagged my-x \\Answered common)')
    assert shown(direct, 1) == {'\\Seen', '\\Flagged', 'my-x', '\\Answered', 'common'}
    assert shown(bob, 1) == shown(bobs, 1) == {'\\Answered', 'common'}
    alice.command('STORE 1 -FLAGS (my-x \\Flagged)')
    assert shown(direct, 1) == {'\\Seen', '\\Answered', 'common'}


def test_changed_here_seen_there(vbox):  # noqa: F811
    alice, bob = vbox.login('alice', box=vbox.virtual), vbox.login('bob', box=vbox.virtual)
    direct, = vbox.people('alice')
    store(direct, vbox.uids[1], '+FLAGS', r'\Seen my-x common')
    assert wait_for(lambda: shown(alice, 2) == {'\\Seen', 'my-x', 'common'}, 3)
    assert shown(bob, 2) == {'common'}
    assert alice.search('KEYWORD my-x') and not bob.search('KEYWORD my-x')
    assert len(alice.search('UNSEEN')) == 2 and len(bob.search('UNSEEN')) == 3
    store(direct, vbox.uids[1], '-FLAGS', r'\Seen my-x')
    assert wait_for(lambda: shown(alice, 2) == {'common'}, 3)


def test_names_stay_private(vbox):  # noqa: F811
    alice = vbox.login('alice', box=vbox.virtual)
    alice.command('STORE 1 +FLAGS (my-virtual common)')
    bob = vbox.login('bob', select=False)
    for name in (vbox.virtual, vbox.name):
        names = listed(bob.select(name))
        assert 'common' in names and 'my-virtual' not in names


def test_counts(vbox):  # noqa: F811
    alice = vbox.login('alice', box=vbox.virtual)
    alice.command('FETCH 1 (BODY[])')
    other, bob = vbox.login('alice', select=False), vbox.login('bob', select=False)
    assert other.status(vbox.virtual, 'UNSEEN') == 2
    assert bob.status(vbox.virtual, 'UNSEEN') == 3
    assert re.search(rb'UNSEEN 2\]', b' '.join(other.select(vbox.virtual).untagged))


def test_copied_out_of_it(vbox):  # noqa: F811
    """COPY from the virtual mailbox brings the colleagues' flags as well."""
    alice, = vbox.people('alice')
    bob, = vbox.people('bob')
    store(bob, vbox.uids[0], '+FLAGS', r'\Flagged my-b')
    vbox.server.all_shipped()
    target = vbox.name + '-copy'
    alice.command('CREATE ' + target)
    alice.select(vbox.virtual)
    alice.command('STORE 1 +FLAGS (\\Seen)')
    alice.command('COPY 1 ' + target)
    alice.select(target)
    bob.select(target)
    assert shown(alice, 1) == {'\\Seen'}
    assert wait_for(lambda: shown(bob, 1) == {'\\Flagged', 'my-b'}, 5)
