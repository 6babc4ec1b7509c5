# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random commands of several colleagues, several sessions each, against a simple
model: shared flags of a message, and private ones for each colleague.

TEAM_TEST_SEED repeats a run, TEAM_TEST_SECONDS says how long it takes."""
import os
import random
import re
import time

import pytest

import imapsession
from conftest import Box
from instance import wait_for
from test_pipelined import pipeline

PRIVATE = ['\\Seen', '\\Flagged', '$Important', 'my-a', 'my-b', 'Old']
SHARED = ['\\Answered', '\\Draft', 'invoice', '$Forwarded']
PEOPLE = ['alice', 'bob', 'carol']
SECONDS = float(os.environ.get('TEAM_TEST_SECONDS', '20'))


class Message:
    def __init__(self, subject):
        self.subject = subject
        self.shared = set()
        self.private = {name: set() for name in PEOPLE}

    def copy(self):
        other = Message(self.subject)
        other.shared = set(self.shared)
        other.private = {name: set(flags) for name, flags in self.private.items()}
        return other

    def flags(self, who):
        return self.shared | self.private[who]

    def change(self, who, flags, add):
        for flag in flags:
            of = self.private[who] if flag in PRIVATE else self.shared
            (of.add if add else of.discard)(flag)


class Model:
    def __init__(self, server, rnd):
        self.server, self.rnd = server, rnd
        self.boxes = {}
        self.home = Box(server)
        self.name_count = 0
        self.sessions = []
        for who in PEOPLE:
            for _ in range(2):
                session = server.login(who)
                session.who, session.box = who, None
                # what a client would remember of mailboxes: UIDVALIDITY, MODSEQ, flags
                session.memory = {}
                session.command('ENABLE QRESYNC')
                self.sessions.append(session)
        for _ in range(2):
            self.create(self.sessions[0])
        for session in self.sessions:
            self.select(session)

    def create(self, session):
        self.name_count += 1
        name = 'Team/M%d-%d' % (self.home.number, self.name_count)
        session.command('CREATE ' + name)
        self.boxes[name] = {}
        return name

    def select(self, session):
        session.box = self.rnd.choice(sorted(self.boxes))
        session.select(session.box)

    def flags(self, of=None):
        names = of or PRIVATE + SHARED
        return self.rnd.sample(names, self.rnd.randint(1, min(3, len(names))))

    def pick(self, session):
        """Some messages of the session's mailbox, as the session sees them."""
        session.command('NOOP')
        uids = sorted(self.boxes[session.box])
        if not uids:
            return []
        if self.rnd.random() < 0.2:
            return uids
        return sorted(self.rnd.sample(uids, self.rnd.randint(1, min(4, len(uids)))))

    # commands

    def do_append(self, session):
        messages = []
        for _ in range(self.rnd.randint(1, 3)):
            number = self.rnd.randrange(1 << 30)
            flags = self.flags() if self.rnd.random() < 0.7 else []
            message = Message('S%d' % number)
            message.change(session.who, flags, True)
            messages.append((self.home.message(number), ' '.join(flags), None, message))
        box = self.rnd.choice(sorted(self.boxes))
        answer = session.append(box, [m[:3] for m in messages])
        uids = expand(re.search(r'APPENDUID \d+ (\S+)\]', answer.text).group(1))
        for uid, (*_, message) in zip(uids, messages):
            self.boxes[box][uid] = message

    def do_store(self, session):
        uids = self.pick(session)
        if not uids:
            return
        flags = self.flags()
        how = self.rnd.choice(['+FLAGS', '-FLAGS', 'FLAGS'])
        session.command('UID STORE %s %s%s (%s)' % (
            sequence(uids), how, self.rnd.choice(['', '.SILENT']), ' '.join(flags)))
        for uid in uids:
            message = self.boxes[session.box][uid]
            if how == 'FLAGS':
                message.private[session.who].clear()
                message.shared.clear()
            message.change(session.who, flags, how != '-FLAGS')

    def do_store_unchangedsince(self, session):
        uids = self.pick(session)[:1]
        if not uids:
            return
        answer = session.command('UID FETCH %d (MODSEQ)' % uids[0])
        modseq = int(re.search(rb'MODSEQ \((\d+)\)', b' '.join(answer.untagged)).group(1))
        flags = self.flags()
        answer = session.attempt('UID STORE %d (UNCHANGEDSINCE %d) +FLAGS (%s)' % (
            uids[0], modseq, ' '.join(flags)))
        assert answer.ok and 'MODIFIED' not in answer.text, answer
        self.boxes[session.box][uids[0]].change(session.who, flags, True)

    def do_pipeline(self, session):
        """Several STOREs in one packet."""
        uids = self.pick(session)
        if not uids:
            return
        changes = [(self.rnd.choice(uids), self.flags(), self.rnd.random() < 0.6)
                   for _ in range(self.rnd.randint(2, 5))]
        answers = pipeline(session, *('UID STORE %d %sFLAGS%s (%s)' % (
            uid, '+' if add else '-', self.rnd.choice(['', '.SILENT']), ' '.join(flags))
            for uid, flags, add in changes))
        assert all(answer.ok for answer in answers), answers
        for uid, flags, add in changes:
            self.boxes[session.box][uid].change(session.who, flags, add)

    def do_remember(self, session):
        """What is known of the mailbox now; do_resync() comes back to it."""
        session.memory.pop(session.box, None)
        known = self.state(session)
        answer = session.command('STATUS %s (UIDVALIDITY HIGHESTMODSEQ)' % session.box)
        numbers = re.search(rb'UIDVALIDITY (\d+) HIGHESTMODSEQ (\d+)',
                            b' '.join(answer.lines('* STATUS')))
        session.memory[session.box] = (int(numbers.group(1)), int(numbers.group(2)), known)

    def do_resync(self, session):
        """Opens a mailbox again and is told all that has changed meanwhile."""
        names = sorted(set(session.memory) & set(self.boxes))
        if not names:
            return
        session.box = self.rnd.choice(names)
        uidvalidity, modseq, known = session.memory[session.box]
        session.command('UNSELECT')
        answer = session.command('SELECT %s (QRESYNC (%d %d))' % (
            session.box, uidvalidity, modseq))
        if not answer.lines('[UIDVALIDITY %d]' % uidvalidity):
            del session.memory[session.box]
            return
        known = dict(known)
        learn(known, answer.untagged + session.command('NOOP').untagged)
        got = self.state(session)
        assert known == got, '%s in %s: learned %r, but there is %r' % (
            session.who, session.box, differing(known, got), differing(got, known))
        session.memory[session.box] = (uidvalidity, modseq, session.memory[session.box][2])

    def do_read(self, session):
        uids = self.pick(session)[:2]
        for uid in uids:
            session.command('UID FETCH %d (BODY[])' % uid)
            self.boxes[session.box][uid].private[session.who].add('\\Seen')

    def copy(self, session, command):
        uids = self.pick(session)
        if not uids or len(self.boxes[session.box]) > 60:
            return
        to = self.rnd.choice(sorted(self.boxes))
        if to == session.box and command == 'MOVE':
            return
        answer = session.command('UID %s %s %s' % (command, sequence(uids), to))
        text = ' '.join([line.decode() for line in answer.lines('COPYUID')] + [answer.text])
        source, dest = re.search(r'COPYUID \d+ (\S+) (\S+)\]', text).groups()
        assert expand(source) == uids
        for uid, new in zip(uids, expand(dest)):
            message = self.boxes[session.box][uid]
            self.boxes[to][new] = message.copy()
            if command == 'MOVE':
                del self.boxes[session.box][uid]
        # the others' flags come by way of the database: what they change before
        # they see them comes before them
        for other in self.sessions:
            if other.box == to:
                self.check_flags(other)

    def do_copy(self, session):
        self.copy(session, 'COPY')

    def do_move(self, session):
        self.copy(session, 'MOVE')

    def do_expunge(self, session):
        uids = self.pick(session)[:2]
        if not uids or len(self.boxes[session.box]) < 8:
            return
        session.command('UID STORE %s +FLAGS.SILENT (\\Deleted)' % sequence(uids))
        session.command('UID EXPUNGE ' + sequence(uids))
        for uid in uids:
            del self.boxes[session.box][uid]

    def do_select(self, session):
        self.select(session)

    def do_rename(self, session):
        if self.rnd.random() < 0.7:
            return
        old = self.rnd.choice(sorted(self.boxes))
        self.name_count += 1
        new = 'Team/M%d-%d' % (self.home.number, self.name_count)
        for other in self.sessions:
            if other.box == old:
                other.command('UNSELECT')
        session.command('RENAME %s %s' % (old, new))
        self.boxes[new] = self.boxes.pop(old)
        for other in self.sessions:
            other.memory.pop(old, None)
            if other.box == old:
                other.box = new
                other.select(new)

    def do_recreate(self, session):
        if self.rnd.random() < 0.8:
            return
        name = self.rnd.choice(sorted(self.boxes))
        for other in self.sessions:
            if other.box == name:
                other.command('UNSELECT')
        session.command('DELETE ' + name)
        session.command('CREATE ' + name)
        self.boxes[name] = {}
        for other in self.sessions:
            if other.box == name:
                other.select(name)

    # checks

    def state(self, session):
        session.command('NOOP')
        return {f['uid']: f['flags'] - {'\\Recent'} for f in
                session.command('UID FETCH 1:* (FLAGS)').fetched()
                if f['uid'] and f['flags'] is not None}

    def wanted(self, session):
        return {uid: message.flags(session.who)
                for uid, message in self.boxes[session.box].items()}

    def check_flags(self, session):
        seen = {}
        if not wait_for(lambda: seen.update(got=self.state(session)) or
                        seen['got'] == self.wanted(session), 5):
            got, wanted = seen['got'], self.wanted(session)
            wrong = {uid: (got.get(uid), wanted.get(uid)) for uid in set(got) | set(wanted)
                     if got.get(uid) != wanted.get(uid)}
            raise AssertionError('%s in %s: seen and wanted %r' % (
                session.who, session.box, wrong))

    def check_search(self, session):
        """A random tree of keys, each flag at most once: Dovecot 2.3 simplifies
        NOT (UNKEYWORD a (KEYWORD a KEYWORD b)) wrongly, shared or private."""
        self.check_flags(session)
        self.unused = self.rnd.sample(PRIVATE + SHARED, len(PRIVATE + SHARED))
        text, test = self.criteria(3)
        wanted = sorted(uid for uid, message in self.boxes[session.box].items()
                        if test(message.flags(session.who)))
        assert session.search(text) == wanted, '%s in %s: %s' % (
            session.who, session.box, text)
        answer = session.command('UID SEARCH RETURN (COUNT) ' + text)
        assert answer.lines('COUNT %d' % len(wanted)), text

    def criteria(self, depth):
        kind = self.rnd.choice(['flag', 'flag', 'and', 'or', 'not', 'body'])
        if depth == 0 or kind == 'flag':
            flag = self.unused.pop()
            negate = self.rnd.random() < 0.5
            if flag.startswith('\\'):
                text = ('UN' if negate else '') + flag[1:].upper()
            else:
                text = ('UN' if negate else '') + 'KEYWORD ' + flag
            return text, lambda flags: (flag in flags) != negate
        if kind == 'body':
            found = self.rnd.random() < 0.5
            return 'BODY ' + ('Hello' if found else 'nothing'), lambda flags: found
        left, left_test = self.criteria(depth - 1)
        if kind == 'not':
            return 'NOT (%s)' % left, lambda flags: not left_test(flags)
        right, right_test = self.criteria(depth - 1)
        if kind == 'and':
            return '(%s %s)' % (left, right), lambda flags: left_test(flags) and right_test(flags)
        return 'OR (%s) (%s)' % (left, right), lambda flags: left_test(flags) or right_test(flags)

    def check_status(self, session):
        self.check_flags(session)
        other = next(s for s in self.sessions if s.who == session.who and s is not session)
        unseen = sum('\\Seen' not in flags for flags in self.wanted(session).values())
        # Dovecot doesn't look for what is new in a selected mailbox for STATUS
        assert wait_for(lambda: other.command('NOOP') and
                        other.status(session.box, 'UNSEEN') == unseen, 5), \
            '%s: UNSEEN of %s (%s selected) is %s, not %d' % (
                session.who, session.box, other.box, other.status(session.box, 'UNSEEN'),
                unseen)


