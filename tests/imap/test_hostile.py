# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names and texts that are meant to break something."""
import csv
import io
import json

import pytest

QUOTES = 'it\'s "so" \\ %s; DROP TABLE team.log; -- $1 {x}'


def refused(server):
    """Records that PostgreSQL didn't take, and requests the service didn't."""
    return (server.audit("action = 'gap' AND detail->>'reason' LIKE '%%refused%%'"),
            [line for line in server.log().splitlines()
             if 'Invalid request' in line or 'Invalid input' in line])


@pytest.fixture(autouse=True)
def nothing_refused(server):
    before = refused(server)
    yield
    server.all_shipped()
    assert refused(server) == before


def literal(data):
    return b'{%d+}\r\n' % len(data) + data


@pytest.mark.parametrize('name', [
    QUOTES.encode(), b'one\r\ntwo', b'a\tb\x01c\x7f', b'\xff\xfe\xc3(', 'Grüße ✉'.encode(),
    b"'||(SELECT 1)||'", b'x' * 900], ids=range(7))
def test_client_name(box, name):
    """What a client calls itself is text, in the log and where it's shown."""
    alice = box.login('alice', select=False)
    alice.attempt(b'ID ("name" ' + literal(name) + b')')
    alice.select(box.name)
    box.server.wait_audit("action = 'open' AND mailbox = %s AND client IS NOT NULL", (box.name,))
    rows = box.server.doveadm('team', 'audit', 'search', '--mailbox', box.name,
                              '--action', 'open', check=True).stdout
    # a heading, and one record
    assert len(rows.splitlines()) == 2, rows


@pytest.mark.parametrize('name', [QUOTES.replace('.', ' '), 'Grüße & ✉', "'); --", '"', 'a*b'],
                         ids=range(5))
def test_mailbox_name(box, name):
    """Folders may be called anything."""
    path = box.name + '/' + name
    alice = box.login('alice', select=False)
    encoded = (path.replace('&', '&-').encode('ascii') if path.isascii() else
               (box.name + '/Gr&APwA3w-e &- &Jwk-').encode())
    alice.command(b'CREATE ' + literal(encoded))
    alice.command(b'SELECT ' + literal(encoded))
    message = box.message(1)
    tag = alice.next_tag()
    alice.send(tag.encode() + b' APPEND ' + literal(encoded) + b' ' + literal(message) + b'\r\n')
    assert alice.finish(tag).ok
    alice.command('NOOP')
    alice.command('STORE 1 +FLAGS (\\Flagged claimed)')
    rows = box.server.wait_audit("mailbox = %s AND action IN ('append', 'flag', 'claim')",
                                 (path,), 3)
    assert sorted(row['action'] for row in rows) == ['append', 'claim', 'flag']
    found = box.server.doveadm_json('team', 'audit', 'search', '--mailbox', path)
    assert {row['mailbox'] for row in found} == {path}
    alice.command(b'RENAME ' + literal(encoded) + b' ' + literal(encoded + b'2'))
    alice.command(b'DELETE ' + literal(encoded + b'2'))


@pytest.mark.parametrize('value', [
    b'<' + QUOTES.encode() + b'>', b'<a\tb\x01@x>', b'<\xff\xfe\xc3(@x>', b'<nul\0byte@x>',
    b'<' + b'x' * 65536 + b'@x>', b'no brackets', b'', b'<one@x>\r\n\t<two@x>',
    b'<\xf0\x9f\x93\xa7@x>'], ids=range(9))
def test_message_id(box, value):
    """Messages with any Message-ID are flagged, claimed and found in the log."""
    alice = box.login('alice')
    message = b'Message-ID: ' + value + b'\r\nSubject: x\r\n\r\ntext\r\n'
    uid = alice.append_one(box.name, message)
    alice.command('NOOP')
    alice.command('UID STORE %d +FLAGS (\\Seen claimed)' % uid)
    rows = box.server.wait_audit(
        "mailbox = %s AND uid = %s AND action IN ('append', 'read', 'claim')", (box.name, uid), 3)
    assert sorted(row['action'] for row in rows) == ['append', 'claim', 'read']
    assert len({row['message_id'] for row in rows}) == 1


@pytest.mark.parametrize('keyword', ["o'brien;--", "my-';DELETE", '$$x$$', 'x' * 50, "a,b=c|d"],
                         ids=range(5))
def test_keyword(box, keyword):
    """So are any keywords, private ones as well."""
    alice = box.login('alice')
    uid = box.uids[0]
    alice.command('UID STORE %d +FLAGS (%s)' % (uid, keyword))
    assert keyword in alice.flags(uid)
    rows = box.server.wait_audit("mailbox = %s AND uid = %s AND action = 'flag'",
                                 (box.name, uid))
    assert len(rows) == 1
    assert keyword in json.dumps(rows[0]['detail'])


def test_formats(box):
    """An export's lines are records, whatever stands in them."""
    alice = box.login('alice', select=False)
    alice.attempt(b'ID ("name" ' + literal(b'evil",=1+1\r\n{"seq":1}') + b')')
    alice.select(box.name)
    box.server.all_shipped()
    lines = box.server.doveadm('team', 'audit', 'export', '--format', 'csv').stdout
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert all(row['seq'].isdigit() and None not in row for row in rows)
    lines = box.server.doveadm('team', 'audit', 'export').stdout.splitlines()
    assert all(json.loads(line)['seq'] for line in lines)
