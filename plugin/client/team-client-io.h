/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLIENT_IO_H
#define TEAM_CLIENT_IO_H

/* The socket below team-client: lines in, bytes out, with poll() and time
   limits, so that a request made in the middle of a mailbox transaction needs
   no ioloop. */

struct team_client_io {
	char *path;
	int fd;
	struct istream *input;
	buffer_t *output;
};

void team_client_io_init(struct team_client_io *io, const char *path);
void team_client_io_deinit(struct team_client_io *io);

/* Connects once. Returns 0, or -1 with errno set. */
int team_client_io_connect(struct team_client_io *io);
void team_client_io_disconnect(struct team_client_io *io);

/* Writes what is buffered, as far as that goes at once. Returns 0, or -1 if the
   connection is gone. */
int team_client_io_send(struct team_client_io *io);
/* Writes what is buffered and reads what has arrived, waiting at most msecs
   for either. Returns 1 if something was read, 0 if not, -1 if the connection
   is gone. */
int team_client_io_pump(struct team_client_io *io, unsigned int msecs);
/* Returns the file descriptor that came along with what was read, the caller's
   from now on, or -1. To be called once for a connection. */
int team_client_io_take_fd(struct team_client_io *io);
/* Returns the next whole line that was read, valid until the next call, or
   NULL. */
char *team_client_io_next_line(struct team_client_io *io);

#endif
