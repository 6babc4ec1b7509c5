-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: a mailbox's name finds the mailbox. What is recorded before its
-- UIDVALIDITY is known makes a row as well, which may come later.

CREATE OR REPLACE FUNCTION team.mailbox_find(p_mailbox text)
RETURNS TABLE (guid text, uidvalidity bigint, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.guid, m.uidvalidity, m.name
	FROM team.mailbox m
	WHERE m.guid = p_mailbox OR m.name = team.short(p_mailbox)
	ORDER BY m.uidvalidity > 0 DESC, m.id DESC LIMIT 1
$$;
