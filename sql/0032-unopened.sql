-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: finding what was recorded of a mailbox that couldn't be opened,
-- without reading every login. A hash takes names of any length.

CREATE INDEX record_unopened ON team.record USING hash (mailbox)
	WHERE mailbox_id IS NULL AND mailbox IS NOT NULL;
