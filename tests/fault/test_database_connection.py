# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the service gets to PostgreSQL: TLS with a certificate that is checked,
passwords in a file, several hosts; and team_commit=remote."""
import contextlib
import os
import shutil
import subprocess
import threading
import time

import psycopg2
import pytest

import instance

PASSWORD = r'se:cr\et'
KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=30)


class Site:
    """An instance whose PostgreSQL listens on loopback, with TLS and passwords
    only; the service's connection string is set by the tests."""

    def __init__(self, folder):
        self.server = instance.Instance('sdbox', settings=instance.mail_settings(
            team_timeout='3s'))
        self.port = instance.free_port()
        self.folder = os.path.join(self.server.dir, 'tls')
        os.mkdir(self.folder, 0o755)
        for name in ('ca', 'other'):
            openssl('req', '-x509', *KEY, '-subj', '/CN=' + name,
                    '-keyout', self.path(name + '.key'), '-out', self.path(name + '.pem'))
        openssl('req', *KEY, '-subj', '/CN=localhost', '-keyout', self.path('server.key'),
                '-out', self.path('server.csr'))
        with open(self.path('server.ext'), 'w') as f:
            f.write('subjectAltName = DNS:localhost\n')
        openssl('x509', '-req', '-in', self.path('server.csr'), '-CA', self.path('ca.pem'),
                '-CAkey', self.path('ca.key'), '-CAcreateserial', '-days', '2',
                '-extfile', self.path('server.ext'), '-out', self.path('server.pem'))
        shutil.chown(self.path('server.key'), 'postgres')
        os.chmod(self.path('server.key'), 0o600)
        self.passfile = self.path('passfile')
        with open(self.passfile, 'w') as f:
            f.write('*:%d:team:team_tls:%s\n' % (
                self.port, PASSWORD.replace('\\', '\\\\').replace(':', '\\:')))
        shutil.chown(self.passfile, 'dovecot')
        os.chmod(self.passfile, 0o600)
        self.owner = self.server.env['TEAM_PGDSN'].replace('port=5432', 'port=%d' % self.port)
        self.listen()

    def path(self, name):
        return os.path.join(self.folder, name)

    def listen(self):
        superuser = self.server.env['TEAM_PGDSN'].replace('user=team', 'user=postgres')
        with contextlib.closing(psycopg2.connect(superuser)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute('CREATE ROLE team_tls LOGIN IN ROLE team_service PASSWORD %s',
                               (PASSWORD,))
        data = os.path.join(self.server.dir, 'postgresql')
        with open(os.path.join(data, 'postgresql.auto.conf'), 'a') as f:
            f.write("listen_addresses = '127.0.0.1'\nport = %d\nssl = on\n"
                    "ssl_cert_file = '%s'\nssl_key_file = '%s'\n" % (
                        self.port, self.path('server.pem'), self.path('server.key')))
        with open(os.path.join(data, 'pg_hba.conf'), 'a') as f:
            f.write('hostssl team team_tls 127.0.0.1/32 scram-sha-256\n')
        self.server.stop_postgresql()
        self.server.start_postgresql()

    def conninfo(self, **changes):
        values = dict(host='localhost', hostaddr='127.0.0.1', port=self.port, dbname='team',
                      user='team_tls', sslmode='verify-full', sslrootcert=self.path('ca.pem'),
                      passfile=self.passfile)
        values.update(changes)
        return ' '.join('%s=%s' % pair for pair in values.items() if pair[1] is not None)

    def connect(self, conninfo, more=''):
        """Lets the service start anew with this connection string; returns the
        status once it's known whether PostgreSQL is reachable."""
        self.server.settings(instance.mail_settings(team_timeout='3s') +
                             'team_database = %s\n%s' % (conninfo, more))
        self.server.doveadm('reload')
        old = self.server.kill_service()
        assert instance.wait_for(lambda: self.server.service_pid() not in (None, old))

        def known():
            status = self.server.status()
            return status if status['postgres'] == 'reachable' or status['postgres_error'] else None
        return instance.wait_for(known, 20)

    def query(self, sql, args=None, who='team'):
        dsn = self.owner.replace('user=team', 'user=' + who)
        with contextlib.closing(psycopg2.connect(dsn)) as connection, \
                connection.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp('site'))
    yield made
    crashes, log = made.server.crashes(), made.server.log()
    made.server.stop()
    made.server.remove()
    assert not crashes, '\n'.join(crashes)
    assert PASSWORD not in log


def append(site, name):
    with site.server.login('alice') as session:
        uid = session.append_one('Team/INBOX', (
            'From: c@customers.example\r\nSubject: %s\r\n'
            'Message-ID: <%s.%f@test.example>\r\n\r\nx\r\n' % (name, name, time.time())).encode())
        session.logout()
    return uid


