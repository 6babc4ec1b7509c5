# SPDX-License-Identifier: LGPL-2.1-or-later
"""Flags of messages that are appended: MULTIAPPEND and CATENATE."""
import re

import pytest

from test_private_flags import flags_of, refreshed


def appended(session, data):
    """Appends; returns the new UIDs."""
    tag = session.next_tag()
    session.send(tag.encode() + b' APPEND ' + data + b'\r\n')
    answer = session.finish(tag)
    assert answer.ok, answer
    first, last = re.search(r'APPENDUID \d+ (\d+)(?::(\d+))?', answer.text).groups()
    session.command('NOOP')
    return list(range(int(first), int(last or first) + 1))


def text(part):
    return b'TEXT {%d+}\r\n' % len(part) + part


def test_catenate(box):
    """A message put together of text and a part of another one."""
    alice, bob = box.people('alice', 'bob')
    url = '/%s/;UID=%d/;SECTION=TEXT' % (box.name, box.uids[0])
    uid, = appended(alice, b'%s (\\Seen my-c common) CATENATE (%s URL "%s")' % (
        box.name.encode(), text(b'Subject: put together\r\n\r\n'), url.encode()))
    assert flags_of(alice, uid) == {'\\Seen', 'my-c', 'common'}
    assert refreshed(bob, uid) == {'common'}
    assert b'Hello' in b''.join(alice.command('UID FETCH %d (BODY.PEEK[])' % uid).untagged)
    # what it was taken from isn't read by that
    assert flags_of(alice, box.uids[0]) == set()


def test_each_its_own(box):
    alice, bob = box.people('alice', 'bob')
    wanted = [{'\\Seen', 'my-1'}, {'\\Flagged', 'common'}, set(), {'my-1', 'my-2', '\\Answered'}]
    uids = appended(alice, box.name.encode() + b''.join(
        b' (%s) {%d+}\r\n' % (' '.join(flags).encode(), len(box.message(n))) + box.message(n)
        for n, flags in enumerate(wanted, 60)))
    assert [flags_of(alice, uid) for uid in uids] == wanted
    bob.command('NOOP')
    assert [flags_of(bob, uid) for uid in uids] == [set(), {'common'}, set(), {'\\Answered'}]
    assert alice.search('KEYWORD my-1') == [uids[0], uids[3]]


@pytest.mark.parametrize('end', ['(\\Seen my-z) CATENATE (URL "/none/;UID=1")',
                                 '(\\Seen my-z) {5000000+}'])
def test_given_up_half_way(box, end):
    """Of a MULTIAPPEND that fails nothing is left, and no flag goes to the next
    message that gets the UID."""
    alice, = box.people('alice')
    tag = alice.next_tag()
    alice.send(b'%s APPEND %s (\\Flagged my-y) {%d+}\r\n%s %s' % (
        tag.encode(), box.name.encode(), len(box.message(70)), box.message(70), end.encode()))
    alice.send(b'\r\n')
    if 'URL' in end:
        assert alice.finish(tag).status == 'NO'
    alice.close()
    alice = box.login('alice')
    assert alice.search('ALL') == box.uids
    new = alice.append_one(box.name, box.message(71))
    assert refreshed(alice, new) == set()
