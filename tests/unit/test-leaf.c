/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leaves: what is committed to, and that erasing changes no leaf. */

#include "json.h"
#include "leaf.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUID "0123456789abcdef0123456789abcdef"
#define RECORD "at=17\taction=flag\toutcome=ok\tcolleague=alice\tuser=support" \
	"\tservice=imap\tip=192.0.2.1\tmailbox="GUID"\tuidvalidity=7\t" \
	"name=Team\tuids=1:3\tmids=1 <a@b>\tadd=$Todo\td.x=y\tp+\\Seen=1:3"

static struct team_record *parse(const char *text)
{
	struct team_record *record;
	const char *error = "";

	record = team_record_parse(text, strlen(text), &error);
	ck_assert_msg(record != NULL, "%s", error);
	return record;
}

static struct team_hash hash(const struct team_record *record,
			     const struct team_opening *opening)
{
	struct team_hash leaf;
	const char *error = "";

	ck_assert_msg(team_leaf_hash(record, opening, &leaf, &error) == 0,
		      "%s", error);
	return leaf;
}

START_TEST(test_text)
{
	struct team_opening opening = { .have_salt = true };
	struct team_record *record = parse("at=17\taction=login\t"
					   "colleague=al\001tice\ttls=yes");
	struct team_hash salt, commitment;
	char hex[TEAM_HASH_HEX_SIZE], expected[200], *text;
	const char *error;

	memset(opening.salt, 7, sizeof(opening.salt));
	text = team_leaf_text(record, &opening, &error);
	/* by the description, not by the functions used */
	{
		const struct team_piece s[] = {
			{ opening.salt, 16 }, { "colleague", 9 }
		};
		team_sha256(s, 2, &salt);
		const struct team_piece c[] = {
			{ salt.bytes, 32 }, { "colleague=al\tice", 16 }
		};
		team_sha256(c, 2, &commitment);
	}
	team_hex_encode(commitment.bytes, 32, hex);
	snprintf(expected, sizeof(expected),
		 "at=17\taction=login\tcolleague~%s\ttls=yes", hex);
	ck_assert_str_eq(text, expected);
	free(text);
	team_record_free(&record);
}
END_TEST

/* Every field counts, and nothing personal is readable. */
START_TEST(test_fields)
{
	static const char *const others[] = {
		"at=18", "action=read", "outcome=failed", "colleague=bob",
		"user=x", "session=s", "service=lmtp", "ip=192.0.2.2",
		"tls=yes", "client=c", "uidvalidity=8", "name=Other",
		"uids=1:4", "mids=1 <a@c>", "add=$Done", "remove=$Todo",
		"d.x=z", "d.z=y", "p+\\Seen=1:2", "p-\\Seen=1", "d.x="
	};
	struct team_opening opening = { .have_salt = true };
	struct team_record *record = parse(RECORD), *other;
	struct team_hash leaf = hash(record, &opening), leaf2;
	const char *error;
	char *text;
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		other = team_record_dup(record);
		ck_assert_int_eq(team_record_set_field(other, others[i],
				TEAM_RECORD_SOURCE_JOURNAL, &error), 0);
		leaf2 = hash(other, &opening);
		ck_assert_msg(!team_hash_equals(&leaf, &leaf2), "%s",
			      others[i]);
		team_record_free(&other);
	}
	opening.salt[15] = 1;
	leaf2 = hash(record, &opening);
	ck_assert(!team_hash_equals(&leaf, &leaf2));
	/* the number is the leaf's place */
	ck_assert_int_eq(team_record_set(record, "seq", "5",
			TEAM_RECORD_SOURCE_JOURNAL, &error), 0);
	opening.salt[15] = 0;
	leaf2 = hash(record, &opening);
	ck_assert(team_hash_equals(&leaf, &leaf2));
	text = team_leaf_text(record, &opening, &error);
	ck_assert_ptr_null(strstr(text, "alice"));
	ck_assert_ptr_null(strstr(text, "192.0"));
	ck_assert_ptr_null(strstr(text, "<a@b>"));
	free(text);
	team_record_free(&record);
}
END_TEST

