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

# The package, and what else a site has that sets it up.
install_site()
{
	apt-get -q -y update
	apt-get -q -y dist-upgrade
	apt-get -q -y install --no-install-recommends /out/dovecot-team_*.deb dovecot-imapd postgresql procps
	version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
	install -d -o postgres -g postgres /run/postgresql
	pg_lsclusters -h | grep -q . || pg_createcluster "$version" main
	postgresql start
	useradd --system --create-home vmail
	printf 'log_path = /tmp/dovecot.log\n' > /etc/dovecot/conf.d/97-log.conf
	wait_for sh -c 'cd / && runuser -u postgres -- psql -c "SELECT 1"'
}
