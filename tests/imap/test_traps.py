# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dovecot's defects and traps with private indexes, one test for each that has no
better place. Those that have one:

Maildir's IDLE misses private changes           test_own_other_session_sees_it_in_idle
replacing flags wipes the owner's               test_replace_leaves_the_owner
the private log is never rotated                test_private_log_does_not_grow_for_ever
an index that goes under a session              test_lost_index.py
arguments of a live search rewritten            test_live_search
names told in a reused process                  test_reused_process.py
ACLs drop private flags silently                test_flag_rights.py
MOVE and EXPUNGE commit in batches of 1,000     test_claims_batches.py
refusals through virtual mailboxes              test_claims_virtual.py
the service away while a message is read        test_service_gone.py
private and shared part aren't one transaction  test_half_done.py
"""
import os

import pytest

from instance import lose_index, wait_for
from test_private_flags import flags_of, refreshed, store

SEEN = '\\Seen'


# RENAME leaves everybody's private index behind

@pytest.mark.parametrize('tree', [False, True])
def test_rename_keeps_everybodys_flags(server, box, tree):
    """Also those of who isn't there, and below a folder that is renamed."""
    name, to = box.name, box.name + '-renamed'
    if tree:
        name, to = box.name + '/below', box.name + '-renamed/below'
        alice, = box.people('alice')
        alice.command('CREATE ' + name)
        alice.command('COPY 1:3 ' + name)
    alice, bob, carol = (box.login(user, box=name) for user in ('alice', 'bob', 'carol'))
    uid, other, _ = alice.search('ALL')
    store(alice, uid, '+FLAGS', r'\Seen my-x')
    store(bob, other, '+FLAGS', r'\Flagged')
    server.all_shipped()
    for session in (alice, bob, carol):
        session.command('UNSELECT')
    bob.logout()
    erin = box.login('erin', select=False)
    erin.command('RENAME %s %s-renamed' % (box.name, box.name))
    alice.select(to)
    bob, carol = box.login('bob', box=to), box.login('carol', box=to)
    for session, flags in ((alice, [{SEEN, 'my-x'}, set()]), (bob, [set(), {'\\Flagged'}]),
                           (carol, [set(), set()])):
        assert wait_for(lambda s=session, f=flags: [refreshed(s, uid), flags_of(s, other)] == f,
                        5), (session.user, flags_of(session, uid), flags_of(session, other))
    assert alice.status(to, 'UNSEEN') == 2 and bob.status(to, 'UNSEEN') == 3
    store(bob, uid, '+FLAGS', SEEN)
    assert refreshed(alice, other) == set()


def test_a_folder_of_the_old_name_starts_clean(server, box):
    alice, = box.people('alice')
    store(alice, '1:*', '+FLAGS', r'\Seen my-x')
    server.all_shipped()
    alice.command('UNSELECT')
    alice.command('RENAME %s %s-away' % (box.name, box.name))
    alice.command('CREATE ' + box.name)
    uid = alice.append_one(box.name, box.message(30))
    alice.select(box.name)
    assert flags_of(alice, uid) == set()
    assert alice.search('UNSEEN') == [uid]


# a public namespace takes the shared flags over as everybody's first private ones

def test_the_owners_flags_are_nobodys_first(server, box):
    own = box.name.partition('/')[2]
    support = box.login('support', box=own)
    store(support, '1:*', '+FLAGS', r'\Seen \Flagged my-owners')
    new = support.append_one(own, box.message(31), r'\Seen my-owners')
    alice = box.login('alice')
    assert [flags_of(alice, uid) for uid in box.uids + [new]] == [set()] * 4
    later = support.append_one(own, box.message(32), r'\Seen')
    assert refreshed(alice, later) == set()
    server.all_shipped()
    alice.logout()
    lose_index(os.path.join(server.dir, 'mail/users/alice/team'))
    alice = box.login('alice')
    assert [flags_of(alice, uid) for uid in box.uids + [new, later]] == [set()] * 5
    assert alice.status(box.name, 'UNSEEN') == 5
