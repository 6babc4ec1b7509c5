-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: which messages a reply answers.

CREATE FUNCTION team.message_find(p_ids text[])
RETURNS TABLE (guid text, uidvalidity bigint, uid bigint, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT m.guid, m.uidvalidity, g.uid, m.name
	FROM unnest(p_ids[1:20]) WITH ORDINALITY AS i(id, n)
	JOIN team.message g ON g.message_id = i.id
	JOIN team.mailbox m ON m.id = g.mailbox_id
	WHERE m.name <> ''
	-- the newest place first: a message that was moved has old ones
	ORDER BY i.n, m.id DESC, g.uid DESC
	LIMIT 50
$$;
COMMENT ON FUNCTION team.message_find(text[]) IS
	'Where messages with these Message-IDs are or were, in the order of the IDs';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.message_find(text[]) TO team_service;
