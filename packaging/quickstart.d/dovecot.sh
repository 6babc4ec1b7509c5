# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart: a private Dovecot below DIR. What is written differently
# for Dovecot 2.3 and 2.4 stands in dovecot-2.3.sh and dovecot-2.4.sh.

COLLEAGUES='alice bob carol dave erin'

# Nobody is added to the system: mail belongs to "mail", which every Debian
# has, and the service runs as Dovecot's own internal user.
choose_users()
{
	MAIL_USER=mail
	SERVICE_USER=dovecot
	check_reachable "$MAIL_USER" "$SERVICE_USER"
	BASE_DIR=$DIR/run/dovecot
	JOURNAL_DIR=$DIR/journal
	TEAM_PIDFILE=$BASE_DIR/team.pid
	TEAM_CHECKPOINTS=$JOURNAL_DIR/checkpoints
	TEAM_PUBKEY=$JOURNAL_DIR/team.pub
}

# Dovecot looks for these two modules in folders that were fixed when it was
# built. No other Dovecot on this machine changes by them: one defines settings
# and a service without listeners, the other adds commands to doveadm.
system_modules()
{
	# shellcheck disable=SC1091
	(
		. /usr/lib/dovecot/dovecot-config &&
		printf '%s\n' "$dovecot_moduledir/settings/lib30_team_settings.so" \
			"$dovecot_moduledir/doveadm/lib30_doveadm_team_plugin.so"
	)
}

install_modules()
{
	local target
	for target in $(system_modules); do
		install_module "$1/root/modules/${target#"${target%/*/*}"/}" "$target"
	done
}

install_module()
{
	local built=$1 target=$2

	if cmp -s "$built" "$target"; then
		return 0
	fi
	if dpkg-query -S "$target" > /dev/null 2>&1; then
		say "Kept $target, which belongs to a package."
	elif [ -e "$target" ] && [ "$target" -nt "$built" ]; then
		say "Kept $target, which is newer than the one just built."
	else
		# several may do this at once
		install -D -p -m 644 "$built" "$target.$$"
		mv "$target.$$" "$target"
		say "Installed $target; remove it when you don't need the instance any more."
	fi
}

# A private module folder: the links of Dovecot's own modules, and ours.
link_modules()
{
	local system file

	# shellcheck disable=SC1091
	system=$(. /usr/lib/dovecot/dovecot-config && printf '%s' "$dovecot_moduledir")
	rm -rf "$DIR/modules"
	mkdir "$DIR/modules"
	for file in "$system"/*; do
		case ${file##*/} in
		*_team_plugin.so) ;;
		*) ln -s "$file" "$DIR/modules/" ;;
		esac
	done
	[ "$TEAM" = yes ] || return 0
	for file in "$BUILD_DIR/root/modules"/lib*.so; do
		ln -s "$file" "$DIR/modules/"
	done
}

write_passwords()
{
	local name number uid gid
	uid=$(id -u "$MAIL_USER")
	gid=$(id -g "$MAIL_USER")

	{
		for name in $COLLEAGUES $(seq -f 'u%g' 1 99); do
			printf '%s:{PLAIN}pass:%s:%s::%s::\n' \
				"$name" "$uid" "$gid" "$DIR/mail/users/$name"
		done
		# the owner of the mail sees it as his own
		printf 'support:{PLAIN}pass:%s:%s::%s::%s %s\n' "$uid" "$gid" \
			"$DIR/mail/users/support" \
			"$OWNER_LOCATION" "userdb_namespace/team/disabled=yes"
	} > "$DIR/passwd"
	chown root:"$SERVICE_USER" "$DIR/passwd"
	chmod 640 "$DIR/passwd"
}

# What new folders inherit: they copy the rights of the folder above them, and
# this is the root. The INBOX gets its own from mail.py.
write_acl()
{
	local root=$DIR/mail/team

	[ "$STORAGE" = maildir ] || root=$root/mailboxes
	[ ! -e "$root/dovecot-acl" ] || return 0
	install -d -o "$MAIL_USER" -g "$MAIL_USER" -m 700 "$root"
	printf 'authenticated lrwstipekx\nuser=erin lrwstipekxa\n' > "$root/dovecot-acl"
	chown "$MAIL_USER:" "$root/dovecot-acl"
}

write_dovecot_config()
{
	local config=$DIR/dovecot.conf

	mkdir -p "$DIR/mail/team" "$DIR/mail/users" "$JOURNAL_DIR"
	chown "$MAIL_USER:" "$DIR/mail" "$DIR/mail/team" "$DIR/mail/users"
	chmod 700 "$DIR/mail" "$JOURNAL_DIR"
	chown "$SERVICE_USER:" "$JOURNAL_DIR"
	choose_locations
	write_passwords
	write_acl
	link_modules
	{
		printf '# Written by quickstart of dovecot-team at every start.\n'
		write_config_first
		write_common_config
		write_config_auth
		write_config_namespaces
		write_config_plugins
	} > "$config"
	if [ "$TEAM" = yes ]; then
		write_team_config >> "$config"
	fi
	printf '\n# your own settings, kept over restarts\n!include_try %s\n' "$DIR/local.conf" >> "$config"
	doveconf -c "$config" > /dev/null || die "Dovecot does not accept $config."
}

write_common_config()
{
	cat <<END
base_dir = $BASE_DIR
state_dir = $DIR/state
instance_name = team-quickstart
log_path = $DIR/log/dovecot.log
protocols = imap lmtp submission
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain login
default_internal_user = $SERVICE_USER
first_valid_uid = $(id -u "$MAIL_USER")
mail_plugin_dir = $DIR/modules
mail_max_userip_connections = 1000
shutdown_clients = yes
service imap-login {
  inet_listener imap {
    port = $PORT
  }
  inet_listener imaps {
    port = 0
  }
}
service submission-login {
  inet_listener submission {
    port = $((PORT + 1))
  }
  inet_listener submissions {
    port = 0
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0600
    user = $MAIL_USER
  }
}
hostname = support.example
postmaster_address = postmaster@support.example
recipient_delimiter = +
submission_relay_host = 127.0.0.1
submission_relay_port = $RELAY_PORT
submission_relay_ssl = no
END
}

