# SPDX-License-Identifier: LGPL-2.1-or-later
"""Claims through virtual mailboxes: what is refused is refused, and shown so."""
import os
import shutil

import pytest

import conftest
import instance
from instance import wait_for
from test_claims import (CLAIMED_BY_ALICE, check_refused, check_truth_before_no, claim,
                         claims_now, flags_now, store)

PLUGINS = ('''mail_plugins = $mail_plugins virtual
protocol imap {
  mail_plugins = acl team virtual imap_acl imap_team
}
namespace virtual {
  prefix = Virtual/
  separator = /
  location = virtual:%(dir)s:INDEX=~/virtual
}
''', '''mail_plugins {
  virtual = yes
}
namespace virtual {
  prefix = Virtual/
  separator = /
  mail_driver = virtual
  mail_path = %(dir)s
  mail_index_path = ~/virtual
}
''')


@pytest.fixture(scope='module')
def virtual_server(tmp_path_factory):
    folder = instance.public_folder(tmp_path_factory, 'virtual')
    running = instance.Instance(
        'sdbox', settings=PLUGINS[0 if instance.is_dovecot_2_3() else 1] % {'dir': folder})
    running.virtual = str(folder)
    yield running
    crashes = running.crashes()
    running.stop()
    assert not crashes, '\n'.join(crashes)


def make_virtual(server, box):
    """A virtual mailbox that shows the box. Returns its name."""
    folder = os.path.join(server.virtual, 'V%d' % box.number)
    os.mkdir(folder)
    with open(os.path.join(folder, 'dovecot-virtual'), 'w') as f:
        f.write('%s\n  all\n' % box.name)
    shutil.chown(folder, 'mail', 'mail')
    return 'Virtual/V%d' % box.number


@pytest.fixture
def vbox(virtual_server):
    """A folder with three messages, and a virtual one that shows it."""
    made = conftest.Box(virtual_server)
    made.fill(3)
    made.virtual = make_virtual(virtual_server, made)
    yield made
    made.close()


def refused(box, action):
    return [(row['colleague'], row['outcome']) for row in box.server.wait_audit(
        "action = %s AND mailbox = %s AND outcome = 'refused'", (action, box.name))]


@pytest.mark.parametrize('silent', ['', '.SILENT'])
def test_claiming_and_giving_back(vbox, silent):
    alice, bob = vbox.login('alice', box=vbox.virtual), vbox.login('bob', box=vbox.virtual)
    uid = alice.search('ALL')[0]
    assert store(alice, uid, '+FLAGS' + silent, 'claimed').ok
    for session in alice, bob, vbox.login('carol'):
        assert wait_for(lambda s=session: claims_now(s, s.search('ALL')[0]) == CLAIMED_BY_ALICE, 5)
    answer = store(bob, uid, '+FLAGS' + silent, 'claimed')
    check_refused(answer)
    check_truth_before_no(answer, uid, 'claimed-bob')
    assert store(alice, uid, '-FLAGS' + silent, 'claimed').ok
    assert wait_for(lambda: claims_now(bob, uid) == set(), 5)
    rows = vbox.server.wait_audit("action IN ('claim', 'release') AND mailbox = %s",
                                  (vbox.name,), 3)
    assert [(r['action'], r['colleague'], r['outcome']) for r in rows] == [
        ('claim', 'alice', 'ok'), ('claim', 'bob', 'refused'), ('release', 'alice', 'ok')]


def test_marking_deleted_is_refused_and_not_shown(vbox):
    alice, bob = vbox.login('alice'), vbox.login('bob', box=vbox.virtual)
    claim(alice, vbox.uids[1])
    uids = bob.search('ALL')
    answer = store(bob, '%d:%d' % (uids[0], uids[2]), '+FLAGS', '\\Seen \\Deleted')
    check_refused(answer)
    check_truth_before_no(answer, uids[1], '\\Deleted')
    for _ in range(2):
        assert flags_now(bob, uids[0]) == {'\\Seen', '\\Deleted'}
        assert flags_now(bob, uids[1]) == {'\\Seen'} | CLAIMED_BY_ALICE
        assert flags_now(alice, vbox.uids[1]) == CLAIMED_BY_ALICE
    assert refused(vbox, 'flag') == [('bob', 'refused')]
    rows = vbox.server.audit("action = 'read' AND mailbox = %s AND colleague = 'bob'",
                             (vbox.name,))
    assert sorted(r['uid'] for r in rows) == vbox.uids, 'read once each'


