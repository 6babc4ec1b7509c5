/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_STORAGE_H
#define COMPAT_STORAGE_H

/* Mail storage as it differs between Dovecot 2.3 and 2.4. */

#include "mail-storage-private.h"
#include "mailbox-list-private.h"
#include "mail-user.h"

/* Does the namespace have private indexes, which makes it a team's? */
static inline bool compat_list_has_private_index(struct mailbox_list *list)
{
#ifdef HAVE_MAIL_INDEX_PRIVATE_PATH
	return list->mail_set->mail_index_private_path[0] != '\0';
#else
	return list->set.index_pvt_dir != NULL;
#endif
}

/* In 2.3.16 a search matches mails inside search_next_nonblock(), with no hook
   of its own for that. */
static inline void
compat_search_set_match_hook(struct mailbox_vfuncs *v,
			     int (*func)(struct mail_search_context *ctx,
					 struct mail *mail))
{
#ifdef HAVE_SEARCH_NEXT_MATCH_MAIL
	v->search_next_match_mail = func;
#else
	(void)v;
	(void)func;
#endif
}

static inline int
compat_search_match_mail(struct mailbox_vfuncs *super,
			 struct mail_search_context *ctx, struct mail *mail)
{
#ifdef HAVE_SEARCH_NEXT_MATCH_MAIL
	return super->search_next_match_mail(ctx, mail);
#else
	(void)super;
	(void)ctx;
	(void)mail;
	i_unreached();
#endif
}

/* Is the client's own connection encrypted? */
static inline bool compat_user_tls(struct mail_user *user)
{
#ifdef HAVE_END_CLIENT_TLS_SECURED
	return user->conn.end_client_tls_secured;
#else
	return user->conn.ssl_secured;
#endif
}

#endif
