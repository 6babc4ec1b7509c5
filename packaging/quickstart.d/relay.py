# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small SMTP server on loopback behind quickstart's submission service.

Mail to the shared address comes back by LMTP, all other mail is written to a
folder: nothing ever leaves the machine.
"""
import argparse
import os
import re
import signal
import smtplib
import socketserver
import sys
import time

SHARED = 'support'
MAX_LINE = 65536


class Handler(socketserver.StreamRequestHandler):
    timeout = 300

    def answer(self, line):
        self.wfile.write(line.encode('utf-8', 'replace') + b'\r\n')

    def reset(self):
        self.sender = None
        self.recipients = []

    def handle(self):
        self.reset()
        self.answer('220 relay.support.example ESMTP')
        while True:
            line = self.rfile.readline(MAX_LINE)
            if not line:
                return
            text = line.decode('utf-8', 'replace').rstrip('\r\n')
            verb = text.split(' ')[0].upper()
            if verb == 'QUIT':
                self.answer('221 2.0.0 Bye')
                return
            self.command(verb, text)

    def command(self, verb, text):
        if verb == 'EHLO':
            for name in ('relay.support.example', 'PIPELINING', '8BITMIME',
                         'SMTPUTF8', 'ENHANCEDSTATUSCODES'):
                self.answer('250-' + name)
            self.answer('250 SIZE 52428800')
        elif verb in ('HELO', 'NOOP', 'XCLIENT'):
            self.answer('250 2.0.0 OK')
        elif verb == 'RSET':
            self.reset()
            self.answer('250 2.0.0 OK')
        elif verb == 'MAIL':
            self.sender = address(text)
            self.answer('250 2.1.0 OK')
        elif verb == 'RCPT':
            if self.sender is None:
                self.answer('503 5.5.1 MAIL first')
            else:
                self.recipients.append(address(text))
                self.answer('250 2.1.5 OK')
        elif verb == 'DATA':
            if not self.recipients:
                self.answer('503 5.5.1 RCPT first')
                return
            self.answer('354 End with a dot on a line of its own')
            self.deliver(self.read_message())
            self.reset()
        else:
            self.answer('502 5.5.2 Unknown command')

    def read_message(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line:
                raise ConnectionError('the connection was lost within DATA')
            if line == b'.\r\n':
                return b''.join(lines)
            lines.append(line[1:] if line.startswith(b'.') else line)

    def deliver(self, message):
        ours = [r for r in self.recipients if is_shared(r)]
        others = [r for r in self.recipients if not is_shared(r)]
        try:
            if ours:
                with smtplib.LMTP(self.server.lmtp) as lmtp:
                    lmtp.sendmail(self.sender, ours, message)
            if others:
                write_message(self.server.outgoing, self.sender, others, message)
        except (OSError, smtplib.SMTPException) as error:
            print('delivery failed: %s' % error, file=sys.stderr, flush=True)
            self.answer('451 4.3.0 Delivery failed, try again later')
        else:
            self.answer('250 2.0.0 Delivered')


def address(text):
    match = re.search(r'<([^>]*)>', text)
    return match.group(1) if match else ''


def is_shared(recipient):
    return recipient.partition('@')[0].partition('+')[0].lower() == SHARED


def write_message(folder, sender, recipients, message):
    name = '%.6f.%d.eml' % (time.time(), os.getpid())
    temporary = os.path.join(folder, '.' + name)
    with open(temporary, 'wb') as f:
        f.write(('Return-Path: <%s>\r\nX-Envelope-To: %s\r\n' %
                 (sender, ', '.join(recipients))).encode('utf-8', 'replace'))
        f.write(message)
    os.rename(temporary, os.path.join(folder, name))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--port-file', required=True)
    parser.add_argument('--lmtp', required=True)
    parser.add_argument('--outgoing', required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with Server(('127.0.0.1', 0), Handler) as server:
        server.lmtp = options.lmtp
        server.outgoing = options.outgoing
        with open(options.port_file + '.new', 'w') as f:
            f.write('%d\n' % server.server_address[1])
        os.rename(options.port_file + '.new', options.port_file)
        server.serve_forever()


if __name__ == '__main__':
    main()
