/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SERVICE_PEER_H
#define TEAM_SERVICE_PEER_H

/* Whose process is at the other end of a connection, and for whom it may
   speak: where each colleague has a system user of one's own, nobody writes
   records, flags or claims in another's name. */

struct peer {
	uid_t uid;
	/* the system user's name, NULL if it has none */
	char *name;
	/* may speak for everybody */
	bool trusted;
};

/* Who may speak for everybody. */
struct peer_trust {
	/* owner of the socket, (uid_t)-1 if unknown: where all mail processes
	   run as one system user, it's theirs */
	uid_t socket_owner;
	/* system users' names, separated by blanks (team_trusted_users) */
	const char *users;
};

/* Finds out who is connected. listen_fd is the socket's that was connected to.
   If it can't be found out, the peer may speak for nobody. */
void peer_init(struct peer *peer_r, int fd, int listen_fd,
	       const char *trusted_users);
void peer_deinit(struct peer *peer);

/* The same for a known user ID. name is copied. */
void peer_set(struct peer *peer_r, uid_t uid, const char *name,
	      const struct peer_trust *trust);

/* Returns 0 if the peer may speak for the colleague, otherwise -1 with an
   error for the log. */
int peer_check(const struct peer *peer, const char *colleague,
	       const char **error_r);

#endif
