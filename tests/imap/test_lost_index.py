# SPDX-License-Identifier: LGPL-2.1-or-later
"""D8: the private index goes away or breaks under a session that is open, or can't
be used at all."""
import fnmatch
import os
import shutil

import pytest

import instance
from conftest import STORAGES, Box
from instance import wait_for
from test_private_flags import flags_of, private_folders, refreshed, store

SEEN = '\\Seen'


@pytest.fixture(scope='module', params=STORAGES)
def server(request):
    """One of its own: Dovecot logs that files are corrupted, as they are."""
    running = instance.Instance(request.param)
    yield running
    crashes = [line for line in running.crashes() if 'Corrupted' not in line]
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture
def box(server):
    made = Box(server)
    made.fill(3)
    yield made
    made.close()


def index_files(server, box, user='alice', pattern='dovecot.index.pvt*'):
    names = {'T%d' % box.number, '.T%d' % box.number}
    found = []
    for folder in private_folders(server, user):
        # glob's ** leaves out Maildir's folders, which begin with a dot
        for path, _, files in os.walk(folder):
            if names & set(path.split('/')):
                found += [os.path.join(path, name) for name in fnmatch.filter(files, pattern)]
    assert found
    return found


def lose_folder(server, box):
    for folder in private_folders(server, 'alice'):
        shutil.rmtree(folder)


def lose_files(server, box):
    for name in index_files(server, box):
        os.unlink(name)


def lose_log(server, box):
    for name in index_files(server, box, pattern='dovecot.index.pvt.log*'):
        os.unlink(name)


def empty_log(server, box):
    for name in index_files(server, box, pattern='dovecot.index.pvt.log'):
        os.truncate(name, 0)


def spoil_log(server, box):
    for name in index_files(server, box, pattern='dovecot.index.pvt.log'):
        with open(name, 'r+b') as f:
            f.write(b'\xa5' * 64)


def spoil_index(server, box):
    """The file that is read first, and the log as well."""
    for name in index_files(server, box):
        with open(name, 'r+b') as f:
            f.write(b'\x5a' * 200)


def put_other_in_place(server, box):
    """The index of another mailbox, as a restored backup may have it."""
    other = Box(server)
    other.fill(2)
    session = other.login('alice')
    store(session, '1:*', '+FLAGS', r'\Seen \Flagged my-other')
    session.logout()
    server.all_shipped()
    targets = index_files(server, box)
    folder = os.path.dirname(targets[0])
    for name in targets:
        os.unlink(name)
    for name in index_files(server, other):
        shutil.copy2(name, folder)
        stat = os.stat(name)
        os.chown(os.path.join(folder, os.path.basename(name)), stat.st_uid, stat.st_gid)
    other.close()


HARMS = [lose_folder, lose_files, lose_log, empty_log, spoil_log, spoil_index,
         put_other_in_place]


@pytest.mark.parametrize('harm', HARMS)
@pytest.mark.parametrize('then', ['noop', 'store', 'fetch', 'idle', 'search', 'second'])
def test_session_goes_on(server, box, harm, then):
    alice, other = box.login('alice'), box.login('alice')
    one, two, three = box.uids
    store(alice, one, '+FLAGS', r'\Seen my-one')
    assert refreshed(other, one) == {SEEN, 'my-one'}
    server.all_shipped()
    harm(server, box)
    if then == 'store':
        assert alice.attempt('UID STORE %d +FLAGS (\\Flagged my-two)' % two).ok
    elif then == 'fetch':
        alice.command('UID FETCH %d (BODY[])' % two)
    elif then == 'search':
        alice.search('KEYWORD my-one')
    elif then == 'second':
        third = box.login('alice')
        store(third, two, '+FLAGS', SEEN)
    elif then == 'idle':
        alice.idle()
        store(other, three, '+FLAGS', '\\Flagged')
        alice.idle_lines(0.5)
        alice.done()
    wanted = {one: {SEEN, 'my-one'}, two: set(), three: set()}
    wanted.update({'store': {two: {'\\Flagged', 'my-two'}}, 'fetch': {two: {SEEN}},
                   'second': {two: {SEEN}}, 'idle': {three: {'\\Flagged'}}}.get(then, {}))
    server.all_shipped()

    def state(session):
        session.command('NOOP')
        return {uid: flags_of(session, uid) for uid in box.uids}
    for session in (alice, other, box.login('alice')):
        assert wait_for(lambda s=session: state(s) == wanted, 4), state(session)
    store(alice, two, '+FLAGS', 'my-last')
    assert 'my-last' in flags_of(alice, two)
    assert wait_for(lambda: 'my-last' in refreshed(other, two), 3)


