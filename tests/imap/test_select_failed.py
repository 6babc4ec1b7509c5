# SPDX-License-Identifier: LGPL-2.1-or-later
"""A mailbox that can't be selected. Only Maildir looks for messages after it
has opened the mailbox."""
import os

import pytest

import instance


@pytest.fixture(scope='module')
def server():
    """One of its own: Dovecot logs what fails."""
    running = instance.Instance('maildir')
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


def test_a_mailbox_that_cannot_be_shown_is_no_success(box):
    """It could be opened, but its messages can't be listed."""
    bob, carol = box.people('bob', 'carol')
    carol.select('INBOX')
    folder = os.path.join(box.server.dir, 'mail', 'team', '.T%d' % box.number, 'cur')
    os.chmod(folder, 0)
    try:
        with open(os.path.join(os.path.dirname(folder), 'new', 'x'), 'w'):
            pass
        assert carol.attempt('SELECT %s' % box.name).status == 'NO'
    finally:
        os.chmod(folder, 0o700)
    box.server.all_shipped()

    def outcomes(who):
        return [row['outcome'] for row in box.server.audit(
            "action = 'open' AND mailbox = %s AND colleague = %s", (box.name, who))]
    assert outcomes('carol')[-1] == 'failed'
    assert outcomes('bob') == ['ok']
