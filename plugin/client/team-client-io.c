/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket below team-client. */

#include "team-common.h"
#include "net.h"
#include "buffer.h"
#include "istream.h"
#include "istream-unix.h"
#include "team-protocol.h"
#include "team-client-io.h"

#include <poll.h>
#include <unistd.h>

void team_client_io_init(struct team_client_io *io, const char *path)
{
	i_zero(io);
	io->path = i_strdup(path);
	io->fd = -1;
	io->output = buffer_create_dynamic(default_pool, 1024);
}

void team_client_io_deinit(struct team_client_io *io)
{
	team_client_io_disconnect(io);
	buffer_free(&io->output);
	i_free(io->path);
}

int team_client_io_connect(struct team_client_io *io)
{
	i_assert(io->fd == -1);

	io->fd = net_connect_unix(io->path);
	if (io->fd == -1)
		return -1;
	net_set_nonblock(io->fd, TRUE);
	io->input = i_stream_create_unix(io->fd, TEAM_PROTOCOL_MAX_LINE);
	i_stream_unix_set_read_fd(io->input);
	i_stream_set_name(io->input, io->path);
	buffer_set_used_size(io->output, 0);
	return 0;
}

void team_client_io_disconnect(struct team_client_io *io)
{
	if (io->fd == -1)
		return;
	i_stream_destroy(&io->input);
	i_close_fd(&io->fd);
	buffer_set_used_size(io->output, 0);
}

int team_client_io_send(struct team_client_io *io)
{
	ssize_t ret;

	while (io->output->used > 0) {
		ret = send(io->fd, io->output->data, io->output->used,
			   MSG_NOSIGNAL | MSG_DONTWAIT);
		if (ret < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
		}
		buffer_delete(io->output, 0, ret);
	}
	return 0;
}

int team_client_io_pump(struct team_client_io *io, unsigned int msecs)
{
	struct pollfd pfd;
	int ret;

	if (io->fd == -1 || team_client_io_send(io) < 0)
		return -1;

	i_zero(&pfd);
	pfd.fd = io->fd;
	pfd.events = POLLIN | (io->output->used > 0 ? POLLOUT : 0);
	ret = poll(&pfd, 1, I_MIN(msecs, INT_MAX));
	if (ret < 0)
		return errno == EINTR ? 0 : -1;
	if (ret == 0)
		return 0;
	if ((pfd.revents & POLLOUT) != 0 && team_client_io_send(io) < 0)
		return -1;
	if ((pfd.revents & (POLLIN | POLLHUP | POLLERR)) == 0)
		return 0;

	/* -2 means that the buffer is full: its lines must be taken first */
	ret = i_stream_read(io->input);
	if (ret == -1 || (ret == -2 &&
	    memchr(i_stream_get_data(io->input, &(size_t){0}), '\n',
		   i_stream_get_data_size(io->input)) == NULL))
		return -1;
	return ret == 0 ? 0 : 1;
}

int team_client_io_take_fd(struct team_client_io *io)
{
	int fd = i_stream_unix_get_read_fd(io->input);

	i_stream_unix_unset_read_fd(io->input);
	return fd;
}

char *team_client_io_next_line(struct team_client_io *io)
{
	return io->fd == -1 ? NULL : i_stream_next_line(io->input);
}
