"""The gradient selector: its mathematics against brute force, and what each argument does."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from nni.algorithms.feature_engineering._gradient import moments
from nni.algorithms.feature_engineering._gradient.table import CUT, table_of
from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector, elbow


def interacting(n=600, columns=60, seed=0):
    """Return data whose classes depend on the product of columns 7 and 20, and on nothing else."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(n, columns))
    return table, (table[:, 7] * table[:, 20] > 0).astype(int)


def additive(n=300, columns=60, seed=0):
    random = np.random.default_rng(seed)
    table = random.normal(size=(n, columns))
    return table, (table[:, :4].sum(1) + 0.5 * random.normal(size=n) > 0).astype(int)


# --- the mathematics ------------------------------------------------------------------------------------------------


def gram_and_targets(n=7, seed=0):
    torch.manual_seed(seed)
    values = torch.randn(n, 4, dtype=torch.float64)
    return values @ values.T, torch.randn(n, 2, dtype=torch.float64)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_learnability_is_the_polynomial_of_averages_over_all_chains_of_different_rows(order):
    gram, targets = gram_and_targets()
    ones = torch.ones(7, dtype=torch.float64)
    share, _ = moments.learnability(gram, targets, ones, order)
    c = order * float(moments.largest_eigenvalue(gram, ones)) / len(gram)
    expected = 0.0
    for j, coefficient in enumerate(moments.coefficients(order), start=1):
        total = sum(
            math.prod(float(gram[a, b]) for a, b in itertools.pairwise(chain))
            * float(targets[chain[0]] @ targets[chain[-1]])
            for chain in itertools.combinations(range(7), j + 1)
        )
        expected += coefficient * total / math.comb(7, j + 1) / c**j
    assert share == pytest.approx(expected)


def test_learnability_estimates_the_explained_share_with_fewer_rows_than_features():
    """Nothing is fitted: for a target without any relation the estimates average to 0 though D > n."""
    shares, related = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        values = torch.as_tensor(random.normal(size=(60, 120)))
        noise = torch.as_tensor(random.normal(size=(60, 1)))
        ones = torch.ones(60, dtype=torch.float64)
        shares.append(moments.learnability(values @ values.T, noise, ones, 4)[0])
        related.append(moments.learnability(values @ values.T, values[:, :1] * 1.0, ones, 4)[0])
    assert abs(np.mean(shares)) < 3 * np.std(shares) / np.sqrt(60)
    assert np.mean(related) > 5 * np.std(related) / np.sqrt(60)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_gradient_is_the_derivative_of_the_learnability(degree, monkeypatch):
    gram, targets = gram_and_targets(12)
    weights = torch.rand(12, dtype=torch.float64) + 0.5
    fixed = moments.largest_eigenvalue(gram, weights)
    monkeypatch.setattr(moments, "largest_eigenvalue", lambda *_: fixed)  # it counts as a constant

    def both(matrix):
        if degree == 1:
            return moments.learnability(matrix, targets, weights, 3)
        return moments.product_gradients(matrix, targets, weights, 3, [degree])[0]

    _, gradient = both(gram)
    if degree > 1:  # so does the scale of the kernel, by which both sides are compared here: homogeneous of degree 0
        assert float((gradient * gram).sum()) == pytest.approx(degree_sum(gram, targets, weights, degree), rel=1e-6)
        return
    step = torch.zeros_like(gram)
    step[2, 5] = step[5, 2] = 1e-6
    slope = (both(gram + step)[0] - both(gram - step)[0]) / 2e-6
    assert float(2 * gradient[2, 5]) == pytest.approx(slope, rel=1e-5)


def degree_sum(gram, targets, weights, degree):
    """Return the derivative of the learnability when K grows but the scale of the kernel stays, off the diagonal."""
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    off = centred - torch.diag(centred.diagonal())
    rms = (off.square().sum() / (12 * 11)).sqrt()
    hollow = gram - torch.diag(gram.diagonal())
    change = hollow - hollow.mean(0) - hollow.mean(1)[:, None] + hollow.mean()

    def share(amount):
        k = (centred + amount * change) / rms
        kernel = (k**2 - 1) / math.sqrt(2) if degree == 2 else (k**3 - 3 * k) / math.sqrt(6)
        kernel = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
        return moments.learnability(kernel, targets, weights, 3)[0]

    return (share(1e-6) - share(-1e-6)) / 2e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), density=st.floats(0.02, 0.9), zscore=st.booleans())
