# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command that changes private and shared flags is two transactions of Dovecot,
the private one first: the process dies between them."""
import os
import pwd
import re
import subprocess

from instance import imapsession, lose_index, wait_for
from work import mailbox


def logs(server, folder, name):
    """Sizes of the indexes' logs below the folder."""
    return [os.path.getsize(os.path.join(path, name))
            for path, _, names in os.walk(os.path.join(server.dir, 'mail', folder))
            if name in names]


def state(session, uids):
    session.command('NOOP')
    return [session.flags(uid) - {'\\Recent'} for uid in uids]


def test_killed_between_private_and_shared(server):
    """What the colleague sees then is what PostgreSQL has, and stays so."""
    box, uids = mailbox(server, 3)
    carol, alice = server.login('carol'), server.login('u61')
    pids = wait_for(lambda: re.findall(
        r'(?:Login|Logged in): user=<u61>.* mpid=(\d+)', server.log()))
    pid = int(pids[-1])
    for session in (alice, carol):
        session.select(box)
    alice.command('UID STORE %d +FLAGS (my-before)' % uids[0])
    server.all_shipped()
    folder = 'mailboxes/' + box.split('/', 1)[1]
    limit = max(logs(server, 'users/u61/team/' + folder, 'dovecot.index.pvt.log')) + 2048
    # makes the mailbox's shared log the longer one, and no longer than needed: it
    # would be rotated
    for n in range(100):
        carol.command('UID STORE %d +FLAGS.SILENT (a-long-name-of-a-keyword-%d)' % (uids[2], n))
        shared = max(logs(server, 'team/' + folder, 'dovecot.index.log'))
        if shared > limit + 1024:
            break
    assert limit < shared < 30000, (limit, shared)
    # as the process's own user: root may not where it lacks a capability
    subprocess.run(['runuser', '-u', pwd.getpwuid(os.stat('/proc/%d' % pid).st_uid).pw_name, '--',
                    'prlimit', '--pid', str(pid), '--fsize=%d:%d' % (limit, limit)], check=True)
    tag = alice.start('UID STORE %d +FLAGS (\\Seen \\Answered)' % uids[1])
    try:
        assert not alice.finish(tag).ok
    except (imapsession.IMAPError, OSError):
        pass
    alice.close()
    # the service gives the change up when the process hasn't come back for a while
    gaps = server.wait_audit("action = 'gap' AND colleague = 'u61' AND mailbox = %s", (box,),
                             timeout=40)
    assert {(row['uid'], row['outcome']) for row in gaps} == {(uids[1], 'failed')}

    alice = server.login('u61')
    alice.select(box)
    seen = state(alice, uids[:2])
    alice.logout()
    lose_index(os.path.join(server.dir, 'mail/users/u61/team'))
    alice = server.login('u61')
    alice.select(box)
    assert wait_for(lambda: state(alice, uids[:2]) == seen, 3), \
        'before and after rebuilding: %r, %r' % (seen, state(alice, uids[:2]))
    assert '\\Answered' not in seen[1]
    assert state(carol, uids[:2]) == [set(), set()]
