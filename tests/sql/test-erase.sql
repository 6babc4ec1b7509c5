-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- Erasing a person leaves what the leaves are made of.

BEGIN;
SELECT plan(12);
SELECT tt.node('erase') AS a \gset
SELECT tt.send(:a,
	tt.rec('flag', 'alice', 'Team/INBOX', '{[1,2]}',
	       '{"add": "claimed claimed-alice", "mids": "1 <m@x>", "d.note": "n",
		 "_salt": "000102030405060708090a0b0c0d0e0f",
		 "_leaf": "1111111111111111111111111111111111111111111111111111111111111111"}'),
	tt.rec('expunge', 'bob', 'Team/INBOX', '{[1,1]}',
	       '{"outcome": "refused", "d.holder": "alice",
		 "_salt": "100102030405060708090a0b0c0d0e0f",
		 "_leaf": "2111111111111111111111111111111111111111111111111111111111111111"}'),
	tt.rec('read', 'alicent', 'Team/INBOX', '{[1,1]}',
	       '{"_salt": "200102030405060708090a0b0c0d0e0f",
		 "_leaf": "3111111111111111111111111111111111111111111111111111111111111111"}'));
SELECT results_eq('SELECT records FROM team.erase(''alice'')', ARRAY[2::bigint],
	'both records that name the person');
SELECT is_empty($$SELECT 1 FROM team.record r WHERE node = (SELECT id FROM team.node
	WHERE name = 'erase') AND (r::text ~* '\malice\M')$$, 'nothing names the person any more');
SELECT is((SELECT count(*) FROM team.colleague WHERE name = 'alice'), 0::bigint,
	'nor does the list of colleagues');
SELECT is((SELECT r.salt FROM team.record r JOIN team.node n ON n.id = r.node
	   WHERE n.name = 'erase' AND seq = 1), NULL, 'the salt is gone');
SELECT is((SELECT r.opened->'erased'->>'colleague' FROM team.record r
	   JOIN team.node n ON n.id = r.node WHERE n.name = 'erase' AND seq = 1),
	encode(sha256(sha256('\x000102030405060708090a0b0c0d0e0f'::bytea || 'colleague')
		|| 'colleague=alice'), 'hex'), 'the commitment to the name stays');
SELECT is((SELECT r.opened->'salts'->>'d.note' FROM team.record r
	   JOIN team.node n ON n.id = r.node WHERE n.name = 'erase' AND seq = 1),
	encode(sha256('\x000102030405060708090a0b0c0d0e0f'::bytea || 'd.note'), 'hex'),
	'and the salts of what stays');
SELECT is((SELECT r.opened->'salts' ? 'colleague' FROM team.record r
	   JOIN team.node n ON n.id = r.node WHERE n.name = 'erase' AND seq = 1), false,
	'but not of what was erased');
SELECT is((SELECT colleague FROM team.audit WHERE node = 'erase' AND seq = 2), 'bob',
	'others keep their names');
SELECT is((SELECT r.opened->'erased' FROM team.record r
	   JOIN team.node n ON n.id = r.node WHERE n.name = 'erase' AND seq = 2) ? 'd.holder',
	true, 'and lose only what named the person');
SELECT is((SELECT colleague FROM team.audit WHERE node = 'erase' AND seq = 3), 'alicent',
	'names that only begin alike stay');
SELECT throws_ok('UPDATE team.record SET ip = NULL', '42501', NULL,
	'afterwards the log is append-only again');
SET LOCAL ROLE team_service;
SELECT throws_ok('SELECT team.erase(''bob'')', '42501', NULL,
	'team_service can''t erase');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
