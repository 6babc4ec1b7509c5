# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the log can't know stands in the log, when it is over, and in Dovecot's
own at once."""
import os
import time

import pytest

import instance
from clock import Clock
from instance import wait_for
from ways import recorded
from work import mailbox


@pytest.fixture(scope='module')
def timed():
    made = instance.Instance('sdbox')
    made.clock = Clock(made)
    made.settings(made.clock.settings)
    made.stop()
    made.start()
    yield made
    crashes = made.crashes()
    made.stop()
    assert not crashes, '\n'.join(crashes)


def gaps(server):
    return server.audit("action = 'gap'")


@recorded('gap: somebody set the clock')
@pytest.mark.parametrize('seconds, way', [(3600, 'forward'), (-3600, 'back')])
def test_the_clock_is_set(timed, seconds, way):
    timed.clock.set(0)
    time.sleep(2)
    box, uids = mailbox(timed, 3)
    assert timed.all_shipped()
    before = {row['seq'] for row in gaps(timed)}
    text = 'the clock was set %s by 3600 seconds' % way
    told = timed.log().count(text)
    alice = timed.login('alice')
    alice.select(box)
    alice.command('UID STORE %d +FLAGS (\\Answered)' % uids[0])
    # the service may not have read it yet
    assert timed.all_shipped()
    timed.clock.set(seconds)
    assert wait_for(lambda: timed.log().count(text) > told, 5)
    alice.command('UID STORE %d +FLAGS (\\Answered)' % uids[1])
    found = []

    def shipped():
        found[:] = [row for row in gaps(timed) if row['seq'] not in before]
        return timed.audit("uid = %s AND mailbox = %s AND action = 'flag'", (uids[1], box))
    assert wait_for(shipped, 20)
    assert [row['detail']['reason'] for row in found] == [text]
    assert (found[0]['detail']['from'] < found[0]['detail']['to']) == (seconds > 0)
    first, second = timed.audit("action = 'flag' AND mailbox = %s", (box,))
    # the records' times follow the clock, their numbers don't
    assert abs((second['at'] - first['at']).total_seconds() - seconds) < 60
    assert first['seq'] < found[0]['seq'] < second['seq']


@pytest.mark.parametrize('seconds, text', [
    (3600, 'the clock was set forward by 3600 seconds while the service was down'),
    # after a reboot only the log's times are left to compare with
    (-3600, 'the clock was set back by at least ')])
def test_the_clock_is_set_while_the_service_is_down(timed, seconds, text):
    timed.clock.set(0)
    time.sleep(2)
    timed.login('alice').logout()
    assert timed.all_shipped()
    before = {row['seq'] for row in gaps(timed)}
    timed.stop()
    timed.clock.set(seconds)
    if seconds < 0:
        with open(os.path.join(timed.dir, 'journal', 'clock'), 'r+') as f:
            f.write('00000000-0000-0000-0000-000000000000')
    timed.start()
    assert timed.all_shipped()
    gap, = [row for row in gaps(timed) if row['seq'] not in before]
    reason = gap['detail']['reason']
    assert reason.startswith(text) and reason.endswith(' while the service was down')
    if seconds < 0:
        assert 3500 < int(reason.split()[-7]) <= 3601
    assert (gap['detail']['from'] < gap['detail']['to']) == (seconds > 0)
    assert timed.log().count(reason) == 1


def test_a_clock_that_goes_right_is_no_gap(timed):
    timed.clock.set(0)
    time.sleep(2)
    before = len(gaps(timed))
    timed.stop()
    timed.start()
    time.sleep(3)
    assert timed.all_shipped()
    assert len(gaps(timed)) == before


@recorded("gap: PostgreSQL couldn't be reached for a second or longer")
def test_postgresql_is_away(server):
    box, uids = mailbox(server, 3)
    before = {row['seq'] for row in gaps(server)}
    alice = server.login('alice')
    alice.select(box)
    server.stop_postgresql()
    assert wait_for(lambda: 'PostgreSQL (team-journal): ' in server.log(), 5)
    alice.command('UID STORE 1:* +FLAGS (\\Answered)')
    alice.command('UID STORE 1:* +FLAGS (tag)')
    time.sleep(1.2)
    server.start_postgresql()
    assert server.all_shipped(40)

    def found():
        # a process that an earlier test killed may be given up meanwhile
        return [row for row in gaps(server) if row['seq'] not in before and
                row['detail'].get('reason') == "PostgreSQL couldn't be reached"]
    # it is written when PostgreSQL is back: behind what waited
    assert wait_for(found, 20)
    gap, = found()
    assert gap['detail']['from'] < gap['detail']['to']
    assert int(gap['detail']['waiting']) >= 2
    assert gap['outcome'] == 'failed'
