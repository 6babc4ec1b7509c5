-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: who has a mailbox open, on all nodes. A node that is asked
-- asks the others by NOTIFY; each answers with its sessions. Which nodes there
-- are is known by a lock that each holds as long as it is connected, so that
-- the sessions of one that died are gone with it.

CREATE UNLOGGED TABLE team.who_answer (
	request text NOT NULL,
	node int NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	sessions text NOT NULL,
	PRIMARY KEY (request, node)
);
COMMENT ON TABLE team.who_answer IS
	'Nodes'' answers to the question who has a mailbox open, for a minute';
COMMENT ON COLUMN team.who_answer.sessions IS
	'A line for each, as the asking node''s service reads it';
REVOKE ALL ON team.who_answer FROM PUBLIC;

CREATE FUNCTION team.node_here(p_node int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	-- the class is "team" in ASCII, and one
	SELECT pg_advisory_lock_shared(1952801134, p_node)
$$;
COMMENT ON FUNCTION team.node_here(int) IS
	'The node is there as long as this connection is';

CREATE FUNCTION team.who_ask(p_node int, p_request text, p_mailbox text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM team.who_answer w
		WHERE w.at < clock_timestamp() - interval '1 minute';
	SELECT pg_notify('team', left(concat_ws(' ', p_node, '-', 0, 'who',
			 p_request, team.short(p_mailbox)), 7900))
$$;
COMMENT ON FUNCTION team.who_ask(int, text, text) IS
	'Asks all nodes, the asking one included, who has the mailbox open';

CREATE FUNCTION team.who_tell(p_node int, p_request text, p_sessions text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO team.who_answer (request, node, sessions)
		VALUES (p_request, p_node, p_sessions) ON CONFLICT DO NOTHING;
	SELECT pg_notify('team', concat_ws(' ', p_node, '-', 0, 'whois',
					   p_request))
$$;
COMMENT ON FUNCTION team.who_tell(int, text, text) IS 'Answers that';

CREATE FUNCTION team.who_read(p_request text)
RETURNS TABLE (node text, sessions text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n.name, w.sessions
	FROM (SELECT l.objid::bigint::int AS id FROM pg_locks l
	      WHERE l.locktype = 'advisory' AND l.classid = 1952801134 AND
		l.objsubid = 2 AND l.granted AND l.database = (
			SELECT d.oid FROM pg_database d
			WHERE d.datname = current_database())
	      UNION
	      SELECT a.node FROM team.who_answer a
	      WHERE a.request = p_request) h
	JOIN team.node n ON n.id = h.id
	LEFT JOIN team.who_answer w ON w.request = p_request AND w.node = h.id
	ORDER BY n.name
$$;
COMMENT ON FUNCTION team.who_read(text) IS
	'What the nodes answered; NULL for one that hasn''t';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.node_here(int),
	team.who_ask(int, text, text), team.who_tell(int, text, text),
	team.who_read(text) TO team_service;
