# SPDX-License-Identifier: LGPL-2.1-or-later
"""One instance for the faults; every test leaves it working."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'imap'))
import instance  # noqa: E402
from logs import pytest_runtest_makereport, pytest_runtest_setup  # noqa: E402,F401
from work import TIMEOUT  # noqa: E402


# need a library that isn't installed, and that knows no other malloc()
collect_ignore = ['test_fault_points.py', 'test_disk_read_only.py'] \
    if instance.INSTALLED or instance.sanitizers() else []


def pytest_configure(config):
    config.addinivalue_line('markers', 'long: takes minutes: only with tests/run --long')
    config.addinivalue_line('markers', 'without_sanitizers: libfaketime waits for them, and they for it')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Left out, not skipped: what is skipped counts as failed. A file's tests run
    one after the other."""
    left_out = [marker for marker, out in (('long', 'TEAM_TEST_LONG' not in os.environ),
                                           ('without_sanitizers', bool(instance.sanitizers()))) if out]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, left_out))]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.fspath.purebasename))


@pytest.fixture(scope='session')
def running():
    made = instance.Instance('sdbox', settings=instance.mail_settings(
        team_timeout='%ds' % TIMEOUT))
    yield made
    crashes = made.crashes()
    # where no mail process was killed nothing may be left without an outcome
    gaps = made.audit("action = 'gap' AND colleague NOT LIKE 'u6_'")
    made.stop()
    assert not crashes, '\n'.join(crashes)
    assert gaps == []


@pytest.fixture
def server(running):
    """The instance, brought back to work after a test that failed half-way."""
    yield running
    running.repair()
    assert instance.wait_for(lambda: works(running), 40), \
        'after the test the instance does not work:\n' + running.log()[-3000:]


def works(server):
    """A change can be made and reaches PostgreSQL, and so do claims."""
    try:
        with server.login('u98') as session:
            session.select('Team/INBOX')
            session.append_one('Team/INBOX', b'Subject: works\r\n\r\nyes\r\n')
            session.logout()
        return server.all_shipped(5) and server.status()['postgres'] == 'reachable'
    except Exception:  # any failure means: not yet
        return False
