# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opening a mailbox asks PostgreSQL only if something may have been changed."""
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

import instance
from conftest import STORAGES
from instance import wait_for
from node import Node
from test_private_flags import copied_uid, flags_of, store

SEEN = '\\Seen'


@pytest.fixture(scope='module')
def server():
    """It doesn't depend on the storage format."""
    running = instance.Instance(STORAGES[0])
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture(scope='module')
def node(server):
    made = Node(server, 'third')
    yield made
    made.stop()
    crashes = made.crashes()
    assert not crashes, '\n'.join(crashes)


def backends(server):
    """The processes of PostgreSQL that the nodes' services ask and listen to."""
    return [row[0] for row in server.query(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'dovecot-team'",
        who='TEAM_PGDSN')]


@contextlib.contextmanager
def deaf(server):
    """PostgreSQL answers no question, which nobody has noticed yet."""
    pids = backends(server)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def selected_quickly(session, name):
    """Selects; tells whether that went without PostgreSQL."""
    start = time.monotonic()
    session.command('SELECT %s' % name, timeout=60)
    return time.monotonic() - start < 1


def settle(session, name):
    """Nothing of what was done before is under way any more."""
    time.sleep(0.3)
    session.select(name)


def test_unchanged_asks_nothing(server, box):
    alice, bob = box.people('alice', 'bob')
    store(alice, box.uids[0], '+FLAGS', r'\Seen my-x')
    server.all_shipped()
    settle(alice, box.name)
    settle(bob, box.name)
    late = box.login('alice', select=False)
    with deaf(server):
        for session in (alice, bob, late):
            assert selected_quickly(session, box.name)
        assert flags_of(late, box.uids[0]) == {SEEN, 'my-x'}


def test_own_changes_ask_nothing(server, box):
    """What a colleague changes here is in the private index here, and only
    there others of the colleague's sessions look."""
    alice, other = box.people('alice', 'alice')
    settle(alice, box.name)
    store(alice, box.uids[0], '+FLAGS', r'\Seen my-x')
    store(other, box.uids[1], '+FLAGS', r'\Flagged \Answered')
    server.all_shipped()
    with deaf(server):
        assert selected_quickly(alice, box.name)
        assert flags_of(alice, box.uids[0]) == {SEEN, 'my-x'}
        assert flags_of(alice, box.uids[1]) == {'\\Flagged', '\\Answered'}


def test_others_changes_ask_nothing(server, box, node):
    """Ten colleagues reading here and elsewhere disturb nobody else."""
    alice, bob = box.people('alice', 'bob')
    there = node.login('bob')
    there.select(box.name)
    settle(alice, box.name)
    store(bob, box.uids[0], '+FLAGS', SEEN)
    store(there, box.uids[1], '+FLAGS', 'my-x')
    there.logout()
    node.all_shipped()
    server.all_shipped()
    with deaf(server):
        assert selected_quickly(alice, box.name)


def test_seen_at_once_at_select_and_noop(server, box, node):
    here, idle = box.people('alice', 'alice')
    there = node.login('alice')
    there.select(box.name)
    for number, uid in enumerate(box.uids):
        settle(here, box.name)
        store(there, uid, '+FLAGS', 'my-%d' % number)
        node.all_shipped()
        here.select(box.name)
        assert flags_of(here, uid) == {'my-%d' % number}
        idle.command('NOOP')
        assert flags_of(idle, uid) == {'my-%d' % number}
    there.logout()


@pytest.mark.parametrize('command', ['COPY', 'MOVE'])
def test_copies_bring_flags_at_once(server, box, other_box, command):
    """Another colleague's, who opens the mailbox as soon as it was done."""
    alice, bob = box.people('alice', 'bob')
    store(bob, box.uids[0], '+FLAGS', r'\Flagged my-b')
    settle(bob, other_box.name)
    new = copied_uid(alice.command('UID %s %d %s' % (command, box.uids[0], other_box.name)))
    bob.select(other_box.name)
    assert flags_of(bob, new) == {'\\Flagged', 'my-b'}


def test_claims_are_shown(server, box, node):
    alice, bob = box.people('alice', 'bob')
    settle(bob, box.name)
    store(alice, box.uids[0], '+FLAGS', 'claimed')
    bob.select(box.name)
    assert flags_of(bob, box.uids[0]) == {'claimed', 'claimed-alice'}
    server.all_shipped()
    settle(bob, box.name)
    with deaf(server):
        assert selected_quickly(bob, box.name)
        assert flags_of(bob, box.uids[0]) == {'claimed', 'claimed-alice'}
    there = node.login('carol')
    there.select(box.name)
    there.command('UID STORE %d +FLAGS (claimed)' % box.uids[1])
    there.logout()
    bob.select(box.name)
    assert flags_of(bob, box.uids[1]) == {'claimed', 'claimed-carol'}


def test_service_died_before_it_heard(server, box, node):
    here = box.login('alice')
    there = node.login('alice')
    there.select(box.name)
    settle(here, box.name)
    pid = server.kill_service(signal.SIGSTOP)
    store(there, box.uids[0], '+FLAGS', r'\Seen my-x')
    there.logout()
    assert wait_for(lambda: server.audit(
        "mailbox = %s AND action = 'flag' AND colleague = 'alice'", (box.name,)))
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: server.service_pid() not in (pid, None))
    here.command('NOOP')
    assert wait_for(lambda: here.command('NOOP') and
                    flags_of(here, box.uids[0]) == {SEEN, 'my-x'}, 5)
    late = box.login('alice')
    assert flags_of(late, box.uids[0]) == {SEEN, 'my-x'}


def test_connection_lost_before_it_heard(server, box, node):
    """PostgreSQL is away for this node while something is changed elsewhere."""
    here = box.login('alice')
    there = node.login('alice')
    there.select(box.name)
    settle(here, box.name)
    pid = server.kill_service(signal.SIGSTOP)
    try:
        for backend in backends(server):
            os.kill(backend, signal.SIGTERM)
        store(there, box.uids[0], '+FLAGS', r'\Seen my-x')
        there.logout()
        assert wait_for(lambda: server.audit(
            "mailbox = %s AND action = 'flag' AND colleague = 'alice'", (box.name,)))
    finally:
        os.kill(pid, signal.SIGCONT)
    here.select(box.name)
    assert wait_for(lambda: here.command('NOOP') and
                    flags_of(here, box.uids[0]) == {SEEN, 'my-x'}, 5)


def test_only_the_service_writes_the_file(server):
    path = os.path.join(server.dir, 'run', 'dovecot', 'team.generations')
    info = os.stat(path)
    assert info.st_uid == 0 and stat.S_IMODE(info.st_mode) == 0o644
    user = os.stat(os.path.join(server.dir, 'mail')).st_uid
    assert user != 0
    for flags, wanted in (('os.O_RDONLY', 0), ('os.O_RDWR', 1)):
        script = 'import os; os.open(%r, %s)' % (path, flags)
        result = subprocess.run([sys.executable, '-I', '-c', script], user=user, group=user,
                                extra_groups=[], capture_output=True, check=False)
        assert result.returncode == wanted, result.stderr
