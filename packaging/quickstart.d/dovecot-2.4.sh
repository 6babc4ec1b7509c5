# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart: what Dovecot 2.4's configuration has in a form of its own.

# Maildir's INBOX lies in the root unless told otherwise, and then the root's
# rights, which new folders take over, don't count.
choose_locations()
{
	TEAM_ROOT=$DIR/mail/team
	TEAM_INBOX=
	OWNER_LOCATION=userdb_namespace/inbox/mail_path=$TEAM_ROOT
	if [ "$STORAGE" = maildir ]; then
		TEAM_INBOX="mail_inbox_path = $TEAM_ROOT/.INBOX"
		OWNER_LOCATION="$OWNER_LOCATION userdb_namespace/inbox/mail_inbox_path=$TEAM_ROOT/.INBOX"
	fi
	# the owner's, too, so that deliveries are recorded
	OWNER_LOCATION="$OWNER_LOCATION userdb_namespace/inbox/mail_index_private_path=$DIR/mail/users/support/team"
}

# These have to come first.
write_config_first()
{
	cat <<END
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
auth_username_format = %{user | username | lower}
END
}

write_config_auth()
{
	cat <<END
passdb passwd-file {
  passwd_file_path = $DIR/passwd
}
userdb passwd-file {
  passwd_file_path = $DIR/passwd
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
  mail_driver = $STORAGE
  mail_path = ~/mail
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
  mail_driver = $STORAGE
  mail_path = $TEAM_ROOT
  $TEAM_INBOX
  mail_index_private_path = $DIR/mail/users/%{user}/team
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
	local team=no

	[ "$TEAM" = no ] || team=yes
	cat <<END
mail_plugins {
  acl = yes
  team = $team
}
protocol imap {
  mail_plugins {
    imap_acl = yes
    imap_team = $team
  }
}
protocol submission {
  mail_plugins {
    submission_team = $team
  }
}
acl_driver = vfile
END
}
