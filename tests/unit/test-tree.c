/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Merkle tree and its proofs, against the vectors of the certificate
   transparency project and a tree computed as RFC 6962 writes it down. */

#include "proof.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TREE_MAX 70

static const struct {
	const char *data;
	size_t size;
} leaves[] = {
	{ "", 0 }, { "\x00", 1 }, { "\x10", 1 }, { "\x20\x21", 2 },
	{ "\x30\x31", 2 }, { "\x40\x41\x42\x43", 4 },
	{ "\x50\x51\x52\x53\x54\x55\x56\x57", 8 },
	{ "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
	  16 },
};

/* of the first 0, 1, ... leaves */
static const char *const roots[] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static const struct {
	uint64_t index, size;
	const char *hashes[4];
} inclusions[] = {
	{ 0, 1, { NULL } },
	{ 0, 8, {
	"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
	"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
	"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
	NULL } },
	{ 5, 8, {
	"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
	"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	NULL } },
	{ 2, 3, {
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	NULL } },
};

static const struct {
	uint64_t old_size, size;
	const char *hashes[4];
} consistencies[] = {
	{ 1, 1, { NULL } },
	{ 1, 8, {
	"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
	"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
	"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
	NULL } },
	{ 6, 8, {
	"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
	"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	NULL } },
	{ 2, 5, {
	"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
	"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
	NULL } },
};

static struct team_hash leaf_of(unsigned int i)
{
	struct team_hash hash;
	char other[16];

	if (i < COUNT(leaves))
		team_tree_hash_leaf(leaves[i].data, leaves[i].size, &hash);
	else {
		snprintf(other, sizeof(other), "leaf %u", i);
		team_tree_hash_leaf(other, strlen(other), &hash);
	}
	return hash;
}

/* MTH(D[first:end]) word by word as in RFC 6962 */
static struct team_hash naive_head(unsigned int first, unsigned int end)
{
	struct team_hash left, right, head;
	unsigned int split = 1;

	if (end - first == 1)
		return leaf_of(first);
	while (split * 2 < end - first)
		split *= 2;
	left = naive_head(first, first + split);
	right = naive_head(first + split, end);
	team_tree_hash_node(&left, &right, &head);
	return head;
}

static void grow(struct team_tree *tree, unsigned int size)
{
	struct team_hash leaf;
	unsigned int i;

	team_tree_init(tree);
	for (i = 0; i < size; i++) {
		leaf = leaf_of(i);
		team_tree_append(tree, &leaf);
	}
}

static struct team_hash root_of(unsigned int size)
{
	struct team_tree tree;
	struct team_hash root;

	grow(&tree, size);
	team_tree_root(&tree, &root);
	return root;
}

static void assert_hash(const struct team_hash *hash, const char *hex)
{
	char text[TEAM_HASH_HEX_SIZE];

	team_hex_encode(hash->bytes, TEAM_HASH_SIZE, text);
	ck_assert_str_eq(text, hex);
}

static const struct team_proof *run(struct team_prover *prover)
{
	const struct team_proof *proof;
	struct team_hash leaf;
	unsigned int i;

	for (i = 0; i < prover->size; i++) {
		leaf = leaf_of(i);
		if (prover->current < prover->parts_count)
			ck_assert_ptr_null(team_prover_finish(prover));
		team_prover_leaf(prover, &leaf);
	}
	proof = team_prover_finish(prover);
	ck_assert_ptr_nonnull(proof);
	return proof;
}

START_TEST(test_roots)
{
	struct team_hash root = root_of(_i);

	assert_hash(&root, roots[_i]);
}
END_TEST

START_TEST(test_naive)
{
	struct team_hash root, naive;
	struct team_tree tree, again;
	unsigned int size;
	char *text;

	for (size = 1; size <= TREE_MAX; size++) {
		root = root_of(size);
		naive = naive_head(0, size);
		ck_assert(team_hash_equals(&root, &naive));
		grow(&tree, size);
		text = team_tree_format(&tree);
		ck_assert_int_eq(team_tree_parse(text, &again), 0);
		team_tree_root(&again, &naive);
		ck_assert(team_hash_equals(&root, &naive));
		text[strlen(text) - 1] = '\0';
		ck_assert_int_eq(team_tree_parse(text, &again), -1);
		free(text);
	}
}
END_TEST

START_TEST(test_inclusion_vectors)
{
	struct team_prover prover;
	const struct team_proof *proof;
	size_t i;

	ck_assert_int_eq(team_prover_inclusion(&prover, inclusions[_i].index,
					       inclusions[_i].size), 0);
	proof = run(&prover);
	for (i = 0; inclusions[_i].hashes[i] != NULL; i++)
		assert_hash(&proof->hashes[i], inclusions[_i].hashes[i]);
	ck_assert_uint_eq(proof->count, i);
}
END_TEST

START_TEST(test_consistency_vectors)
{
	struct team_prover prover;
	const struct team_proof *proof;
	size_t i;

	ck_assert_int_eq(team_prover_consistency(&prover,
				consistencies[_i].old_size,
				consistencies[_i].size), 0);
	proof = run(&prover);
	for (i = 0; consistencies[_i].hashes[i] != NULL; i++)
		assert_hash(&proof->hashes[i], consistencies[_i].hashes[i]);
	ck_assert_uint_eq(proof->count, i);
}
END_TEST

/* Every proof is right, and wrong for anything else. */
START_TEST(test_inclusion_all)
{
	struct team_prover prover;
	struct team_proof proof;
	struct team_hash root, leaf, other;
	unsigned int index, size, i;

	for (size = 1; size <= 35; size++) {
		root = root_of(size);
		for (index = 0; index < size; index++) {
			leaf = leaf_of(index);
			ck_assert_int_eq(team_prover_inclusion(&prover, index,
							       size), 0);
			proof = *run(&prover);
			ck_assert(team_proof_check_inclusion(&proof, index,
						size, &leaf, &root));
			for (i = 0; i <= size; i++) {
				other = leaf_of(i);
				if (i == index)
					continue;
				ck_assert(!team_proof_check_inclusion(&proof,
						i, size, &leaf, &root));
				ck_assert(!team_proof_check_inclusion(&proof,
						index, size, &other, &root));
			}
			for (i = 0; i < proof.count; i++) {
				proof.hashes[i].bytes[i] ^= 1;
				ck_assert(!team_proof_check_inclusion(&proof,
						index, size, &leaf, &root));
				proof.hashes[i].bytes[i] ^= 1;
			}
			proof.count++;
			ck_assert(!team_proof_check_inclusion(&proof, index,
						size, &leaf, &root));
			proof.count--;
			if (proof.count-- > 0) {
				ck_assert(!team_proof_check_inclusion(&proof,
						index, size, &leaf, &root));
			}
		}
	}
	ck_assert_int_eq(team_prover_inclusion(&prover, 3, 3), -1);
}
END_TEST

START_TEST(test_consistency_all)
{
	struct team_prover prover;
	struct team_proof proof;
	struct team_hash root, old_root, other;
	unsigned int old_size, size, i;

	for (size = 1; size <= 35; size++) {
		root = root_of(size);
		for (old_size = 1; old_size <= size; old_size++) {
			old_root = root_of(old_size);
			ck_assert_int_eq(team_prover_consistency(&prover,
						old_size, size), 0);
			proof = *run(&prover);
			ck_assert(team_proof_check_consistency(&proof,
					old_size, size, &old_root, &root));
			for (i = 0; i < size; i++) {
				other = root_of(i);
				if (i == old_size)
					continue;
				ck_assert(!team_proof_check_consistency(&proof,
					old_size, size, &other, &root));
			}
			for (i = 0; i < proof.count; i++) {
				proof.hashes[i].bytes[i] ^= 1;
				ck_assert(!team_proof_check_consistency(&proof,
					old_size, size, &old_root, &root));
				proof.hashes[i].bytes[i] ^= 1;
			}
			if (proof.count-- > 0) {
				ck_assert(!team_proof_check_consistency(&proof,
					old_size, size, &old_root, &root));
			}
		}
	}
	ck_assert_int_eq(team_prover_consistency(&prover, 4, 3), -1);
	ck_assert_int_eq(team_prover_consistency(&prover, 0, 3), -1);
	proof.count = 0;
	other = root_of(0);
	ck_assert(team_proof_check_consistency(&proof, 0, 3, &other, &root));
	ck_assert(!team_proof_check_consistency(&proof, 0, 3, &root, &root));
}
END_TEST

static const char *const invalid_trees[] = {
	"", "x", "01", "-1", "1", "0 ", "1 abc", "99999999999999999999",
	"1 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01D",
	"1 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d ",
};

START_TEST(test_invalid_trees)
{
	struct team_tree tree;

	ck_assert_int_eq(team_tree_parse(invalid_trees[_i], &tree), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tc = tcase_create("tree");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_roots, 0, COUNT(roots));
	tcase_add_test(tc, test_naive);
	tcase_add_loop_test(tc, test_inclusion_vectors, 0, COUNT(inclusions));
	tcase_add_loop_test(tc, test_consistency_vectors, 0,
			    COUNT(consistencies));
	tcase_add_test(tc, test_inclusion_all);
	tcase_add_test(tc, test_consistency_all);
	tcase_add_loop_test(tc, test_invalid_trees, 0, COUNT(invalid_trees));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
