# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart: installs Debian packages without starting, enabling or
# creating any service or database cluster of the system.

POLICY=/usr/sbin/policy-rc.d
CREATECLUSTER=/etc/postgresql-common/createcluster.d/zz-team-quickstart.conf

needed_packages()
{
	printf '%s\n' python3 util-linux
	printf '%s\n' dovecot-core dovecot-imapd dovecot-lmtpd dovecot-submissiond dovecot-pop3d
	if [ "$TEAM" = yes ]; then
		printf '%s\n' postgresql-common postgresql
		if [ "${INSTALLED-no}" = no ]; then
			printf '%s\n' autoconf automake libtool pkg-config make gcc libc6-dev
			printf '%s\n' dovecot-dev libpq-dev libssl-dev check
		fi
	fi
	# shellcheck disable=SC2086 # a list of names
	[ -z "${EXTRA_PACKAGES-}" ] || printf '%s\n' $EXTRA_PACKAGES
}

package_is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Nothing that is installed meanwhile may start. Undone by restore_system.
POLICY_PLACED=no CREATECLUSTER_PLACED=no
forbid_services()
{
	# ours, if an earlier run was killed
	if grep -q 'placed by quickstart of dovecot-team' "$POLICY" 2>/dev/null; then
		rm "$POLICY"
	fi
	if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then
		mv "$POLICY" "$POLICY.before-team-quickstart"
	fi
	POLICY_PLACED=yes
	printf '#!/bin/sh\n# placed by quickstart of dovecot-team while it installs packages\nexit 101\n' > "$POLICY"
	chmod 755 "$POLICY"
}

restore_system()
{
	if [ "$POLICY_PLACED" = yes ]; then
		rm -f "$POLICY"
		if [ -e "$POLICY.before-team-quickstart" ] || [ -L "$POLICY.before-team-quickstart" ]; then
			mv "$POLICY.before-team-quickstart" "$POLICY"
		fi
		POLICY_PLACED=no
	fi
	if [ "$CREATECLUSTER_PLACED" = yes ]; then
		rm -f "$CREATECLUSTER"
		CREATECLUSTER_PLACED=no
	fi
}

run_apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confold \
		"$@" >> "$DIR/log/apt.log" 2>&1 < /dev/null 9>&-
}

apt_failed()
{
	tail -n 15 "$DIR/log/apt.log" >&2
	die "$1 (log: $DIR/log/apt.log). Without access to Debian's packages install them yourself and use --no-install: $(needed_packages | tr '\n' ' ')"
}

install_packages()
{
	local package service
	local -a missing=() new_services=()

	for package in $(needed_packages); do
		package_is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get > /dev/null ||
		die "These packages are missing, and there is no apt-get to install them: ${missing[*]}"

	step "Installing ${missing[*]}"
	package_is_installed dovecot-core || new_services+=(dovecot)
	package_is_installed postgresql-common || new_services+=(postgresql)
	forbid_services
	run_apt update || complain "apt-get update failed; trying with the lists there are."

	if ! package_is_installed postgresql-common && [ "$TEAM" = yes ]; then
		# first alone, so that the server package finds our setting
		run_apt install --no-install-recommends postgresql-common ||
			apt_failed "Installing postgresql-common failed"
		mkdir -p "$(dirname "$CREATECLUSTER")"
		CREATECLUSTER_PLACED=yes
		printf 'create_main_cluster = false\n' > "$CREATECLUSTER"
	fi
	run_apt install --no-install-recommends "${missing[@]}" ||
		apt_failed "Installing packages failed"

	# what came only for us must not start with the system either
	for service in "${new_services[@]}"; do
		[ -e "/etc/init.d/$service" ] || continue
		update-rc.d "$service" disable >> "$DIR/log/apt.log" 2>&1 || true
		say "The system's own $service service was not started and is disabled; to use it: systemctl enable --now $service"
	done
	restore_system
}

check_installed()
{
	local command
	local -a commands=(dovecot doveadm /usr/bin/python3 runuser flock)

	[ "$TEAM" = no ] || commands+=(psql)
	[ "$TEAM" = no ] || [ "${INSTALLED-no}" = yes ] || commands+=(make gcc autoreconf libtoolize)
	for command in "${commands[@]}"; do
		command -v "$command" > /dev/null ||
			die "$command is missing. Install it, or run without --no-install. Needed: $(needed_packages | tr '\n' ' ')"
	done
	case $(dovecot --version) in
	2.3.*) DOVECOT_SERIES=2.3 ;;
	2.4.*) DOVECOT_SERIES=2.4 ;;
	*) die "Dovecot $(dovecot --version) is not supported by quickstart: it knows 2.3 and 2.4." ;;
	esac
}