def test_moving_is_refused(vbox):
    alice, bob = vbox.login('alice'), vbox.login('bob', box=vbox.virtual)
    claim(alice, vbox.uids[1])
    uids = bob.search('ALL')
    target = vbox.name + 'target'
    bob.command('CREATE %s' % target)
    answer = bob.attempt('UID MOVE %d:%d %s' % (uids[0], uids[2], target))
    check_refused(answer)
    check_truth_before_no(answer, uids[1], '\\Deleted')
    bob.command('NOOP')
    assert bob.search('ALL') == [uids[1]]
    bob.select(target)
    assert len(bob.search('ALL')) == 2
    alice.command('NOOP')
    assert alice.search('ALL') == [vbox.uids[1]]
    assert refused(vbox, 'move') == [('bob', 'refused')]
    rows = vbox.server.wait_audit("action = 'move' AND outcome = 'ok' AND mailbox = %s",
                                  (target,), 2)
    assert sorted(r['detail']['fromuid'] for r in rows) == [str(vbox.uids[0]), str(vbox.uids[2])] \
        or sorted(int(r['detail']['fromuid']) for r in rows) == [vbox.uids[0], vbox.uids[2]]


@pytest.mark.parametrize('command', ['EXPUNGE', 'CLOSE'])
def test_expunging_leaves_what_is_held(vbox, command):
    alice, bob = vbox.login('alice'), vbox.login('bob', box=vbox.virtual)
    uids = bob.search('ALL')
    assert store(bob, '%d:%d' % (uids[0], uids[1]), '+FLAGS', '\\Deleted').ok
    claim(alice, vbox.uids[1])
    answer = bob.attempt(command)
    if command == 'CLOSE':
        assert answer.ok and 'claimed by alice' in answer.text, answer
        bob.select(vbox.virtual)
    else:
        check_refused(answer)
    bob.command('NOOP')
    assert bob.search('ALL') == uids[1:]
    alice.command('NOOP')
    assert alice.search('ALL') == vbox.uids[1:]
    assert refused(vbox, 'expunge') == [('bob', 'refused')]
    rows = vbox.server.wait_audit("action = 'expunge' AND outcome = 'ok' AND mailbox = %s",
                                  (vbox.name,))
    assert [r['uid'] for r in rows] == [vbox.uids[0]]


def test_flags_and_keywords_go_through(vbox):
    """Everything else is as with plain Dovecot, and recorded once."""
    bob, carol = vbox.login('bob', box=vbox.virtual), vbox.login('carol')
    uid = bob.search('ALL')[0]
    answer = store(bob, uid, '+FLAGS', '\\Answered invoice my-own \\Flagged')
    assert answer.ok
    assert [f['flags'] - {'\\Recent'} for f in answer.fetched() if f['uid'] == uid][-1:] == \
        [{'\\Answered', 'invoice', 'my-own', '\\Flagged'}]
    assert flags_now(carol, vbox.uids[0]) == {'\\Answered', 'invoice'}
    assert store(bob, uid, 'FLAGS', 'invoice').ok
    assert flags_now(bob, uid) == {'invoice'}
    assert flags_now(carol, vbox.uids[0]) == {'invoice'}
    bob.command('UID FETCH %d (BODY[])' % uid)
    assert flags_now(bob, uid) == {'invoice', '\\Seen'}
    vbox.server.all_shipped()
    rows = vbox.server.audit("mailbox = %s AND colleague = 'bob' AND action IN ('flag', 'read')",
                             (vbox.name,))
    assert len(rows) == 3, rows
