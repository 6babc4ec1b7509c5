# SPDX-License-Identifier: LGPL-2.1-or-later
"""doveadm's own mail commands on a team's folder: private flags are those of the
user for whom it works."""
from test_claims import CLAIMED_BY_ALICE, claim, claims_now
from test_private_flags import flags_of, refreshed, store


def query(box, *criteria):
    return ['mailbox', box.name, *map(str, criteria)]


def test_flags_are_the_users(server, box):
    alice, bob = box.people('alice', 'bob')
    uid = box.uids[0]
    server.doveadm('flags', 'add', '-u', 'alice', r'\Seen \Flagged my-x \Answered common',
                   *query(box, 'uid', uid))
    assert refreshed(alice, uid) == {'\\Seen', '\\Flagged', 'my-x', '\\Answered', 'common'}
    assert refreshed(bob, uid) == {'\\Answered', 'common'}
    server.doveadm('flags', 'replace', '-u', 'bob', 'my-b', *query(box, 'uid', uid))
    assert refreshed(alice, uid) == {'\\Seen', '\\Flagged', 'my-x'}
    assert refreshed(bob, uid) == {'my-b'}


def test_searches_are_the_users(server, box):
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', r'\Seen my-x')
    store(bob, box.uids[1], '+FLAGS', 'my-x')

    def found(user, *criteria):
        rows = server.doveadm_json('fetch', '-u', user, 'uid flags', *query(box, *criteria))
        return {int(row['uid']): set(row['flags'].split()) - {'\\Recent'} for row in rows}
    assert found('alice', 'KEYWORD', 'my-x') == {box.uids[0]: {'\\Seen', 'my-x'}}
    assert found('bob', 'KEYWORD', 'my-x') == {box.uids[1]: {'my-x'}}
    assert sorted(found('alice', 'UNSEEN')) == box.uids[1:]
    assert sorted(found('bob', 'UNSEEN')) == box.uids
    row, = server.doveadm_json('mailbox', 'status', '-u', 'alice', 'unseen', box.name)
    assert row['unseen'] == '2'


def test_copies_bring_everybodys_flags(server, box, other_box):
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', r'\Flagged my-a')
    store(bob, box.uids[0], '+FLAGS', r'\Seen my-b')
    server.all_shipped()
    server.doveadm('copy', '-u', 'alice', other_box.name, *query(box, 'uid', box.uids[0]))
    server.all_shipped()
    for user, flags in (('alice', {'\\Flagged', 'my-a'}), ('bob', {'\\Seen', 'my-b'}),
                        ('carol', set())):
        session = other_box.login(user)
        uid, = session.search('ALL')
        assert flags_of(session, uid) == flags


def test_an_expunge_leaves_what_is_held(server, box):
    alice, = box.people('alice')
    claim(alice, box.uids[1])
    result = server.doveadm('expunge', '-u', 'bob', *query(box, 'all'), check=False)
    assert result.returncode != 0 and 'claimed by alice' in result.stderr, result.stderr
    alice.command('NOOP')
    assert alice.search('ALL') == [box.uids[1]]
    assert claims_now(alice, box.uids[1]) == CLAIMED_BY_ALICE
