# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tour: three colleagues at work on Team/INBOX, and an auditor who asks
what happened. Shows what each one's mail program saw; ends with an error when
something wasn't as it should be.
"""
import argparse
import json
import os
import re
import shlex
import smtplib
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import imapsession  # noqa: E402
import mime  # noqa: E402

MAILBOX = 'Team/INBOX'
# what everyone sees "within a second"
AT_ONCE = 1.0
COLOURS = {'alice': 35, 'bob': 36, 'carol': 33, 'auditor': 32}


class TourError(Exception):
    """A step didn't hold."""


class Terminal:
    def __init__(self):
        self.colour = sys.stdout.isatty()

    def paint(self, text, code):
        return '\x1b[%sm%s\x1b[0m' % (code, text) if self.colour else text

    def title(self, text):
        print('\n' + self.paint(text, 1))

    def says(self, who, text):
        print('  %s %s' % (self.paint('%-8s' % who, COLOURS[who]), text))

    def plain(self, text):
        print('           ' + text)


out = Terminal()


def check(condition, text):
    if not condition:
        raise TourError(text)


def read_env(path):
    """The shell variables of DIR/env."""
    values = {}
    with open(path) as f:
        for line in f:
            name, _, value = line.strip().partition('=')
            values[name] = ' '.join(shlex.split(value))
    return values


def shown(flags):
    return ' '.join(sorted(flags)) if flags else '(none)'


