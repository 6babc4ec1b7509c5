/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SHIPPER_H
#define TEAM_SHIPPER_H

/* Brings the journal's records into PostgreSQL, in order and exactly once: the
   database notes the last number in the transaction that brings the records,
   and says it to whoever connects. */

struct journal;
struct shipper;
struct shipper_wait;

/* ok is FALSE if it took too long or PostgreSQL is away. */
typedef void shipper_wait_callback_t(bool ok, void *context);

struct shipper_status {
	bool connected;
	/* NULL if there was none since it was last reachable */
	const char *last_error;
	time_t away_since;
	/* microseconds since the epoch of the oldest record that waits; 0 if
	   there is none */
	uint64_t oldest_at;
};

struct shipper *shipper_init(struct journal *journal, const char *conninfo);
void shipper_deinit(struct shipper **shipper);

/* Calls back when the record with the number in the journal, and all before
   it, are in PostgreSQL: at once if they are, otherwise within msecs. Returns
   NULL if it called back. */
struct shipper_wait *
shipper_wait(struct shipper *shipper, uint64_t seq, unsigned int msecs,
	     shipper_wait_callback_t *callback, void *context);
/* Is everything shipped? */
bool shipper_is_idle(struct shipper *shipper);
/* What team.hello said; 0 before it did. */
int shipper_node_id(struct shipper *shipper);
bool shipper_is_connected(struct shipper *shipper);
void shipper_get_status(struct shipper *shipper,
			struct shipper_status *status_r);

#endif
