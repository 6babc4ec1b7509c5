# SPDX-License-Identifier: LGPL-2.1-or-later
"""PostgreSQL's primary dies and its standby takes over, found by a connection
string of two hosts: nothing acknowledged is lost, nobody holds a claim twice; and
where the standby lacked the last commits, private indexes follow it."""
import os
import shlex
import signal
import subprocess

import pytest

import instance
from instance import wait_for
from test_restore import lose_what_was_shipped
from work import TIMEOUT, Worker, mailbox, missing, run_workers


class Mirrored(instance.Instance):
    """An instance with a standby."""

    def settings(self, text):
        self.sockets = os.path.join(self.dir, 'run', 'standby')
        super().settings(text + (
            'team_database = host=%s/run/postgresql,%s port=5432,5432 dbname=team '
            'user=team_service target_session_attrs=read-write\n' % (self.dir, self.sockets)))

    def postgres(self, command, **values):
        """Runs a command as PostgreSQL's user."""
        return subprocess.run(['runuser', '-u', 'postgres', '--', 'sh', '-c', command], cwd='/',
                              env={**os.environ, **values}, check=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)

    def control(self, data, command):
        self.postgres('%s -D %s -w %s' % (os.path.join(self.bin, 'pg_ctl'), data, command))

    def make_standby(self):
        with open(self.env['TEAM_PG_START']) as f:
            pg_ctl = next(word for word in shlex.split(f.read()) if word.endswith('/pg_ctl'))
        self.bin = os.path.dirname(pg_ctl)
        self.primary = os.path.join(self.dir, 'postgresql')
        self.standby = os.path.join(self.dir, 'standby')
        os.mkdir(self.standby, 0o700)
        instance.shutil.chown(self.standby, 'postgres', 'postgres')
        os.mkdir(self.sockets)
        instance.shutil.chown(self.sockets, 'postgres', 'postgres')
        with open(os.path.join(self.primary, 'pg_hba.conf'), 'a') as f:
            f.write('local replication all peer map=team\n')
        self.control(self.primary, 'reload')
        self.postgres('%s/pg_basebackup -D %s -R -X stream -c fast -h %s/run/postgresql -U postgres' % (
            self.bin, self.standby, self.dir))
        with open(os.path.join(self.standby, 'postgresql.auto.conf'), 'a') as f:
            f.write("unix_socket_directories = '%s'\nexternal_pid_file = '%s/pid'\n" % (
                self.sockets, self.sockets))
        self.start_standby()

    def start_standby(self):
        self.control(self.standby, '-l %s/log start' % self.standby)

    def wait_for_standby(self):
        """The primary answers when the standby has it."""
        with open(os.path.join(self.primary, 'postgresql.auto.conf'), 'a') as f:
            f.write("synchronous_standby_names = '*'\n")
        self.control(self.primary, 'reload')

    def at_standby(self, dsn):
        return dsn.replace(self.dir + '/run/postgresql', self.sockets)

    def stop_standby(self):
        """It has what there is by now, and nothing of what follows."""
        (now,), = self.query('SELECT pg_current_wal_lsn()')
        self.env['STANDBY'] = self.at_standby(self.env['TEAM_PGDSN'])
        assert wait_for(lambda: self.query('SELECT pg_last_wal_replay_lsn() >= %s', (now,),
                                           who='STANDBY') == [(True,)], 20)
        self.control(self.standby, '-m fast stop')

    def promote(self):
        self.control(self.standby, 'promote')
        for name in ('TEAM_PGDSN', 'TEAM_PGDSN_AUDITOR'):
            self.env[name] = self.at_standby(self.env[name])

    def stop(self):
        super().stop()
        if os.path.exists(os.path.join(getattr(self, 'standby', ''), 'postmaster.pid')):
            self.control(self.standby, '-m fast stop')


@pytest.fixture
def mirrored():
    made = Mirrored('sdbox', settings=instance.mail_settings(team_timeout='%ds' % TIMEOUT) +
                    'team_checkpoint_interval = 1 secs\n')
    made.make_standby()
    yield made
    crashes = made.crashes()
    made.stop()
    assert not crashes, '\n'.join(crashes)


def test_failover(mirrored):
    server = mirrored
    server.wait_for_standby()
    box, uids = mailbox(server, 5)
    alice, bob = server.login('alice'), server.login('bob')
    for session in (alice, bob):
        session.select(box)
    workers = [Worker(server, 'u%d' % n, box, uids[:3]) for n in (1, 2, 3)]

    def fault():
        assert wait_for(lambda: all(worker.acknowledged for worker in workers))
        alice.command('UID STORE %d +FLAGS (claimed)' % uids[3])
        server.stop_postgresql(signal.SIGKILL)
        assert bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[4]).status == 'NO'
        server.promote()
        assert wait_for(lambda: bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[4]).ok, 30, 0.2), \
            server.log()[-2000:]
    run_workers(workers, fault)
    assert wait_for(lambda: server.all_shipped(5), 40)
    # the claim was there before the primary died
    answer = bob.attempt('UID STORE %d +FLAGS (claimed)' % uids[3])
    assert answer.status == 'NO' and '[INUSE] claimed by alice' in answer.text, answer
    assert server.query('SELECT count(*) FROM team.claims(%s)', (box,), who='TEAM_PGDSN') == [(2,)]
    for worker in workers:
        assert worker.errors == [], worker.errors
        worker.check()
        worker.check_flags()
    for session in (alice, bob):
        session.command('NOOP')
    assert not missing(server)
    verified = server.doveadm('team', 'audit', 'verify', check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_promoted_without_the_last_commits(mirrored):
    def fail_over():
        mirrored.stop_postgresql(signal.SIGKILL)
        mirrored.start_standby()
        mirrored.promote()
    lose_what_was_shipped(mirrored, mirrored.stop_standby, fail_over)
