/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers' credentials. */

#include "team-common.h"
#include "ipwd.h"
#include "net.h"
#include "peer.h"

#include <sys/stat.h>
#include <unistd.h>

void peer_set(struct peer *peer_r, uid_t uid, const char *name,
	      const struct peer_trust *trust)
{
	/* -1: not known */
	peer_r->uid = uid;
	peer_r->name = i_strdup(name);
	peer_r->trusted = uid != (uid_t)-1 && (uid == 0 || uid == geteuid() ||
		uid == trust->socket_owner ||
		(name != NULL && str_array_find(
			t_strsplit_spaces(trust->users, " "), name)));
}

void peer_init(struct peer *peer_r, int fd, int listen_fd,
	       const char *trusted_users)
{
	struct peer_trust trust = {
		.socket_owner = (uid_t)-1,
		.users = trusted_users
	};
	struct net_unix_cred cred;
	struct passwd pw;
	struct stat st;
	const char *path;

	i_zero(peer_r);
	peer_r->uid = (uid_t)-1;
	if (net_getunixcred(fd, &cred) < 0) {
		i_error("Can't find out who has connected: %m");
		return;
	}
	if (net_getunixname(listen_fd, &path) == 0 && stat(path, &st) == 0)
		trust.socket_owner = st.st_uid;
	peer_set(peer_r, cred.uid, i_getpwuid(cred.uid, &pw) > 0 ?
		 pw.pw_name : NULL, &trust);
}

void peer_deinit(struct peer *peer)
{
	i_free(peer->name);
}

int peer_check(const struct peer *peer, const char *colleague,
	       const char **error_r)
{
	if (peer->trusted || null_strcmp(peer->name, colleague) == 0)
		return 0;
	*error_r = t_strdup_printf(
		"A process of system user %s (UID %ld) may not act as "
		"colleague %s: to let mail processes of that user act for "
		"everybody, name it in team_trusted_users",
		peer->name == NULL ? "without a name" : peer->name,
		(long)peer->uid, colleague);
	return -1;
}
