/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_DOVEADM_H
#define COMPAT_DOVEADM_H

/* Mail commands of doveadm as they differ between Dovecot 2.3 and 2.4. */

#include "doveadm-mail.h"

/* The head of a mail command's init(), which takes its arguments from
   ctx->cctx. */
#ifdef HAVE_DOVEADM_MAIL_PARSED
#  define COMPAT_DOVEADM_MAIL_INIT(name) \
	name(struct doveadm_mail_cmd_context *_ctx)
#else
#  define COMPAT_DOVEADM_MAIL_INIT(name) \
	name(struct doveadm_mail_cmd_context *_ctx, \
	     const char *const _args[] ATTR_UNUSED)
#endif

#endif
