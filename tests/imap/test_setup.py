# SPDX-License-Identifier: LGPL-2.1-or-later
"""packaging/setup asks on a terminal, and nobody elsewhere."""
import os
import pty
import subprocess

import instance

SETUP = os.path.join(os.path.dirname(instance.QUICKSTART), 'setup')


def on_terminal(answers, *args):
    """Runs it with a terminal, on which each question gets the next answer."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(SETUP, [SETUP, '--dry-run', *args])
    text, answers = '', list(answers)
    while True:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        text += data.decode()
        if text.endswith(': ') and answers:
            os.write(fd, (answers.pop(0) + '\n').encode())
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text, answers


def test_questions(server):
    code, text, left = on_terminal(
        ['/srv/mail/support', 'mail', '', 'Help/', '', '/nonexistent'])
    assert code == 1 and left == [], text
    for question in ('mail processes run as [vmail]: mail', 'or maildir [sdbox]: \r\n',
                     'colleagues see it [Team/]: Help/', 'in PostgreSQL [team]: \r\n'):
        assert question in text, text
    # what was answered is used
    assert 'socket "/nonexistent/' in text and "PostgreSQL can't be reached" in text, text


def test_wrong_answer(server):
    code, text, _ = on_terminal(['mail', 'mail', 'sdbox', 'Help/', 'team', ''])
    assert code == 1 and '--mail-path has to be an absolute path' in text, text


def test_flags_leave_nothing_to_ask(server):
    code, text, _ = on_terminal([], '--mail-path', '/srv/mail/support', '--mail-user', 'mail',
                                '--pg-host', '/nonexistent')
    assert code == 1 and '[sdbox]' not in text and "can't be reached" in text, text


def test_no_terminal(server):
    result = subprocess.run([SETUP, '--dry-run'], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=30, check=False)
    assert result.returncode == 1 and '--mail-path has to be' in result.stderr, result
    assert result.stdout == ''
