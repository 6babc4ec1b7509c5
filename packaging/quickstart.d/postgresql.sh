# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Part of quickstart: a private PostgreSQL cluster below DIR, reached only over
# its own unix socket. Who may be whom is decided by the connecting process's
# user, so there are no passwords.

PG_USER=postgres

postgresql_bin()
{
	local bin version
	# shellcheck disable=SC2012 # names of version folders only
	bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
	[ -n "$bin" ] && [ -x "$bin/initdb" ] ||
		die "PostgreSQL's server is missing. Install the package postgresql, or run without --no-install."
	version=${bin#/usr/lib/postgresql/}
	[ "${version%%/*}" -ge 14 ] ||
		die "PostgreSQL ${version%%/*} is too old: 14 is needed."
	printf '%s\n' "$bin"
}

postgresql_paths()
{
	PG_DATA=$DIR/postgresql
	PG_SOCKET_DIR=$DIR/run/postgresql
	PG_PIDFILE=$PG_SOCKET_DIR/postgresql.pid
	PG_START=$DIR/start-postgresql
	PG_LOG=$DIR/log/postgresql.log
	PG_DSN_BASE="host=$PG_SOCKET_DIR port=5432 dbname=team"
	PG_DSN_OWNER="$PG_DSN_BASE user=team"
	PG_DSN_AUDITOR="$PG_DSN_BASE user=team_auditor"
	PG_DSN_SERVICE="$PG_DSN_BASE user=team_service"
}

postgresql_is_running()
{
	postgresql_paths
	process_of "$PG_DATA/postmaster.pid" "$PG_DATA" > /dev/null
}

create_cluster()
{
	local bin=$1

	mkdir -p "$PG_DATA.new"
	chown "$PG_USER:" "$PG_DATA.new"
	runuser -u "$PG_USER" -- "$bin/initdb" -D "$PG_DATA.new" --encoding=UTF8 \
		--locale=C.UTF-8 --auth-local=peer --auth-host=reject --no-sync \
		--username=postgres > "$DIR/log/initdb.log" 2>&1 9>&- || {
		cat "$DIR/log/initdb.log" >&2
		die "Creating the PostgreSQL cluster failed."
	}
	mv "$PG_DATA.new" "$PG_DATA"
}

write_cluster_config()
{
	local data=$PG_DATA
	cat > "$data/postgresql.auto.conf" <<END
# Written by quickstart of dovecot-team at every start.
listen_addresses = ''
port = 5432
unix_socket_directories = '$PG_SOCKET_DIR'
external_pid_file = '$PG_PIDFILE'
max_connections = 60
shared_buffers = '64MB'
logging_collector = off
log_line_prefix = '%m [%p] %u@%d '
lc_messages = 'C'
timezone = 'UTC'
END
	cat > "$data/pg_hba.conf" <<END
local all all peer map=team
END
	cat > "$data/pg_ident.conf" <<END
team $PG_USER postgres
team root postgres
team root team
team root team_auditor
team $SERVICE_USER team_service
END
	chown "$PG_USER:" "$data/postgresql.auto.conf"
}

# A script of its own, since others use it, too: TEAM_PG_START.
write_start_script()
{
	cat > "$PG_START" <<END
#!/bin/sh
# Starts the PostgreSQL of this quickstart instance. After a crash the old
# processes may need a moment to go: it tries again for a while.
cd /
touch $PG_LOG
chown $PG_USER: $PG_LOG
tries=0
while [ "\$tries" -lt 30 ]; do
	if runuser -u $PG_USER -- $1/pg_ctl -D $PG_DATA status > /dev/null 2>&1; then
		exit 0
	fi
	runuser -u $PG_USER -- $1/pg_ctl -D $PG_DATA -l $PG_LOG -s -w -t 30 start < /dev/null > /dev/null 2>&1 && exit 0
	tries=\$((tries + 1))
	sleep 0.5
done
echo "PostgreSQL did not start. Its log is $PG_LOG" >&2
exit 1
END
	chmod 755 "$PG_START"
}

psql_as()
{
	PGOPTIONS='' psql -X -q -v ON_ERROR_STOP=1 -A -t "$PG_DSN_BASE user=$1" "${@:2}"
}

create_database()
{
	PGOPTIONS='' psql -X -q -v ON_ERROR_STOP=1 \
		"host=$PG_SOCKET_DIR port=5432 dbname=postgres user=postgres" <<END
CREATE ROLE team LOGIN;
CREATE ROLE team_service LOGIN;
CREATE ROLE team_auditor LOGIN;
CREATE DATABASE team OWNER team;
REVOKE ALL ON DATABASE team FROM PUBLIC;
GRANT CONNECT ON DATABASE team TO team_service, team_auditor;
END
}

start_postgresql()
{
	local bin
	bin=$(postgresql_bin)
	postgresql_paths
	mkdir -p "$PG_SOCKET_DIR"
	chown "$PG_USER:" "$PG_SOCKET_DIR"
	check_reachable "$PG_USER"
	rm -rf "$PG_DATA.new"
	[ -e "$PG_DATA/PG_VERSION" ] || create_cluster "$bin"
	write_cluster_config
	write_start_script "$bin"
	"$PG_START" 9>&- || {
		tail -n 20 "$PG_LOG" >&2
		die "PostgreSQL did not start."
	}
	if [ ! -e "$PG_DATA/team-database" ]; then
		create_database || die "Creating the database failed."
		touch "$PG_DATA/team-database"
	fi
}

stop_postgresql()
{
	local pid
	postgresql_paths
	if pid=$(process_of "$PG_DATA/postmaster.pid" "$PG_DATA"); then
		# INT: without waiting for clients
		stop_process "$pid" INT
	fi
}
