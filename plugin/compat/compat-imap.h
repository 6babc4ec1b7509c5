/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_IMAP_H
#define COMPAT_IMAP_H

/* The IMAP process as it differs between Dovecot's versions. */

#include "imap-common.h"
#include "imap-commands.h"

/* Like client_find_namespace(), but sends no answer to the client. */
static inline struct mail_namespace *
compat_find_namespace(struct client_command_context *cmd,
		      const char **mailbox, const char **error_r)
{
#ifdef HAVE_FIND_NAMESPACE_OF_COMMAND
	return client_find_namespace_full(cmd, mailbox, error_r);
#else
	return client_find_namespace_full(cmd->client, mailbox, error_r);
#endif
}

#endif
