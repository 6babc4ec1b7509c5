-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: forgetting a person. What was said about the person goes, with
-- the salts that it was committed to with; the commitments stay, so that every
-- proof and checkpoint stays right.

CREATE OR REPLACE FUNCTION team.record_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Only team.erase() sets this, and only for itself.
	IF TG_OP = 'UPDATE' AND
			current_setting('team.erasing', true) = 'yes' THEN
		RETURN NULL;
	END IF;
	RAISE EXCEPTION 'the log is append-only: % on %.% refused',
		TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'insufficient_privilege',
		HINT = 'Retention drops the partitions of whole months.';
END
$$;

CREATE FUNCTION team.field_salt(p_salt bytea, p_key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(p_salt || convert_to(p_key, 'UTF8'));
COMMENT ON FUNCTION team.field_salt(bytea, text) IS
	'The salt of a field, out of the record''s';

CREATE FUNCTION team.commitment(p_field_salt bytea, p_key text, p_value text)
RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(p_field_salt || convert_to(p_key || '=' || p_value, 'UTF8'));
COMMENT ON FUNCTION team.commitment(bytea, text, text) IS
	'What stands in the leaf for the field''s value';

CREATE FUNCTION team.names(p_value text, p_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_value IS NOT NULL AND (p_value = p_name OR
	(' ' || regexp_replace(lower(p_value), '[^[:alnum:]._@]+', ' ', 'g')
		|| ' ') LIKE
	('% ' || replace(replace(replace(regexp_replace(lower(p_name),
		'[^[:alnum:]._@]+', ' ', 'g'), '\', '\\'), '%', '\%'),
		'_', '\_') || ' %'));
COMMENT ON FUNCTION team.names(text, text) IS
	'Whether the text names the person: as a whole or as a word, as in claimed-alice or Claimed/alice';

CREATE FUNCTION team.open_record(p_salt bytea, p_opened jsonb, p_fields jsonb,
				 p_erase text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object(
		'salts', coalesce(jsonb_object_agg(f.key,
				encode(f.salt, 'hex'))
			FILTER (WHERE f.key <> ALL (p_erase)), '{}'),
		'erased', coalesce(p_opened->'erased', '{}') ||
			coalesce(jsonb_object_agg(f.key, encode(
				team.commitment(f.salt, f.key, f.value),
				'hex')) FILTER (WHERE f.key = ANY (p_erase)),
				'{}'))
	FROM (SELECT x.key, x.value, CASE WHEN p_salt IS NOT NULL
			THEN team.field_salt(p_salt, x.key)
			ELSE decode(p_opened->'salts'->>x.key, 'hex') END
				AS salt
	      FROM jsonb_each_text(p_fields) x WHERE x.value <> '') f
$$;
COMMENT ON FUNCTION team.open_record(bytea, jsonb, jsonb, text[]) IS
	'What takes the place of a record''s salt when some of its fields are erased';

CREATE FUNCTION team.erase(p_colleague text)
RETURNS TABLE (records bigint, fields bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_id int;
	v_row record;
	v_fields jsonb;
	v_erase text[];
	v_detail jsonb;
	v_records bigint := 0;
	v_count bigint := 0;
BEGIN
	IF coalesce(p_colleague, '') = '' THEN
		RAISE EXCEPTION 'whom to erase isn''t told'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT c.id INTO v_id FROM team.colleague c
		WHERE c.name = team.short(p_colleague);
	PERFORM set_config('team.erasing', 'yes', true);
	FOR v_row IN
		SELECT r.* FROM team.record r
		WHERE r.colleague_id = v_id OR
			team.names(r.username, p_colleague) OR
			team.names(r.mailbox, p_colleague) OR
			team.names(r.from_mailbox, p_colleague) OR
			team.names(r.added, p_colleague) OR
			team.names(r.removed, p_colleague) OR
			EXISTS (SELECT FROM jsonb_each_text(r.detail) d
				WHERE team.names(d.value, p_colleague))
	LOOP
		v_fields := jsonb_strip_nulls(jsonb_build_object(
			'colleague', (SELECT c.name FROM team.colleague c
				      WHERE c.id = v_row.colleague_id),
			'user', v_row.username, 'session', v_row.session,
			'ip', v_row.ip, 'client', v_row.client,
			'name', v_row.mailbox, 'mids', v_row.mids,
			'add', v_row.added, 'remove', v_row.removed,
			'fromname', v_row.from_mailbox)) ||
			coalesce((SELECT jsonb_object_agg('d.' || d.key, d.value)
				  FROM jsonb_each(v_row.detail) d), '{}');
		-- All that tells about the person's own session goes, of the
		-- rest what names the person.
		SELECT coalesce(array_agg(x.key), '{}') INTO v_erase
			FROM jsonb_each_text(v_fields) x
			WHERE team.names(x.value, p_colleague) OR
				(v_row.colleague_id = v_id AND x.key IN
				 ('colleague', 'session', 'ip', 'client'));
		SELECT jsonb_object_agg(d.key, d.value) INTO v_detail
			FROM jsonb_each(v_row.detail) d
			WHERE 'd.' || d.key <> ALL (v_erase);
		UPDATE team.record r SET
			colleague_id = CASE WHEN 'colleague' <> ALL (v_erase)
				THEN r.colleague_id END,
			username = CASE WHEN 'user' <> ALL (v_erase)
				THEN r.username END,
			session = CASE WHEN 'session' <> ALL (v_erase)
				THEN r.session END,
			ip = CASE WHEN 'ip' <> ALL (v_erase) THEN r.ip END,
			client = CASE WHEN 'client' <> ALL (v_erase)
				THEN r.client END,
			mailbox = CASE WHEN 'name' <> ALL (v_erase)
				THEN r.mailbox END,
			mids = CASE WHEN 'mids' <> ALL (v_erase)
				THEN r.mids END,
			added = CASE WHEN 'add' <> ALL (v_erase)
				THEN r.added END,
			removed = CASE WHEN 'remove' <> ALL (v_erase)
				THEN r.removed END,
			from_mailbox = CASE WHEN 'fromname' <> ALL (v_erase)
				THEN r.from_mailbox END,
			detail = v_detail, salt = NULL,
			opened = CASE WHEN r.salt IS NOT NULL OR
					r.opened IS NOT NULL
				THEN team.open_record(r.salt, r.opened,
						      v_fields, v_erase) END
			WHERE r.at = v_row.at AND r.node = v_row.node AND
				r.seq = v_row.seq;
		v_records := v_records + 1;
		v_count := v_count + array_length(v_erase, 1);
	END LOOP;
	PERFORM set_config('team.erasing', 'no', true);
	DELETE FROM team.claim c WHERE c.colleague_id = v_id;
	DELETE FROM team.claim_lapsed c WHERE c.colleague_id = v_id;
	DELETE FROM team.flag f WHERE f.colleague_id = v_id;
	DELETE FROM team.mailbox_name n WHERE team.names(n.name, p_colleague);
	UPDATE team.mailbox m SET name = '' WHERE team.names(m.name, p_colleague);
	UPDATE team.colleague c SET name = 'erased-' || c.id WHERE c.id = v_id;
	RETURN QUERY SELECT v_records, v_count;
END
$$;
COMMENT ON FUNCTION team.erase(text) IS
	'Forgets a person: every field that names the person, and sessions, addresses and clients of the person''s records; returns how many records and fields that were';

REVOKE ALL ON FUNCTION team.field_salt(bytea, text),
	team.commitment(bytea, text, text), team.names(text, text),
	team.open_record(bytea, jsonb, jsonb, text[]), team.erase(text)
	FROM PUBLIC;
