# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart: what Dovecot 2.3's configuration has in a form of its own.

# Maildir's INBOX lies in the root for its owner and in a folder of that name
# for the others, unless told otherwise.
choose_locations()
{
	local root=$DIR/mail/team

	TEAM_LOCATION=$STORAGE:$root
	OWNER_LOCATION=userdb_namespace/inbox/location=$STORAGE:$root
	if [ "$STORAGE" = maildir ]; then
		OWNER_LOCATION=$OWNER_LOCATION:INBOX=$root/.INBOX
	fi
	# the owner's, too, so that deliveries are recorded
	OWNER_LOCATION=$OWNER_LOCATION:INDEXPVT=$DIR/mail/users/support/team
	TEAM_LOCATION=$TEAM_LOCATION:INDEXPVT=$DIR/mail/users/%u/team
}

write_config_first()
{
	cat <<END
disable_plaintext_auth = no
auth_username_format = %Ln
END
}

write_config_auth()
{
	cat <<END
passdb {
  driver = passwd-file
  args = $DIR/passwd
}
userdb {
  driver = passwd-file
  args = $DIR/passwd
}
END
}

write_config_namespaces()
{
	cat <<END
namespace inbox {
  type = private
  inbox = yes
  separator = /
  location = $STORAGE:~/mail
  mailbox Drafts {
    auto = subscribe
    special_use = \\Drafts
  }
  mailbox Sent {
    auto = subscribe
    special_use = \\Sent
  }
  mailbox Trash {
    auto = subscribe
    special_use = \\Trash
  }
}
namespace team {
  type = public
  prefix = Team/
  separator = /
  location = $TEAM_LOCATION
  subscriptions = no
  list = yes
  mailbox INBOX {
    auto = create
  }
}
END
}

write_config_plugins()
{
	local plugins=acl imap_plugins='acl imap_acl' submission_plugins=acl

	if [ "$TEAM" = yes ]; then
		plugins='acl team'
		imap_plugins='acl team imap_acl imap_team'
		submission_plugins='acl team submission_team'
	fi
	cat <<END
mail_plugins = $plugins
protocol imap {
  mail_plugins = $imap_plugins
}
protocol submission {
  mail_plugins = $submission_plugins
}
plugin {
  acl = vfile
}
END
}
