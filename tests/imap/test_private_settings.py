# SPDX-License-Identifier: LGPL-2.1-or-later
"""team_private_flags and team_private_keywords, which every namespace may have of
its own."""
import os
import subprocess

import pytest

from conftest import Box
from instance import is_dovecot_2_3, lose_index
from namespaces import more_namespaces, namespace_config, reload
from test_flag_rights import permanent, set_rights
from test_private_flags import copied_uid, flags_of, private_folders, refreshed, store

SYSTEM = ['\\Seen', '\\Flagged', '\\Answered', '\\Deleted', '\\Draft']
WORDS = ['my-a', 'own', 'common']
NAMESPACES = {
    'five': {'team_private_flags': ' '.join(SYSTEM), 'team_private_keywords': 'my-*'},
    'none': {'team_private_flags': '', 'team_private_keywords': ''},
    'seen': {'team_private_flags': '\\Seen', 'team_private_keywords': ''},
    'words': {'team_private_flags': '', 'team_private_keywords': 'my-* own'},
}
PRIVATE = {
    'five': set(SYSTEM) | {'my-a'},
    'none': set(),
    'seen': {'\\Seen'},
    'words': {'my-a', 'own'},
}
ALL = set(SYSTEM + WORDS)


@pytest.fixture(scope='module')
def namespaces(server):
    with more_namespaces(server, NAMESPACES):
        yield


class Boxes:
    def __init__(self, server):
        self.server = server
        self.made = []

    def __call__(self, name, count=3):
        box = Box(self.server, name.capitalize() + '/')
        box.fill(count)
        self.made.append(box)
        return box


@pytest.fixture
def make_box(server, namespaces):
    boxes = Boxes(server)
    yield boxes
    for box in boxes.made:
        box.close()


def found(session, flag):
    """Which messages SEARCH says have the flag, and which haven't."""
    word = flag[1:].upper() if flag[0] == '\\' else 'KEYWORD ' + flag
    return session.search(word), session.search('UN' + word)


@pytest.mark.parametrize('name', sorted(NAMESPACES))
def test_each_flag_is_what_its_namespace_says(make_box, name):
    box = make_box(name)
    alice, bob = box.people('alice', 'bob')
    one, two, three = box.uids
    store(alice, one, '+FLAGS', ' '.join(ALL))
    assert flags_of(alice, one) == ALL
    assert refreshed(bob, one) == ALL - PRIVATE[name]
    for flag in ALL:
        assert found(alice, flag) == ([one], [two, three]), flag
        assert found(bob, flag) == (([], box.uids) if flag in PRIVATE[name] else
                                    ([one], [two, three])), flag
    store(bob, two, 'FLAGS', ' '.join(ALL))
    alice.command('NOOP')
    store(alice, two, 'FLAGS', r'\Seen my-a')
    assert refreshed(bob, two) == PRIVATE[name] | {'\\Seen', 'my-a'}
    assert refreshed(alice, two) == {'\\Seen', 'my-a'}
    store(alice, two, '-FLAGS', r'\Seen my-a')
    assert refreshed(bob, two) == PRIVATE[name]
    other = box.login('bob', select=False)
    assert other.status(box.name, 'UNSEEN') == 2


@pytest.mark.parametrize('name', sorted(NAMESPACES))
def test_messages_come_with_flags(make_box, name):
    box, other = make_box(name), make_box(name, 0)
    alice, bob = box.people('alice', 'bob')
    new = alice.append_one(box.name, box.message(90), ' '.join(ALL))
    assert refreshed(alice, new) == ALL
    assert refreshed(bob, new) == ALL - PRIVATE[name]
    store(bob, new, '+FLAGS', ' '.join(PRIVATE[name]))
    store(bob, new, '-FLAGS', 'my-a')
    alices, bobs = refreshed(alice, new), flags_of(bob, new)
    for command in ('COPY', 'MOVE'):
        assert box.server.all_shipped()
        uid = copied_uid(alice.command('UID %s %d %s' % (command, new, other.name)))
        assert box.server.all_shipped()
        for who, flags in (('alice', alices), ('bob', bobs)):
            assert flags_of(other.login(who), uid) == flags, (command, who)


def test_expunge_takes_what_the_colleague_marked(make_box):
    box = make_box('five', 5)
    alice, bob, carol = box.people('alice', 'bob', 'carol')
    one, two, three, four, five = box.uids
    store(alice, '%d,%d' % (one, three), '+FLAGS', '\\Deleted')
    store(bob, two, '+FLAGS', '\\Deleted')
    alice.command('UID EXPUNGE %d' % one)
    assert alice.search('ALL') == box.uids[1:]
    carol.command('EXPUNGE')
    assert carol.search('ALL') == box.uids[1:]
    store(alice, four, '+FLAGS.SILENT', '\\Deleted')
    alice.command('CLOSE')
    bob.command('NOOP')
    assert bob.search('ALL') == [two, five]
    assert bob.search('DELETED') == [two]
    bob.command('EXPUNGE')
    assert bob.search('ALL') == [five]


