# SPDX-License-Identifier: LGPL-2.1-or-later
"""Team namespaces of an instance besides its own, with settings of their own."""
import contextlib
import os
import time

from instance import is_dovecot_2_3, wait_for


def namespace_config(server, name, **settings):
    """A namespace <Name>/ in the form of the installed Dovecot."""
    root = os.path.join(server.dir, 'mail', name)
    private = os.path.join(server.dir, 'mail', 'users', '%s', name)
    if is_dovecot_2_3():
        location = 'location = %s:%s:INDEXPVT=%s' % (server.storage, root, private % '%u')
        values = ''
        plugin = ''.join('%s_%s = %s\n' % (key, name, value) for key, value in settings.items())
        plugin = 'plugin {\n%s}\n' % plugin
    else:
        location = 'mail_driver = %s\nmail_path = %s\nmail_index_private_path = %s' % (
            server.storage, root, private % '%{user}')
        if server.storage == 'maildir':
            location += '\nmail_inbox_path = %s/.INBOX' % root
        values = ''.join('%s = %s\n' % pair for pair in settings.items())
        plugin = ''
    return ('namespace %s {\n  type = public\n  prefix = %s/\n  separator = /\n  %s\n'
            '  subscriptions = no\n  hidden = yes\n  list = no\n%s}\n%s' % (
                name, name.capitalize(), location, values, plugin))


def make_root(server, name):
    """Everybody may do everything there."""
    team = os.stat(os.path.join(server.dir, 'mail', 'team'))
    root = os.path.join(server.dir, 'mail', name)
    top = root if server.storage == 'maildir' else os.path.join(root, 'mailboxes')
    os.makedirs(top, exist_ok=True)
    rights = os.path.join(top, 'dovecot-acl')
    with open(rights, 'w') as f:
        f.write('authenticated lrwstipekx\n')
    for path in (root, top, rights):
        os.chown(path, team.st_uid, team.st_gid)


def reload(server):
    """Sessions that begin now have the new settings."""
    server.doveadm('reload')
    # processes that were started before end when their session does
    assert wait_for(lambda: server.doveadm('team', 'status', check=False).returncode == 0)
    time.sleep(0.3)


@contextlib.contextmanager
def more_namespaces(server, namespaces):
    """namespaces: settings by name."""
    path = os.path.join(server.dir, 'local.conf')
    with open(path) as f:
        before = f.read()
    for name in namespaces:
        make_root(server, name)

    def change(new):
        with open(path, 'w') as f:
            f.write(before + ''.join(namespace_config(server, name, **settings)
                                     for name, settings in new.items()))
        reload(server)
    change(namespaces)
    try:
        yield change
    finally:
        change({})
