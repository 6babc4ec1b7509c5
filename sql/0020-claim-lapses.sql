-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: lapses that no crash loses, and telling former holders. A
-- lapsed claim waits in team.claim_lapsed until the log has its record: a node
-- that dies before it has journalled it is given it once more. Afterwards it is
-- remembered for a day whose it was, so that he can be told if a colleague
-- claims the message. What somebody has to be told waits in team.notice until
-- one of his sessions has shown it, on whichever node.

ALTER TABLE team.claim_lapsed
	ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	ADD COLUMN node int NOT NULL DEFAULT 0,
	ADD COLUMN handed timestamptz,
	ADD COLUMN reported boolean NOT NULL DEFAULT false,
	ADD COLUMN former boolean NOT NULL DEFAULT true;
CREATE INDEX claim_lapsed_message ON team.claim_lapsed (mailbox_id, uid)
	WHERE former;
CREATE INDEX claim_lapsed_unreported ON team.claim_lapsed (id)
	WHERE NOT reported;
COMMENT ON TABLE team.claim_lapsed IS
	'Claims that lapsed: until the log has their records, and for a day';
COMMENT ON COLUMN team.claim_lapsed.node IS
	'The node that journals it; 0: none was asked yet';
COMMENT ON COLUMN team.claim_lapsed.reported IS 'The log has it';
COMMENT ON COLUMN team.claim_lapsed.former IS
	'Nobody has claimed the message since';

CREATE TABLE team.notice (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	colleague_id int NOT NULL REFERENCES team.colleague,
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	uids int8multirange NOT NULL,
	kind text NOT NULL CHECK (kind IN ('taken', 'lapsed', 'freed')),
	by_id int REFERENCES team.colleague
);
COMMENT ON TABLE team.notice IS
	'What former holders of claims have to be told, until they are';
COMMENT ON COLUMN team.notice.kind IS
	'taken: by_id took the claim over; lapsed: by_id claimed the message after the claim had lapsed; freed: an administrator took the claim away';
REVOKE ALL ON team.notice FROM PUBLIC;

CREATE FUNCTION team.tell_former(p_mailbox int, p_former int,
				 p_uids int8multirange, p_kind text, p_by int)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO team.notice (colleague_id, mailbox_id, uids, kind, by_id)
		VALUES (p_former, p_mailbox, p_uids, p_kind, p_by);
	PERFORM team.mailbox_changed(0, p_mailbox, 'notice');
END
$$;
COMMENT ON FUNCTION team.tell_former(int, int, int8multirange, text, int) IS
	'The former holder of the claims is to be told who has them now';

CREATE FUNCTION team.claim_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_told record;
BEGIN
	-- hardly ever is there one
	IF NOT EXISTS (SELECT FROM team.claim_lapsed l WHERE l.former) THEN
		RETURN NULL;
	END IF;
	FOR v_told IN
		WITH former AS (
			UPDATE team.claim_lapsed l SET former = false
			FROM claimed n
			WHERE l.mailbox_id = n.mailbox_id AND l.uid = n.uid AND
				l.former
			RETURNING l.mailbox_id, l.uid, l.colleague_id,
				n.colleague_id AS by_id)
		SELECT f.mailbox_id, f.colleague_id, f.by_id,
			range_agg(int8range(f.uid, f.uid, '[]')) AS uids
		FROM former f WHERE f.by_id <> f.colleague_id
		GROUP BY 1, 2, 3
	LOOP
		PERFORM team.tell_former(v_told.mailbox_id, v_told.colleague_id,
			v_told.uids, 'lapsed', v_told.by_id);
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION team.claim_inserted() IS
	'Trigger: whose claim on a message lapsed is told that a colleague has claimed it';
CREATE TRIGGER claim_inserted AFTER INSERT ON team.claim
	REFERENCING NEW TABLE AS claimed
	FOR EACH STATEMENT EXECUTE FUNCTION team.claim_inserted();

