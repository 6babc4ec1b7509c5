# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mail in Team/INBOX: letters of customers as conversations, and the
special messages that every support address gets. The same base time gives the
same messages.
"""
import textwrap

import letters
import mime
import oddities

SUPPORT = ('Nordlicht Support', 'support@support.example')
ZONES = ['+0000', '+0100', '-0500', '+0900', '+0530', '-0800', '+1300', '-0330']
# letters of these languages come from more than two customers
OFTEN = {'en': 3, 'de': 3}


class Conversation:
    """A letter by one customer and what the customer writes later on."""

    def __init__(self, number, letter, person, round_number):
        self.number = number
        self.language, self.subject_form, self.text_form, self.followups = letter
        self.name, self.address, self.signature = person
        self.seed = number * 7 + round_number * 3
        self.client = letters.CLIENTS[self.seed % len(letters.CLIENTS)]
        self.zone = ZONES[self.seed % len(ZONES)]
        charsets = letters.CHARSETS[self.language]
        self.charsets, self.wanted = charsets, self.seed + round_number
        self.values = {
            'order': 'NL-%05d' % (10400 + self.seed * 37 % 9000),
            'serial': 'N%d-%04X' % (3 + number % 4, 0x1A00 + self.seed * 191 % 0xDFFF),
            'product': letters.PRODUCTS[self.seed % len(letters.PRODUCTS)],
            'day': '%d/%d' % (1 + self.seed % 28, 1 + self.seed % 12),
            'amount': 'EUR %d.%02d' % (49 + self.seed * 17 % 900, self.seed * 5 % 100),
            'city': letters.CITIES[self.seed % len(letters.CITIES)],
        }
        self.subject = self.subject_form.format(**self.values)
        self.references = []

    def message_id(self, what):
        domain = self.address.partition('@')[2]
        return '<%s.%d.%x@%s>' % (what, self.number, self.seed * 2654435761 % 2**32, domain)

    def fields(self, subject, when, charset, message_id):
        fields = [
            ('Date', mime.date(when, self.zone)),
            ('From', mime.mailbox(self.name, self.address, charset)),
            ('To', mime.mailbox(*SUPPORT)),
            ('Subject', mime.word(subject, charset)),
            ('Message-ID', message_id),
        ]
        if self.references:
            fields.append(('In-Reply-To', self.references[-1]))
            fields.append(('References', '\r\n '.join(self.references)))
        fields.append(self.client)
        return fields

    def body(self, text, charset):
        """The message's MIME body, in one of the forms that clients send."""
        seed = self.seed + len(self.references)
        full = text + '\n\n' + ('-- \n' if seed % 3 else '') + self.signature + '\n'
        boundary = '=_%d_%x' % (self.number, seed * 40503)
        encoding = [None, 'quoted-printable', 'base64', '8bit'][seed % 4]
        if charset in ('us-ascii', 'iso-2022-jp'):
            encoding = '7bit'
        part = mime.text_part(full, charset, encoding)
        form = seed % 8
        if form in (1, 5):
            part = mime.multipart('alternative', [
                part, mime.text_part(html(full), charset, 'quoted-printable'
                                     if charset != 'iso-2022-jp' else '7bit', 'html')],
                boundary + 'a')
        elif form == 3:
            part = mime.text_part(flowed(full), charset, encoding,
                                  extra='; format=flowed')
        if seed % 6 == 2:
            part = mime.multipart('mixed', [part, self.attachment(seed)], boundary + 'm')
        return part

    def attachment(self, seed):
        order = self.values['order']
        kinds = [
            (mime.png(seed), 'image/png', 'IMG_%04d.png' % (seed * 31 % 9999)),
            (mime.pdf(['Nordlicht', 'Order %s' % order, self.values['amount']]),
             'application/pdf', '%s.pdf' % order),
            (mime.csv(seed), 'text/csv', 'export-%s.csv' % self.values['serial']),
            (mime.png(seed + 1), 'image/png', 'Übersicht Gerät.png'),
            (mime.zipped([('log.txt', b'boot ok\r\n' * (seed % 9 + 1)),
                          ('data.csv', mime.csv(seed))]),
             'application/zip', 'logs.zip'),
        ]
        return mime.attachment(*kinds[seed // 6 % len(kinds)])

    def messages(self, when):
        """(time, message) of the letter and its follow-ups."""
        text = self.text_form.format(**self.values)
        yield self.one('msg', self.subject, text, when)
        for count, (answer, follow) in enumerate(self.followups, 1):
            # the colleague's answer went out and isn't in the mailbox
            answer_id = '<answer.%d.%d@support.example>' % (self.number, count)
            self.references.append(answer_id)
            when += 3600 * (5 + (self.seed + count * 7) % 60)
            quoted = '\n'.join('> ' + line for line in
                               textwrap.wrap(answer.format(**self.values), 70))
            follow = follow.format(**self.values)
            text = (quoted + '\n\n' + follow if self.seed % 2 else
                    follow + '\n\n' + quoted)
            subject = ('AW: ' if self.language == 'de' and self.seed % 2 else 'Re: ') + self.subject
            yield self.one('re%d' % count, subject, text, when)

    def one(self, what, subject, text, when):
        charset = mime.fitting_charset(
            subject + text + self.name + self.signature, self.charsets, self.wanted)
        message_id = self.message_id(what)
        fields = self.fields(subject, when, charset, message_id)
        self.references.append(message_id)
        return when, mime.message(fields, self.body(text, charset))


def html(text):
    """What a client makes of plain text when it sends HTML as well."""
    escaped = (text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;'))
    paragraphs = ''.join('<p>%s</p>\n' % p.replace('\n', '<br>\n')
                         for p in escaped.split('\n\n'))
    return ('<!DOCTYPE html>\n<html><head><style>p { margin: 0 0 1em }</style></head>\n'
            '<body style="font-family: sans-serif">\n%s</body></html>\n' % paragraphs)


def flowed(text):
    """RFC 3676: lines of a paragraph end in a space."""
    out = []
    for line in text.split('\n'):
        if line == '-- ' or len(line) < 72 or line.startswith('>'):
            out.append(line)
        else:
            out.extend([part + ' ' for part in textwrap.wrap(line, 70)[:-1]] +
                       textwrap.wrap(line, 70)[-1:])
    return '\n'.join(out)


def conversations():
    number = 0
    for index, letter in enumerate(letters.LETTERS):
        people = letters.PEOPLE[letter[0]]
        for round_number in range(min(OFTEN.get(letter[0], 2), max(len(people), 2))):
            person = people[(index + round_number) % len(people)]
            number += 1
            yield Conversation(number, letter, person, round_number)


def all_messages(now):
    """Every message as (time, bytes), oldest first, the newest some minutes
    before now."""
    base = now - 30 * 86400
    found = []
    for conversation in conversations():
        start = base + conversation.number * 86400 * 23 // 110 + \
            conversation.seed * 977 % 40000
        found.extend(conversation.messages(start))
    for index, (message, _) in enumerate(oddities.messages(base)):
        found.append((base + 43200 + index * 45000, message))
    found = [(min(when, now - 600), message) for when, message in found]
    found.sort(key=lambda item: item[0])
    return found
