# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of tests/run and tests/packages: another release of Debian, in a folder
# that debootstrap fills. Processes, mounts and shared memory live in
# namespaces of their own and go with the run, however it ends; what stays is
# the folder, which the next run uses again.

DEBIAN_CACHE=${TEAM_DEBIAN_CACHE:-/var/cache/dovecot-team}
DEBIAN_COMPLETE=.dovecot-team-complete

create_debian()
{
	local release=$1 root=$2

	if ! command -v debootstrap > /dev/null; then
		[ "$INSTALL" = yes ] || die "debootstrap is missing. Install it, or run without --no-install."
		run_apt update || true
		run_apt install --no-install-recommends debootstrap || apt_failed "Installing debootstrap failed"
	fi
	step "Creating Debian $release in $root"
	rm -rf --one-file-system "$root.new"
	mkdir -p "$(dirname "$root")"
	# no mirror given: debootstrap's own default
	run_child debootstrap --variant=minbase "$release" "$root.new" \
		${TEAM_DEBIAN_MIRROR:+"$TEAM_DEBIAN_MIRROR"} > "$WORK/log/debootstrap.log" 2>&1 || {
		tail -n 20 "$WORK/log/debootstrap.log"
		die "Creating Debian $release failed."
	}
	touch "$root.new/$DEBIAN_COMPLETE"
	rm -rf --one-file-system "$root"
	mv "$root.new" "$root"
}

# Runs as the first process of the new namespaces: its end ends all others.
# With a layer, changes go there and the root stays as it is; it has a network of
# its own, in which all ports are free, and only apt gets out of it.
# shellcheck disable=SC2016 # expanded by that shell
ENTER_DEBIAN='
set -e
root=$1 layer=$2 source=$3 output=$4
shift 4
if [ -n "$layer" ]; then
	mkdir -p "$layer/upper" "$layer/work" "$layer/root"
	mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
	root=$layer/root
fi
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -m 1777 "$root/dev/shm"
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
mkdir -p "$root/src"
mount --bind "$source" "$root/src"
mount -o remount,bind,ro "$root/src"
if [ -n "$output" ]; then
	mkdir -p "$root/out"
	mount --bind "$output" "$root/out"
fi
set -- chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	LC_ALL=C.UTF-8 TEAM_TEST_STORAGES="${TEAM_TEST_STORAGES-sdbox mdbox maildir}" "$@"
if [ -n "$layer" ]; then
	mkdir "$root/run/outside"
	touch "$root/run/outside/network"
	mount --bind /proc/self/ns/net "$root/run/outside/network"
	for method in http https; do
		ln -s /src/tests/packages.d/fetch "$root/run/outside/$method"
		printf "Dir::Bin::Methods::%s \"/run/outside/%s\";\n" "$method" "$method"
	done > "$root/etc/apt/apt.conf.d/99outside"
	# SIOCSIFFLAGS, as a bare system has no ip
	set -- unshare --net perl -MSocket -e "\$_ = pack(q(a16sx22), q(lo), 1);
		socket(S, AF_INET, SOCK_DGRAM, 0) && ioctl(S, 0x8914, \$_) or die; exec @ARGV" "$@"
fi
exec "$@"
'

# enter_debian ROOT LAYER OUTPUT COMMAND...: the sources are at /src, read-only;
# OUTPUT, if any, is at /out.
enter_debian()
{
	local root=$1 layer=$2 output=$3
	shift 3
	run_child unshare --mount --pid --ipc --uts --fork --kill-child \
		--propagation private sh -c "$ENTER_DEBIAN" sh "$root" "$layer" "$SOURCE_DIR" "$output" "$@" 7>&-
}

# lock_debian NAME: until the end of this process.
lock_debian()
{
	mkdir -p "$DEBIAN_CACHE"
	exec 7> "$DEBIAN_CACHE/$1.lock"
	flock -n 7 || { say "Waiting for another run in $DEBIAN_CACHE/$1."; flock 7; }
}

# run_in_debian RELEASE COMMAND...
run_in_debian()
{
	local release=$1 root=$DEBIAN_CACHE/$1
	shift

	lock_debian "$release"
	[ -e "$root/$DEBIAN_COMPLETE" ] || create_debian "$release" "$root"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	# what a killed run has left
	rm -rf --one-file-system "$root"/var/tmp/team-tests.*
	enter_debian "$root" '' '' "$@"
	local status=$?
	[ "$KEEP" = yes ] || rm -rf --one-file-system "$root"/var/tmp/team-tests.*
	return "$status"
}
