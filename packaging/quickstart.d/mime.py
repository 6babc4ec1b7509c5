# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds messages byte by byte, as the many mail programs out there do, and
small real attachments. Deterministic: the same arguments give the same bytes.
"""
import base64
import binascii
import calendar
import io
import quopri
import struct
import time
import zipfile
import zlib

# A bare charset name in Python isn't always the name in mail.
PYTHON_CHARSETS = {'big5': 'cp950'}


def encode(text, charset):
    return text.encode(PYTHON_CHARSETS.get(charset, charset), 'replace')


def fitting_charset(text, charsets, wanted):
    """The wanted charset if it can write the text, else UTF-8."""
    charset = charsets[wanted % len(charsets)]
    try:
        text.encode(PYTHON_CHARSETS.get(charset, charset))
        return charset
    except UnicodeEncodeError:
        return 'utf-8'


def word(text, charset='utf-8', form=None):
    """A header's text: as it is if ASCII, else RFC 2047 encoded words of at
    most 75 characters. form: 'B' or 'Q'; by default what is shorter."""
    if text.isascii():
        return text
    if charset == 'us-ascii':
        charset = 'utf-8'
    if form is None:
        form = 'Q' if sum(c < '\x7f' for c in text) * 2 > len(text) else 'B'
    words, start = [], 0
    while start < len(text):
        length = 1
        while start + length < len(text) and \
                len(encoded_word(text[start:start + length + 1], charset, form)) <= 75:
            length += 1
        words.append(encoded_word(text[start:start + length], charset, form))
        start += length
    return '\r\n '.join(words)


def encoded_word(text, charset, form):
    data = encode(text, charset)
    if form == 'B':
        return '=?%s?B?%s?=' % (charset, base64.b64encode(data).decode())
    quoted = ''.join(chr(b) if chr(b).isascii() and chr(b).isalnum() else
                     '_' if b == 0x20 else '=%02X' % b for b in data)
    return '=?%s?Q?%s?=' % (charset, quoted)


def mailbox(name, address, charset='utf-8'):
    """name <address> for a From or To header."""
    if not name:
        return address
    if not name.isascii():
        return '%s <%s>' % (word(name, charset), address)
    if any(c in name for c in '.,&()"'):
        name = '"%s"' % name.replace('"', '\\"')
    return '%s <%s>' % (name, address)


def parameter(name, value):
    """A MIME parameter, RFC 2231 encoded where it must be."""
    if value.isascii():
        return '%s="%s"' % (name, value)
    encoded = ''.join(chr(b) if chr(b).isalnum() and b < 128 or b in b'.-_' else
                      '%%%02X' % b for b in value.encode())
    return "%s*=utf-8''%s" % (name, encoded)


def date(when, zone='+0000'):
    """RFC 5322 date of the time (seconds since the epoch) in the zone."""
    offset = (int(zone[1:3]) * 60 + int(zone[3:5])) * (-60 if zone[0] == '-' else 60)
    return time.strftime('%a, %d %b %Y %H:%M:%S ', time.gmtime(when + offset)) + zone


def internaldate(when):
    return time.strftime('%d-%b-%Y %H:%M:%S +0000', time.gmtime(when))


def midnight(when):
    return calendar.timegm(time.gmtime(when)[:3] + (0, 0, 0))


def crlf(data):
    return data.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')


def headers(fields):
    """Joins (name, value) to a header. Values may be folded already."""
    return b''.join(('%s: %s\r\n' % (n, v)).encode('utf-8') for n, v in fields)


def text_part(text, charset='utf-8', encoding=None, subtype='plain', extra='',
              fields=()):
    """A text part. encoding: 7bit, 8bit, quoted-printable, base64, or None to
    choose what suits the charset."""
    data = crlf(encode(text, charset))
    if encoding is None:
        encoding = '7bit' if all(b < 128 for b in data) else 'quoted-printable'
    if encoding == 'quoted-printable':
        data = crlf(quopri.encodestring(data.replace(b'\r\n', b'\n')))
    elif encoding == 'base64':
        data = crlf(base64.encodebytes(data))
    return Part([('Content-Type', 'text/%s; charset=%s%s' % (subtype, charset, extra)),
                 ('Content-Transfer-Encoding', encoding)] + list(fields), data)


class Part:
    """A MIME entity: header fields and an encoded body."""

    def __init__(self, fields, body):
        self.fields = fields
        self.body = body

    def bytes(self):
        return headers(self.fields) + b'\r\n' + self.body


def multipart(subtype, parts, boundary, extra='', preamble=b'', epilogue=b''):
    delimiter = b'--' + boundary.encode()
    body = preamble
    for part in parts:
        body += delimiter + b'\r\n' + part.bytes() + b'\r\n'
    body += delimiter + b'--\r\n' + epilogue
    return Part([('Content-Type', 'multipart/%s; boundary="%s"%s' %
                  (subtype, boundary, extra))], body)


def attachment(data, content_type, name, disposition='attachment', fields=()):
    return Part([('Content-Type', '%s; %s' % (content_type, parameter('name', name))),
                 ('Content-Transfer-Encoding', 'base64'),
                 ('Content-Disposition', '%s; %s' % (disposition, parameter('filename', name)))] +
                list(fields), crlf(base64.encodebytes(data)))


def embedded(message, fields=()):
    return Part([('Content-Type', 'message/rfc822')] + list(fields), message)


def message(fields, part):
    return headers(list(fields) + [('MIME-Version', '1.0')]) + part.bytes()


def png(seed, width=48, height=32):
    """A small picture: a sky with a crack or a curve in it."""
    rows = []
    for y in range(height):
        row = bytearray([0])
        for x in range(width):
            line = abs((x * (seed % 5 + 1) // 3 + seed * 7) % height - y) < 2
            row += bytes((30, 30, 30) if line else
                         ((90 + 2 * y + seed * 13) % 256, (150 + y) % 256, 220))
        rows.append(bytes(row))

    def chunk(kind, data):
        return (struct.pack('>I', len(data)) + kind + data +
                struct.pack('>I', zlib.crc32(kind + data)))
    return (b'\x89PNG\r\n\x1a\n' +
            chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(b''.join(rows), 9)) + chunk(b'IEND', b''))


def pdf(lines):
    """A one-page PDF with the lines of text (ASCII)."""
    text = b'BT /F1 12 Tf 60 760 Td 16 TL ' + b' '.join(
        b'(%s) Tj T*' % line.encode('ascii', 'replace')
        .replace(b'\\', b'\\\\').replace(b'(', b'\\(').replace(b')', b'\\)')
        for line in lines) + b' ET'
    objects = [
        b'<< /Type /Catalog /Pages 2 0 R >>',
        b'<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
        b'<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R '
        b'/Resources << /Font << /F1 5 0 R >> >> >>',
        b'<< /Length %d >>\nstream\n%s\nendstream' % (len(text), text),
        b'<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    ]
    out, places = b'%PDF-1.4\n', []
    for number, data in enumerate(objects, 1):
        places.append(len(out))
        out += b'%d 0 obj\n%s\nendobj\n' % (number, data)
    table = len(out)
    out += b'xref\n0 %d\n0000000000 65535 f \n' % (len(objects) + 1)
    out += b''.join(b'%010d 00000 n \n' % place for place in places)
    return out + (b'trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n' %
                  (len(objects) + 1, table))


def csv(seed, rows=24):
    lines = ['time;temperature;humidity;rain']
    for hour in range(rows):
        lines.append('%02d:00;%.1f;%d;%.1f' % (
            hour % 24, 8 + (hour * 7 + seed) % 90 / 10, 55 + (hour * 5 + seed) % 40,
            (hour + seed) % 6 // 4 * 0.3))
    return '\r\n'.join(lines).encode() + b'\r\n'


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


def uuencoded(name, data):
    lines = [binascii.b2a_uu(data[i:i + 45]) for i in range(0, len(data), 45)]
    return crlf(b'begin 644 %s\n' % name.encode() + b''.join(lines) + b'`\nend\n')
