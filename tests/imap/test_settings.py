# SPDX-License-Identifier: LGPL-2.1-or-later
"""doveconf knows the settings: it takes what is right without a word, and
refuses what is wrong with the setting's name."""
import os
import subprocess

import pytest

from instance import is_dovecot_2_3

WRONG = [
    ('team_claim_time', 'soon'), ('team_claim_time', '31 days'),
    ('team_checkpoint_interval', '5 parsecs'), ('team_checkpoint_interval', '0'),
    ('team_fsync', 'sometimes'), ('team_commit', 'both'), ('team_node', 'a b'),
    ('team_journal_dir', 'relative'), ('team_checkpoint_command', 'mail root'),
    ('team_audit_reading', 'maybe'),
]
# 2.3 reads plugin { } only when a mail process starts
WRONG_MAIL = [
    ('team_timeout', 'soon'), ('team_timeout', '301 secs'), ('team_private_flags', r'\Foo'),
    ('team_private_keywords', 'a(b'), ('team_claim_flags', ''), ('team_claim_protects', r'\Foo'),
    ('team_claim_until_logout', 'maybe'), ('team_guard', 'shout'), ('team_offline', 'maybe'), ('team_guard_override', 'soon'),
    ('team_guard_override', '2 days'), ('team_socket', ''),
]


def doveconf(server, text=''):
    config = os.path.join(server.dir, 'settings-test.conf')
    with open(server.env['TEAM_DOVECOT_CONF']) as f:
        whole = f.read()
    with open(config, 'w') as f:
        f.write(whole + text)
    try:
        return subprocess.run(['doveconf', '-n', '-c', config], timeout=20, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
    finally:
        os.unlink(config)


def test_nothing_to_complain_about(server):
    result = doveconf(server)
    assert result.returncode == 0 and result.stderr == '', result.stderr
    assert 'team_database = ' in result.stdout


@pytest.mark.parametrize('name,value', WRONG + ([] if is_dovecot_2_3() else WRONG_MAIL))
def test_wrong_value_is_refused_by_name(server, name, value):
    result = doveconf(server, '%s = "%s"\n' % (name, value.replace('\\', '\\\\')))
    assert result.returncode != 0, result.stdout
    assert name in result.stderr, result.stderr


@pytest.mark.parametrize('name,value', WRONG_MAIL)
def test_wrong_value_keeps_mail_processes_from_starting(server, name, value):
    where = 'plugin/' if is_dovecot_2_3() else ''
    result = server.doveadm('-o', '%s%s=%s' % (where, name, value), 'mailbox', 'list', '-u', 'alice',
                            check=False)
    assert result.returncode != 0 and result.stdout == '', result.stdout
    assert name in result.stderr, result.stderr
