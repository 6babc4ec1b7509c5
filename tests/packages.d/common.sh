# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Part of tests/packages: what more than one step needs.

fail() { echo "FAILED: $*" >&2; exit 1; }

# apt's and dpkg's own books, logs and caches aside
state()
{
	find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /src -o -path /out -o -path /run \
		-o -path /tmp -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache \
		-o -path /var/log \) -prune -o -printf '%p %y %m %u:%g %l\n' | sort
}

sql() { (cd / && runuser -u postgres -- psql -XAtq -d team -c "$1"); }
wait_for()
{
	for try in $(seq 60); do
		if "$@" > /dev/null 2>&1; then return 0; fi
		sleep 0.5
	done
	doveadm team status || true
	tail -n 5 /tmp/dovecot.log
	fail "waited in vain for: $*"
}
reachable() { doveadm team status | grep -q '^postgres: reachable'; }
shipped() { doveadm team status | grep -q '^journal_records: 0$'; }
postgresql() { pg_ctlcluster "$version" main "$@"; }
restart_dovecot()
{
	doveadm stop > /dev/null 2>&1 || true
	wait_for sh -c '! pgrep -x dovecot'
	dovecot
}

# where the package is
packages=/out

# After apt-get update.
check_package()
{
	wanted=$(dpkg-deb -f "$packages"/dovecot-team_*.deb Depends | sed 's/.*dovecot-core (= \([^)]*\)).*/\1/')
	apt-cache show dovecot-core | grep -qxF "Version: $wanted" ||
		fail "the package was built for Dovecot $wanted, which Debian doesn't have any more: run the step build first"
}

# The package, and what else a site has that sets it up.
install_site()
{
	apt-get -q -y update
	check_package
	apt-get -q -y dist-upgrade
	apt-get -q -y install --no-install-recommends "$packages"/dovecot-team_*.deb dovecot-imapd postgresql procps
	version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
	install -d -o postgres -g postgres /run/postgresql
	pg_lsclusters -h | grep -q . || pg_createcluster "$version" main
	postgresql start
	useradd --system --create-home vmail
	printf 'log_path = /tmp/dovecot.log\n' > /etc/dovecot/conf.d/97-log.conf
	wait_for sh -c 'cd / && runuser -u postgres -- psql -c "SELECT 1"'
}

# Users of the site's shared mailbox, in the form of the Dovecot that is installed.
colleagues()
{
	install -d -o vmail -g vmail /srv/mail /srv/home
	for name in alice bob carol; do
		printf '%s:{PLAIN}pass:%s:%s::/srv/home/%s::\n' "$name" "$(id -u vmail)" "$(id -g vmail)" "$name"
	done > /etc/dovecot/team-users
	case $(dovecot --version) in
	2.3.*) printf 'userdb {\n  driver = passwd-file\n  args = /etc/dovecot/team-users\n}\n' ;;
	*) printf 'userdb passwd-file {\n  passwd_file_path = /etc/dovecot/team-users\n}\n' ;;
	esac > /etc/dovecot/conf.d/98-users.conf
	# what they write stands in mail_location otherwise
	case $(dovecot --version) in
	2.3.*) printf 'mail_location = sdbox:~/mail\nfirst_valid_uid = 1\n' ;;
	*) printf 'mail_driver = sdbox\nmail_path = ~/mail\nmail_inbox_path =\nmail_home =\nfirst_valid_uid = 1\n' ;;
	esac > /etc/dovecot/conf.d/98-mail.conf
}

# Messages with UIDs 1 to 4, of which alice and bob have read and starred some.
letters()
{
	doveadm mailbox create -u carol Team/INBOX
	for n in 1 2 3 4; do
		printf 'Subject: %s\r\nMessage-ID: <%s@site.example>\r\n\r\nHello\r\n' "$n" "$n" | doveadm save -u carol -m Team/INBOX
	done
	doveadm flags add -u alice '\Seen' mailbox Team/INBOX uid 1:2
	doveadm flags add -u alice '\Flagged my-todo' mailbox Team/INBOX uid 3
	doveadm flags add -u bob '\Seen' mailbox Team/INBOX uid 3
	doveadm flags add -u bob '\Answered' mailbox Team/INBOX uid 3
}

# flags USER: UIDs and flags, as Dovecot shows them now
flags() { doveadm -f flow fetch -u "$1" 'uid flags' mailbox Team/INBOX | sed 's/ *\\Recent//; s/  *$//; s/= /=/'; }
