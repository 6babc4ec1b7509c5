# SPDX-License-Identifier: LGPL-2.1-or-later
"""PostgreSQL is stopped or killed: work goes on, claims don't, nothing is lost."""
import glob
import os
import re
import signal
import time

import pytest

from instance import lose_index, wait_for
from submit import outgoing, swaks
from work import Worker, mailbox, message, run_workers

@pytest.mark.parametrize('sig', [signal.SIGINT, signal.SIGKILL], ids=['stopped', 'killed'])
def test_work_goes_on(server, sig):
    box, uids = mailbox(server, 3)
    alice, bob = server.login('alice'), server.login('bob')
    for session in (alice, bob):
        session.select(box)
    alice.command('UID STORE %d +FLAGS (claimed)' % uids[2])
    server.stop_postgresql(sig)

    assert alice.command('UID FETCH %d (BODY[])' % uids[0]).lines('Hello')
    alice.command('UID STORE %d +FLAGS (\\Flagged)' % uids[0])
    alice.command('UID STORE %d +FLAGS (\\Answered)' % uids[0])
    assert {'\\Seen', '\\Flagged', '\\Answered'} <= alice.flags(uids[0])
    new = bob.append_one(box, message('pg-away-%s' % sig.name))
    bob.command('NOOP')
    assert bob.flags(uids[0]) - {'\\Recent'} == {'\\Answered'}

    answer = bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[1])
    assert answer.status == 'NO', answer
    assert '[UNAVAILABLE]' in answer.text, answer
    assert len(answer.text.replace('[UNAVAILABLE]', '').split()) > 3, 'no plain words'
    bob.command('NOOP')
    assert not any(f.startswith('claimed') for f in bob.flags(uids[1]))
    # what alice holds stays hers
    assert bob.attempt('UID STORE %d +FLAGS (\\Deleted)' % uids[2]).status == 'NO'
    # a session that begins now works as well
    late = server.login('carol')
    late.select(box)
    late.command('UID STORE %d +FLAGS (\\Seen)' % uids[0])
    status = ' '.join(str(v) for v in server.status().values()).lower()
    assert 'no' in status.split() or 'away' in status or 'unreachable' in status, status

    server.start_postgresql()
    assert wait_for(lambda: bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[1]).ok, 30, 0.3), \
        'no claims after PostgreSQL came back'
    assert server.all_shipped()
    for where, args in (
            ("colleague = 'alice' AND action = 'read' AND uid = %s", (uids[0],)),
            ("colleague = 'alice' AND action = 'flag' AND uid = %s AND "
             "detail->>'added' LIKE '%%Flagged%%'", (uids[0],)),
            ("colleague = 'bob' AND action = 'append' AND uid = %s", (new,)),
            ("colleague = 'carol' AND action = 'read' AND uid = %s", (uids[0],))):
        rows = server.audit('mailbox = %s AND outcome = \'ok\' AND ' + where, (box,) + args)
        assert len(rows) == 1, (where, rows)
    # the same sessions all the time
    for session in (alice, bob, late):
        session.command('NOOP')


def test_private_flags_catch_up(server):
    """What was set meanwhile is in PostgreSQL afterwards: a lost replica
    comes back whole."""
    box, uids = mailbox(server, 5)
    server.stop_postgresql()
    dave = server.login('dave')
    dave.select(box)
    dave.command('UID STORE 1:* +FLAGS (\\Seen)')
    dave.command('UID STORE %d -FLAGS (\\Seen)' % uids[3])
    dave.logout()
    server.start_postgresql()
    assert wait_for(lambda: server.all_shipped(2), 30)
    lose_index(*glob.glob(server.dir + '/mail/users/dave/team'))
    dave = server.login('dave')
    dave.select(box)
    assert wait_for(lambda: dave.command('NOOP') and dave.search('UNSEEN') == [uids[3]], 5), \
        dave.search('UNSEEN')


def test_killed_under_load(server):
    """kill -9 while records are being shipped: each exactly once."""
    box, uids = mailbox(server, 4)
    workers = [Worker(server, 'u%d' % n, box, uids) for n in range(1, 5)]

    def fault():
        for _ in range(3):
            time.sleep(0.7)
            server.stop_postgresql(signal.SIGKILL)
            time.sleep(0.4)
            server.start_postgresql()
    run_workers(workers, fault)
    assert wait_for(lambda: server.all_shipped(2), 40)
    for worker in workers:
        assert worker.errors == [], worker.errors
        worker.check()


@pytest.mark.parametrize('away', ['postgresql', 'service'])
def test_replies_are_sent(server, away):
    """The reply guard never keeps mail back because it can't ask."""
    box, uids = mailbox(server, 1)
    alice = server.login('alice')
    alice.select(box)
    alice.command('UID STORE %d +FLAGS (claimed)' % uids[0])
    found = re.search(rb'Message-ID: (<[^>]*>)', b''.join(alice.command(
        'UID FETCH %d (BODY.PEEK[HEADER])' % uids[0]).untagged), re.I)
    mark = '<away.%s.%s>' % (away, time.time())
    reply = ('Message-ID: %s\r\nIn-Reply-To: %s\r\n\r\nHello\r\n' % (
        mark, found.group(1).decode())).encode()
    if away == 'service':
        os.kill(server.service_pid(), signal.SIGSTOP)
    else:
        server.stop_postgresql()
    assert swaks(server, 'bob', reply).startswith('250 ')
    assert len(outgoing(server, mark)) == 1
