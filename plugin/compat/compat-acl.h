/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_ACL_H
#define COMPAT_ACL_H

struct mailbox;
struct mailbox_list;

/* A change of who may do what in a mailbox. */
struct compat_acl_change {
	struct mailbox_list *list;
	const char *vname;
	/* as doveadm acl writes it: user=bob, authenticated, ... */
	const char *identifier;
	/* add, remove, replace or clear; NULL if nothing is said about them */
	const char *mode, *neg_mode;
	/* separated by spaces */
	const char *rights, *neg_rights;
};

/* Called before the change and after it, with what the first call returned.
   begin returns NULL if the change must not be made. */
struct compat_acl_callbacks {
	void *(*begin)(const struct compat_acl_change *change);
	void (*end)(const struct compat_acl_change *change, void *context,
		    int ret);
};

/* To be called when a user's plugins have been loaded, before anything else. */
void compat_acl_find(void);
/* TRUE if access control lists are in use for the open mailbox and give the
   user the right "a". The owner's rights don't count for a colleague who opened
   a role account: all colleagues have these. */
bool compat_mailbox_may_administer(struct mailbox *box, const char *colleague);
/* FALSE if access control lists are in use for the open mailbox and don't give
   the user the right "e". */
bool compat_mailbox_may_expunge(struct mailbox *box);
/* From now on the callbacks are told of changes of access control lists below
   the list, if it has any. */
void compat_acl_watch(struct mailbox_list *list,
		      const struct compat_acl_callbacks *callbacks);

#endif