def test_a_claim_protects_from_private_deletion(make_box):
    """Marking touches nobody; expunging does."""
    box = make_box('five')
    alice, bob = box.people('alice', 'bob')
    store(bob, box.uids[0], '+FLAGS', 'claimed')
    alice.command('NOOP')
    store(alice, '%d:%d' % tuple(box.uids[:2]), '+FLAGS', '\\Deleted')
    answer = alice.attempt('EXPUNGE')
    assert not answer.ok and 'claimed by bob' in answer.text, answer
    assert alice.search('ALL') == [box.uids[0], box.uids[2]]
    assert alice.search('DELETED') == [box.uids[0]]
    assert refreshed(bob, box.uids[0]) == {'claimed', 'claimed-bob'}


@pytest.mark.parametrize('name', ['five', 'words'])
def test_rebuilt_from_the_database(server, make_box, name):
    box = make_box(name)
    alice, = box.people('alice')
    store(alice, box.uids[1], '+FLAGS', ' '.join(ALL))
    store(alice, box.uids[2], '+FLAGS', r'\Draft my-a')
    before = [flags_of(alice, uid) for uid in box.uids]
    assert server.all_shipped()
    alice.logout()
    lose_index(*private_folders(server, 'alice', name))
    alice, = box.people('alice')
    assert [flags_of(alice, uid) for uid in box.uids] == before


def test_nothing_private_costs_no_questions(server, make_box):
    """Without a private index nothing is ever missing."""
    box = make_box('none')
    alice, = box.people('alice')
    for _ in range(5):
        alice.command('NOOP')
    assert not private_folders(server, 'alice', 'none')
    assert 'shown as it was' not in server.log()
    store(alice, box.uids[0], '+FLAGS', 'claimed')
    assert flags_of(alice, box.uids[0]) == {'claimed', 'claimed-alice'}


@pytest.mark.parametrize('rights', [
    (), ('write-seen',), ('write-seen', 'write'), ('write',), ('write-deleted',)])
def test_permanentflags_tell_the_truth(server, make_box, rights):
    """What is told is what STORE does. What is private needs the right to keep
    one's seen state, and no other."""
    for name in ('seen', 'five'):
        box = make_box(name)
        alice, = box.people('alice')
        set_rights(server, box, 'dave', 'lookup', 'read', *rights)
        dave = box.login('dave', select=False)
        told = permanent(dave.select(box.name)) or set()
        uid = box.uids[0]
        store(dave, uid, '+FLAGS', ' '.join(ALL))
        done = refreshed(dave, uid)
        assert done & set(SYSTEM) == told & set(SYSTEM)
        assert done & PRIVATE[name] == (PRIVATE[name] if 'write-seen' in rights else set())
        assert ('\\*' in told) == ('common' in done) == ('write' in rights)
        assert refreshed(alice, uid) == done - PRIVATE[name]


@pytest.mark.parametrize('setting', ['team_private_flags', 'team_private_keywords'])
def test_wrong_value_is_refused_by_name(server, setting):
    wrong = namespace_config(server, 'wrong', **{setting: r'\Foo a(b'})
    config = os.path.join(server.dir, 'wrong.conf')
    with open(server.env['TEAM_DOVECOT_CONF']) as f:
        text = f.read()
    with open(config, 'w') as f:
        f.write(text + wrong)
    result = subprocess.run(['doveadm', '-c', config, 'mailbox', 'list', '-u', 'alice'], check=False,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    os.unlink(config)
    assert result.returncode != 0
    log = result.stderr + server.log()
    assert setting + ': ' in log and (not is_dovecot_2_3() or 'namespace wrong: ' in log), result


ROLE = """
passdb %s {
  %s
  master = yes
}
auth_master_user_separator = *
namespace inbox {
  %s
%s}
%s
"""


@pytest.fixture
def role(server):
    """support's own INBOX, opened by colleagues as support*alice."""
    path = os.path.join(server.dir, 'local.conf')
    flags = r'\Seen \Answered'
    with open(path) as f:
        before = f.read()
    if is_dovecot_2_3():
        more = ROLE % ('', 'driver = static\n  args = password=pass', 'location = %s:~/role:'
                       'INDEXPVT=~/role-private/%%{auth_user}' % server.storage, '',
                       'plugin {\n  team_private_flags_inbox = %s\n}' % flags)
    else:
        more = ROLE % ('master', 'driver = static\n  passdb_static_password = pass\n',
                       'mail_path = ~/role\n  mail_index_private_path = '
                       '~/role-private/%{auth_user}',
                       '  team_private_flags = %s\n' % flags, '')
    with open(path, 'w') as f:
        f.write(before + more)
    reload(server)
    yield
    with open(path, 'w') as f:
        f.write(before)
    reload(server)


def test_role_accounts_inbox(server, role):
    server.doveadm('mailbox', 'create', '-u', 'carol', 'INBOX', check=False)
    server.doveadm('acl', 'set', '-u', 'carol', 'INBOX', 'authenticated', 'lookup', 'read',
                   'write', 'write-seen', 'insert')
    with server.login('carol*alice') as alice, server.login('carol*bob') as bob:
        alice.append_one('INBOX', b'Subject: x\r\n\r\n')
        alice.select('INBOX')
        bob.select('INBOX')
        uid = alice.search('ALL')[-1]
        store(alice, uid, '+FLAGS', r'\Seen \Answered \Flagged')
        assert flags_of(alice, uid) == {'\\Seen', '\\Answered', '\\Flagged'}
        assert refreshed(bob, uid) == {'\\Flagged'}
        store(bob, uid, '+FLAGS', '\\Answered')
        store(alice, uid, '-FLAGS', '\\Answered')
        assert refreshed(bob, uid) == {'\\Flagged', '\\Answered'}
