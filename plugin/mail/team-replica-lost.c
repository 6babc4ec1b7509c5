/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private index that went away or broke under a session (D8), or that can't
   be read or written. It is opened anew and filled, or kept in memory until
   its disk can be used again: PostgreSQL has what it is filled from, so a
   colleague's work goes on either way. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "index-storage.h"
#include "mail-index-alloc-cache.h"
#include "mail-index-private.h"
#include "mail-transaction-log-private.h"
#include "team-recover.h"
#include "team-storage-private.h"
#include "team-replica-private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* So often it is tried to use the disk again */
#define DISK_RETRY_SECS 5
/* With less room than this it isn't tried */
#define DISK_ROOM_MIN (64*1024)
/* So often it is opened anew at once */
#define REOPEN_MAX 3

bool team_replica_is_in_memory(struct mailbox *box)
{
	return box->index_pvt != NULL &&
		MAIL_INDEX_IS_IN_MEMORY(box->index_pvt);
}

/* lmtp's and doveadm's real user is root */
static int team_replica_access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

/* Folders that are missing are made. */
static const char *team_replica_existing_dir(const char *dir)
{
	const char *p;

	while (team_replica_access(dir, F_OK) < 0 && errno == ENOENT &&
	       (p = strrchr(dir, '/')) != NULL && p != dir)
		dir = t_strdup_until(dir, p);
	return dir;
}

static const char *team_replica_file_error(const char *path)
{
	if (team_replica_access(path, R_OK | W_OK) == 0 || errno == ENOENT)
		return NULL;
	return t_strdup_printf("%s: %s", path, strerror(errno));
}

/* What stands against using the private index's files: NULL if nothing does, as
   far as it can be seen beforehand. */
static const char *team_replica_disk_error(struct mailbox *box)
{
	const char *path, *dir, *error;
	struct statvfs st;

	if (mailbox_get_path_to(box, MAILBOX_LIST_PATH_TYPE_INDEX_PRIVATE,
				&path) <= 0)
		return mailbox_get_last_internal_error(box, NULL);
	dir = team_replica_existing_dir(path);
	if (team_replica_access(dir, W_OK | X_OK) < 0)
		return t_strdup_printf("%s: %s", dir, strerror(errno));
	if (statvfs(dir, &st) == 0 &&
	    (uint64_t)st.f_bavail * st.f_frsize < DISK_ROOM_MIN)
		return t_strdup_printf("%s: %s", dir, strerror(ENOSPC));
	path = t_strconcat(path, "/", box->index_prefix, ".pvt", NULL);
	error = team_replica_file_error(path);
	return error != NULL ? error :
		team_replica_file_error(t_strconcat(path, ".log", NULL));
}

const char *team_replica_memory_reason(struct mailbox *box)
{
	const char *error = team_replica_disk_error(box);

	return error != NULL ? error : "see the errors logged before";
}

/* It is kept in memory from now on. */
static void team_replica_note_memory(struct team_mailbox *tbox)
{
	if (tbox->in_memory)
		return;
	tbox->in_memory = TRUE;
	tbox->next_disk = ioloop_time + DISK_RETRY_SECS;
	e_error(tbox->box->event, "team: The private index can't be used (%s): "
		"%s's private flags are kept in memory and in PostgreSQL until "
		"it can. Let the mail process read and write there, and see to "
		"it that there is room",
		team_replica_memory_reason(tbox->box),
		tbox->tuser->colleague);
}

void team_replica_open(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	int ret;

	tbox->opening_pvt = TRUE;
	ret = mailbox_open_index_pvt(box);
	if (ret < 0) {
		/* without one Dovecot would use the shared index's flags */
		if (box->index_pvt == NULL) {
			box->index_pvt = mail_index_alloc_cache_get(box->event,
				NULL, NULL,
				t_strconcat(box->index_prefix, ".pvt", NULL));
		}
		ret = mailbox_open_index_pvt(box);
	}
	tbox->opening_pvt = FALSE;
	if (team_replica_is_in_memory(box))
		team_replica_note_memory(tbox);
	else if (ret > 0)
		tbox->in_memory = FALSE;
}

/* The log was rotated by another process, or somebody made it anew. */
static bool
team_replica_log_is_other(struct mail_index *index, const char *path)
{
	struct mail_transaction_log_header hdr;
	bool other = TRUE;
	int fd = open(path, O_RDONLY);

	if (fd == -1)
		return TRUE;
	if (pread(fd, &hdr, sizeof(hdr), 0) == (ssize_t)sizeof(hdr))
		other = hdr.indexid != index->indexid ||
			hdr.file_seq <= index->log->head->hdr.file_seq;
	i_close_fd(&fd);
	return other;
}

