# SPDX-License-Identifier: LGPL-2.1-or-later
"""A folder that was deleted and made anew starts without private flags."""
import pytest

from test_private_flags import flags_of, store


@pytest.mark.parametrize('removed_by', ['alice', 'bob'])
def test_same_number_of_messages(box, removed_by):
    """Dovecot empties the old private index only if messages or the next UID are
    others than before."""
    alice, bob = box.people('alice', 'bob')
    store(alice, '1:*', '+FLAGS', r'\Seen \Flagged my-old')
    store(bob, box.uids[0], '+FLAGS', '\\Flagged')
    alice.command('UNSELECT')
    bob.command('UNSELECT')
    remover = box.login(removed_by, select=False)
    remover.command('DELETE ' + box.name)
    remover.command('CREATE ' + box.name)
    box.uids.clear()
    box.fill(3)
    for session in (alice, bob, box.login('alice', select=False)):
        session.select(box.name)
        assert [flags_of(session, uid) for uid in box.uids] == [set()] * 3, session.user
        assert session.search('OR SEEN OR FLAGGED KEYWORD my-old') == []
    store(alice, box.uids[1], '+FLAGS', 'my-new')
    assert box.server.all_shipped()
    again = box.login('alice')
    assert [flags_of(again, uid) for uid in box.uids] == [set(), {'my-new'}, set()]
