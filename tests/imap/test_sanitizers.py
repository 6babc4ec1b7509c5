# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/run --sanitize: an error in any of the processes is reported."""
import contextlib
import glob
import os
import smtplib
import subprocess

import pytest

import imapsession
import instance
from instance import wait_for

LIBRARY = os.path.join('obj', 'tests', 'points', '.libs', 'sanitizer-control.so')


class Controlled(instance.Instance):
    """An instance of which one program can be told to do what it mustn't."""

    def settings(self, text):
        self.control = os.path.join(self.dir, 'control')
        self.variables = {'LD_PRELOAD': os.path.join(self.build, LIBRARY),
                          'TEAM_SANITIZER_CONTROL': self.control}
        super().settings(text + instance.environment(**self.variables))

    def name(self, program):
        with open(self.control, 'w') as f:
            f.write(program)
        os.chmod(self.control, 0o644)


@pytest.fixture(scope='module')
def controlled():
    server = Controlled('sdbox')
    yield server
    server.stop()


def open_folder(server):
    with contextlib.suppress(imapsession.IMAPError), server.login('alice') as session:
        session.select('Team/INBOX')


def deliver(server):
    with contextlib.suppress(smtplib.SMTPException, ConnectionError), \
            smtplib.LMTP(os.path.join(server.dir, 'run/dovecot/lmtp')) as lmtp:
        lmtp.sendmail('x@customers.example', ['support@support.example'], 'Subject: x\r\n\r\nx\r\n')


def ask_status(server):
    subprocess.run(['doveadm', '-c', server.env['TEAM_DOVECOT_CONF'], 'team', 'status'], check=False,
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                   env={**os.environ, **server.variables})


@pytest.mark.parametrize('program, act', [
    ('imap', open_folder), ('lmtp', deliver), ('doveadm', ask_status), ('team', open_folder)])
def test_an_error_is_reported(controlled, program, act):
    def reports():
        """What was written to its end, by path."""
        found = {}
        for path in set(glob.glob(pattern)) - before:
            with open(path) as f:
                found[path] = f.read()
        return {path: text for path, text in found.items() if 'ABORTING' in text}

    pattern = os.environ['TEAM_TEST_ASAN'].rpartition('log_path=')[2] + '.%s.*' % program
    before = set(glob.glob(pattern))
    controlled.name(program)
    try:
        act(controlled)
        assert wait_for(reports, 20), 'no report of %s' % program
    finally:
        controlled.name('')
    # the service may have been started once more meanwhile
    assert wait_for(lambda: controlled.doveadm('team', 'status', check=False).returncode == 0)
    for path, text in reports().items():
        # an error that was made here isn't counted
        os.unlink(path)
        assert 'use-after-poison' in text, text
        where = 'plugin/service/' if program == 'team' else 'plugin/client/'
        assert where in text, text
