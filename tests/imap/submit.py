# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sending mail through an instance's submission service with swaks."""
import os
import re
import subprocess


def swaks(server, user, message, to='customer@customers.example', timeout=30):
    """Sends the message (bytes). Returns the server's answer to DATA."""
    result = subprocess.run(
        ['swaks', '--server', '127.0.0.1', '--port', server.env['TEAM_SUBMISSION_PORT'],
         '--auth', 'PLAIN', '--auth-user', user, '--auth-password', 'pass',
         '--from', user + '@support.example', '--to', to, '--timeout', str(timeout),
         '--data', '-', '--no-data-fixup', '--suppress-data'],
        input=message + b'\r\n.', capture_output=True, timeout=timeout + 30, check=False)
    text = result.stdout.decode(errors='replace')
    answers = re.findall(r'^<(?:-|\*\*) +(\d{3} .*)$', text.partition('-> DATA\n')[2], re.M)
    assert len(answers) == 3 and answers[0].startswith('354'), text
    return answers[1]


def outgoing(server, wanted):
    """Mails at the relay that have the text in them."""
    folder = os.path.join(server.dir, 'outgoing')
    found = []
    for name in os.listdir(folder):
        if name.endswith('.eml'):
            with open(os.path.join(folder, name), 'rb') as f:
                data = f.read()
            if wanted.encode() in data:
                found.append(data)
    return found