START_TEST(test_erase)
{
	struct team_opening full = { .have_salt = true }, part;
	struct team_record *record = parse(RECORD);
	struct team_hash leaf, leaf2, salt, commitment;
	const char *key, *value, *error, *erased = "colleague ip mids d.x";
	size_t i;

	memset(full.salt, 9, sizeof(full.salt));
	memset(&part, 0, sizeof(part));
	leaf = hash(record, &full);
	for (i = 0; team_record_field(record, i, &key, &value); i++) {
		const struct team_piece key_piece = { key, strlen(key) };
		const struct team_piece value_piece = { value, strlen(value) };

		if (!team_leaf_key_is_personal(key))
			continue;
		team_leaf_field_salt(full.salt, &key_piece, &salt);
		if (strstr(erased, key) == NULL) {
			team_opening_add(&part, key, false, &salt);
			continue;
		}
		team_leaf_commitment(&salt, &key_piece, &value_piece,
				     &commitment);
		team_opening_add(&part, key, true, &commitment);
	}
	/* with a value that is said to be erased */
	ck_assert_int_eq(team_leaf_hash(record, &part, &leaf2, &error), -1);
	ck_assert_int_eq(team_record_set_field(record, "colleague=",
			TEAM_RECORD_SOURCE_JOURNAL, &error), 0);
	ck_assert_int_eq(team_record_set_field(record, "ip=",
			TEAM_RECORD_SOURCE_JOURNAL, &error), 0);
	ck_assert_int_eq(team_record_set_field(record, "mids=",
			TEAM_RECORD_SOURCE_JOURNAL, &error), 0);
	ck_assert_int_eq(team_record_set_field(record, "d.x=",
			TEAM_RECORD_SOURCE_JOURNAL, &error), 0);
	leaf2 = hash(record, &part);
	ck_assert(team_hash_equals(&leaf, &leaf2));
	part.fields[0].hash.bytes[0] ^= 1;
	leaf2 = hash(record, &part);
	ck_assert(!team_hash_equals(&leaf, &leaf2));
	team_opening_clear(&part);
	ck_assert_int_eq(team_leaf_hash(record, &part, &leaf2, &error), -1);
	team_record_free(&record);
}
END_TEST

START_TEST(test_salts)
{
	unsigned char group[16] = { 1 }, a[16], b[16];

	team_leaf_record_salt(group, 0, a);
	team_leaf_record_salt(group, 1, b);
	ck_assert(memcmp(a, b, 16) != 0);
	ck_assert(memcmp(a, group, 16) != 0);
	team_leaf_record_salt(group, 0, b);
	ck_assert(memcmp(a, b, 16) == 0);
}
END_TEST

struct members {
	char text[400];
};

static int member(const char *key, enum team_json_type type, const char *value,
		  void *context)
{
	struct members *members = context;
	size_t used = strlen(members->text);

	snprintf(members->text + used, sizeof(members->text) - used,
		 "%s:%d:%s;", key, type, value);
	return strcmp(key, "stop") == 0 ? -1 : 0;
}

static const struct {
	const char *json, *members;
} jsons[] = {
	{ "{}", "" }, { " { } ", "" },
	{ "{\"a\":\"b\",\"n\" : 12 }\n", "a:0:b;n:1:12;" },
	{ "{\"a\":\"\\u00e4\\\"\\\\\\n\\ud83d\\ude00\"}",
	  "a:0:\xc3\xa4\"\\\n\xf0\x9f\x98\x80;" },
	{ "{\"o\":{\"x\":\"}\",\"y\":[1]},\"z\":null}",
	  "o:2:{\"x\":\"}\",\"y\":[1]};z:1:null;" },
	{ "", NULL }, { "{", NULL }, { "{\"a\"}", NULL }, { "{\"a\":}", NULL },
	{ "{\"a\":\"b}", NULL }, { "{\"a\":\"b\",}", NULL },
	{ "{\"a\":\"b\"} x", NULL }, { "{\"a\":\"\\u0000\"}", NULL },
	{ "{\"a\":\"\\ud83d\"}", NULL }, { "{\"a\":\"\\x\"}", NULL },
	{ "{\"a\":{\"b\":1}", NULL }, { "{\"stop\":1}", NULL },
	{ "{\"a\":\"\n\"}", NULL }, { "[1]", NULL },
};

/* Short data is padded here, longer by libcrypto. */
START_TEST(test_digest)
{
	unsigned char data[300], wanted[TEAM_HASH_SIZE], back[sizeof(data)];
	char hex[sizeof(data) * 2 + 1], byte[3];
	struct team_hash hash;
	size_t i, size, split;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 167 + 13);
	for (size = 0; size <= sizeof(data); size++) {
		(void)EVP_Digest(data, size, wanted, NULL, EVP_sha256(), NULL);
		for (split = 0; split <= size; split += 1 + size / 7) {
			const struct team_piece pieces[] = {
				{ data, split }, { data + split, size - split }
			};

			team_sha256(pieces, 2, &hash);
			ck_assert_mem_eq(hash.bytes, wanted, sizeof(wanted));
		}
		team_hex_encode(data, size, hex);
		ck_assert_uint_eq(strlen(hex), size * 2);
		for (i = 0; i < size; i++) {
			snprintf(byte, sizeof(byte), "%02x", data[i]);
			ck_assert_mem_eq(hex + i * 2, byte, 2);
		}
		ck_assert_int_eq(team_hex_decode(hex, back, size), 0);
		ck_assert_mem_eq(back, data, size);
	}
}
END_TEST

START_TEST(test_json)
{
	struct members members = { "" };
	int ret = team_json_object(jsons[_i].json, member, &members);

	ck_assert_int_eq(ret, jsons[_i].members == NULL ? -1 : 0);
	if (ret == 0)
		ck_assert_str_eq(members.text, jsons[_i].members);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("leaf");
	TCase *tc = tcase_create("leaf");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, test_text);
	tcase_add_test(tc, test_fields);
	tcase_add_test(tc, test_erase);
	tcase_add_test(tc, test_salts);
	tcase_add_test(tc, test_digest);
	tcase_add_loop_test(tc, test_json, 0, sizeof(jsons) / sizeof(jsons[0]));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
