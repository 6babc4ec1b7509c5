# SPDX-License-Identifier: LGPL-2.1-or-later
"""packaging/quickstart as a person uses it."""
import email
import os
import re
import signal
import socket
import subprocess
import time

import psycopg2
import pytest

import imapsession
import instance
from instance import QUICKSTART, wait_for

ENV_NAMES = ['TEAM_IMAP_PORT', 'TEAM_SUBMISSION_PORT', 'TEAM_PGDSN', 'TEAM_PGDSN_AUDITOR',
             'TEAM_DOVECOT_CONF', 'TEAM_DOVEADM', 'TEAM_SERVICE_PIDFILE', 'TEAM_PG_PIDFILE',
             'TEAM_PG_START', 'TEAM_CHECKPOINTS', 'TEAM_PUBKEY']


def prepare(folder):
    """Only sanitizers need settings that are there from the beginning."""
    if instance.sanitizers() and not os.path.exists(folder):
        os.makedirs(folder, mode=0o755)
        with open(os.path.join(folder, '.dovecot-team-quickstart'), 'w') as f:
            f.write('sdbox\n')
        with open(os.path.join(folder, 'local.conf'), 'w') as f:
            f.write(instance.sanitizer_settings())


def quickstart(folder, *args, check=True):
    prepare(folder)
    result = subprocess.run(
        [QUICKSTART, '--dir', folder, '--no-install',
         '--build-dir', os.environ['TEAM_TEST_BUILD'], *instance.INSTALLED, *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170, check=False)
    if check:
        assert result.returncode == 0, result.stdout + result.stderr
    return result


def processes(folder):
    """Command lines of processes that have to do with the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/cmdline' % pid, 'rb') as f:
                command = f.read().replace(b'\0', b' ').decode(errors='replace')
            places = command + ' ' + os.readlink('/proc/%s/cwd' % pid)
            for fd in os.listdir('/proc/%s/fd' % pid):
                places += ' ' + os.readlink('/proc/%s/fd/%s' % (pid, fd))
        except OSError:
            continue
        if folder + '/' in places + '/' and int(pid) != os.getpid():
            found.append(pid + ' ' + command)
    return found


@pytest.fixture(scope='module')
def folder():
    path = os.path.join(os.environ['TEAM_TEST_WORK'], 'instances', 'quickstart')
    yield path
    quickstart(path, '--stop', check=False)


@pytest.fixture(scope='module')
def port():
    return instance.free_port()


@pytest.fixture(scope='module')
def first_run(folder, port):
    start = time.monotonic()
    result = quickstart(folder, '--port', str(port), '--detach')
    result.seconds = time.monotonic() - start
    return result


def shell_env(folder):
    """What a script gets that sources the file."""
    text = subprocess.run(
        ['sh', '-c', '. "$1"; for n in $2; do eval "printf \'%s\\0\' \\"$n=\\$$n\\""; done',
         'sh', os.path.join(folder, 'env'), ' '.join(ENV_NAMES)],
        capture_output=True, text=True, check=True).stdout
    return dict(item.split('=', 1) for item in text.split('\0') if item)


def test_tour(first_run):
    """It plays every scene, and says what each one saw."""
    for scene in ('1. Alice reads', '2. Alice stars', '3. Alice claims', '4. Bob tries',
                  '5. Carol answers', '6. An auditor', 'Everything was as it should be'):
        assert scene in first_run.stdout
    assert re.search(r'bob +in IDLE after \d+ ms: .*claimed-alice', first_run.stdout)
    assert re.search(r'carol +in IDLE after \d+ ms: .*claimed-alice', first_run.stdout)
    assert re.search(r'bob +sets claimed: NO \[INUSE\].*\balice\b', first_run.stdout)
    assert 'How to connect' in first_run.stdout


def test_env(first_run, folder, port):
    env = shell_env(folder)
    assert sorted(env) == sorted(ENV_NAMES)
    assert env['TEAM_IMAP_PORT'] == str(port)
    assert env['TEAM_SUBMISSION_PORT'] == str(port + 1)
    for name in ('TEAM_SERVICE_PIDFILE', 'TEAM_PG_PIDFILE'):
        with open(env[name]) as f:
            os.kill(int(f.readline()), 0)
    subprocess.run(env['TEAM_DOVEADM'] + ' team status', shell=True, check=True,
                   capture_output=True)
    subprocess.run(['doveconf', '-c', env['TEAM_DOVECOT_CONF']], check=True,
                   capture_output=True)
    # running already: nothing to do
    subprocess.run(env['TEAM_PG_START'], shell=True, check=True)
    for name, user in (('TEAM_PGDSN', 'team'), ('TEAM_PGDSN_AUDITOR', 'team_auditor')):
        connection = psycopg2.connect(env[name])
        with connection.cursor() as cursor:
            cursor.execute('SELECT current_user')
            assert cursor.fetchone() == (user,)
        connection.close()


def test_clients_show_the_folder(first_run, port):
    """Many show subscribed folders only."""
    with imapsession.Session(port, 'alice') as session:
        assert session.command('LSUB "" *').lines('Team/INBOX')


def test_mail(first_run, port):
    """At least 200 varied messages, the same for colleagues and the owner."""
    with imapsession.Session(port, 'erin') as session:
        session.select('Team/INBOX', 'EXAMINE')
        fetched = session.command('FETCH 1:* (BODY.PEEK[])', 60)
    messages = [email.message_from_bytes(line.split(b'\r\n', 1)[1])
                for line in fetched.lines('BODY[]')]
    assert len(messages) >= 200
    assert len({str(m['From']) for m in messages}) >= 50
    parts = [part for message in messages for part in message.walk()]
    charsets = {part.get_content_charset() for part in parts}
    assert {'utf-8', 'iso-8859-1', 'iso-2022-jp', 'koi8-r', 'windows-1252', 'shift_jis',
            'gb18030', 'big5'} <= charsets
    kinds = {part.get_content_type() for part in parts}
    assert {'image/png', 'application/pdf', 'text/csv', 'application/zip', 'text/calendar',
            'message/rfc822', 'message/delivery-status', 'multipart/alternative'} <= kinds
    assert sum(1 for m in messages if m['In-Reply-To']) >= 30
    with imapsession.Session(port, 'support') as session:
        session.select('INBOX', 'EXAMINE')
        assert len(session.search('ALL')) == len(messages)


def test_users(first_run, port):
    for user in ('alice', 'bob', 'carol', 'dave', 'erin', 'u1', 'u99', 'support'):
        imapsession.Session(port, user).logout()
    for user, password in (('u100', 'pass'), ('mallory', 'pass'), ('alice', 'wrong')):
        with pytest.raises(imapsession.IMAPError):
            imapsession.Session(port, user, password)
    with imapsession.Session(port, 'alice') as alice, imapsession.Session(port, 'erin') as erin:
        assert not alice.command('MYRIGHTS Team/INBOX').untagged[0].split()[-1].count(b'a')
        assert erin.command('MYRIGHTS Team/INBOX').untagged[0].split()[-1].count(b'a')


def test_listens_on_loopback_only(first_run, port):
    with open('/proc/net/tcp') as f:
        sockets = [line.split()[1:4] for line in f.readlines()[1:]]
    listening = {local for local, _, state in sockets if state == '0A'}
    for number in (port, port + 1):
        places = {local for local in listening if local.endswith(':%04X' % number)}
        assert places == {'0100007F:%04X' % number}


def test_second_run_reuses_everything(first_run, folder, port):
    with imapsession.Session(port, 'alice') as alice:
        before = alice.status('Team/INBOX', 'MESSAGES')
    result = quickstart(folder, '--port', str(port), '--detach')
    assert 'Building' not in result.stdout
    assert 'Everything was as it should be' in result.stdout
    with imapsession.Session(port, 'alice') as alice:
        count = alice.status('Team/INBOX', 'MESSAGES')
    # the tour's two messages have come in, and that is all
    assert count == before + 2


def test_storage_cannot_change(first_run, folder):
    result = quickstart(folder, '--storage', 'maildir', '--detach', check=False)
    assert result.returncode != 0
    assert 'sdbox' in result.stderr


def test_taken_port(folder, first_run, tmp_path_factory):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        number = taken.getsockname()[1]
        other = folder + '-2'
        result = quickstart(other, '--port', str(number), '--detach', check=False)
        assert result.returncode != 0
        assert str(number) in result.stderr and 'taken' in result.stderr
        assert processes(other) == []


def test_stop_leaves_nothing_running(first_run, folder):
    assert processes(folder)
    quickstart(folder, '--stop')
    assert wait_for(lambda: processes(folder) == [], 5), processes(folder)
    # stopping what is stopped is no error
    quickstart(folder, '--stop')


def test_foreground_until_interrupted(folder):
    port = instance.free_port()
    running = subprocess.Popen(
        [QUICKSTART, '--dir', folder, '--no-install', '--no-tour', '--port', str(port),
         '--build-dir', os.environ['TEAM_TEST_BUILD'], *instance.INSTALLED],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for line in running.stdout:
        if 'Ctrl-C' in line:
            break
    imapsession.Session(port, 'alice').logout()
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output
    assert wait_for(lambda: processes(folder) == [], 5), processes(folder)


def test_without_team():
    folder = os.path.join(os.environ['TEAM_TEST_WORK'], 'instances', 'plain')
    port = instance.free_port()
    try:
        quickstart(folder, '--without-team', '--detach', '--port', str(port), '--mail', '5')
        assert not [line for line in processes(folder) if 'postgres' in line]
        with imapsession.Session(port, 'alice') as alice:
            alice.select('Team/INBOX')
            alice.command('STORE 1 +FLAGS (\\Seen claimed)')
            # the keyword is a keyword here
            assert not any(f.startswith('claimed-') for f in alice.flags(1))
    finally:
        quickstart(folder, '--stop')
