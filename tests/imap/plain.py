# SPDX-License-Identifier: LGPL-2.1-or-later
"""An instance's Dovecot without the plugin, on the same mail and private
indexes: what a site was before, and is again afterwards."""
import os
import re
import subprocess

from instance import environment, sanitizers


class Plain:
    def __init__(self, server):
        self.config = os.path.join(server.dir, 'plain.conf')
        with open(server.env['TEAM_DOVECOT_CONF']) as f:
            text = f.read()
        text = re.sub(r'(?m)^( *mail_plugins =.*)$',
                      lambda m: re.sub(r' (imap_|submission_)?team\b', '', m.group(1)), text)
        text = re.sub(r'(?m)^( *(imap_|submission_)?team) = yes', r'\1 = no', text)
        text = re.sub(r'(?m)^team_.*\n', '', text)
        text = re.sub(r'(?ms)^service team \{.*?^\}\n', '', text)
        text = re.sub(r'(?m)^!include.*\n', '', text)
        with open(self.config, 'w') as f:
            f.write(text + (environment() if sanitizers() else ''))

    def doveadm(self, *args):
        return subprocess.run(['doveadm', '-c', self.config, *args], check=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout

    def store(self, user, box, uids, flags, what='add'):
        self.doveadm('flags', what, '-u', user, flags, 'mailbox', box, 'uid',
                     ','.join(map(str, uids)))

    def flags(self, user, box):
        """UIDs with their flags, \\Recent left out."""
        text = self.doveadm('-f', 'flow', 'fetch', '-u', user, 'uid flags', 'mailbox', box)
        return {int(uid): set(flags.split()) - {'\\Recent'}
                for uid, flags in re.findall(r'uid=(\d+) flags=(.*)', text)}