/* What this process knows of it can't be relied on. */
static bool team_replica_is_spoilt(struct mailbox *box)
{
	struct mail_index *index = box->index_pvt;

	return index->log->head == NULL || index->log->head->corrupted ||
		index->indexid == 0 ||
		mail_index_is_deleted(index) ||
		mail_index_view_is_inconsistent(box->view_pvt);
}

static bool team_replica_is_broken(struct mailbox *box)
{
	struct mail_index *index = box->index_pvt;
	const struct mail_transaction_log_file *head = index->log->head;
	const char *path;
	struct stat st;

	if (team_replica_is_spoilt(box))
		return TRUE;
	path = t_strconcat(index->filepath, ".log", NULL);
	if (stat(path, &st) < 0)
		return TRUE;
	if (st.st_ino == head->st_ino && CMP_DEV_T(st.st_dev, head->st_dev))
		return st.st_size < (off_t)head->sync_offset;
	return team_replica_log_is_other(index, path);
}

void team_replica_distrust(struct team_mailbox *tbox)
{
	tbox->stale = tbox->refetch = TRUE;
}

/* Can it leave the memory? Not without that what it has can be had again, nor
   before the client has been told of what is new. */
static bool team_replica_may_leave_memory(struct team_mailbox *tbox)
{
	struct team_state *state;
	const char *error;

	if (ioloop_time < tbox->next_disk || tbox->stale ||
	    team_generations_flags_changed(tbox))
		return FALSE;
	tbox->next_disk = ioloop_time + DISK_RETRY_SECS;
	if (team_replica_disk_error(tbox->box) != NULL ||
	    team_mailbox_identify(tbox) < 0 || tbox->uidvalidity == 0)
		return FALSE;
	state = team_state_get_all(tbox, &error);
	if (state == NULL)
		return FALSE;
	team_state_free(&state);
	return TRUE;
}

/* TRUE if it has to be opened anew. If its disk can't be used, but it is known
   what stood there, that is kept in memory instead. */
static bool team_replica_is_lost(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;

	if (team_replica_is_in_memory(box)) {
		if (team_replica_is_spoilt(box))
			return TRUE;
		team_replica_note_memory(tbox);
		return team_replica_may_leave_memory(tbox);
	}
	if (!tbox->pvt_failed && !team_replica_is_broken(box))
		return FALSE;
	tbox->pvt_failed = FALSE;
	if (team_replica_is_spoilt(box) ||
	    team_replica_disk_error(box) == NULL ||
	    mail_index_move_to_memory(box->index_pvt) < 0)
		return TRUE;
	team_replica_note_memory(tbox);
	return FALSE;
}

static void team_replica_reopen(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;

	if (!tbox->in_memory) {
		e_warning(box->event, "team: %s was lost: it is filled again",
			  box->index_pvt->filepath);
	}
	mail_index_view_close(&box->view_pvt);
	mail_index_close(box->index_pvt);
	mail_index_alloc_cache_unref(&box->index_pvt);
	mail_index_alloc_cache_destroy_unrefed();
	array_clear(&tbox->pvt_keywords);

	team_replica_open(tbox);
	team_replica_distrust(tbox);
	tbox->next_sync = 0;
	if (mail_index_get_header(box->view)->uid_validity != 0)
		team_replica_fill(tbox);
}

void team_replica_check(struct team_mailbox *tbox, unsigned int transactions)
{
	struct mailbox *box = tbox->box;
	unsigned int n;

	if (box->index_pvt == NULL || box->view_pvt == NULL ||
	    box->transaction_count > transactions || tbox->checking)
		return;
	tbox->checking = TRUE;
	/* that its log is damaged is noticed only when it is filled */
	for (n = 0; n < REOPEN_MAX && team_replica_is_lost(tbox); n++) T_BEGIN {
		enum mail_namespace_type type = team_mask_public(box);

		team_replica_reopen(tbox);
		box->list->ns->type = type;
	} T_END;
	tbox->checking = FALSE;
}

void team_replica_commit(struct team_mailbox *tbox,
			 struct mail_index_transaction **trans)
{
	if (mail_index_transaction_commit(trans) == 0)
		return;
	e_error(tbox->box->event, "team: %s can't be written: %s's changes "
		"come back from PostgreSQL", tbox->box->index_pvt->filepath,
		tbox->tuser->colleague);
	tbox->pvt_failed = TRUE;
	team_replica_distrust(tbox);
}
