/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process's view of what the service says without being asked. */

#include "team-common.h"
#include "team-client-generations.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct team_generations_file *generations = NULL;
static int generations_fd = -1;

void team_client_generations_deinit(void)
{
	if (generations != NULL)
		(void)munmap((void *)generations, sizeof(*generations));
	generations = NULL;
	i_close_fd(&generations_fd);
}

/* The lock goes when its owner does, however that comes about. */
static bool team_client_generations_alive(void)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return fcntl(generations_fd, F_GETLK, &lock) == 0 &&
		lock.l_type == F_WRLCK;
}

static bool team_client_generations_open(const char *path)
{
	struct stat st;
	void *map;

	generations_fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
			      O_NONBLOCK);
	if (generations_fd < 0 || !team_client_generations_alive() ||
	    fstat(generations_fd, &st) < 0 ||
	    st.st_size < (off_t)sizeof(*generations))
		return FALSE;
	map = mmap(NULL, sizeof(*generations), PROT_READ, MAP_SHARED,
		   generations_fd, 0);
	if (map == MAP_FAILED)
		return FALSE;
	generations = map;
	return memcmp(generations->magic, TEAM_GENERATIONS_MAGIC,
		      sizeof(generations->magic)) == 0;
}

const struct team_generations_file *
team_client_generations(const char *base_dir)
{
	bool ok;

	if (generations != NULL && team_client_generations_alive())
		return generations;
	team_client_generations_deinit();
	T_BEGIN {
		ok = team_client_generations_open(t_strconcat(base_dir,
			"/"TEAM_GENERATIONS_FILE_NAME, NULL));
	} T_END;
	if (!ok)
		team_client_generations_deinit();
	return generations;
}
