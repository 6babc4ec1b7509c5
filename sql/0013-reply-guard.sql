-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: the reply guard. Whoever is about to answer a message that a
-- colleague holds, or has answered meanwhile, is told so once.

CREATE TABLE team.reply_told (
	colleague_id int NOT NULL REFERENCES team.colleague,
	message_id text NOT NULL,
	at timestamptz NOT NULL,
	PRIMARY KEY (colleague_id, message_id)
);
COMMENT ON TABLE team.reply_told IS
	'Whom the reply guard has told about a message lately: sending again passes';
REVOKE ALL ON team.reply_told FROM PUBLIC;

CREATE FUNCTION team.reply_conflicts(p_colleague int, p_message_id text)
RETURNS TABLE (state text, mailbox_id int, uid bigint, holder_id int,
	       since timestamptz, until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off
AS $$
	WITH place AS MATERIALIZED (
		-- the newest first: a message that was moved has old ones
		SELECT g.mailbox_id, g.uid FROM team.message g
		WHERE g.message_id = p_message_id
		ORDER BY 1 DESC, 2 DESC LIMIT 50
	), rec AS MATERIALIZED (
		SELECT p.mailbox_id, p.uid, r.at, r.action, r.colleague_id,
			string_to_array(r.added, ' ') @> '{\\Answered}'
				AS answered,
			string_to_array(r.removed, ' ') @> '{\\Answered}'
				AS reopened
		FROM place p
		CROSS JOIN LATERAL (
			SELECT r.at, r.action, r.outcome, r.colleague_id,
				r.added, r.removed
			FROM team.record r
			WHERE r.msg_mailbox_id = p.mailbox_id AND r.uid = p.uid
			UNION ALL
			SELECT r.at, r.action, r.outcome, r.colleague_id,
				r.added, r.removed
			FROM team.record r
			WHERE r.uids IS NOT NULL AND
				team.place(r.msg_mailbox_id, r.uids) @>
				((p.mailbox_id::bigint << 32) + p.uid) AND
				r.uids @> p.uid) r
		WHERE r.outcome = 'ok'
	), mark AS MATERIALIZED (
		SELECT max(r.at) FILTER (WHERE r.reopened OR
				(r.colleague_id = p_colleague AND
				 r.action IN ('read', 'fetch'))) AS at
		FROM rec r
	)
	SELECT 'claimed', c.mailbox_id, c.uid, c.colleague_id, c.since, c.until
	FROM place p
	JOIN team.claim c ON c.mailbox_id = p.mailbox_id AND c.uid = p.uid
	WHERE c.colleague_id <> p_colleague AND c.until > clock_timestamp()
	UNION ALL
	(SELECT DISTINCT ON (r.mailbox_id, r.uid) 'answered', r.mailbox_id,
		r.uid, r.colleague_id, r.at, r.at
	FROM rec r CROSS JOIN mark m
	WHERE r.colleague_id <> p_colleague AND
		(r.action = 'reply' OR r.answered) AND
		(m.at IS NULL OR r.at > m.at)
	ORDER BY r.mailbox_id, r.uid, r.at DESC)
$$;
COMMENT ON FUNCTION team.reply_conflicts(int, text) IS
	'Who else holds the message now, or answered it after the colleague last read it';

CREATE FUNCTION team.reply_check(p_colleague text, p_ids text[], p_seconds int)
RETURNS TABLE (state text, guid text, uidvalidity bigint, uid bigint,
	       name text, holder text, since bigint, until bigint, told boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	v_colleague int := team.colleague_id(p_colleague);
	v_now timestamptz := clock_timestamp();
	v_message text;
	v_told timestamptz;
BEGIN
	-- the nearest message that is a team's
	SELECT i.id INTO v_message
		FROM unnest(p_ids[1:20]) WITH ORDINALITY AS i(id, n)
		WHERE EXISTS (SELECT FROM team.message g
			      WHERE g.message_id = i.id)
		ORDER BY i.n LIMIT 1;
	IF v_message IS NULL THEN
		RETURN;
	END IF;
	SELECT t.at INTO v_told FROM team.reply_told t
		WHERE t.colleague_id = v_colleague AND
			t.message_id = team.short(v_message) AND
			t.at > v_now - make_interval(secs => p_seconds);
	-- what is newer than what the colleague was told is told as well
	RETURN QUERY
		SELECT c.state, m.guid, m.uidvalidity, c.uid, m.name, h.name,
			team.epoch(c.since), team.epoch(c.until),
			coalesce(c.since <= v_told, false)
		FROM team.reply_conflicts(v_colleague, v_message) c
		JOIN team.mailbox m ON m.id = c.mailbox_id
		JOIN team.colleague h ON h.id = c.holder_id
		WHERE m.name <> ''
		ORDER BY c.state DESC, c.since DESC;
	IF FOUND THEN
		DELETE FROM team.reply_told t
			WHERE t.colleague_id = v_colleague AND
				t.at < v_now - interval '1 day';
		INSERT INTO team.reply_told AS t (colleague_id, message_id, at)
			VALUES (v_colleague, team.short(v_message), v_now)
			ON CONFLICT (colleague_id, message_id) DO UPDATE
				SET at = v_now
				WHERE v_told IS NULL OR EXISTS (
					SELECT FROM team.reply_conflicts(
						v_colleague, v_message) c
					WHERE c.since > v_told);
	END IF;
END
$$;
COMMENT ON FUNCTION team.reply_check(text, text[], int) IS
	'What stands against the colleague''s answering the nearest of the messages: claimed or answered by whom; told: the colleague was told so within the last p_seconds. Who gets rows is told';

REVOKE ALL ON FUNCTION team.reply_conflicts(int, text),
	team.reply_check(text, text[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.reply_check(text, text[], int) TO team_service;
