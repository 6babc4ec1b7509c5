# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart, also used by tests/run: builds the project out of tree
# and installs it into a private folder. Needs DIR/log from its caller only
# through BUILD_LOG.

# The files that a build depends on, relative to the source folder: all text
# files but those that no build reads (quickstart, the tests that aren't C) and
# what autotools and compilers leave behind in a developer's tree.
build_inputs()
{
	(cd "$1" &&
	 find . \( -name '.?*' -o -path './build*' -o -name autom4te.cache -o -name __pycache__ -o \
		-path './packaging/quickstart*' -o -path './tests/imap' -o -path './tests/sql' -o \
		-path './tests/fault' -o -path './tests/bench' -o -path './tests/fuzz' -o \
		-path './tests/run' -o -path ./m4 \) -prune -o \
		-type f ! -name Makefile ! -name Makefile.in ! -name aclocal.m4 ! -name 'configure' \
		! -name 'configure~' ! -name 'config.status' ! -name 'libtool' ! -name 'stamp-h1' \
		! -name 'team-config.h*' ! -name '*.log' ! -name '*.trs' ! -name '*.o' ! -name '*.l[ao]' \
		-printf '%P\0' |
	 xargs -0 grep -Il '' | LC_ALL=C sort)
}

build_fingerprint()
{
	{
		build_inputs "$1" | (cd "$1" && xargs sha256sum)
		dovecot --version
		printf '%s\n' "${TEAM_CONFIGURE_ARGS-}"
	} | sha256sum | cut -d' ' -f1
}

# Brings the copy of the sources up to date, keeping times, so that make
# only compiles what has changed.
copy_sources()
{
	local source=$1 copy=$2 name

	mkdir -p "$copy"
	build_inputs "$source" > "$copy/.inputs.new"
	if [ -f "$copy/.inputs" ]; then
		LC_ALL=C comm -23 "$copy/.inputs" "$copy/.inputs.new" |
		while read -r name; do
			rm -f "$copy/$name"
		done
	fi
	while read -r name; do
		mkdir -p "$copy/$(dirname "$name")"
		cmp -s "$source/$name" "$copy/$name" || cp "$source/$name" "$copy/$name"
	done < "$copy/.inputs.new"
	mv "$copy/.inputs.new" "$copy/.inputs"
}

build_step()
{
	local what=$1
	shift
	if ! "$@" >> "$BUILD_LOG" 2>&1 < /dev/null 9>&-; then
		grep -E -B2 -A6 'error|Error' "$BUILD_LOG" | head -n 40 >&2 ||
			tail -n 20 "$BUILD_LOG" >&2
		die "$what failed (log: $BUILD_LOG)."
	fi
}

# build_team SOURCE BUILD: leaves BUILD/obj (build tree) and BUILD/root
# (installed: modules/, libexec/, share/). TEAM_CONFIGURE_ARGS are added to
# configure's arguments.
build_team()
{
	local source=$1 build=$2 fingerprint
	local -a extra=()

	BUILD_LOG=$build/build.log
	mkdir -p "$build"
	exec 8> "$build/lock"
	flock 8
	fingerprint=$(build_fingerprint "$source")
	if [ "$(cat "$build/fingerprint" 2>/dev/null)" = "$fingerprint" ]; then
		exec 8>&-
		return 0
	fi

	step "Building"
	rm -f "$build/fingerprint"
	: > "$BUILD_LOG"
	read -r -a extra <<< "${TEAM_CONFIGURE_ARGS-}"
	copy_sources "$source" "$build/src"
	mkdir -p "$build/obj" "$build/src/m4"
	if [ ! -x "$build/src/configure" ] || [ "$build/src/configure.ac" -nt "$build/src/configure" ]; then
		build_step "autoreconf" autoreconf -i "$build/src"
	fi
	build_step "configure" env -C "$build/obj" "$build/src/configure" \
		--prefix="$build/root" \
		--with-moduledir="$build/root/modules" \
		--with-pkglibexecdir="$build/root/libexec" "${extra[@]}"
	build_step "make" make -C "$build/obj" -j"$(nproc)"
	rm -rf "$build/root"
	build_step "make install" make -C "$build/obj" install
	printf '%s\n' "$fingerprint" > "$build/fingerprint"
	exec 8>&-
}

# link_installed BUILD: BUILD/root like after build_team, but with the installed
# dovecot-team in it.
link_installed()
{
	local build=$1 modules libexec

	# shellcheck disable=SC1091
	modules=$(. /usr/lib/dovecot/dovecot-config && printf '%s' "$dovecot_moduledir")
	# shellcheck disable=SC1091
	libexec=$(. /usr/lib/dovecot/dovecot-config && printf '%s' "$dovecot_pkglibexecdir")
	[ -x "$libexec/team" ] || die "dovecot-team isn't installed: there is no $libexec/team."
	mkdir -p "$build/root/modules" "$build/root/share"
	ln -sfn "$libexec" "$build/root/libexec"
	ln -sfn /usr/bin "$build/root/bin"
	ln -sfn /usr/share/dovecot-team "$build/root/share/dovecot-team"
	ln -sf "$modules"/*_team_plugin.so "$build/root/modules/"
}
