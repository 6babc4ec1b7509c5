# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Dovecot logged during a test is shown when it fails: the instance may be
gone afterwards."""
import pytest

from instance import Instance

LINES = 40
sizes = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    sizes.update((made, made.log_size()) for made in Instance.all)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if not report.failed:
        return
    for made in Instance.all:
        lines = made.log(sizes.get(made, 0)).splitlines()
        if lines:
            report.sections.append(('the last of %d lines that Dovecot logged in %s' % (
                len(lines), made.dir), '\n'.join(lines[-LINES:])))