def cut_log(server, box):
    for name in index_files(server, box, pattern='dovecot.index.pvt.log'):
        os.truncate(name, os.path.getsize(name) // 2)


def spoil_middle(server, box):
    for name in index_files(server, box, pattern='dovecot.index.pvt.log'):
        with open(name, 'r+b') as f:
            f.seek(os.path.getsize(name) // 2)
            f.write(b'\xa5' * 24)


def spoil_end(server, box):
    """As after a crash of the machine."""
    for name in index_files(server, box, pattern='dovecot.index.pvt.log'):
        with open(name, 'ab') as f:
            f.write(b'\x80\x80\x80\x90\x02\x00\x00\x80' + b'\x33' * 20)


@pytest.mark.parametrize('harm', [cut_log, spoil_middle, spoil_end])
def test_damaged_log(server, box, harm):
    """Nobody sees anything else than before, nor is anything refused."""
    alice = box.login('alice')
    one, two, three = box.uids
    store(alice, one, '+FLAGS', r'\Seen my-one')
    server.all_shipped()
    harm(server, box)
    assert flags_of(alice, one) == {SEEN, 'my-one'}
    store(alice, two, '+FLAGS', r'\Flagged my-two')
    other = box.login('alice')
    assert wait_for(lambda: refreshed(other, one) == {SEEN, 'my-one'}, 4)
    store(other, three, '+FLAGS', SEEN)
    new = other.append_one(box.name, box.message(4), r'\Seen my-new')
    wanted = {one: {SEEN, 'my-one'}, two: {'\\Flagged', 'my-two'}, three: {SEEN}, new: {SEEN, 'my-new'}}
    server.all_shipped()
    for session in (alice, other, box.login('alice')):
        assert wait_for(lambda s=session: {uid: refreshed(s, uid) for uid in wanted} == wanted, 5), \
            {uid: refreshed(session, uid) for uid in wanted}
    assert server.audit("mailbox = %s AND outcome <> 'ok'", (box.name,)) == []


def close_folder(server, box):
    """As if somebody had restored it as root."""
    for folder in private_folders(server, 'alice'):
        os.chmod(folder, 0)


def open_folder(server, box):
    for folder in private_folders(server, 'alice'):
        os.chmod(folder, 0o700)


def close_files(server, box):
    for name in index_files(server, box):
        os.chmod(name, 0)


def open_files(server, box):
    for name in index_files(server, box):
        os.chmod(name, 0o600)


@pytest.mark.parametrize('session', ['open', 'new'])
@pytest.mark.parametrize('shut, reopen', [(close_folder, open_folder), (close_files, open_files)])
def test_out_of_reach(server, box, shut, reopen, session):
    """What a colleague does goes on, and is there when the files are within reach
    again."""
    first = box.login('alice')
    one, two, three = box.uids
    store(first, one, '+FLAGS', r'\Seen my-one')
    bob = box.login('bob')
    server.all_shipped()
    if session == 'new':
        first.logout()
        for folder in private_folders(server, 'alice'):
            assert wait_for(lambda f=folder: not instance.open_below(f))
    shut(server, box)
    logged = len(server.log())
    try:
        alice = first if session == 'open' else box.login('alice')
        other = box.login('alice')
        wanted = {one: {SEEN, 'my-one'}, two: {'\\Flagged', 'my-two'},
                  three: {SEEN, '\\Answered', 'shared'}}

        def state(who):
            return {uid: refreshed(who, uid) for uid in box.uids}
        assert flags_of(alice, one) == {SEEN, 'my-one'}
        store(alice, two, '+FLAGS', r'\Flagged my-two')
        store(alice, three, '+FLAGS', r'\Answered shared')
        assert alice.command('UID FETCH %d (BODY[])' % three).lines('Hello')
        assert state(alice) == wanted
        assert alice.search('UNSEEN') == [two] and alice.search('KEYWORD my-two') == [two]
        assert wait_for(lambda: state(other) == wanted, 4), state(other)
        assert state(bob) == {one: set(), two: set(), three: {'\\Answered', 'shared'}}
        copies = box.name + 'c'
        alice.command('CREATE ' + copies)
        alice.command('UID COPY %d:%d %s' % (one, three, copies))
        assert alice.status(copies, 'UNSEEN') == 1
        if shut is close_folder or session == 'new':
            assert "The private index can't be used (" in server.log()[logged:]
    finally:
        reopen(server, box)
    store(other, two, '-FLAGS', 'my-two')
    wanted[two] = {'\\Flagged'}
    # whoever has been told otherwise hears of it: if from the disk, when it is there
    assert wait_for(lambda: other.command('NOOP').ok and [
        fetch['flags'] for fetch in alice.command('NOOP').fetched() if fetch['seq'] == 2], 15)
    server.all_shipped()
    for who in (alice, other, box.login('alice')):
        assert wait_for(lambda w=who: state(w) == wanted, 15), state(who)
    there = box.login('alice', box=copies)
    assert sorted(there.search('SEEN')) == [1, 3] and there.search('KEYWORD my-one') == [1]
    failed = server.audit("mailbox IN (%s, %s) AND outcome <> 'ok'", (box.name, copies))
    assert failed == []