def test_verify_full(site):
    status = site.connect(site.conninfo())
    assert status['postgres'] == 'reachable', status
    uid = append(site, 'tls')
    with site.server.login('alice') as session:
        session.select('Team/INBOX')
        session.command('UID STORE %d +FLAGS (claimed)' % uid)
        session.logout()
    assert 'alice' in site.server.doveadm('team', 'claim', 'list').stdout
    assert site.server.doveadm('team', 'audit', 'search', '--limit', '1').stdout
    rows = site.query("SELECT s.ssl FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) "
                      "WHERE a.usename = 'team_tls'", who='postgres')
    assert len(rows) >= 2 and set(rows) == {(True,)}


@pytest.mark.parametrize('changes,error', [
    ({'sslrootcert': 'other.pem'}, 'certificate verify failed'),
    ({'host': '127.0.0.1', 'hostaddr': None}, 'does not match host name'),
    ({'passfile': None}, 'no password supplied'),
    ({'sslmode': 'disable', 'sslrootcert': None}, 'no encryption'),
])
def test_not_trusted(site, changes, error):
    """Nothing is told to a server that isn't the right one, the status says
    what is wrong, and mail goes on."""
    if 'sslrootcert' in changes and changes['sslrootcert']:
        changes = dict(changes, sslrootcert=site.path(changes['sslrootcert']))
    status = site.connect(site.conninfo(**changes))
    assert status['postgres'] != 'reachable' and error in status['postgres_error'], status
    assert append(site, 'away') > 0


def test_open_passfile(site):
    """A file that others can read isn't used."""
    os.chmod(site.passfile, 0o644)
    try:
        status = site.connect(site.conninfo())
    finally:
        os.chmod(site.passfile, 0o600)
    assert status['postgres'] != 'reachable' and 'password' in status['postgres_error'], status


def test_several_hosts(site):
    status = site.connect(site.conninfo(host='localhost,localhost', hostaddr='127.0.0.1,127.0.0.1',
                                        port='1,%d' % site.port,
                                        target_session_attrs='read-write'))
    assert status['postgres'] == 'reachable', status
    # what came while PostgreSQL couldn't be reached arrives
    assert instance.wait_for(lambda: site.server.status()['journal_records'] == '0', 20)


# ---- team_commit = remote

REMOTE = 'team_commit = remote\n'


def records(site, uid):
    return site.query("SELECT count(*) FROM team.audit WHERE action = 'flag' AND uid = %s AND "
                      "outcome = 'ok'", (uid,))[0][0]


def test_remote_waits(site):
    """The OK comes when PostgreSQL has committed, not before."""
    assert site.connect(site.conninfo(), REMOTE)['postgres'] == 'reachable'
    uid = append(site, 'remote')
    with site.server.login('bob') as session:
        session.select('Team/INBOX')
        for n in range(10):
            session.command('UID STORE %d %sFLAGS (\\Answered)' % (uid, '-' if n % 2 else '+'))
            assert records(site, uid) == n + 1
        blocker = psycopg2.connect(site.owner)
        blocker.cursor().execute('LOCK TABLE team.node IN EXCLUSIVE MODE')
        done = []
        storing = threading.Thread(target=lambda: (
            session.command('UID STORE %d +FLAGS ($Waited)' % uid), done.append(time.monotonic())))
        storing.start()
        time.sleep(1)
        assert not done
        released = time.monotonic()
        blocker.rollback()
        blocker.close()
        storing.join(20)
        assert done and done[0] > released
        assert records(site, uid) == 11
        session.logout()


def test_remote_without_postgresql(site):
    """Without PostgreSQL changes are refused and nothing is changed; reading
    goes on."""
    assert site.connect(site.conninfo(), REMOTE)['postgres'] == 'reachable'
    uid = append(site, 'refused')
    with site.server.login('carol') as session:
        session.select('Team/INBOX')
        site.server.stop_postgresql()
        try:
            assert instance.wait_for(lambda: site.server.status()['postgres'] != 'reachable')
            answer = session.attempt('UID STORE %d +FLAGS ($Refused)' % uid)
            assert answer.status == 'NO' and 'UNAVAILABLE' in answer.text, answer
            answer = session.command('UID FETCH %d (FLAGS BODY.PEEK[])' % uid)
            assert '$Refused' not in str(answer)
        finally:
            site.server.start_postgresql()
        assert instance.wait_for(lambda: site.server.status()['postgres'] == 'reachable', 20)
        session.command('UID STORE %d +FLAGS ($Refused)' % uid)
        session.logout()
    assert records(site, uid) == 1
