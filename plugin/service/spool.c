/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Spools of mail processes, made and taken over. */

#include "team-common.h"
#include "array.h"
#include "buffer.h"
#include "ioloop.h"
#include "ipwd.h"
#include "strnum.h"
#include "team-protocol.h"
#include "team-settings.h"
#include "client.h"
#include "journal.h"
#include "protocol.h"
#include "service.h"
#include "session.h"
#include "spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* How soon to look again whether a process has let go of its spool. */
#define SPOOL_RETRY_MSECS 1000

static struct team_service *spools_service;
static char *spools_dir;
/* names of files whose clients aren't connected */
static ARRAY(char *) spools_left;
static struct timeout *to_spools;

static const char *spool_name(const struct client *client)
{
	return t_strdup_printf("%s.%ld.%s", client->id, (long)client->peer.uid,
			       client->peer.trusted ? "all" : "own");
}

static const char *spool_path(const char *name)
{
	return t_strconcat(spools_dir, "/", name, NULL);
}

/* ---- taking over ---- */

/* Somebody who sent what stands in the file and has gone since. Returns NULL if
   the name isn't a spool's. */
static struct client *spool_client(const char *name)
{
	const char *const *parts = t_strsplit(name, ".");
	struct client *client;
	struct passwd pw;
	long uid;

	if (str_array_length(parts) != 3 || !client_id_is_valid(parts[0]) ||
	    str_to_long(parts[1], &uid) < 0)
		return NULL;
	client = i_new(struct client, 1);
	client->refcount = 1;
	client->service = spools_service;
	client->closed = TRUE;
	client->conn.event = event_create(NULL);
	event_set_append_log_prefix(client->conn.event, t_strdup_printf(
		"spool %s: ", name));
	client->id = i_strdup(parts[0]);
	client->peer.uid = (uid_t)uid;
	client->peer.trusted = strcmp(parts[2], "all") == 0;
	if (i_getpwuid(client->peer.uid, &pw) > 0)
		client->peer.name = i_strdup(pw.pw_name);
	return client;
}

static bool spool_takes(enum team_command cmd)
{
	switch (cmd) {
	case TEAM_COMMAND_SESSION:
	case TEAM_COMMAND_EVENT:
	case TEAM_COMMAND_PREPARE:
	case TEAM_COMMAND_COMMIT:
	case TEAM_COMMAND_ABORT:
		return TRUE;
	default:
		return FALSE;
	}
}

/* Returns -1 with an error if no more may be read. */
static int spool_line(struct client *client, const unsigned char *data,
		      size_t size, const char **error_r)
{
	struct team_request req;
	const char *const *args;
	int ret;

	args = team_line_split(data, size, error_r);
	if (args == NULL || (ret = team_request_parse(args, &req, error_r)) < 0)
		return -1;
	if (ret > 0 && spool_takes(req.cmd))
		return client_handle(client, &req, error_r);
	return 0;
}

static void spool_lines(struct client *client, const buffer_t *buf)
{
	const unsigned char *data = buf->data, *end = data + buf->used, *p;
	const char *error;
	int ret = 0;

	/* the last one may be unfinished */
	while (ret == 0 && (p = memchr(data, '\n', end - data)) != NULL) {
		T_BEGIN {
			ret = spool_line(client, data, p - data, &error);
			if (ret < 0) {
				e_error(client->conn.event,
					"Left out the rest: %s", error);
			}
		} T_END;
		data = p + 1;
	}
}

static int spool_read(int fd, buffer_t *buf)
{
	void *data;
	ssize_t ret;

	for (;;) {
		data = buffer_append_space_unsafe(buf, 8192);
		ret = pread(fd, data, 8192, buf->used - 8192);
		buffer_set_used_size(buf, buf->used - 8192 +
				     (ret < 0 ? 0 : ret));
		if (ret <= 0 || buf->used > TEAM_SPOOL_MAX_SIZE)
			return ret < 0 ? -1 : 0;
	}
}

/* Journals what the file has more than the journal. Returns FALSE if it can't
   be now. */
static bool spool_replay(const char *name, int fd)
{
	buffer_t *buf = buffer_create_dynamic(default_pool, 8192);
	struct journal_status status;
	struct client *client = spool_client(name);

	status.error = NULL;
	if (spool_read(fd, buf) < 0)
		i_error("read(%s) failed: %m", spool_path(name));
	else if (client != NULL && buf->used > 0) {
		/* what the client itself sent is staged under another one */
		journal_flush(spools_service->journal);
		spool_lines(client, buf);
		journal_flush(spools_service->journal);
		journal_get_status(spools_service->journal, &status);
	}
	if (client != NULL) {
		while (client->sessions != NULL) {
			session_free(&client->sessions, client->sessions);
			spools_service->sessions_count--;
		}
		event_unref(&client->conn.event);
		client_unref(&client);
	}
	buffer_free(&buf);
	return status.error == NULL;
}

