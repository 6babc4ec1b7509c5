/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of a journal that can't be written. A gap record says it when
   it can be again, also if that is another process's work: a file system often
   can't be repaired before everybody has let go of it. */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "strnum.h"
#include "journal-gap.h"
#include "journal-private.h"

#include <fcntl.h>
#include <unistd.h>

#define JOURNAL_PROBE_MSECS 1000
#define NOTE_SIZE_MAX 1024

/* ---- the note: "<since> <refused> <error>\n" ---- */

static void note_write(struct journal *journal)
{
	const char *note = "";

	if (journal->note_fd == -1)
		return;
	if (journal->fail_since != 0) {
		note = t_strdup_printf("%"PRIu64" %u %.900s\n",
				       journal->fail_since,
				       journal->fail_count,
				       journal->fail_error);
	}
	if (ftruncate(journal->note_fd, 0) < 0 ||
	    journal_pwrite_full(journal->note_fd, note, strlen(note), 0) < 0)
		i_warning("journal: can't note that it fails: %m");
}

void journal_note_open(struct journal *journal, const char *path)
{
	if (path == NULL)
		return;
	journal->note_fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (journal->note_fd == -1 && errno != ENOENT)
		i_warning("open(%s) failed: %m", path);
}

void journal_note_read(struct journal *journal)
{
	char buf[NOTE_SIZE_MAX];
	const char *const *parts;
	unsigned int refused;
	ssize_t size;

	if (journal->note_fd == -1)
		return;
	size = pread(journal->note_fd, buf, sizeof(buf), 0);
	if (size <= 0 || buf[size-1] != '\n')
		return;
	parts = t_strsplit(t_strndup(buf, size - 1), " ");
	if (str_array_length(parts) < 3 ||
	    str_to_uint(parts[1], &refused) < 0 ||
	    str_to_uint64(parts[0], &journal->fail_since) < 0)
		return;
	journal->fail_count += refused;
	journal->fail_error = i_strdup(t_strarray_join(parts + 2, " "));
}

void journal_note(struct journal *journal, const char *error)
{
	if (journal->fail_since == 0)
		journal_note_read(journal);
	if (journal->fail_since == 0)
		journal->fail_since = journal_now(journal);
	if (error != journal->fail_error) {
		i_free(journal->fail_error);
		journal->fail_error = i_strdup(error);
	}
	T_BEGIN {
		note_write(journal);
	} T_END;
}

/* ---- failing ---- */

static void journal_probe(struct journal *journal)
{
	timeout_remove(&journal->to_probe);
	if (journal->fail_room) {
		if (array_count(&journal->ops) > 0 ||
		    journal_reserve(journal, 0) < 0) {
			journal_note(journal, journal->fail_error);
			journal->to_probe = timeout_add(JOURNAL_PROBE_MSECS,
							journal_probe, journal);
			return;
		}
		journal->fail_room = FALSE;
	}
	if (journal->fail_since != 0 && array_count(&journal->ops) == 0)
		journal_stage_gap(journal, NULL);
}

void journal_fail(struct journal *journal, const char *error)
{
	if (journal->writable_callback != NULL)
		journal->writable_callback(FALSE);
	if (!journal->fail_told) {
		journal->fail_told = TRUE;
		i_error("journal: %s: changes are refused until it can be "
			"written again", error);
	}
	journal_note(journal, error);
	if (journal->to_probe == NULL) {
		journal->to_probe = timeout_add(JOURNAL_PROBE_MSECS,
						journal_probe, journal);
	}
}

void journal_recovered(struct journal *journal)
{
	i_info("journal: can be written again, %u requests were refused",
	       journal->fail_count);
	journal->fail_since = 0;
	journal->fail_count = 0;
	journal->fail_told = FALSE;
	i_free(journal->fail_error);
	timeout_remove(&journal->to_probe);
	note_write(journal);
	if (journal->writable_callback != NULL)
		journal->writable_callback(TRUE);
}

const char *const *journal_fail_details(struct journal *journal)
{
	const char **details = t_new(const char *, 6);

	details[0] = "d.reason=journal failed";
	details[1] = t_strconcat("d.error=", journal->fail_error, NULL);
	details[2] = t_strconcat("d.from=",
		journal_time_text(journal->fail_since), NULL);
	details[3] = t_strconcat("d.to=",
		journal_time_text(journal_now(journal)), NULL);
	details[4] = t_strdup_printf("d.refused=%u", journal->fail_count);
	return details;
}