def test_sparse_and_dense_tables_give_the_same_sums(seed, density, zscore):
    random = np.random.default_rng(seed)
    values = random.normal(size=(40, 15)) * (random.random((40, 15)) < density)
    values[:, 3] *= 50
    values[0] = random.normal(size=15)  # no column is constant
    weights = torch.as_tensor(random.random(15), dtype=torch.float32)
    matrix = torch.as_tensor(random.normal(size=(30, 30)), dtype=torch.float32)
    matrix = (matrix + matrix.T).fill_diagonal_(0)
    rows = random.permutation(40)[:30]
    blocks = [
        table_of(data, zscore=zscore, batch_size=11, device="cpu").block(rows)
        for data in (values, sparse.csr_matrix(values))
    ]
    for dense, thin in zip(*(block.grams(weights) for block in blocks), strict=True):
        assert torch.allclose(dense, thin, rtol=1e-3, atol=1e-3 * float(dense.abs().max()))
    dense, thin = (block.quadratics([matrix, matrix], cut=[False, True]) for block in blocks)
    assert torch.allclose(dense, thin, rtol=1e-3, atol=1e-3 * float(dense.abs().max()))


def test_the_sums_of_a_block_are_those_of_its_standardised_values():
    random = np.random.default_rng(0)
    values = random.standard_t(2, size=(50, 6)) + 1000
    table = table_of(values, zscore=True, batch_size=7, device="cpu")
    z = torch.as_tensor((values - values.mean(0)) / values.std(0), dtype=torch.float32)
    weights = torch.rand(6)
    block = table.block(np.arange(50))
    plain, cut = block.grams(weights)
    assert torch.allclose(plain, (z * weights) @ z.T, atol=1e-3)
    short = z.clamp(-CUT, CUT)
    assert torch.allclose(cut, (short * weights) @ short.T, atol=1e-3)
    matrix = torch.ones(50, 50).fill_diagonal_(0)
    expected = torch.stack([(v.sum(0) ** 2 - (v**2).sum(0)) for v in (z, short)])
    assert torch.allclose(block.quadratics([matrix, matrix], cut=[False, True]), expected, atol=1e-2)


# --- what it finds --------------------------------------------------------------------------------------------------


def test_columns_that_matter_only_together_are_found_with_order_2_but_not_1():
    table, y = interacting()
    assert sorted(FeatureGradientSelector(order=2, n_features=2).fit(table, y).get_selected_features()) == [7, 20]
    assert sorted(FeatureGradientSelector(order=1, n_features=2).fit(table, y).get_selected_features()) != [7, 20]


def test_the_search_finds_the_number_of_columns_itself():
    assert sorted(FeatureGradientSelector().fit(*interacting()).get_selected_features()) == [7, 20]
    found = FeatureGradientSelector().fit(*additive()).get_selected_features()
    assert {0, 1, 2, 3} <= set(found)
    assert len(found) <= 6


def test_the_elbow_finds_the_number_up_to_its_limit():
    assert sorted(FeatureGradientSelector(max_features=12).fit(*additive()).get_selected_features()) == [0, 1, 2, 3]
    assert len(FeatureGradientSelector(max_features=2).fit(*additive()).get_selected_features()) <= 2


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.integers(1, 20))
def test_an_elbow_lies_within_its_limit(importances, most):
    assert 1 <= elbow(sorted(importances, reverse=True), most) <= most


def test_nothing_worth_its_price_is_an_error_that_names_the_penalty():
    table, y = additive()
    with pytest.raises(
        ValueError, match=r"^penalty: no column is worth its price at penalty=1000, so nothing is selected"
    ):
        FeatureGradientSelector(penalty=1000).fit(table, y)


