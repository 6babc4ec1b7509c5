-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The reply guard: who holds or has answered what somebody answers.
BEGIN;
SELECT plan(13);

CREATE TEMP TABLE n AS SELECT tt.node('rg1') AS a;
CREATE FUNCTION pg_temp.at(p_seconds int) RETURNS bigint LANGUAGE sql AS $$
	SELECT ((extract(epoch FROM now()) - 1000 + p_seconds) * 1000000)::bigint
$$;
CREATE TEMP SEQUENCE seq;
CREATE FUNCTION pg_temp.did(p_colleague text, p_action text, p_at int,
			    p_more jsonb) RETURNS bigint
LANGUAGE sql AS $$
	SELECT team.ingest((SELECT a FROM n), jsonb_build_array(
		jsonb_build_object('seq', nextval('seq'), 'at', pg_temp.at(p_at),
			'action', p_action, 'outcome', 'ok',
			'colleague', p_colleague, 'mailbox', tt.guid('Guard'),
			'uidvalidity', 1, 'name', 'Team/Guard',
			'uids', '{[1,1]}') || p_more))
$$;
CREATE FUNCTION pg_temp.reply(p_colleague text, VARIADIC p_ids text[])
RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', state, uid, holder,
			CASE WHEN told THEN 'told' END), ', ')
	FROM team.reply_check(p_colleague, p_ids, 600)
$$;
SELECT pg_temp.did('dave', 'append', 0, '{"mids":"1 <one@x>"}');
SELECT pg_temp.did('dave', 'append', 1,
	'{"uids":"{[2,2]}","mids":"2 <two@x>"}');

SELECT is(pg_temp.reply('bob', '<one@x>'), NULL, 'nobody is at it');
SELECT is(pg_temp.reply('bob', '<none@x>'), NULL, 'it is no team''s');
SELECT is(pg_temp.reply('bob', VARIADIC '{}'), NULL, 'it answers nothing');

SELECT pg_temp.did('bob', 'read', 10, '{"p+\\Seen":"{[1,1]}"}');
SELECT pg_temp.did('alice', 'flag', 20, '{"add":"\\Answered"}');
SELECT is(pg_temp.reply('alice', '<one@x>'), NULL, 'she answered it herself');
SELECT is(pg_temp.reply('bob', '<none@x>', '<one@x>'), 'answered 1 alice',
	'she answered after he read it');
SELECT is(pg_temp.reply('bob', '<one@x>'), 'answered 1 alice told',
	'he is told once');
SELECT is(pg_temp.reply('bob', '<two@x>', '<one@x>'), NULL,
	'the nearest message counts');
SELECT pg_temp.did('carol', 'read', 30, '{"uids":"{[1,9]}"}');
SELECT is(pg_temp.reply('carol', '<one@x>'), NULL,
	'who read it later knows');
SELECT pg_temp.did('alice', 'reply', 40, '{}');
SELECT is(pg_temp.reply('carol', '<one@x>'), 'answered 1 alice',
	'a reply is an answer');
SELECT pg_temp.did('dave', 'flag', 50, '{"remove":"invoice \\Answered"}');
SELECT is(pg_temp.reply('bob', '<one@x>'), NULL, 'it is open again');

SELECT FROM team.claim_take((SELECT a FROM n), tt.guid('Guard'), 1, 'erin',
	's', '{[1,1]}', 600);
SELECT is(pg_temp.reply('bob', '<one@x>'), 'claimed 1 erin',
	'what he wasn''t told about is told');
SELECT is(pg_temp.reply('bob', '<one@x>'), 'claimed 1 erin told', 'once');
SELECT is(pg_temp.reply('erin', '<one@x>'), NULL, 'she holds it herself');

SELECT * FROM finish();
ROLLBACK;
