# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kinds of action that are tried at every fault point: how each is done, and
how to find out afterwards whether it was."""
import contextlib
import os
import re
import smtplib

from instance import imapsession
from work import message

SENDER = 'mta@mx.example'


class Item:
    """What one command is about."""

    def __init__(self, name):
        self.name = name
        self.message_id = '<%s@fault.example>' % name
        self.uid = None


class Deed:
    """One kind of action, done by alice in folders of its own."""
    action = None
    # in the log
    colleague = 'alice'
    # works on a message that is there before
    needs_message = True
    flags = ''

    def __init__(self, server):
        self.server = server
        self.kind = type(self).__name__.lower()
        self.box = 'Team/P-' + self.kind
        self.dest = self.box + '-dest'
        self.count = 0
        with server.login('erin') as session:
            session.command('CREATE ' + self.box)
            session.command('CREATE ' + self.dest)
            session.logout()

    def items(self, count):
        """Fresh things to work on."""
        made = []
        for _ in range(count):
            self.count += 1
            made.append(Item('%s%d' % (self.kind, self.count)))
        if self.needs_message:
            self.append(made)
        self.prepare(made)
        return made

    def append(self, items):
        with self.server.login('erin') as session:
            for start in range(0, len(items), 100):
                some = items[start:start + 100]
                answer = session.append(self.box, [(message(item.name), self.flags, None)
                                                   for item in some])
                first = int(re.search(r'APPENDUID \d+ (\d+)', answer.text).group(1))
                for number, item in enumerate(some):
                    item.uid = first + number
            session.logout()

    def prepare(self, items):
        pass

    def session(self):
        session = self.server.login_known('alice')
        session.select(self.box)
        return session

    def look(self, session):
        """What was done meanwhile is to be seen."""
        session.command('NOOP')

    def do(self, session, item):
        """Returns OK or NO."""
        return session.attempt(self.command(item)).status

    def command(self, item):
        raise NotImplementedError

    def record_key(self, row):
        """What tells the item from a row of the log."""
        return row['message_id']

    def item_key(self, item):
        return item.message_id

    def happened(self):
        """The keys of the items for which the mailboxes show it."""
        raise NotImplementedError

    def with_flags(self):
        """The mailbox to which it brings private flags of alice's, or None."""
        return None

    def elsewhere(self):
        """The keys of the items that were acknowledged, but had to go to a mailbox
        that isn't the team's."""
        return []

    # looking

    def message_ids(self, box, criteria='ALL'):
        with self.server.login('alice', timeout=60) as session:
            session.select(box)
            uids = session.search(criteria)
            if not uids:
                return []
            answer = session.command('UID FETCH %s (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])' %
                                     ','.join(map(str, uids)))
            session.logout()
        return [found.decode() for found in
                re.findall(rb'Message-ID: (<[^>]*>)', b''.join(answer.untagged), re.I)]

    def folders(self):
        with self.server.login('alice') as session:
            answer = session.command('LIST "" "Team/*"')
            session.logout()
        return [line.decode().rsplit(' ', 1)[1].strip('"') for line in answer.lines('LIST')]


class Flag(Deed):
    action = 'flag'

    def command(self, item):
        return 'UID STORE %d +FLAGS (\\Flagged \\Answered)' % item.uid

    def happened(self):
        shared = set(self.message_ids(self.box, 'ANSWERED'))
        self.half = shared ^ set(self.message_ids(self.box, 'FLAGGED'))
        return shared

    def with_flags(self):
        return self.box


class Append(Deed):
    action = 'append'
    needs_message = False

    def do(self, session, item):
        session.send(session.start_append(self.box, [(message(item.name), '\\Seen', None)]))
        return session.finish('a%d' % session.count).status

    def happened(self):
        return self.message_ids(self.box)

    def with_flags(self):
        return self.box


class Deliver(Deed):
    action = 'deliver'
    colleague = 'lmtp'
    needs_message = False

    def session(self):
        # each delivery has a connection of its own
        return contextlib.ExitStack()

    def look(self, session):
        pass

    def do(self, session, item):
        try:
            with smtplib.LMTP(os.path.join(self.server.dir, 'run/dovecot/lmtp')) as lmtp:
                refused = lmtp.sendmail(SENDER, ['alice+%s@support.example' % self.box],
                                        message(item.name))
            return 'NO' if refused else 'OK'
        except (smtplib.SMTPServerDisconnected, ConnectionError) as error:
            raise imapsession.IMAPError(repr(error)) from error
        except smtplib.SMTPException:
            return 'NO'

    def happened(self):
        return self.message_ids(self.box)

    def elsewhere(self):
        # what can't be saved where it should be Dovecot saves there
        return self.message_ids('INBOX')


class Taken(Deed):
    """Messages that alice has read go to another folder."""

    def prepare(self, items):
        with self.session() as session:
            session.command('UID STORE %d:%d +FLAGS (\\Seen)' % (items[0].uid, items[-1].uid))
            session.logout()

    def happened(self):
        return self.message_ids(self.dest)

    def with_flags(self):
        return self.dest


class Copy(Taken):
    action = 'copy'

    def command(self, item):
        return 'UID COPY %d %s' % (item.uid, self.dest)


class Move(Taken):
    action = 'move'

    def command(self, item):
        return 'UID MOVE %d %s' % (item.uid, self.dest)


class Expunge(Deed):
    action = 'expunge'
    flags = '\\Deleted'

    def command(self, item):
        return 'UID EXPUNGE %d' % item.uid

    def happened(self):
        left = set(self.message_ids(self.box))
        return ['<%s%d@fault.example>' % (self.kind, number) for number in range(1, self.count + 1)
                if '<%s%d@fault.example>' % (self.kind, number) not in left]


class Claim(Deed):
    action = 'claim'

    def command(self, item):
        return 'UID STORE %d +FLAGS (claimed)' % item.uid

    def happened(self):
        return self.message_ids(self.box, 'KEYWORD claimed-alice')


class Release(Deed):
    action = 'release'

    def prepare(self, items):
        with self.session() as session:
            session.command('UID STORE %d:%d +FLAGS (claimed)' % (items[0].uid, items[-1].uid))
            session.logout()

    def command(self, item):
        return 'UID STORE %d -FLAGS (claimed)' % item.uid

    def happened(self):
        return self.message_ids(self.box, 'UNKEYWORD claimed-alice')


class Folder(Deed):
    needs_message = False

    def record_key(self, row):
        return row['mailbox']

    def item_key(self, item):
        return 'Team/' + item.name


class Create(Folder):
    action = 'create'

    def command(self, item):
        return 'CREATE Team/' + item.name

    def happened(self):
        return self.folders()


class Made(Folder):
    """The folder is there before."""

    def prepare(self, items):
        with self.server.login('erin') as session:
            for item in items:
                session.command('CREATE Team/' + item.name)
            session.logout()


class Rename(Made):
    action = 'rename'

    def command(self, item):
        return 'RENAME Team/%s Team/new-%s' % (item.name, item.name)

    def item_key(self, item):
        return 'Team/new-' + item.name

    def happened(self):
        return self.folders()


class Delete(Made):
    action = 'delete'

    def command(self, item):
        return 'DELETE Team/' + item.name

    def happened(self):
        left = set(self.folders())
        return ['Team/%s%d' % (self.kind, number) for number in range(1, self.count + 1)
                if 'Team/%s%d' % (self.kind, number) not in left]


ALL = [Flag, Append, Deliver, Copy, Move, Expunge, Claim, Release, Create, Rename, Delete]