def test_a_regression_finds_products_and_sums():
    random = np.random.default_rng(3)
    table = random.normal(size=(500, 30))
    y = table[:, 1] + table[:, 4] * table[:, 9] + 0.2 * random.normal(size=500)
    selector = FeatureGradientSelector(n_features=3, classification=False).fit(table, y)
    assert sorted(selector.get_selected_features()) == [1, 4, 9]


def test_classes_without_an_order_want_indicators():
    random = np.random.default_rng(0)
    table = random.normal(size=(600, 40))
    y = np.where(table[:, 5] > 0.6, 1, 2 * (random.random(600) < 0.5))  # the class in the middle of the codes
    assert FeatureGradientSelector(order=1, n_features=1, ordinal=False).fit(table, y).get_selected_features() == [5]
    assert FeatureGradientSelector(order=1, n_features=1).fit(table, y).scores_[5] < 1


def test_more_columns_than_the_pool_are_screened_first():
    table, y = interacting(800, 1500)
    assert sorted(FeatureGradientSelector(n_features=2).fit(table, y).get_selected_features()) == [7, 20]


def test_a_wide_sparse_table_is_searched_without_filling_it_in():
    random = np.random.default_rng(0)
    at = random.integers(600, size=12_000), random.integers(200_000, size=12_000)
    table = sparse.csr_matrix((random.normal(size=12_000), at), (600, 200_000))
    alone = (random.random((600, 3)) < 0.3).astype(float)
    y = (alone.sum(1) + 0.3 * random.normal(size=600) > 0.8).astype(int)
    table = sparse.hstack([table, sparse.csr_matrix(alone)], format="csr")  # dense it would take a gigabyte
    found = FeatureGradientSelector(n_features=3).fit(table, y).get_selected_features()
    assert sorted(found) == [200_000, 200_001, 200_002]


# --- its arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [True, False])
def test_groups_are_selected_as_a_unit(soft):
    table, y = additive(columns=20)
    groups = [0, 1, 2, 3, *([4] * 8), *range(5, 13)]
    groups[19] = 0  # a column without meaning shares its group with column 0
    found = (
        FeatureGradientSelector(n_features=4, soft_grouping=soft).fit(table, y, groups=groups).get_selected_features()
    )
    assert sorted(found) == [0, 1, 2, 3, 19]


def test_soft_groups_have_weights_of_their_own_and_hard_ones_share_one():
    table, y = additive(columns=12)
    groups = [0, 1, 2, 3, *range(4, 11), 0]
    soft = FeatureGradientSelector(n_features=4).fit(table, y, groups=groups)
    hard = FeatureGradientSelector(n_features=4, soft_grouping=False).fit(table, y, groups=groups)
    assert soft.scores_[0] > 0.9
    assert soft.scores_[11] < 0.5
    assert hard.scores_[0] == hard.scores_[11]


@pytest.mark.parametrize("init", ["zero", "on", "off", "onhigh", "offhigh", "sklearn"])
def test_every_start_leads_to_the_columns(init):
    found = FeatureGradientSelector(n_features=4, init=init).fit(*additive()).get_selected_features()
    assert sorted(found) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_a_start_from_the_f_test_takes_constant_columns(kind):
    table, y = additive()
    table[:, 9] = 0
    selector = FeatureGradientSelector(n_features=4, init="sklearn", constant_columns="ignore")
    assert sorted(selector.fit(kind(table), y).get_selected_features()) == [0, 1, 2, 3]


def test_a_group_counts_as_long_as_one_of_its_columns_varies():
    table, y = additive(columns=6)
    table[:, 5] = 1
    selector = FeatureGradientSelector(n_features=5, constant_columns="ignore")
    assert len(selector.fit(table, y, groups=[0, 1, 2, 3, 4, 4]).get_selected_features()) == 6
    table[:, 4] = 1
    with pytest.raises(ValueError, match=r"^n_features: expected at most 4, as many groups as X has \(2 columns"):
        selector.fit(table, y, groups=[0, 1, 2, 3, 4, 4])


