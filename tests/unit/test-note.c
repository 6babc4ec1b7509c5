/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed notes against the examples of C2SP and of Go's note package, and
   what is signed here. */

#include "checkpoint.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define SPEC_KEY "example.com/foo+530d903a+" \
	"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define SPEC_NOTE "This is an example message.\n\n" \
	"\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXpp" \
	"zi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"

#define PETER_PRIVATE "PRIVATE+KEY+PeterNeumann+c74f20a3+" \
	"AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define PETER_KEY "PeterNeumann+c74f20a3+" \
	"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define ENOCH_KEY "EnochRoot+af0cfe78+" \
	"ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
#define TEXT "If you think cryptography is the answer to your problem,\n" \
	"then you don't know what your problem is.\n"
#define PETER_SIG "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiF" \
	"upLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
#define ENOCH_SIG "\xe2\x80\x94 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSde" \
	"X+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"

static enum team_note_verdict verify(const char *text, const char *key)
{
	struct team_verifier verifier;
	struct team_note note;
	size_t used;

	ck_assert_int_eq(team_verifier_parse(key, &verifier), 0);
	ck_assert_int_eq(team_note_parse(text, strlen(text), &note, &used), 1);
	ck_assert_uint_eq(used, strlen(text));
	return team_note_verify(&note, &verifier);
}

START_TEST(test_vectors)
{
	ck_assert_int_eq(verify(SPEC_NOTE, SPEC_KEY), TEAM_NOTE_OK);
	ck_assert_int_eq(verify(TEXT"\n"PETER_SIG, PETER_KEY), TEAM_NOTE_OK);
	ck_assert_int_eq(verify(TEXT"\n"PETER_SIG ENOCH_SIG, PETER_KEY),
			 TEAM_NOTE_OK);
	ck_assert_int_eq(verify(TEXT"\n"PETER_SIG ENOCH_SIG, ENOCH_KEY),
			 TEAM_NOTE_OK);
	ck_assert_int_eq(verify(TEXT"\n"ENOCH_SIG, PETER_KEY),
			 TEAM_NOTE_UNKNOWN_KEY);
	ck_assert_int_eq(verify("X"TEXT"\n"PETER_SIG, PETER_KEY),
			 TEAM_NOTE_FORGED);
}
END_TEST

START_TEST(test_sign)
{
	struct team_signer signer;
	char *text;

	ck_assert_int_eq(team_signer_parse(PETER_PRIVATE, &signer), 0);
	text = team_verifier_format(&signer.verifier);
	ck_assert_str_eq(text, PETER_KEY);
	free(text);
	text = team_signer_format(&signer);
	ck_assert_str_eq(text, PETER_PRIVATE);
	free(text);
	text = team_note_sign(TEXT, &signer);
	ck_assert_str_eq(text, TEXT"\n"PETER_SIG);
	free(text);
	ck_assert_ptr_null(team_note_sign("no line feed", &signer));
	ck_assert_ptr_null(team_note_sign("", &signer));
	ck_assert_ptr_null(team_note_sign("a\tb\n", &signer));
}
END_TEST

START_TEST(test_generate)
{
	struct team_signer signer, again;
	struct team_note note;
	char *text;
	size_t used;

	ck_assert_int_eq(team_signer_generate(&signer, "a b"), -1);
	ck_assert_int_eq(team_signer_generate(&signer, "a+b"), -1);
	ck_assert_int_eq(team_signer_generate(&signer, "node/1"), 0);
	text = team_signer_format(&signer);
	ck_assert_int_eq(team_signer_parse(text, &again), 0);
	ck_assert(team_verifier_equals(&signer.verifier, &again.verifier));
	free(text);
	team_signer_rename(&again, "node/2");
	ck_assert(!team_verifier_equals(&signer.verifier, &again.verifier));
	text = team_note_sign("x\n", &again);
	ck_assert_int_eq(team_note_parse(text, strlen(text), &note, &used), 1);
	ck_assert_int_eq(team_note_verify(&note, &again.verifier),
			 TEAM_NOTE_OK);
	ck_assert_int_eq(team_note_verify(&note, &signer.verifier),
			 TEAM_NOTE_UNKNOWN_KEY);
	free(text);
}
END_TEST

/* No key with any byte changed is taken. */
START_TEST(test_mangled_keys)
{
	struct team_verifier verifier;
	struct team_signer signer;
	char text[200];
	size_t i;

	for (i = 0; i < strlen(PETER_KEY); i++) {
		strcpy(text, PETER_KEY);
		text[i]++;
		ck_assert_int_eq(team_verifier_parse(text, &verifier), -1);
		strcpy(text, PETER_KEY);
		text[i] = '\0';
		ck_assert_int_eq(team_verifier_parse(text, &verifier), -1);
	}
	for (i = 0; i < strlen(PETER_PRIVATE); i++) {
		strcpy(text, PETER_PRIVATE);
		text[i]++;
		ck_assert_int_eq(team_signer_parse(text, &signer), -1);
	}
	/* another algorithm, with a hash that fits */
	ck_assert_int_eq(team_verifier_parse("PeterNeumann+173116ae+"
		"ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", &verifier), -1);
}
END_TEST

