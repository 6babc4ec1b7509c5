/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a command prints arrives, or the command says that it didn't. doveadm
   itself doesn't look: a full disk would pass for a complete answer. */

#include "team-common.h"
#include "ostream.h"
#include "doveadm-team.h"

#include <stdio.h>

static bool output_used;
static int output_errno;

void doveadm_team_output_begin(void)
{
	output_used = TRUE;
}

bool doveadm_team_output_failed(void)
{
	/* errno is that of the write that just failed, once only */
	if (output_errno != 0)
		return TRUE;
	if (doveadm_print_ostream != NULL &&
	    doveadm_print_ostream->stream_errno != 0)
		output_errno = doveadm_print_ostream->stream_errno;
	else if (ferror(stdout) != 0)
		output_errno = errno != 0 ? errno : EIO;
	return output_errno != 0;
}

void doveadm_team_output_end(void)
{
	if (!output_used)
		return;
	/* the last of a table, or the end of JSON, comes only now */
	doveadm_print_deinit();
	if (doveadm_print_ostream != NULL)
		(void)o_stream_flush(doveadm_print_ostream);
	if (fflush(stdout) != 0 && output_errno == 0)
		output_errno = errno;
	if (!doveadm_team_output_failed())
		return;
	errno = output_errno;
	i_error("write(stdout) failed: %m: what was printed isn't complete");
	/* a verdict, or an error that came first, says more */
	if (doveadm_exit_code == 0)
		doveadm_exit_code = EX_IOERR;
}