def test_dropped_columns_leave_the_pool_and_the_result_stays():
    table, y = additive(n=400, columns=400)
    found = FeatureGradientSelector(n_features=4).fit(table, y)
    assert sorted(found.get_selected_features()) == [0, 1, 2, 3]
    assert found.scores_.shape == found.importances_.shape == (400,)
    assert (found.scores_ < 0.001).mean() > 0.7


def test_the_misspelt_names_of_the_documentation_work():
    table, y = additive()
    wrong = FeatureGradientSelector(penatly=2, prerocess="center").fit(table, y)
    right = FeatureGradientSelector(penalty=2, preprocess="center").fit(table, y)
    assert wrong.get_selected_features() == right.get_selected_features()
    with pytest.raises(ValueError, match="penatly: penalty=3 and penatly=2 contradict"):
        FeatureGradientSelector(penalty=3, penatly=2).fit(table, y)


def test_centring_keeps_the_scales_of_the_columns_and_zscore_does_not():
    table, y = additive(columns=8)
    table[:, 0] *= 1e-3
    assert 0 in FeatureGradientSelector(n_features=4).fit(table, y).get_selected_features()
    assert 0 not in FeatureGradientSelector(n_features=4, preprocess="center").fit(table, y).get_selected_features()


def test_verbose_prints_a_line_every_so_many_steps(capsys):
    selector = FeatureGradientSelector(n_features=2, verbose=20).fit(*additive())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == selector.n_iter_ // 20
    assert lines[0].startswith("step 20: learnability ")


def test_more_epochs_are_more_steps():
    once = FeatureGradientSelector(n_features=2).fit(*additive())
    assert FeatureGradientSelector(n_features=2, n_epochs=2).fit(*additive()).n_iter_ == 2 * once.n_iter_


def test_small_batches_and_accumulated_ones_find_the_same():
    for sizes in ({"batch_size": 50, "target_batch_size": 200}, {"batch_size": 1000, "target_batch_size": 100}):
        found = FeatureGradientSelector(n_features=4, shuffle=False, **sizes).fit(*additive()).get_selected_features()
        assert sorted(found) == [0, 1, 2, 3]


def test_a_memory_mapped_table_is_read_in_pieces(tmp_path):
    table, y = additive()
    np.save(tmp_path / "table.npy", table)
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    assert sorted(FeatureGradientSelector(n_features=4).fit(mapped, y).get_selected_features()) == [0, 1, 2, 3]


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_a_gpu_finds_the_same(kind):
    table, y = interacting()
    found = FeatureGradientSelector(n_features=2, device="cuda").fit(kind(table), y).get_selected_features()
    assert sorted(found) == [7, 20]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 13}, "^order: expected an integer between 1 and 12, got 13"),
        ({"order": 0}, "^order: "),
        ({"penalty": -1}, "^penalty: expected a number of at least 0"),
        ({"learning_rate": 0}, "^learning_rate: expected a number above 0"),
        ({"init": "onhihg"}, r"^init: .* did you mean 'onhigh'"),
        ({"preprocess": "zscor"}, r"^preprocess: .* did you mean 'zscore'"),
        ({"n_features": 61}, "^n_features: expected at most 60"),
        ({"max_features": 61}, "^max_features: expected at most 60"),
        ({"n_features": 0}, "^n_features: expected an integer of at least 1"),
        ({"batch_size": 0}, "^batch_size: "),
        ({"target_batch_size": 1}, "^target_batch_size: "),
        ({"shuffle": "yes"}, "^shuffle: expected True or False"),
        ({"device": "gpu"}, "^device: expected 'cpu' or 'cuda'"),
        ({"device": "cuda:99"}, "^device: 'cuda:99' is not available"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeatureGradientSelector(**arguments).fit(*additive())


def test_groups_of_a_wrong_length_are_an_error():
    with pytest.raises(ValueError, match=r"^groups: expected one id for each of the 60 columns of X"):
        FeatureGradientSelector().fit(*additive(), groups=[0, 0, 1])
