/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The person at the terminal, for the log. */

#include "team-common.h"
#include "team-operator.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* as whom the process was started: before a plugin's init function is called,
   doveadm has become the user whose mail it looks at */
static uid_t started_uid;

static void __attribute__((constructor)) operator_remember(void)
{
	started_uid = getuid();
}

/* sudo and su change the uid, the login stays. */
static const char *operator_login(void)
{
	const char *name;
	struct passwd *pw;

	if ((name = getlogin()) != NULL && *name != '\0')
		return t_strdup(name);
	if (started_uid == 0 && (name = getenv("SUDO_USER")) != NULL &&
	    *name != '\0')
		return name;
	if ((pw = getpwuid(started_uid)) != NULL)
		return t_strdup(pw->pw_name);
	return t_strdup_printf("uid-%s", dec2str(started_uid));
}

const char *team_operator_doveadm(bool network)
{
	/* over the network there is only doveadm's own password: nobody is
	   known but the address */
	return t_strconcat("doveadm:", network ? "network" : operator_login(),
			   NULL);
}