CREATE FUNCTION team.notices()
RETURNS TABLE (id bigint, colleague text, guid text, uidvalidity bigint,
	       name text, messages bigint, kind text, holder text, at bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n.id, c.name, m.guid, m.uidvalidity, m.name,
		team.uid_count(n.uids), n.kind, coalesce(b.name, ''),
		team.epoch(n.at)
	FROM team.notice n
	JOIN team.colleague c ON c.id = n.colleague_id
	JOIN team.mailbox m ON m.id = n.mailbox_id
	LEFT JOIN team.colleague b ON b.id = n.by_id
	ORDER BY n.id
$$;
COMMENT ON FUNCTION team.notices() IS
	'What former holders of claims have not been told yet';

CREATE FUNCTION team.notice_tell(p_colleague text, p_ids bigint[])
RETURNS TABLE (id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM team.notice n USING team.colleague c
	WHERE n.id = ANY (p_ids) AND c.id = n.colleague_id AND
		c.name = team.short(p_colleague)
	RETURNING n.id
$$;
COMMENT ON FUNCTION team.notice_tell(text, bigint[]) IS
	'Returns those of the notices that nobody has shown yet: the caller does';

-- What lapses goes into claim_lapsed first. A record is known to be missing
-- only where the caller's node has shipped all that it journalled before.
DROP FUNCTION team.claim_lapse();
CREATE FUNCTION team.claim_lapse(p_node int)
RETURNS TABLE (guid text, uidvalidity bigint, name text, uid bigint,
	       holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
	v_now timestamptz := clock_timestamp();
	v_mailboxes int[];
	v_id int;
BEGIN
	-- Mailboxes that somebody is working on are left for the next time.
	SELECT array_agg(l.id) INTO v_mailboxes FROM (
		SELECT m.id FROM team.mailbox m
		WHERE m.id IN (SELECT c.mailbox_id FROM team.claim c
			       WHERE c.until <= v_now)
		ORDER BY m.id FOR NO KEY UPDATE SKIP LOCKED) l;
	FOR v_id IN
		WITH gone AS (
			DELETE FROM team.claim c
			WHERE c.mailbox_id = ANY (v_mailboxes) AND
				c.until <= v_now
			RETURNING c.*
		), kept AS (
			INSERT INTO team.claim_lapsed (mailbox_id, uid,
					colleague_id, since, until)
			SELECT g.mailbox_id, g.uid, g.colleague_id, g.since,
				g.until
			FROM gone g
		)
		SELECT DISTINCT g.mailbox_id FROM gone g
	LOOP
		UPDATE team.mailbox m SET rev = m.rev + 1 WHERE m.id = v_id;
		PERFORM team.mailbox_changed(0, v_id, 'claims');
	END LOOP;

	UPDATE team.claim_lapsed l SET reported = true
		WHERE l.node = p_node AND NOT l.reported AND EXISTS (
			SELECT FROM team.record r
			WHERE r.msg_mailbox_id = l.mailbox_id AND
				r.uid = l.uid AND r.node = p_node AND
				r.action = 'lapse' AND team.epoch(
				(r.detail->>'since')::timestamptz) =
					team.epoch(l.since));
	DELETE FROM team.claim_lapsed l
		WHERE l.reported AND
			(NOT l.former OR l.until < v_now - interval '1 day');
	DELETE FROM team.notice n WHERE n.at < v_now - interval '30 days';

	-- A node that is away doesn't come back with it, most likely.
	RETURN QUERY
		WITH handed AS (
			UPDATE team.claim_lapsed l
			SET node = p_node, handed = v_now
			WHERE l.id = ANY (ARRAY(
				SELECT w.id FROM team.claim_lapsed w
				WHERE NOT w.reported AND
					(w.node IN (0, p_node) OR
					 w.handed < v_now - interval '1 hour')
				FOR UPDATE SKIP LOCKED))
			RETURNING l.*)
		SELECT m.guid, m.uidvalidity, m.name, g.uid, h.name,
			team.epoch(g.since), team.epoch(g.until)
		FROM handed g
		JOIN team.mailbox m ON m.id = g.mailbox_id
		JOIN team.colleague h ON h.id = g.colleague_id
		ORDER BY g.until, g.mailbox_id, g.uid;
END
$$;
COMMENT ON FUNCTION team.claim_lapse(int) IS
	'Removes the claims whose time is up and returns them and what else the node has to journal: until the log has its record, a lapsed claim is returned again';

CREATE OR REPLACE FUNCTION team.claim_give(
	p_node int, p_guid text, p_uidvalidity bigint, p_from text, p_to text,
	p_session text, p_uids int8multirange, p_seconds int)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_to int := team.colleague_id(p_to);
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_until timestamptz;
	v_former record;
	v_given int8multirange;
BEGIN
	IF coalesce(p_seconds, 0) <= 0 OR p_uids IS NULL THEN
		RAISE EXCEPTION 'a claim of % seconds is none', p_seconds
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();
	v_until := v_now + make_interval(secs => p_seconds);
	FOR v_former IN
		SELECT c.colleague_id AS id, h.name,
			range_agg(int8range(c.uid, c.uid, '[]')) AS uids
		FROM team.claim c
		JOIN team.colleague h ON h.id = c.colleague_id
		WHERE c.mailbox_id = v_mailbox AND p_uids @> c.uid AND
			c.colleague_id <> v_to AND c.until > v_now AND
			(p_from IS NULL OR h.name = team.short(p_from))
		GROUP BY 1, 2 ORDER BY 1
	LOOP
		RETURN QUERY
			UPDATE team.claim c SET colleague_id = v_to,
				node = p_node, session = p_session,
				since = v_now, until = v_until
			WHERE c.mailbox_id = v_mailbox AND
				v_former.uids @> c.uid
			RETURNING c.uid, 'taken', v_former.name,
				team.epoch(c.since), team.epoch(c.until);
		-- who hands over knows it
		IF p_from IS NULL THEN
			PERFORM team.tell_former(v_mailbox, v_former.id,
				v_former.uids, 'taken', v_to);
		END IF;
		v_given := coalesce(v_given, '{}') + v_former.uids;
	END LOOP;
	RETURN QUERY SELECT t.* FROM team.claim_take(p_node, p_guid,
		p_uidvalidity, p_to, p_session,
		p_uids - coalesce(v_given, '{}'), p_seconds) t
		WHERE NOT p_uids <@ coalesce(v_given, '{}');
	PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
			  p_uidvalidity, 'claims'));
END
$$;
COMMENT ON FUNCTION team.claim_give(int, text, bigint, text, text, text, int8multirange, int) IS
	'Claims the messages for p_to, even those that p_from holds, or anybody if that is NULL, who is told then. A row for each: granted, renewed, held, or taken: then holder is the former one';

CREATE OR REPLACE FUNCTION team.claim_free(
	p_node int, p_guid text, p_uidvalidity bigint, p_uids int8multirange)
RETURNS TABLE (uid bigint, state text, holder text, since bigint, until bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_mailbox int := team.mailbox_id(p_guid, p_uidvalidity);
	v_now timestamptz;
	v_former record;
BEGIN
	PERFORM FROM team.mailbox m WHERE m.id = v_mailbox
		FOR NO KEY UPDATE;
	v_now := clock_timestamp();
	FOR v_former IN
		SELECT c.colleague_id AS id, h.name,
			range_agg(int8range(c.uid, c.uid, '[]')) AS uids
		FROM team.claim c
		JOIN team.colleague h ON h.id = c.colleague_id
		WHERE c.mailbox_id = v_mailbox AND p_uids @> c.uid AND
			c.until > v_now
		GROUP BY 1, 2 ORDER BY 1
	LOOP
		RETURN QUERY DELETE FROM team.claim c
			WHERE c.mailbox_id = v_mailbox AND
				v_former.uids @> c.uid
			RETURNING c.uid, 'released', v_former.name,
				team.epoch(c.since), team.epoch(c.until);
		PERFORM team.tell_former(v_mailbox, v_former.id, v_former.uids,
					 'freed', NULL);
	END LOOP;
	PERFORM pg_notify('team', concat_ws(' ', p_node, p_guid,
			  p_uidvalidity, 'claims'));
END
$$;
COMMENT ON FUNCTION team.claim_free(int, text, bigint, int8multirange) IS
	'Takes the claims away, whosever they are, and returns them; who held them is told';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.claim_lapse(int), team.notices(),
	team.notice_tell(text, bigint[]) TO team_service;
