# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoints are handed to the administrator's command; if that fails, it is
said and stops nothing. What is wrong with settings and doveconf
can't know is said as well."""
import os

import pytest

import instance
from instance import wait_for
from work import mailbox

COMMAND = '''#!/bin/sh
[ ! -e %(dir)s/published/fail ] || exit 3
cat >> %(dir)s/published/notes
'''


class Publishing(instance.Instance):
    def settings(self, text):
        self.published = os.path.join(self.dir, 'published')
        os.mkdir(self.published)
        os.chmod(self.published, 0o777)
        script = os.path.join(self.dir, 'publish')
        with open(script, 'w') as f:
            f.write(COMMAND % {'dir': self.dir})
        os.chmod(script, 0o755)
        super().settings(text + (
            'team_checkpoint_interval = 1 secs\nteam_checkpoint_command = %s\n'
            'team_database = host=%s/run/postgresql port=5432 dbname=team '
            'user=team_service password=s3cret\nteam_trusted_users = mail nosuchuser\n' %
            (script, self.dir)))

    def notes(self):
        try:
            with open(os.path.join(self.published, 'notes')) as f:
                return f.read()
        except FileNotFoundError:
            return ''


@pytest.fixture(scope='module')
def publishing():
    made = Publishing('sdbox')
    yield made
    made.stop()
    assert not made.crashes()


def test_published(publishing):
    server = publishing
    mailbox(server, 1)
    assert wait_for(lambda: server.notes().count('\u2014 ') >= 1, 10), server.log()[-2000:]
    with open(server.env['TEAM_CHECKPOINTS']) as f:
        assert server.notes().strip().splitlines()[-1] in f.read()
    log = server.log()
    assert 'team_database holds a password' in log
    assert 's3cret' not in log

    with open(os.path.join(server.published, 'fail'), 'w'):
        pass
    box, uids = mailbox(server, 1)
    assert wait_for(lambda: 'team_checkpoint_command failed: exit code 3' in server.log(), 10)
    with server.login('alice') as alice:
        alice.select(box)
        alice.command('UID STORE %d +FLAGS (\\Flagged)' % uids[0])
        alice.logout()
    assert server.all_shipped()

    before = server.notes()
    os.unlink(os.path.join(server.published, 'fail'))
    mailbox(server, 1)
    assert wait_for(lambda: len(server.notes()) > len(before), 10)


def test_what_doveconf_cannot_check(publishing):
    server = publishing
    assert 'team_trusted_users: there is no system user nosuchuser' in server.log()
    assert 'no system user mail' not in server.log()
    with open(os.path.join(server.dir, 'local.conf'), 'a') as f:
        f.write('team_database = "host=/nowhere dbname"\n')
    server.doveadm('reload')
    assert wait_for(lambda: "team_database isn't a PostgreSQL connection string: missing" in
                    server.log(), 20), server.log()[-2000:]