class Tour:
    def __init__(self, folder):
        self.folder = folder
        self.env = read_env(os.path.join(folder, 'env'))
        self.port = int(self.env['TEAM_IMAP_PORT'])
        self.run = '%x' % int(time.time())
        self.people = {}

    def letter(self, name, sender, subject, text):
        """A fresh message, so that the tour finds the same state each time."""
        message_id = '<tour.%s.%s@customers.example>' % (name, self.run)
        message = mime.message([
            ('From', sender), ('To', 'support@support.example'),
            ('Subject', subject), ('Date', mime.date(int(time.time()))),
            ('Message-ID', message_id)], mime.text_part(text + '\n', 'utf-8'))
        with smtplib.LMTP(os.path.join(self.folder, 'run/dovecot/lmtp')) as lmtp:
            lmtp.sendmail('', ['support@support.example'], message)
        return message_id, subject

    def log_in(self):
        for name in ('alice', 'bob', 'carol'):
            session = imapsession.Session(self.port, name)
            session.command('ID ("name" "quickstart tour")')
            session.select(MAILBOX)
            self.people[name] = session
        return [self.people[n] for n in ('alice', 'bob', 'carol')]

    def uid(self, message_id):
        uids = self.people['alice'].search('HEADER Message-ID %s' %
                                           imapsession.quote(message_id))
        check(len(uids) == 1, 'alice does not find the message %s' % message_id)
        return uids[0]

    def play(self):
        frost = self.letter('frost', 'Aroha Ngata <aroha@ngata-orchards.example>',
                            'Frost alarm did not ring', 'We lost two rows of apricots tonight. '
                            'Why did the alarm not ring?')
        order = self.letter('order', 'Tom <tom@whitfield-farm.example>',
                            'Where is my order?', 'It was promised for Monday.')
        self.log_in()
        first, second = self.uid(frost[0]), self.uid(order[0])
        self.reading(first, frost)
        self.starring(first)
        self.claiming(first)
        self.refusing(first)
        self.answering(second, order)
        self.auditing(frost[0])

    def reading(self, uid, letter):
        alice, bob = self.people['alice'], self.people['bob']
        out.title('1. Alice reads a message. For Bob it stays unread.')
        before = bob.status(MAILBOX, 'UNSEEN')
        alice.command('UID FETCH %d (BODY[])' % uid)
        flags = alice.flags(uid)
        out.says('alice', 'opens "%s" (UID %d); flags: %s' % (letter[1], uid, shown(flags)))
        check('\\Seen' in flags, 'after reading, alice does not have \\Seen')
        bob.command('NOOP')
        flags = bob.flags(uid)
        out.says('bob', 'sees the same message with flags: %s; unread messages: %d, as before' %
                 (shown(flags - {'\\Recent'}), before))
        check('\\Seen' not in flags, "bob sees alice's \\Seen")
        check(bob.status(MAILBOX, 'UNSEEN') == before,
              "bob's number of unread messages has changed")
        check(uid in bob.search('UNSEEN'), "bob's SEARCH UNSEEN misses the message")

    def starring(self, uid):
        alice, bob = self.people['alice'], self.people['bob']
        out.title("2. Alice stars it. Bob doesn't see the star.")
        alice.command('UID STORE %d +FLAGS (\\Flagged)' % uid)
        flags = alice.flags(uid)
        out.says('alice', 'sets the star; flags: %s' % shown(flags))
        check('\\Flagged' in flags, 'alice does not see her own star')
        bob.command('NOOP')
        flags = bob.flags(uid)
        out.says('bob', 'flags: %s' % shown(flags - {'\\Recent'}))
        check('\\Flagged' not in flags, "bob sees alice's star")
        check(uid not in bob.search('FLAGGED'), "bob's SEARCH FLAGGED finds alice's star")

    def claiming(self, uid):
        alice = self.people['alice']
        watchers = [self.people['bob'], self.people['carol']]
        out.title('3. Alice claims it. Bob and Carol, waiting in IDLE, see it at once.')
        for session in watchers:
            session.idle()
        start = time.monotonic()
        answer = alice.attempt('UID STORE %d +FLAGS (claimed)' % uid)
        took = time.monotonic() - start
        check(answer.ok, 'the claim was answered with %s %s' % (answer.status, answer.text))
        out.says('alice', 'sets the keyword "claimed": %s after %.0f ms; flags: %s' %
                 (answer.status, took * 1000, shown(alice.flags(uid))))
        for session in watchers:
            seen = session.idle_until(lambda line: b'FETCH' in line and
                                      b'claimed-alice' in line, 10)
            check(seen is not None, '%s did not see the claim in IDLE' % session.user)
            delay = seen[0] - start
            out.says(session.user, 'in IDLE after %.0f ms: %s' % (delay * 1000, seen[1].decode()))
            check(delay < AT_ONCE, '%s saw the claim only after %.1f s' % (session.user, delay))
            session.done()
            flags = session.flags(uid)
            check({'claimed', 'claimed-alice'} <= flags,
                  '%s sees the flags %s' % (session.user, shown(flags)))
            check('\\Seen' not in flags and '\\Flagged' not in flags,
                  "with the claim %s got alice's private flags: %s" % (session.user, shown(flags)))

    def refusing(self, uid):
        bob = self.people['bob']
        out.title('4. Bob tries to take it, too, and to delete it.')
        for flag in ('claimed', '\\Deleted'):
            answer = bob.attempt('UID STORE %d +FLAGS (%s)' % (uid, flag))
            out.says('bob', 'sets %s: %s %s' % (flag, answer.status, answer.text))
            check(answer.status == 'NO' and '[INUSE]' in answer.text,
                  "bob's attempt with %s was answered %s %s" % (flag, answer.status, answer.text))
            check(re.search(r'\balice\b', answer.text),
                  'the refusal does not say who holds the message')
        check('\\Deleted' not in bob.flags(uid), 'the refused \\Deleted was set')
        check('claimed-bob' not in bob.flags(uid), 'bob holds a message that alice holds')

    def answering(self, uid, letter):
        alice, bob, carol = (self.people[n] for n in ('alice', 'bob', 'carol'))
        out.title('5. Carol answers another one. Everybody sees it answered.')
        for session in (alice, bob):
            session.idle()
        carol.command('UID FETCH %d (BODY[])' % uid)
        reply = mime.message([
            ('From', 'Carol <carol@support.example>'), ('To', 'Tom <tom@whitfield-farm.example>'),
            ('Subject', 'Re: ' + letter[1]), ('Date', mime.date(int(time.time()))),
            ('Message-ID', '<answer.%s@support.example>' % self.run),
            ('In-Reply-To', letter[0]), ('References', letter[0])],
            mime.text_part('It left us this morning.\n', 'us-ascii'))
        with smtplib.SMTP('127.0.0.1', int(self.env['TEAM_SUBMISSION_PORT'])) as smtp:
            smtp.login('carol', 'pass')
            smtp.sendmail('carol@support.example', ['tom@whitfield-farm.example'], reply)
        carol.append_one('Sent', reply, '\\Seen')
        start = time.monotonic()
        carol.command('UID STORE %d +FLAGS (\\Answered)' % uid)
        out.says('carol', 'sends her answer to "%s"; flags: %s' % (letter[1], shown(carol.flags(uid))))
        for session in (alice, bob):
            seen = session.idle_until(lambda line: b'FETCH' in line and
                                      b'\\Answered' in line, 10)
            check(seen is not None, '%s did not see \\Answered in IDLE' % session.user)
            out.says(session.user, 'in IDLE after %.0f ms: %s' %
                     ((seen[0] - start) * 1000, seen[1].decode()))
            session.done()
            flags = session.flags(uid)
            check('\\Answered' in flags, '%s does not see \\Answered' % session.user)
            check('\\Seen' not in flags, "%s sees carol's \\Seen" % session.user)

    def audit_rows(self, message_id):
        command = shlex.split(self.env['TEAM_DOVEADM']) + \
            ['-f', 'json', 'team', 'audit', 'show', message_id]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60,
                                check=False)
        if result.returncode != 0:
            return None, result.stderr.strip()
        return json.loads(result.stdout), ''

    def auditing(self, message_id):
        out.title('6. An auditor asks: what happened to that message?')
        expected = [('alice', 'read', 'ok'), ('alice', 'flag', 'ok'),
                    ('alice', 'claim', 'ok'), ('bob', 'claim', 'refused')]
        # the log reaches the database a moment later
        deadline = time.monotonic() + 10
        while True:
            rows, error = self.audit_rows(message_id)
            found = [(r['colleague'], r['action'], r['outcome']) for r in rows or []]
            missing = [e for e in expected if e not in found]
            if not missing or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        out.says('auditor', '%s team audit show \'%s\'' % (self.env['TEAM_DOVEADM'], message_id))
        for row in rows or []:
            out.plain('%s  %-6s %-8s %-8s %s' % (
                row['at'], row['colleague'], row['action'], row['outcome'], row.get('what', '')))
        check(rows is not None, 'doveadm team audit show failed: %s' % error)
        check(not missing, 'the log misses: %s' %
              ', '.join('%s %s %s' % m for m in missing))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--dir', required=True)
    options = parser.parse_args()
    print('A shared mailbox, three colleagues, each with a mail client of their own.')
    try:
        Tour(options.dir).play()
    except (TourError, OSError, imapsession.IMAPError, smtplib.SMTPException,
            ValueError) as error:
        sys.stdout.flush()
        sys.exit('\ntour: %s' % error)
    print('\nEverything was as it should be.\n')


if __name__ == '__main__':
    main()
