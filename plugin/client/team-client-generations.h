/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CLIENT_GENERATIONS_H
#define TEAM_CLIENT_GENERATIONS_H

/* Reads the file of team-generations.h. */

#include "team-generations.h"

/* Returns the service's file, or NULL if it has none or isn't running: then
   it has to be asked. Valid until the next call. */
const struct team_generations_file *
team_client_generations(const char *base_dir);
void team_client_generations_deinit(void);

#endif
