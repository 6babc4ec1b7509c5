/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of the signing key. */

#include "team-common.h"
#include "safe-memset.h"
#include "write-full.h"
#include "note.h"
#include "journal-segment.h"
#include "checkpoints.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEY_NAME "team.key"
#define PUBLIC_NAME "team.pub"
#define KEY_MAX_SIZE 1024

/* The public key comes first: nobody is to find something signed by a key that
   he can't know. */
static int public_key_add(const char *dir, const struct team_signer *signer,
			  const char **error_r)
{
	const char *path = t_strconcat(dir, "/"PUBLIC_NAME, NULL);
	char *key = team_verifier_format(&signer->verifier);
	const char *line = t_strconcat(key, "\n", NULL);
	int fd, ret = -1;

	free(key);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
	else if (write_full(fd, line, strlen(line)) < 0 || fsync(fd) < 0)
		*error_r = t_strdup_printf("write(%s) failed: %m", path);
	else
		ret = 0;
	i_close_fd(&fd);
	return ret;
}

/* Where only the key was brought back from a backup. */
static int public_key_check(const char *dir, const struct team_signer *signer,
			    const char **error_r)
{
	const char *path = t_strconcat(dir, "/"PUBLIC_NAME, NULL);

	return access(path, F_OK) == 0 || errno != ENOENT ? 0 :
		public_key_add(dir, signer, error_r);
}

int checkpoint_key_read(const char *dir, struct team_signer *signer_r,
			const char **error_r)
{
	const char *path = t_strconcat(dir, "/"KEY_NAME, NULL);
	char buf[KEY_MAX_SIZE];
	ssize_t ret;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT)
			return 0;
		*error_r = t_strdup_printf("open(%s) failed: %m", path);
		return -1;
	}
	ret = read(fd, buf, sizeof(buf) - 1);
	if (ret < 0)
		*error_r = t_strdup_printf("read(%s) failed: %m", path);
	i_close_fd(&fd);
	if (ret < 0)
		return -1;
	if (ret > 0 && buf[ret-1] == '\n')
		ret--;
	buf[ret] = '\0';
	ret = team_signer_parse(buf, signer_r);
	safe_memset(buf, 0, sizeof(buf));
	if (ret < 0) {
		*error_r = t_strdup_printf("%s: not a signing key. If it is "
			"lost, remove the file: a new one is made, which no "
			"older key vouches for", path);
		return -1;
	}
	return public_key_check(dir, signer_r, error_r) < 0 ? -1 : 1;
}

/* Writes a file so that it appears whole or not at all. */
static int write_file(const char *dir, const char *path, const char *text,
		      mode_t mode, const char **error_r)
{
	const char *tmp = t_strconcat(path, ".new", NULL);
	int fd, ret = -1;

	i_unlink_if_exists(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) {
		*error_r = t_strdup_printf("open(%s) failed: %m", tmp);
		return -1;
	}
	if (write_full(fd, text, strlen(text)) < 0)
		*error_r = t_strdup_printf("write(%s) failed: %m", tmp);
	else if (fsync(fd) < 0)
		*error_r = t_strdup_printf("fsync(%s) failed: %m", tmp);
	else if (rename(tmp, path) < 0)
		*error_r = t_strdup_printf("rename(%s) failed: %m", path);
	else
		ret = journal_fsync_dir(dir, error_r);
	i_close_fd(&fd);
	if (ret < 0)
		i_unlink_if_exists(tmp);
	return ret;
}

int checkpoint_key_write(const char *dir, const struct team_signer *signer,
			 const char **error_r)
{
	const char *path = t_strconcat(dir, "/"KEY_NAME, NULL);
	char *text = team_signer_format(signer);
	char *line = i_strconcat(text, "\n", NULL);
	int ret = -1;

	if (public_key_add(dir, signer, error_r) == 0)
		ret = write_file(dir, path, line, 0600, error_r);
	safe_memset(text, 0, strlen(text));
	safe_memset(line, 0, strlen(line));
	free(text);
	i_free(line);
	return ret;
}
