/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the log tells who read what: every change of that is told itself. */

#include "team-common.h"
#include "ioloop.h"
#include "write-full.h"
#include "team-settings.h"
#include "journal.h"
#include "journal-gap.h"
#include "audit-reading.h"
#include "record-final.h"
#include "service.h"

#include <fcntl.h>
#include <unistd.h>

/* In the journal's folder: what was chosen last */
#define CHOICE_FILE_NAME "reading"
#define CHOICE_RETRY_MSECS 1000

static struct team_service *reading_service;
static struct timeout *to_retry;
/* what records are treated by: a new choice counts once it is journalled */
static bool reading_recorded = TRUE;

static const char *choice_path(void)
{
	return t_strdup_printf("%s/"CHOICE_FILE_NAME,
			       reading_service->set->team_journal_dir);
}

/* Without a file nobody has chosen yet. */
static bool choice_read(const char *choice)
{
	char buf[8];
	ssize_t ret = -1;
	int fd = open(choice_path(), O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return strcmp(choice, "yes") == 0;
	if (fd >= 0)
		ret = read(fd, buf, sizeof(buf) - 1);
	if (ret < 0)
		i_error("%s can't be read: %m", choice_path());
	i_close_fd(&fd);
	if (ret <= 0)
		return FALSE;
	buf[ret] = '\0';
	reading_recorded = strcmp(buf, "no\n") != 0;
	return strcmp(buf, t_strconcat(choice, "\n", NULL)) == 0;
}

static void choice_write(const char *choice)
{
	const char *text = t_strconcat(choice, "\n", NULL);
	int fd = open(choice_path(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		      0600);

	if (fd < 0 || write_full(fd, text, strlen(text)) < 0 ||
	    fdatasync(fd) < 0) {
		i_error("%s can't be written: %m: the choice will be recorded "
			"again at the next start", choice_path());
	}
	i_close_fd(&fd);
}

static void choice_record(void *context);

static void choice_recorded(const char *error, void *context ATTR_UNUSED)
{
	const char *choice = reading_service->set->team_audit_reading;

	if (error != NULL) {
		to_retry = timeout_add(CHOICE_RETRY_MSECS, choice_record, NULL);
		return;
	}
	reading_recorded = strcmp(choice, "yes") == 0;
	i_info("team_audit_reading=%s: reading is %srecorded from now on",
	       choice, reading_recorded ? "" : "not ");
	choice_write(choice);
}

static void choice_record(void *context ATTR_UNUSED)
{
	struct journal *journal = reading_service->journal;
	const char *choice = reading_service->set->team_audit_reading;
	const char *const details[] = {
		"outcome=ok",
		t_strdup_printf("d.reason=team_audit_reading=%s: reading is "
			"%srecorded from now on", choice,
			strcmp(choice, "yes") == 0 ? "" : "not "), NULL
	};
	struct journal_entry entry = {
		.type = JOURNAL_ENTRY_RECORDS, .at = journal_now(journal),
		.count = 1
	};

	timeout_remove(&to_retry);
	entry.records = journal_gap_record(entry.at, details);
	(void)journal_stage(journal, &entry, TRUE, choice_recorded, NULL);
	journal_flush(journal);
}

void audit_reading_init(struct team_service *service)
{
	reading_service = service;
	if (!choice_read(service->set->team_audit_reading))
		choice_record(NULL);
	journal_set_finish(service->journal, record_final_entry,
			   &reading_recorded);
}

void audit_reading_deinit(void)
{
	timeout_remove(&to_retry);
}
