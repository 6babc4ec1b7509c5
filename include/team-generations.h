/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_GENERATIONS_H
#define TEAM_GENERATIONS_H

/* The file in which the service says, without being asked, that something was
   changed, so that opening a mailbox in which nothing was costs no question.
   See "Generations" in team-protocol.h.

   The service makes it anew, in Dovecot's base_dir, whenever it starts, owned
   by root and writable for nobody else. It keeps a write lock on it: a file
   that isn't locked is that of a service that is gone. */

#include <stdatomic.h>
#include <stdint.h>

#define TEAM_GENERATIONS_FILE_NAME "team.generations"
#define TEAM_GENERATIONS_MAGIC "dovecot-team 1\n"
#define TEAM_GENERATIONS_COUNT 65536

enum team_generation {
	/* what concerns all who have the mailbox: claims, copied messages */
	TEAM_GENERATION_BOX,
	/* a colleague's private flags were changed elsewhere */
	TEAM_GENERATION_FLAGS,
	/* they were, or may be, changed on this node */
	TEAM_GENERATION_OWN
};

struct team_generations_file {
	char magic[16];
	/* 0 while changes on other nodes go unheard. Another number whenever
	   some may have gone unheard since. */
	_Atomic uint64_t epoch;
	/* 0 while the journal can't be written: no intent may be left in the
	   spool then */
	_Atomic uint64_t journal;
	uint64_t unused[4];
	/* they only rise */
	_Atomic uint64_t counters[TEAM_GENERATIONS_COUNT];
};

/* What a replica was brought up to. */
struct team_generations {
	/* 0 if it isn't known */
	uint64_t epoch;
	uint64_t flags, own, box;
};

static inline uint64_t team_generation_hash(uint64_t hash, const char *text)
{
	/* FNV-1a, the end of the text included */
	do {
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	} while (*text++ != '\0');
	return hash;
}

/* The place of the counter. Different things may have the same: then a change
   of one looks like a change of the other, which costs a question. */
static inline unsigned int
team_generation_place(enum team_generation kind, const char *guid,
		      uint32_t uidvalidity, const char *colleague)
{
	uint64_t hash = 14695981039346656037ULL ^ (unsigned int)kind;

	hash = team_generation_hash(hash, guid);
	hash = (hash ^ uidvalidity) * 1099511628211ULL;
	if (kind != TEAM_GENERATION_BOX)
		hash = team_generation_hash(hash, colleague);
	return (unsigned int)((hash >> 32) ^ hash) % TEAM_GENERATIONS_COUNT;
}

static inline uint64_t
team_generation_get(const struct team_generations_file *file,
		    enum team_generation kind, const char *guid,
		    uint32_t uidvalidity, const char *colleague)
{
	return atomic_load(&file->counters[
		team_generation_place(kind, guid, uidvalidity, colleague)]);
}

/* Reads the counters that concern a colleague's replica of a mailbox. */
static inline void
team_generations_get(const struct team_generations_file *file,
		     const char *guid, uint32_t uidvalidity,
		     const char *colleague, struct team_generations *gens_r)
{
	gens_r->epoch = atomic_load(&file->epoch);
	gens_r->flags = team_generation_get(file, TEAM_GENERATION_FLAGS, guid,
					    uidvalidity, colleague);
	gens_r->own = team_generation_get(file, TEAM_GENERATION_OWN, guid,
					  uidvalidity, colleague);
	gens_r->box = team_generation_get(file, TEAM_GENERATION_BOX, guid,
					  uidvalidity, colleague);
}

#endif