def learn(known, lines):
    """What untagged answers tell a client that has QRESYNC."""
    for line in lines:
        fetch = imapsession.parse_fetch(line)
        if line.startswith(b'* VANISHED'):
            for uid in expand(line.split()[-1].decode()):
                known.pop(uid, None)
        elif fetch and fetch['flags'] is not None:
            known[fetch['uid']] = fetch['flags'] - {'\\Recent'}


def differing(one, other):
    return {uid: flags for uid, flags in one.items() if other.get(uid) != flags}


def sequence(uids):
    return ','.join(map(str, uids))


def expand(text):
    uids = []
    for part in text.split(','):
        first, _, last = part.partition(':')
        uids += range(int(first), int(last or first) + 1)
    return sorted(uids)


DO = ['append', 'store', 'store', 'store', 'store_unchangedsince', 'read', 'read', 'copy', 'move',
      'expunge', 'select', 'select', 'pipeline', 'remember', 'remember', 'resync', 'resync',
      'rename', 'recreate']
CHECK = ['flags', 'flags', 'search', 'search', 'status']


def test_random_commands(server):
    seed = int(os.environ.get('TEAM_TEST_SEED') or random.randrange(1 << 30))
    print('TEAM_TEST_SEED=%d' % seed)
    rnd = random.Random(seed)
    model = Model(server, rnd)
    done = []
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            session = rnd.choice(model.sessions)
            what = rnd.choice(DO)
            done.append('%s %s in %s' % (session.who, what, session.box))
            getattr(model, 'do_' + what)(session)
            if rnd.random() < 0.3:
                what = rnd.choice(CHECK)
                done.append('%s checks %s' % (session.who, what))
                getattr(model, 'check_' + what)(rnd.choice(model.sessions))
        for session in model.sessions:
            model.check_flags(session)
    except Exception as error:
        raise AssertionError('TEAM_TEST_SEED=%d, step %d: %s\n%s' % (
            seed, len(done), error, '\n'.join(done[-12:]))) from error
    finally:
        for session in model.sessions:
            session.close()
        model.home.close()
    print('%d steps' % len(done))
    assert len(done) > 50