static const char *const invalid_notes[] = {
	"text\n", "\xe2\x80\x94 name sig\n", "text\n\n",
	"text\n\n\xe2\x80\x94 name sig", "te\txt\n\n\xe2\x80\x94 name sig\n",
	"text\n\n\xe2\x80\x94 name sig\njunk\n",
};

START_TEST(test_invalid_notes)
{
	struct team_note note;
	const char *text = invalid_notes[_i];
	size_t used;

	ck_assert_int_eq(team_note_parse(text, strlen(text), &note, &used),
			 -1);
}
END_TEST

/* Several in a file */
START_TEST(test_sequence)
{
	const char *text = SPEC_NOTE"\n"TEXT"\n"PETER_SIG"\n";
	struct team_verifier verifier;
	struct team_note note;
	size_t used, pos;

	ck_assert_int_eq(team_note_parse(text, strlen(text), &note, &used), 1);
	ck_assert_uint_eq(used, strlen(SPEC_NOTE));
	pos = used;
	ck_assert_int_eq(team_note_parse(text + pos, strlen(text) - pos, &note,
					 &used), 1);
	ck_assert_int_eq(team_verifier_parse(PETER_KEY, &verifier), 0);
	ck_assert_int_eq(team_note_verify(&note, &verifier), TEAM_NOTE_OK);
	pos += used;
	ck_assert_int_eq(team_note_parse(text + pos, strlen(text) - pos, &note,
					 &used), 0);
}
END_TEST

START_TEST(test_statements)
{
	struct team_statement st;
	struct team_verifier key;
	struct team_tree tree;
	struct team_hash leaf, root;
	char node[64], *text, *origin = team_origin_format("mx-1", 17);

	ck_assert_str_eq(origin, "dovecot-team/mx-1/17");
	ck_assert_int_eq(team_origin_node(origin, node, sizeof(node)), 0);
	ck_assert_str_eq(node, "mx-1");
	ck_assert_int_eq(team_origin_node("dovecot-team/17", node,
					  sizeof(node)), -1);
	team_tree_init(&tree);
	team_tree_hash_leaf("x", 1, &leaf);
	team_tree_append(&tree, &leaf);
	team_tree_append(&tree, &leaf);
	team_tree_root(&tree, &root);

	text = team_checkpoint_format(origin, &tree, 9, "2026-11-23T08:00:00Z");
	ck_assert_int_eq(team_statement_parse(text, strlen(text), &st), 0);
	ck_assert_int_eq(st.type, TEAM_STATEMENT_CHECKPOINT);
	ck_assert_str_eq(st.origin, origin);
	ck_assert_uint_eq(st.size, 2);
	ck_assert_uint_eq(st.first, 9);
	ck_assert_str_eq(st.time, "2026-11-23T08:00:00Z");
	ck_assert(team_hash_equals(&st.root, &root));
	free(text);

	text = team_cut_format(origin, &tree, 9, "now");
	ck_assert_int_eq(team_statement_parse(text, strlen(text), &st), 0);
	ck_assert_int_eq(st.type, TEAM_STATEMENT_CUT);
	ck_assert_uint_eq(st.size, 2);
	ck_assert(team_hash_equals(&st.root, &root));
	free(text);

	ck_assert_int_eq(team_verifier_parse(PETER_KEY, &key), 0);
	text = team_key_statement_format(&key, "now");
	ck_assert_int_eq(team_statement_parse(text, strlen(text), &st), 0);
	ck_assert_int_eq(st.type, TEAM_STATEMENT_KEY);
	ck_assert(team_verifier_equals(&st.key, &key));
	free(text);
	free(origin);

	text = "o\n2\nAAAA\n";
	ck_assert_int_eq(team_statement_parse(text, strlen(text), &st), -1);
	text = "o\n02\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
	ck_assert_int_eq(team_statement_parse(text, strlen(text), &st), -1);
	text = "o\n2\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
	ck_assert_int_eq(team_statement_parse(text, strlen(text), &st), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("note");
	TCase *tc = tcase_create("note");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, test_vectors);
	tcase_add_test(tc, test_sign);
	tcase_add_test(tc, test_generate);
	tcase_add_test(tc, test_mangled_keys);
	tcase_add_loop_test(tc, test_invalid_notes, 0, COUNT(invalid_notes));
	tcase_add_test(tc, test_sequence);
	tcase_add_test(tc, test_statements);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
