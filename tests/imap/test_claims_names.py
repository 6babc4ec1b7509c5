# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of all kinds as keywords."""
import re

from instance import wait_for

NAMES = ['alice', 'alice@a.example', 'alice@b.example', 'Alice', 'ALICE', 'a lice', 'a_lice',
         'a(lice', 'ålice', 'älice', '100%', 'x' * 32, 'x' * 33, 'x' * 200, 'x' * 199 + 'y']


def test_every_name_has_its_own_keyword(box):
    """Keywords are atoms, the same in capitals, and stay the same."""
    box.fill(len(NAMES) - len(box.uids))
    session = box.login('dave')
    for _ in range(2):
        for uid, name in zip(box.uids, NAMES):
            rows = box.server.doveadm_json('team', 'claim', 'take', name, box.name, str(uid))
            assert rows[0]['outcome'] in ('granted', 'renewed'), (name, rows)

        def keywords():
            session.command('NOOP')
            return [{f for f in session.flags(uid) if f.startswith('claimed-')}
                    for uid in box.uids]
        assert wait_for(lambda: all(len(found) == 1 for found in keywords()), 5)
        found = [names.pop() for names in keywords()]
        assert len({name.lower() for name in found}) == len(NAMES), found
        assert all(re.fullmatch(r'claimed-[!#$&\'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,41}', name)
                   for name in found), found
        assert found[:3] == ['claimed-alice', 'claimed-alice@a.example',
                             'claimed-alice@b.example']
    holders = {row['uid']: row['holder'] for row in box.server.doveadm_json(
        'team', 'claim', 'list', box.name)}
    assert [holders[str(uid)] for uid in box.uids] == NAMES


def test_every_process_finds_the_same_keyword(box):
    """The number at the end of a name isn't one process's own."""
    box.server.doveadm('team', 'claim', 'take', 'ALICE', box.name, str(box.uids[0]))
    seen = []
    for user in ('alice', 'bob', 'carol', 'alice'):
        session = box.login(user)
        seen.append({f for f in session.flags(box.uids[0]) if f.startswith('claimed-')})
        session.logout()
    assert len(seen[0]) == 1 and seen == [seen[0]] * 4, seen


def test_spelt_as_in_the_setting(box):
    """Roundcube writes CLAIMED: clients that don't know that keywords are the same
    in either case look for the tag that they have."""
    alice, bob = box.people('alice', 'bob')
    assert alice.attempt('UID STORE %d +FLAGS (CLAIMED)' % box.uids[0]).ok
    for session in (alice, bob, box.login('carol')):
        session.command('NOOP')
        assert session.flags(box.uids[0]) - {'\\Recent'} == {'claimed', 'claimed-alice'}