static void spool_set_left(const char *name, bool left)
{
	struct ledger_client *client =
		ledger_find(spools_service->ledger, t_strcut(name, '.'));

	if (client != NULL)
		client->spool_left = left;
}

enum spool_owner {
	/* it may still use the file */
	SPOOL_OWNER_UNKNOWN,
	/* the same, but what the file has must be known now */
	SPOOL_OWNER_UNKNOWN_READ,
	/* it says itself that it doesn't any more */
	SPOOL_OWNER_BACK
};

/* Returns FALSE if it is to be tried again. */
static bool spool_finish(const char *name, enum spool_owner owner)
{
	const char *path = spool_path(name);
	bool finished = FALSE;
	int fd;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1) {
		if (errno == ENOENT)
			return TRUE;
		i_error("open(%s) failed: %m", path);
		return FALSE;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 || owner == SPOOL_OWNER_BACK)
		finished = spool_replay(name, fd);
	else if (owner == SPOOL_OWNER_UNKNOWN_READ)
		(void)spool_replay(name, fd);
	spool_set_left(name, !finished);
	if (finished && unlink(path) < 0 && errno != ENOENT)
		i_error("unlink(%s) failed: %m", path);
	i_close_fd(&fd);
	return finished;
}

static void spools_retry(void *context ATTR_UNUSED)
{
	unsigned int i = array_count(&spools_left);
	char *name;

	while (i-- > 0) {
		name = array_idx_elem(&spools_left, i);
		T_BEGIN {
			if (spool_finish(name, SPOOL_OWNER_UNKNOWN)) {
				i_free(name);
				array_delete(&spools_left, i, 1);
			}
		} T_END;
	}
	if (array_count(&spools_left) == 0)
		timeout_remove(&to_spools);
}

static void spools_add_left(const char *name)
{
	char *copy = i_strdup(name);

	array_push_back(&spools_left, &copy);
	if (to_spools == NULL) {
		to_spools = timeout_add(SPOOL_RETRY_MSECS, spools_retry, NULL);
	}
}

/* ---- clients ---- */

int spool_begin(struct client *client)
{
	const struct team_settings *set = spools_service->set;
	const char *name = spool_name(client), *path = spool_path(name);
	int fd;

	/* what it left has to come before what it sends */
	if (!spool_finish(name, SPOOL_OWNER_BACK) || client->admin ||
	    strcmp(set->team_fsync, "always") == 0 ||
	    strcmp(set->team_commit, "remote") == 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0600);
	if (fd == -1) {
		i_error("open(%s) failed: %m", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		/* nobody could tell when it isn't used any more */
		i_error("flock(%s) failed: %m", path);
		i_close_fd(&fd);
		i_unlink(path);
		return -1;
	}
	client->has_spool = TRUE;
	return fd;
}

void spool_end(const struct client *client)
{
	const char *name;

	if (!client->has_spool)
		return;
	name = spool_name(client);
	if (!spool_finish(name, SPOOL_OWNER_UNKNOWN))
		spools_add_left(name);
}

/* ---- life ---- */

void spools_init(struct team_service *service)
{
	struct dirent *d;
	DIR *dir;

	spools_service = service;
	spools_dir = i_strconcat(service->set->team_journal_dir, "/spool",
				 NULL);
	i_array_init(&spools_left, 8);
	if (mkdir(spools_dir, 0700) < 0 && errno != EEXIST)
		i_error("mkdir(%s) failed: %m", spools_dir);
	dir = opendir(spools_dir);
	if (dir == NULL) {
		i_error("opendir(%s) failed: %m", spools_dir);
		return;
	}
	/* what was begun when the last process ended has to be known to whoever
	   asks, also if its owner doesn't know yet that the connection is gone */
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] != '.' &&
		    !spool_finish(d->d_name, SPOOL_OWNER_UNKNOWN_READ))
			spools_add_left(d->d_name);
	}
	(void)closedir(dir);
}

void spools_deinit(void)
{
	char *name;

	timeout_remove(&to_spools);
	array_foreach_elem(&spools_left, name)
		i_free(name);
	array_free(&spools_left);
	i_free(spools_dir);
}
