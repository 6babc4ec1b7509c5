# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages that aren't a customer's plain letter: delivery reports, invites,
forwarded mail, machines, lists, and odd but legal or common forms.
"""
import mime

TO = 'Nordlicht Support <support@support.example>'


def simple(when, sender, subject, text, message_id, charset='us-ascii',
           encoding=None, extra=(), subtype='plain'):
    fields = [('From', sender), ('To', TO), ('Subject', subject),
              ('Date', mime.date(when))]
    if message_id:
        fields.append(('Message-ID', message_id))
    return mime.message(fields + list(extra),
                        mime.text_part(text, charset, encoding, subtype))


def raw(*lines):
    """A message given line by line."""
    return b'\r\n'.join(line if isinstance(line, bytes) else line.encode('utf-8')
                        for line in lines) + b'\r\n'


def delivery_failed(when):
    returned = mime.headers([
        ('From', TO), ('To', 'Tom <tom@whitfield-farm.example>'),
        ('Subject', 'Re: wind readings stuck at 0.0'),
        ('Message-ID', '<answer.bounced.1@support.example>'),
        ('Date', mime.date(when - 300))])
    status = raw('Reporting-MTA: dns; mx2.provider.example',
                 'Arrival-Date: ' + mime.date(when - 240), '',
                 'Final-Recipient: rfc822; tom@whitfield-farm.example',
                 'Action: failed', 'Status: 5.2.2',
                 'Diagnostic-Code: smtp; 552 5.2.2 Mailbox is over quota')
    part = mime.multipart('report', [
        mime.text_part('This is the mail system at host mx2.provider.example.\n\n'
                       'I\'m sorry to have to inform you that your message could not\n'
                       'be delivered to one recipient: its mailbox is full.\n', 'us-ascii'),
        mime.Part([('Content-Type', 'message/delivery-status')], status),
        mime.Part([('Content-Type', 'text/rfc822-headers')], returned),
    ], 'B0E4.1700/mx2.provider.example', '; report-type=delivery-status')
    return mime.message([
        ('Return-Path', '<>'),
        ('From', 'MAILER-DAEMON@mx2.provider.example (Mail Delivery System)'),
        ('To', 'support@support.example'), ('Subject', 'Undelivered Mail Returned to Sender'),
        ('Auto-Submitted', 'auto-replied'), ('Date', mime.date(when)),
        ('Message-ID', '<20240301.B0E41700@mx2.provider.example>')], part)


def delivery_delayed(when):
    status = raw('Reporting-MTA: dns; relay.uni-leafield.example', '',
                 'Final-Recipient: rfc822; p.raman@meteo.uni-leafield.example',
                 'Action: delayed', 'Status: 4.4.1',
                 'Will-Retry-Until: ' + mime.date(when + 4 * 86400))
    part = mime.multipart('report', [
        mime.text_part('THIS IS A WARNING MESSAGE ONLY.\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n',
                       'us-ascii'),
        mime.Part([('Content-Type', 'message/delivery-status')], status),
        mime.embedded(simple(when - 14400, TO, 'Re: Data logger export: which time zone?',
                             'Dear Dr. Raman, it is local time.\n',
                             '<answer.delayed.1@support.example>')),
    ], 'delay-4711', '; report-type=delivery-status')
    return mime.message([
        ('From', 'Mail Delivery Subsystem <postmaster@relay.uni-leafield.example>'),
        ('To', TO), ('Subject', 'Warning: could not send message for past 4 hours'),
        ('Date', mime.date(when)), ('Message-ID', '<delay.4711@relay.uni-leafield.example>'),
        ('Auto-Submitted', 'auto-generated')], part)


def read_receipt(when):
    note = raw('Reporting-UA: desktop.stadtwerke.example; Outlook',
               'Final-Recipient: rfc822;katrin.schaefer@stadtwerke-moehnetal.example',
               'Original-Message-ID: <answer.17.1@support.example>',
               'Disposition: manual-action/MDN-sent-manually; displayed')
    part = mime.multipart('report', [
        mime.text_part('Ihre Nachricht\n\n   Betreff: Angebot über 40 Bodenfeuchtesensoren\n\n'
                       'wurde gelesen.\n', 'iso-8859-1'),
        mime.Part([('Content-Type', 'message/disposition-notification')], note),
    ], '_000_mdn_', '; report-type=disposition-notification')
    return mime.message([
        ('From', mime.mailbox('Katrin Schäfer', 'katrin.schaefer@stadtwerke-moehnetal.example', 'iso-8859-1')),
        ('To', TO), ('Subject', mime.word('Gelesen: Angebot über 40 Bodenfeuchtesensoren', 'iso-8859-1')),
        ('Date', mime.date(when, '+0100')), ('Message-ID', '<mdn.88@stadtwerke-moehnetal.example>'),
        ('In-Reply-To', '<answer.17.1@support.example>')], part)


def invite(when, method='REQUEST', sequence=0):
    calendar = '\r\n'.join([
        'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Stadtwerke//Kalender//DE',
        'METHOD:' + method, 'BEGIN:VTIMEZONE', 'TZID:Europe/Berlin', 'BEGIN:STANDARD',
        'DTSTART:19701025T030000', 'TZOFFSETFROM:+0200', 'TZOFFSETTO:+0100', 'END:STANDARD',
        'END:VTIMEZONE', 'BEGIN:VEVENT', 'UID:einweisung-40@stadtwerke-moehnetal.example',
        'SEQUENCE:%d' % sequence, 'DTSTAMP:20240301T101500Z',
        'DTSTART;TZID=Europe/Berlin:20240319T%02d0000' % (10 + sequence),
        'DTEND;TZID=Europe/Berlin:20240319T%02d0000' % (12 + sequence),
        'SUMMARY:Einweisung Bodenfeuchtesensoren', 'LOCATION:Betriebshof\\, Tor 3',
        'ORGANIZER;CN=Katrin Schäfer:mailto:katrin.schaefer@stadtwerke-moehnetal.',
        ' example', 'ATTENDEE;RSVP=TRUE:mailto:support@support.example',
        'STATUS:' + ('CANCELLED' if method == 'CANCEL' else 'CONFIRMED'),
        'END:VEVENT', 'END:VCALENDAR', ''])
    text = 'Einweisung Bodenfeuchtesensoren\nBetriebshof, Tor 3. Bitte Schutzhelm mitbringen.\n'
    part = mime.multipart('mixed', [
        mime.multipart('alternative', [
            mime.text_part(text, 'utf-8', 'base64'),
            mime.text_part(calendar, 'utf-8', 'base64', 'calendar', '; method=' + method)],
            '_alt_%d' % sequence),
        mime.attachment(calendar.encode(), 'application/ics', 'invite.ics'),
    ], '_mix_%d' % sequence)
    subject = {'REQUEST': 'Einladung: ', 'CANCEL': 'Abgesagt: '}[method]
    return mime.message([
        ('From', mime.mailbox('Katrin Schäfer', 'katrin.schaefer@stadtwerke-moehnetal.example')),
        ('To', TO), ('Subject', subject + 'Einweisung Bodenfeuchtesensoren'),
        ('Date', mime.date(when, '+0100')),
        ('Message-ID', '<invite.%d@stadtwerke-moehnetal.example>' % sequence)], part)


def forwarded(when):
    inner = mime.message([
        ('From', mime.mailbox('佐藤 健一', 'k.sato@kisho-kenkyu.example', 'iso-2022-jp')),
        ('To', 'sales@support.example'), ('Subject', mime.word('修理の依頼', 'iso-2022-jp')),
        ('Date', mime.date(when - 90000, '+0900')),
        ('Message-ID', '<20240228.repair@kisho-kenkyu.example>')],
        mime.multipart('mixed', [
            mime.text_part('観測所の風速計が動きません。写真をご確認ください。\n', 'iso-2022-jp', '7bit'),
            mime.attachment(mime.png(5), 'image/png', '風速計.png')], 'inner'))
    part = mime.multipart('mixed', [
        mime.text_part('This one landed with us in sales. Can you take it?\n\nIngrid\n', 'us-ascii'),
        mime.embedded(inner, [('Content-Disposition', 'attachment; filename="forwarded.eml"')])],
        'outer')
    return mime.message([
        ('From', 'Ingrid from Sales <ingrid@support.example>'), ('To', TO),
        ('Subject', 'Fwd: repair request from Japan'), ('Date', mime.date(when)),
        ('Message-ID', '<fwd.japan.1@support.example>')], part)


def forwarded_twice(when):
    first = simple(when - 7200, 'Bill Hartmann <hartmanns@lakeview-cabins.example>',
                   'the thing on the roof', 'It hums. Is it supposed to hum?\n',
                   '<hum.1@lakeview-cabins.example>')
    second = mime.message([
        ('From', 'Reception <office@lakeview-cabins.example>'),
        ('To', 'info@support.example'), ('Subject', 'Fwd: the thing on the roof'),
        ('Date', mime.date(when - 3600)), ('Message-ID', '<hum.2@lakeview-cabins.example>')],
        mime.embedded(first))
    return mime.message([
        ('From', 'info@support.example'), ('To', TO),
        ('Subject', 'Fwd: Fwd: the thing on the roof'), ('Date', mime.date(when)),
        ('Message-ID', '<hum.3@support.example>')], mime.embedded(second))


def digest(when):
    part = mime.multipart('digest', [
        mime.Part([], simple(when - 100 * n, '%s@weather-list.example' % name, subject,
                             text + '\n', '<list.%d@weather-list.example>' % n))
        for n, (name, subject, text) in enumerate([
            ('dieter', 'Re: bird on anemometer', 'A starling sat on mine for a week. Data unusable, bird happy.'),
            ('fatima', 'solar panel angle', 'Steeper is better in winter: 60 degrees here.'),
            ('old.salt', 'Re: solar panel angle', 'Vertical. Snow slides off.')], 1)],
        'digest-42', preamble=b'This is a digest of 3 messages.\r\n')
    return mime.message([
        ('From', 'Weather station list <list@weather-list.example>'), ('To', 'list@weather-list.example'),
        ('Subject', 'weather-list digest, vol 42'), ('List-Id', 'Weather stations <list.weather-list.example>'),
        ('List-Unsubscribe', '<mailto:leave@weather-list.example>, <https://weather-list.example/leave>'),
        ('Precedence', 'bulk'), ('Date', mime.date(when)),
        ('Message-ID', '<digest.42@weather-list.example>')], part)


def related(when):
    page = ('<html><body><h1>Weekly station report</h1><p><img src="cid:chart1@reports.example" '
            'alt="chart"></p><p>Lowest: &minus;3.2&nbsp;&deg;C</p></body></html>\n')
    part = mime.multipart('related', [
        mime.multipart('alternative', [
            mime.text_part('Weekly station report\nLowest: -3.2 C\n', 'us-ascii'),
            mime.text_part(page, 'us-ascii', 'quoted-printable', 'html')], 'rel-alt'),
        mime.attachment(mime.png(9, 96, 64), 'image/png', 'chart.png', 'inline',
                        [('Content-ID', '<chart1@reports.example>')])],
        'rel', '; type="multipart/alternative"')
    return mime.message([
        ('From', 'Station reports <noreply@reports.example>'), ('To', TO),
        ('Subject', 'Weekly report: Harbour Garden'), ('Date', mime.date(when)),
        ('Auto-Submitted', 'auto-generated'),
        ('Message-ID', '<weekly.9@reports.example>')], part)


def signed(when):
    text = mime.text_part('Bitte bestaetigen Sie den Termin.\n\nG. Oexler\n', 'us-ascii')
    signature = mime.Part(
        [('Content-Type', 'application/pgp-signature; name="signature.asc"'),
         ('Content-Disposition', 'attachment; filename="signature.asc"')],
        raw('-----BEGIN PGP SIGNATURE-----', '',
            'wsB5BAABCAAjFiEEnotARealSignature00000000000FAmXh', '=Tk9P',
            '-----END PGP SIGNATURE-----'))
    return mime.message([
        ('From', mime.mailbox('Dipl.-Ing. Günther Öxler', 'oexler@buero-oexler.example', 'windows-1252')),
        ('To', TO), ('Subject', 'Terminbestaetigung'), ('Date', mime.date(when, '+0200')),
        ('Message-ID', '<pgp.3@buero-oexler.example>')],
        mime.multipart('signed', [text, signature], 'sig',
                       '; micalg=pgp-sha256;\r\n protocol="application/pgp-signature"'))


def out_of_office(when):
    return simple(when, mime.mailbox('François Côté', 'fcote@erabliere-cote.example'),
                  mime.word('Absence : temps des sucres'),
                  'Bonjour,\n\nje suis à la cabane jusqu’à la fin du temps des sucres. '
                  'En cas d’urgence, klaxonnez fort.\n', '<ooo.1@erabliere-cote.example>',
                  'utf-8', extra=[('Auto-Submitted', 'auto-replied'),
                                  ('X-Auto-Response-Suppress', 'All'),
                                  ('In-Reply-To', '<answer.24.1@support.example>')])


def scanner(when):
    return mime.message([
        ('From', 'scanner@stadtwerke-moehnetal.example'), ('To', TO), ('Subject', ''),
        ('Date', mime.date(when)), ('Message-ID', '<SCAN-0001@stadtwerke-moehnetal.example>')],
        mime.multipart('mixed', [
            mime.attachment(mime.pdf(['Eigenerklaerung zur Eignung', 'Formblatt 124']),
                            'application/pdf', 'SCAN0001.PDF')], 'scan'))


def voicemail(when):
    sound = b'RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x07\x00\x01\x00\x40\x1f\x00\x00' \
            b'\x40\x1f\x00\x00\x01\x00\x08\x00data\x08\x00\x00\x00' + bytes(8)
    return mime.message([
        ('From', 'Telefonanlage <pbx@support.example>'), ('To', TO),
        ('Subject', 'Voicemail from +49 30 555 0100 (0:42)'), ('Date', mime.date(when)),
        ('Message-ID', '<vm.17@pbx.support.example>')],
        mime.multipart('mixed', [
            mime.text_part('New voicemail, 42 seconds.\n', 'us-ascii'),
            mime.attachment(sound, 'audio/x-wav', 'voicemail.wav')], 'vm'))


def newsletter(when):
    page = '<table width=600><tr><td>' + ''.join(
        '<a href="https://shop.example/c?id=%d&utm_source=mail&utm_campaign=spring">Item %d</a> ' % (n, n)
        for n in range(120)) + '</td></tr></table>'
    # one line of about 9,000 bytes, as newsletters are
    return simple(when, '"Parts & More" <news@parts.example>',
                  mime.word('☀️ Spring sale: 20 % off all brackets!'), page,
                  '<news.2024.12@parts.example>', 'utf-8', '8bit',
                  [('List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'),
                   ('List-Unsubscribe', '<https://shop.example/u?x=1>')], 'html')


def long_text_line(when):
    text = 'Pasted from our monitoring: ' + ' '.join(
        'station-%03d=%s' % (n, 'ok' if n % 7 else 'STALE') for n in range(400))
    return simple(when, 'monitoring@coastwatch.example', 'station list', text + '\n',
                  '<mon.400@coastwatch.example>', 'us-ascii', '7bit')


def patch(when):
    text = ('Hi,\n\nattached inline, the CSV importer chokes on a BOM:\n\n---\n'
            '--- a/import.py\n+++ b/import.py\n@@ -11,3 +11,3 @@\n'
            '-    with open(path) as f:\n+    with open(path, encoding="utf-8-sig") as f:\n'
            '         return list(csv.reader(f))\n-- \n2.39.2\n')
    return simple(when, 'Dev Null <dev@null-pointers.example>', '[PATCH] import: skip BOM', text,
                  '<20240304-bom-v1-1-a1b2c3@null-pointers.example>')


def group_recipients(when):
    return raw('From: Aroha Ngata <aroha@ngata-orchards.example>',
               'To: undisclosed-recipients:;',
               'Cc: Growers: tom@whitfield-farm.example, "Bill, Susan" <hartmanns@lakeview-cabins.example>;,',
               '\tsupport@support.example (the helpful people)',
               'Subject: Frost alarms on the co-op list',
               'Date: ' + mime.date(when, '+1300'),
               'Message-ID: <coop.frost@ngata-orchards.example>', '',
               'Hi all,', '', 'whose stations woke them at 3 last night? Mine did. No frost.')


def odd_addresses(when):
    return raw('From: "Meyer, \\"Bär\\" (Privat)"'.replace('ä', 'ae') + ' <"meyer baer"@kleingarten-sonnenhang.example>',
               'Sender: Pete(A nice \\) chap) <pete(his account)@silly.example(his host)>',
               'To:Nordlicht', '  Support <support@support.example>',
               'Reply-To: "Meyer (neu)" <neu@kleingarten-sonnenhang.example>',
               'Subject: Umzug', 'Date: Fri, 1 Mar 24 9:55 CET',
               'Message-Id:<umzug.1@kleingarten-sonnenhang.example>', '',
               'Wir ziehen um. Neue Adresse siehe Antwort-An.')


def obsolete_date(when):
    return raw('DATE: 21 Nov 97 09:55:06 GMT', 'from: Old Gateway <gw@museum.example>',
               'TO: support@support.example', 'subject: status report',
               'message-id: <19971121.1@museum.example>', '',
               'All sensors nominal. (This machine has been sending since 1997.)')


def without_message_id(when):
    return raw('From: gateway-7f@devices.example', 'To: support@support.example',
               'Subject: ALERT battery 9%', 'Date: ' + mime.date(when), '',
               'device=7f battery=9 uptime=88213')


def without_date(when):
    return raw('From: printer@support.example', 'To: support@support.example',
               'Subject: Toner low', 'Message-ID: <toner.%d@printer.support.example>' % 3, '',
               'Cyan 4 %.')


def same_id(when, number):
    return raw('From: ticket@greenfield-estates.example', 'To: support@support.example',
               'Subject: [Ticket 5501] Update %d' % number, 'Date: ' + mime.date(when),
               'Message-ID: <ticket-5501@greenfield-estates.example>', '',
               'Their ticket system sends every update with one and the same Message-ID.',
               'This is update %d.' % number)


def strange_id(when):
    return raw('From: Exchange <exchange@valle.example>', 'To: support@support.example',
               'Subject: Ricevuta', 'Date: ' + mime.date(when),
               'Message-ID:', ' <"00 50 strange<id>"@[192.0.2.7]>', '', 'Ricevuto.')


def long_id(when):
    return simple(when, 'Cloud <no-reply@bulk.cloud.example>', 'Your export is ready',
                  'Your export is ready for download.\n',
                  '<%s@eu-west.bulk.cloud.example>' % ('0100018e1f' * 18))


def long_thread(when):
    references = '\r\n '.join('<thread.%d@growers.example>' % n for n in range(60))
    return simple(when, 'Growers forum <forum@growers.example>', 'Re: Re: Re: Re: Re: Re: mulch',
                  'I still say straw.\n', '<thread.60@growers.example>',
                  extra=[('In-Reply-To', '<thread.59@growers.example>'), ('References', references)])


def many_headers(when):
    hops = [('Received', 'from hop%d.example (hop%d.example [192.0.2.%d])\r\n\tby hop%d.example '
             'with ESMTPS id %08X\r\n\tfor <support@support.example>; %s' %
             (n, n, n, n + 1, n * 99991, mime.date(when - n))) for n in range(1, 26)]
    return mime.message(hops + [
        ('DKIM-Signature', 'v=1; a=rsa-sha256; c=relaxed/relaxed; d=long-way.example; s=k1;\r\n\t'
         'h=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=' +
         '\r\n\t '.join(['AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdEfGhIjKlMnOp'] * 5)),
        ('From', 'Traveller <me@long-way.example>'), ('To', TO), ('Subject', 'It took a while'),
        ('Date', mime.date(when - 3000)), ('Message-ID', '<long.way@long-way.example>'),
        ('X-Spam-Status', 'No, score=-2.1 required=5.0 tests=BAYES_00,\r\n\tDKIM_SIGNED,DKIM_VALID,'
         '\r\n\tHTML_MESSAGE autolearn=ham')],
        mime.text_part('Did my first mail arrive?\n', 'us-ascii'))


def uuencode(when):
    return raw('From: BBS <sysop@museum.example>', 'To: support@support.example',
               'Subject: the log you asked for', 'Date: ' + mime.date(when),
               'Message-ID: <bbs.7@museum.example>', '', 'here it is', '') + \
        mime.uuencoded('station.csv', mime.csv(3))


def raw_utf8_header(when):
    return raw('From: Håkon Bjørnstad <hakon@fyrvokter.example>', 'To: support@support.example',
               'Subject: Vindmåler på fyret – reservedel?', 'Date: ' + mime.date(when, '+0100'),
               'Message-ID: <fyr.1@fyrvokter.example>', 'MIME-Version: 1.0',
               'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit', '',
               'Hei, har dere reservedeler til WindEye W1? Måseskader.')


def unlabelled_latin1(when):
    return raw('From: Kasse <kasse@baeckerei.example>', 'To: support@support.example',
               'Subject: Gerät'.encode('latin-1'), 'Date: ' + mime.date(when, '+0100'),
               'Message-ID: <kasse.2@baeckerei.example>', '',
               'Das Gerät zeigt "Störung". Was heißt das?'.encode('latin-1'))


def wrong_charset(when):
    return raw('From: legacy@erp.example', 'To: support@support.example', 'Subject: Bestellbestaetigung',
               'Date: ' + mime.date(when), 'Message-ID: <erp.1@erp.example>', 'MIME-Version: 1.0',
               'Content-Type: text/plain; charset=x-unknown-8bit', 'Content-Transfer-Encoding: 8bit', '',
               b'Gr\x94\xe1e: 3 St\x81ck')


def truncated_multipart(when):
    return raw('From: Phone <jack.nguyen@coastwatch.example>', 'To: support@support.example',
               'Subject: photo of the mast', 'Date: ' + mime.date(when, '+1000'),
               'Message-ID: <cut.off@coastwatch.example>', 'MIME-Version: 1.0',
               'Content-Type: multipart/mixed; boundary="cut"', '', '--cut',
               'Content-Type: text/plain', '', 'Here is the phot', '--cut',
               'Content-Type: image/jpeg; name="mast.jpg"', 'Content-Transfer-Encoding: base64', '',
               '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJ')


def nested(when):
    part = mime.text_part('the innermost part\n', 'us-ascii')
    for depth in range(12):
        part = mime.multipart('mixed' if depth % 2 else 'alternative', [part], 'nest-%d' % depth)
    return mime.message([('From', 'Matryoshka <doll@nested.example>'), ('To', TO),
                         ('Subject', 'Fwd: Fwd: Fwd: Fwd: price list'), ('Date', mime.date(when)),
                         ('Message-ID', '<nested.12@nested.example>')], part)


def empty_body(when):
    return raw('From: Sjoerd van der Veen <sjoerd@zeilschool-vdveen.example>',
               'To: support@support.example', 'Subject: Call me back please, 0612 000 000 (eom)',
               'Date: ' + mime.date(when, '+0100'), 'Message-ID: <eom.1@zeilschool-vdveen.example>', '')


def headers_only(when):
    return ('From: probe@monitor.example\r\nTo: support@support.example\r\nSubject: probe\r\n'
            'Date: %s\r\nMessage-ID: <probe.1@monitor.example>\r\n\r\n' % mime.date(when)).encode()


def dots_and_froms(when):
    return simple(when, 'Tom <tom@whitfield-farm.example>', 'notes from the field',
                  '.\n..\n.hidden line\nFrom here on it rained.\n>From the east.\n.\n\n',
                  '<dots.1@whitfield-farm.example>')


def trailing_spaces(when):
    return simple(when, 'ascii@art.example', 'rain gauge, drawn',
                  '   \\      /   \n    \\    /    \n     \\__/     \t\n      ||      \n',
                  '<art.1@art.example>', 'us-ascii', 'quoted-printable')


def vcard(when):
    card = 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Γιώργος Παπαδόπουλος\r\nTEL:+30 210 000 0000\r\nEND:VCARD\r\n'
    return mime.message([
        ('From', mime.mailbox('Γιώργος Παπαδόπουλος', 'giorgos@elaiones.example', 'iso-8859-7')),
        ('To', TO), ('Subject', mime.word('Νέο τηλέφωνο', 'iso-8859-7')), ('Date', mime.date(when, '+0200')),
        ('Message-ID', '<vcf.1@elaiones.example>')],
        mime.multipart('mixed', [
            mime.text_part('Άλλαξε ο αριθμός μου, δείτε την κάρτα.\n', 'iso-8859-7', '8bit'),
            mime.attachment(card.encode(), 'text/vcard', 'Παπαδόπουλος.vcf')], 'vcf'))


def continued_parameter(when):
    name = ("filename*0*=utf-8''Temperaturverlauf%20; filename*1*=%C3%9Cbersicht%20;\r\n"
            ' filename*2="2024.csv"')
    part = mime.Part([('Content-Type', 'text/csv'), ('Content-Transfer-Encoding', 'quoted-printable'),
                      ('Content-Disposition', 'attachment; ' + name)], mime.csv(8))
    return mime.message([
        ('From', mime.mailbox('Jürgen Weißmüller', 'j.weissmueller@gaertnerei-weissmueller.example')),
        ('To', TO), ('Subject', 'CSV wie besprochen'), ('Date', mime.date(when, '+0200')),
        ('Message-ID', '<csv.8@gaertnerei-weissmueller.example>'), ('Importance', 'high'),
        ('X-Priority', '1 (Highest)'), ('Disposition-Notification-To', 'j.weissmueller@gaertnerei-weissmueller.example')],
        mime.multipart('mixed', [mime.text_part('anbei.\n', 'us-ascii'), part], 'rfc2231'))


def binary_name(when):
    return mime.message([
        ('From', mime.mailbox('Ольга Николаевна Соколова', 'sokolova@meteoklub.example', 'koi8-r')),
        ('To', TO), ('Subject', mime.word('Фотографии станции', 'koi8-r')), ('Date', mime.date(when, '+0300')),
        ('Message-ID', '<foto.5@meteoklub.example>')],
        mime.multipart('mixed', [
            mime.text_part('Фотографии во вложении.\n', 'koi8-r', '8bit'),
            mime.attachment(mime.png(11), 'image/png', 'станция зимой.png'),
            mime.attachment(mime.png(12), 'image/png', 'станция летом.png')], 'foto'))


def traditional_chinese(when):
    return simple(when, mime.mailbox('陳美玲', 'meiling.chen@guoyuan.example', 'big5'),
                  mime.word('附件：雨量紀錄', 'big5'), '您好，附件是上個月的雨量紀錄，請參考。\n',
                  '<rain.big5@guoyuan.example>', 'big5', 'base64')


def simplified_chinese(when):
    return simple(when, mime.mailbox('李静', 'li.jing@nongke.example', 'gb18030'),
                  mime.word('温室㐀传感器安装位置', 'gb18030'), '请问温室里的传感器应该装在什么高度？㐀\n',
                  '<gb18030.1@nongke.example>', 'gb18030', 'quoted-printable')


def shift_jis(when):
    return simple(when, mime.mailbox('山田 花子', 'hanako.yamada@yamada-chaen.example', 'shift_jis'),
                  mime.word('写真の件', 'shift_jis'), '先日お送りした写真は届きましたでしょうか。\n',
                  '<photo.sjis@yamada-chaen.example>', 'shift_jis', '8bit')


def encoded_word_breaks(when):
    return raw('From: =?utf-8?q?S=C3=A1ra_K=C3=B6nig?= <sara@tanya.example>', 'To: support@support.example',
               'Subject: =?utf-8?b?SG9neWFuIGtlbGwgYSBtxa8=?=', ' =?utf-8?q?szert?=  =?iso-8859-2?Q?_felszerelni=3F?=',
               '\t(kis kert)', 'Date: ' + mime.date(when, '+0100'),
               'Message-ID: <kert.1@tanya.example>', 'MIME-Version: 1.0',
               'Content-Type: text/plain; charset="utf-8"', 'Content-Transfer-Encoding: base64', '',
               'SsOzIG5hcG90IQ==')


def external_body(when):
    part = mime.Part([('Content-Type', 'message/external-body; access-type=anon-ftp;\r\n'
                       ' site="ftp.museum.example"; directory="pub"; name="firmware-1.0.bin"')],
                     raw('Content-Type: application/octet-stream',
                         'Content-ID: <fw.1@museum.example>', ''))
    return mime.message([('From', 'Old Gateway <gw@museum.example>'), ('To', TO),
                         ('Subject', 'firmware for the museum piece'), ('Date', mime.date(when)),
                         ('Message-ID', '<fw.ext@museum.example>')], part)


def spam_like(when):
    return simple(when, '"SUPPORT TEAM" <winner@lucky-draw.example>', 'Re: Re: your parcel !!!',
                  'Dear support@support.example,\n\nyour p-a-r-c-e-l is waiting. Click not here.\n',
                  '<spam.1@lucky-draw.example>', extra=[('X-Spam-Flag', 'YES')])


FORMS = [
    delivery_failed, delivery_delayed, read_receipt, invite,
    lambda when: invite(when, 'REQUEST', 1), lambda when: invite(when, 'CANCEL', 2),
    forwarded, forwarded_twice, digest, related, signed, out_of_office, scanner,
    voicemail, newsletter, long_text_line, patch, group_recipients, odd_addresses,
    obsolete_date, without_message_id, without_date,
    lambda when: same_id(when, 1), lambda when: same_id(when, 2), strange_id,
    long_id, long_thread, many_headers, uuencode, raw_utf8_header,
    unlabelled_latin1, wrong_charset, truncated_multipart, nested, empty_body,
    headers_only, dots_and_froms, trailing_spaces, vcard, continued_parameter,
    binary_name, traditional_chinese, simplified_chinese, shift_jis,
    encoded_word_breaks, external_body, spam_like,
]


def messages(base):
    """(message, number) of all of them, dated one after the other."""
    for number, form in enumerate(FORMS):
        yield form(base + 43200 + number * 45000), number
