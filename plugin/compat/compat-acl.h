/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef COMPAT_ACL_H
#define COMPAT_ACL_H

struct mailbox;

/* TRUE if access control lists are in use for the open mailbox and give the
   user the right "a". */
bool compat_mailbox_may_administer(struct mailbox *box);

#endif
