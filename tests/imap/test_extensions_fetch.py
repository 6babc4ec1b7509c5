# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which ways of fetching a message mark it as read, and for whom."""
import pytest

from test_private_flags import flags_of, refreshed

READING = ['BODY[]', 'BODY[TEXT]', 'BODY[1]', 'BODY[HEADER]', 'BODY[]<0.10>', 'RFC822', 'RFC822.TEXT',
           'BINARY[1]']
LOOKING = ['PREVIEW', 'PREVIEW (LAZY)', 'SAVEDATE', 'BODY.PEEK[]', 'BINARY.PEEK[1]', 'BINARY.SIZE[1]',
           'RFC822.HEADER', 'RFC822.SIZE', 'ENVELOPE', 'BODYSTRUCTURE', 'MODSEQ',
           'INTERNALDATE']


@pytest.mark.parametrize('item', READING)
def test_reads_for_oneself(box, item):
    alice, other, bob = box.people('alice', 'alice', 'bob')
    answer = alice.command('UID FETCH %d (%s)' % (box.uids[0], item))
    # the client is told at once
    assert [f for f in answer.fetched() if f['flags'] and '\\Seen' in f['flags']]
    assert flags_of(alice, box.uids[0]) == {'\\Seen'}
    assert refreshed(other, box.uids[0]) == {'\\Seen'}
    assert refreshed(bob, box.uids[0]) == set()
    assert bob.search('UNSEEN') == box.uids


@pytest.mark.parametrize('item', LOOKING)
def test_does_not_read(box, item):
    alice, other = box.people('alice', 'alice')
    answer = alice.command('UID FETCH 1:* (%s)' % item)
    assert len(answer.fetched()) == 3
    assert alice.search('UNSEEN') == box.uids
    assert refreshed(other, box.uids[0]) == set()


@pytest.mark.parametrize('item', ['BODY[]', 'BINARY[1]'])
def test_examine_does_not_read(box, item):
    alice, = box.people('alice')
    alice.select(box.name, 'EXAMINE')
    alice.command('UID FETCH %d (%s)' % (box.uids[0], item))
    assert box.login('alice').search('UNSEEN') == box.uids
