/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file that says what was changed. */

#include "team-common.h"
#include "randgen.h"
#include "strnum.h"
#include "record.h"
#include "team-protocol.h"
#include "generations.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct team_generations_file *generations = NULL;
/* the lock goes with it */
static int generations_fd = -1;
/* 0: not known yet */
static int64_t database_history;

static int generations_open(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	void *map;

	/* an older process may still have the old one */
	if (unlink(path) < 0 && errno != ENOENT)
		return -1;
	generations_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
			      O_CLOEXEC, 0600);
	if (generations_fd < 0 || fcntl(generations_fd, F_SETLK, &lock) < 0 ||
	    ftruncate(generations_fd, sizeof(*generations)) < 0)
		return -1;
	map = mmap(NULL, sizeof(*generations), PROT_READ | PROT_WRITE,
		   MAP_SHARED, generations_fd, 0);
	if (map == MAP_FAILED)
		return -1;
	generations = map;
	memcpy(generations->magic, TEAM_GENERATIONS_MAGIC,
	       sizeof(generations->magic));
	/* whatever the umask is */
	return fchmod(generations_fd, 0644);
}

int generations_init(const char *dir)
{
	const char *path = t_strconcat(dir, "/"TEAM_GENERATIONS_FILE_NAME,
				       NULL);
	int old_errno;

	i_assert(generations == NULL);
	if (generations_open(path) == 0)
		return 0;
	old_errno = errno;
	generations_deinit();
	errno = old_errno;
	return -1;
}

void generations_deinit(void)
{
	generations_hear(FALSE);
	generations_journal(FALSE);
	if (generations != NULL)
		(void)munmap(generations, sizeof(*generations));
	generations = NULL;
	i_close_fd(&generations_fd);
}

void generations_journal(bool writable)
{
	if (generations != NULL)
		atomic_store(&generations->journal, writable ? 1 : 0);
}

void generations_hear(bool heard)
{
	uint64_t epoch = 0;

	if (generations == NULL)
		return;
	while (heard && epoch == 0)
		random_fill(&epoch, sizeof(epoch));
	atomic_store(&generations->epoch, epoch);
}

void generations_forget(void)
{
	if (generations != NULL && atomic_load(&generations->epoch) != 0)
		generations_hear(TRUE);
}

void generations_history(int64_t history)
{
	if (database_history != 0 && history != database_history)
		generations_forget();
	database_history = history;
}

void generations_changed(enum team_generation kind, const char *guid,
			 uint32_t uidvalidity, const char *colleague)
{
	if (generations == NULL)
		return;
	atomic_fetch_add(&generations->counters[
		team_generation_place(kind, guid, uidvalidity, colleague)], 1);
}

void generations_get(const char *guid, uint32_t uidvalidity,
		     const char *colleague, struct team_generations *gens_r)
{
	if (generations == NULL)
		i_zero(gens_r);
	else
		team_generations_get(generations, guid, uidvalidity, colleague,
				     gens_r);
}

/* ---- records ---- */

static bool record_has_private(const struct team_record *record)
{
	const char *key, *value;
	size_t i;

	for (i = 0; team_record_field(record, i, &key, &value); i++) {
		if (strncmp(key, "p+", 2) == 0 || strncmp(key, "p-", 2) == 0)
			return TRUE;
	}
	return FALSE;
}

static int
record_get_mailbox(const struct team_record *record, const char *guid_key,
		   const char *validity_key, const char **guid_r,
		   uint32_t *uidvalidity_r, const char **colleague_r)
{
	const char *validity = team_record_get(record, validity_key);

	*guid_r = team_record_get(record, guid_key);
	*colleague_r = team_record_get(record, "colleague");
	if (*colleague_r == NULL)
		*colleague_r = "";
	return *guid_r == NULL || validity == NULL ||
		str_to_uint32(validity, uidvalidity_r) < 0 ? -1 : 0;
}

static void generations_record_box(const struct team_record *record,
				   enum team_generation kind,
				   const char *guid_key,
				   const char *validity_key)
{
	const char *guid, *colleague;
	uint32_t uidvalidity;

	if (record_get_mailbox(record, guid_key, validity_key, &guid,
			       &uidvalidity, &colleague) == 0)
		generations_changed(kind, guid, uidvalidity, colleague);
}

void generations_record(const struct team_record *record,
			const struct team_record *before)
{
	const char *action = team_record_get(record, "action");
	const char *outcome = team_record_get(record, "outcome");

	if (outcome != NULL && strcmp(outcome, "ok") != 0)
		return;
	if (record_has_private(record) &&
	    (before == NULL || !record_has_private(before))) {
		generations_record_box(record, TEAM_GENERATION_OWN, "mailbox",
				       "uidvalidity");
		/* in no private index yet */
		if (team_record_get(record, TEAM_RECORD_KEY_IMPORT) != NULL) {
			generations_record_box(record, TEAM_GENERATION_FLAGS,
					       "mailbox", "uidvalidity");
		}
	}
	/* flags of all colleagues, and claims, come along with the messages;
	   flags that become private are others for all */
	if (strcmp(action, "copy") == 0 || strcmp(action, "move") == 0 ||
	    strcmp(action, "settings") == 0) {
		generations_record_box(record, TEAM_GENERATION_BOX, "mailbox",
				       "uidvalidity");
	}
	if (strcmp(action, "move") == 0) {
		generations_record_box(record, TEAM_GENERATION_BOX, "from",
				       "fromvalidity");
	}
}

uint64_t generations_record_own(const struct team_record *record)
{
	const char *guid, *colleague;
	struct team_generations gens;
	uint32_t uidvalidity;

	if (record_get_mailbox(record, "mailbox", "uidvalidity", &guid,
			       &uidvalidity, &colleague) < 0)
		return 0;
	generations_get(guid, uidvalidity, colleague, &gens);
	return gens.own;
}