write_team_config()
{
	cat <<END
team_database = $PG_DSN_SERVICE
team_node = quickstart
team_journal_dir = $JOURNAL_DIR
service team {
  executable = $BUILD_DIR/root/libexec/team
  user = $SERVICE_USER
  unix_listener team {
    mode = 0600
    user = $MAIL_USER
  }
  unix_listener team-admin {
    mode = 0600
    user = root
  }
}
END
}

dovecot_pid() { process_of "$DIR/run/dovecot/master.pid" "$DIR/dovecot.conf"; }
dovecot_is_running() { dovecot_pid > /dev/null; }

install_schema()
{
	local command=install
	local -a doveadm=(doveadm -c "$DIR/dovecot.conf")

	if [ -e "$PG_DATA/team-schema" ]; then
		command=upgrade
	fi
	"${doveadm[@]}" team schema "$command" -d "$PG_DSN_OWNER" \
		--sql-dir "$BUILD_DIR/root/share/dovecot-team/sql" > "$DIR/log/schema.log" 2>&1 9>&- || {
		cat "$DIR/log/schema.log" >&2
		die "doveadm team schema $command failed."
	}
	touch "$PG_DATA/team-schema"
}

listens() { port_is_taken "$PORT" && port_is_taken "$((PORT + 1))"; }

start_dovecot()
{
	mkdir -p "$BASE_DIR"
	ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
	dovecot -c "$DIR/dovecot.conf" > "$DIR/log/dovecot-start.log" 2>&1 9>&- || {
		cat "$DIR/log/dovecot-start.log" >&2
		tail -n 10 "$DIR/log/dovecot.log" >&2 || true
		die "Dovecot did not start."
	}
	wait_until 10 listens || die "Dovecot does not listen on port $PORT (log: $DIR/log/dovecot.log)."
	[ "$TEAM" = no ] || wait_for_service
}

service_is_ready()
{
	doveadm -c "$DIR/dovecot.conf" team status > "$DIR/log/status.log" 2>&1 9>&-
}

wait_for_service()
{
	wait_until 10 service_is_ready || {
		cat "$DIR/log/status.log" >&2
		tail -n 10 "$DIR/log/dovecot.log" >&2 || true
		die "The team service does not answer (log: $DIR/log/dovecot.log)."
	}
}

stop_dovecot()
{
	local pid
	if pid=$(dovecot_pid); then
		stop_process "$pid" TERM
	fi
}

# The relay takes what colleagues submit: mail to support comes back into the
# shared mailbox, all other mail ends in DIR/outgoing.
RELAY_PIDFILE=run/relay.pid
start_relay()
{
	mkdir -p "$DIR/outgoing" "$DIR/run/relay"
	chown "$MAIL_USER:" "$DIR/outgoing" "$DIR/run/relay"
	chmod 700 "$DIR/outgoing"
	rm -f "$DIR/run/relay/port"
	touch "$DIR/log/relay.log"
	# the sources may lie where that user can't read them
	install -m 644 "$PARTS/relay.py" "$DIR/run/relay/"
	setsid setpriv --reuid "$MAIL_USER" --regid "$MAIL_USER" --clear-groups \
		/usr/bin/python3 -I "$DIR/run/relay/relay.py" \
		--port-file "$DIR/run/relay/port" --lmtp "$BASE_DIR/lmtp" \
		--outgoing "$DIR/outgoing" \
		< /dev/null > "$DIR/log/relay.log" 2>&1 9>&- &
	printf '%s\n' "$!" > "$DIR/$RELAY_PIDFILE"
	wait_until 10 test -s "$DIR/run/relay/port" || {
		cat "$DIR/log/relay.log" >&2
		die "The relay for outgoing mail did not start."
	}
	RELAY_PORT=$(cat "$DIR/run/relay/port")
}

stop_relay()
{
	local pid
	if pid=$(process_of "$DIR/$RELAY_PIDFILE" "$DIR/outgoing"); then
		stop_process "$pid" TERM
	fi
	rm -f "$DIR/$RELAY_PIDFILE"
}

set_inbox_acl()
{
	doveadm -c "$DIR/dovecot.conf" acl set -u support INBOX "$1" lookup read write \
		write-seen write-deleted insert post expunge create delete "${@:2}" 9>&- ||
		die "Setting the rights on Team/INBOX failed."
}

# Many mail clients show no other folders. "auto = subscribe" has no effect
# where the subscriptions are kept in another namespace.
subscribe_colleagues()
{
	local name
	for name in $COLLEAGUES; do
		doveadm -c "$DIR/dovecot.conf" mailbox subscribe -u "$name" Team/INBOX 9>&- ||
			die "Subscribing $name to Team/INBOX failed."
	done
}

fill_mailbox()
{
	local -a limit=()
	[ ! -e "$DIR/mail/filled" ] || return 0
	set_inbox_acl authenticated
	set_inbox_acl user=erin admin
	[ "$TEAM" = no ] || subscribe_colleagues
	[ -z "$MAIL_COUNT" ] || limit=(--count "$MAIL_COUNT")
	/usr/bin/python3 -I "$PARTS/mail.py" --port "$PORT" --lmtp "$BASE_DIR/lmtp" \
		"${limit[@]}" 9>&- || die "Filling Team/INBOX failed."
	touch "$DIR/mail/filled"
}
