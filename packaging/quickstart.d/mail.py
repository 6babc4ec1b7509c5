# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fills the shared mailbox: what came in over the last weeks is appended as
its owner with its dates, the newest arrive by LMTP as new mail does.
"""
import argparse
import os
import smtplib
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import imapsession  # noqa: E402
import messages  # noqa: E402
import mime  # noqa: E402

BY_LMTP = 12
BATCH = 50


def deliver(lmtp_socket, found):
    with smtplib.LMTP(lmtp_socket) as lmtp:
        for _, message in found:
            refused = lmtp.sendmail('bounces@mx.example', ['support@support.example'],
                                    message, ['BODY=8BITMIME'])
            if refused:
                raise smtplib.SMTPException('refused: %r' % refused)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument('--lmtp', required=True, help="path of Dovecot's LMTP socket")
    parser.add_argument('--count', type=int, help='only the first messages')
    options = parser.parse_args()

    started = time.monotonic()
    found = messages.all_messages(mime.midnight(int(time.time())))
    if options.count is not None:
        found = found[:options.count]
    by_append, by_lmtp = found[:-BY_LMTP], found[-BY_LMTP:]
    if options.count is not None and options.count <= BATCH:
        by_append, by_lmtp = found, []
    with imapsession.Session(options.port, 'support', timeout=60) as session:
        for start in range(0, len(by_append), BATCH):
            session.append('INBOX', [(message, '', mime.internaldate(when))
                                     for when, message in by_append[start:start + BATCH]])
        session.logout()
    if by_lmtp:
        deliver(options.lmtp, by_lmtp)
    print('Team/INBOX: %d messages in %.1f s.' % (len(found), time.monotonic() - started))


if __name__ == '__main__':
    try:
        main()
    except (OSError, imapsession.IMAPError, smtplib.SMTPException) as error:
        sys.exit('mail.py: %s' % error)
