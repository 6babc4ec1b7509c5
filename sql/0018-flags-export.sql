-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: private flags for export and import.

CREATE FUNCTION team.flags(p_colleague text, p_mailbox text)
RETURNS TABLE (colleague text, mailbox text, guid text, uidvalidity bigint,
	       flag text, uids text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	-- 32 blocks in one row: whatever is set in them fits into a line of the
	-- service's protocol.
	SELECT c.name, m.name, m.guid, m.uidvalidity, f.flag,
		range_agg(u)::text
	FROM team.flag f
	JOIN team.mailbox m ON m.id = f.mailbox_id
	JOIN team.colleague c ON c.id = f.colleague_id
	CROSS JOIN LATERAL unnest(f.uids) u
	WHERE (coalesce(p_colleague, '') = '' OR
	       c.name = team.short(p_colleague)) AND
		(coalesce(p_mailbox, '') = '' OR m.name = team.short(p_mailbox) OR
		 m.guid = p_mailbox)
	GROUP BY c.name, m.name, m.guid, m.uidvalidity, f.flag, f.block >> 5
	ORDER BY c.name, m.name, m.guid, m.uidvalidity, f.flag, f.block >> 5
$$;
COMMENT ON FUNCTION team.flags(text, text) IS
	'All private flags, or a colleague''s, or those in a mailbox, which is named or given by its GUID';

CREATE FUNCTION team.flags_mailboxes()
RETURNS TABLE (guid text, uidvalidity bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m.guid, m.uidvalidity FROM team.mailbox m
	ORDER BY m.guid, m.id
$$;
COMMENT ON FUNCTION team.flags_mailboxes() IS
	'The mailboxes that are known; the last one of a GUID is the one that came last';

REVOKE ALL ON FUNCTION team.flags(text, text), team.flags_mailboxes()
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.flags(text, text), team.flags_mailboxes()
	TO team_service;
