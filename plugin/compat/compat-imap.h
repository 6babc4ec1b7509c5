/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_IMAP_H
#define COMPAT_IMAP_H

/* The IMAP process as it differs between Dovecot's versions. */

#include "imap-common.h"
#include "imap-commands.h"
#include "imap-state.h"

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

/* Defines name(), a client's state_import(). take(client, data, size, error_r)
   gets data first: it returns the size of what it took, 0 if that isn't its
   own, or -1 with an error. super(client) is the vfuncs that are asked then. */
#ifdef HAVE_IMAP_STATE_RESULT
#define COMPAT_STATE_IMPORT(name, take, super) \
static enum imap_state_result \
name(struct client *client, bool internal, const unsigned char *data, \
     size_t size, size_t *skip_r, const char **error_r) \
{ \
	ssize_t ret = take(client, data, size, error_r); \
	if (ret == 0) { \
		return super(client)->state_import(client, internal, data, \
						   size, skip_r, error_r); \
	} \
	*skip_r = ret < 0 ? 0 : ret; \
	return ret < 0 ? IMAP_STATE_CORRUPTED : IMAP_STATE_OK; \
}
#else
#define COMPAT_STATE_IMPORT(name, take, super) \
static ssize_t \
name(struct client *client, bool internal, const unsigned char *data, \
     size_t size, const char **error_r) \
{ \
	ssize_t ret = take(client, data, size, error_r); \
	if (ret == 0) { \
		return super(client)->state_import(client, internal, data, \
						   size, error_r); \
	} \
	/* 0 is corrupted */ \
	return I_MAX(ret, 0); \
}
#endif

#endif
