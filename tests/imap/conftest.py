# SPDX-License-Identifier: LGPL-2.1-or-later
"""Instances and mailboxes for the IMAP tests."""
import itertools
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import instance  # noqa: E402
from logs import pytest_runtest_makereport, pytest_runtest_setup  # noqa: E402,F401

STORAGES = os.environ.get('TEAM_TEST_STORAGES', 'sdbox mdbox maildir').split()
# so that logs are rotated within a test
SMALL_LOGS = '''
mail_index_log_rotate_min_age = 1 secs
mail_index_log_rotate_min_size = 8k
mail_index_log_rotate_max_size = 32k
'''
# mailboxes that their owners share, and Sieve
MORE_PATHS = '''
namespace shared {
  type = shared
  prefix = shared/%%%%u/
  separator = /
  location = %(storage)s:%%%%h/mail:INDEXPVT=~/shared/%%%%u
  subscriptions = no
  list = children
}
protocol lmtp {
  mail_plugins = acl team sieve
}
''' if instance.is_dovecot_2_3() else '''
namespace shared {
  type = shared
  prefix = shared/$user/
  separator = /
  mail_driver = %(storage)s
  mail_path = %%{owner_home}/mail
  mail_index_private_path = ~/shared/%%{owner_user}
  subscriptions = no
  list = children
}
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script personal {
  path = ~/.dovecot.sieve
}
'''
numbers = itertools.count(1)
collect_ignore = [] if instance.sanitizers() else ['test_sanitizers.py']


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Several at once: a file's tests with one storage format stay together and
    in order, and so one after the other on the same instances."""
    for item in items:
        params = item.callspec.params.values() if hasattr(item, 'callspec') else ()
        storage = next((value for value in params if value in STORAGES), '')
        item.add_marker(pytest.mark.xdist_group('%s %s' % (item.fspath.purebasename, storage)))


@pytest.fixture(scope='session', params=STORAGES)
def server(request):
    """One running instance for each storage format."""
    running = instance.Instance(request.param, settings=SMALL_LOGS)
    yield running
    crashes = running.crashes()
    running.stop()
    if not request.session.testsfailed:
        running.remove()
    assert not crashes, '\n'.join(crashes)


@pytest.fixture(scope='session', params=STORAGES)
def more_paths(request):
    """Instances on which mail is reached in more ways."""
    running = instance.Instance(request.param, settings=SMALL_LOGS + MORE_PATHS % {
        'storage': request.param})
    yield running
    crashes = running.crashes()
    running.stop()
    running.remove()
    assert not crashes, '\n'.join(crashes)


class Box:
    """A fresh folder below Team/ with some messages, and logged-in sessions
    that are closed after the test."""

    def __init__(self, server, prefix='Team/'):
        self.server = server
        self.number = next(numbers)
        self.name = '%sT%d' % (prefix, self.number)
        self.sessions = []
        self.uids = []
        answer = self.login('alice', select=False).attempt('CREATE %s' % self.name)
        # another session that lists folders just then can be the first to note it
        assert answer.ok or 'ALREADYEXISTS' in answer.text, answer

    def login(self, user, select=True, box=None):
        session = self.server.login(user)
        self.sessions.append(session)
        if select:
            session.select(box or self.name)
        return session

    def people(self, *names):
        return [self.login(name) for name in names]

    def message_id(self, n):
        return '<m%d.t%d.%s@test.example>' % (n, self.number, self.server.storage)

    def message(self, n, text='Hello'):
        return ('From: Customer %d <c%d@customers.example>\r\n'
                'To: support@support.example\r\n'
                'Subject: Question %d\r\nMessage-ID: %s\r\n\r\n%s\r\n' %
                (n, n, n, self.message_id(n), text)).encode()

    def fill(self, count):
        """Appends messages as dave, who takes no other part in the tests."""
        with self.server.login('dave') as session:
            while count > 0:
                first, some = len(self.uids) + 1, min(count, 100)
                answer = session.append(self.name, [
                    (self.message(n), '', None) for n in range(first, first + some)])
                uids = re.search(r'APPENDUID \d+ (\d+)(?::(\d+))?\]', answer.text)
                self.uids += range(int(uids.group(1)), int(uids.group(2) or uids.group(1)) + 1)
                count -= some
            session.logout()
        return self.uids

    def close(self):
        for session in self.sessions:
            session.close()


@pytest.fixture
def box(server):
    made = Box(server)
    made.fill(3)
    yield made
    made.close()


@pytest.fixture
def other_box(server):
    made = Box(server)
    yield made
    made.close()
