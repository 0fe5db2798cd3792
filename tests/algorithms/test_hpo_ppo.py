"""Learning a policy of choices: the network, the objective, and the tuner."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PPOTuner needs torch")

from nni.algorithms import ClassArgsError, registry  # noqa: E402
from nni.algorithms.hpo._ppo import Decision, Learner, Policy, PpoSettings, Trajectory  # noqa: E402
from nni.algorithms.hpo._ppo.learner import advantages_of, clipped_objective  # noqa: E402
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner  # noqa: E402
from nni.algorithms.hpo.ppo_tuner import PPOTuner  # noqa: E402
from nni.common.errors import NniError, NoMoreTrialError  # noqa: E402
from nni.experiment import Experiment  # noqa: E402
from nni.testing.tuner import TunerConformance  # noqa: E402

SETTINGS = PpoSettings(4, 4, 0.01, 0.003, 0.5, 0.5, 0.99, 0.95, 0.2)
NESTED = [Decision(3), Decision(2, 0, 1), Decision(4, 0, 2), Decision(2)]


def choices(n, options):
    return {f"c{place}": {"_type": "choice", "_value": list(options)} for place in range(n)}


def actions(*rows):
    return torch.tensor(rows)


# ---------------------------------------------------------------------------------------- the policy


def test_at_first_all_options_are_equally_likely():
    policy = Policy(NESTED, seed=0)
    assert policy.probabilities(2, [2, -1]) == pytest.approx([0.25] * 4)


def test_branches_that_are_not_taken_are_not_decided_on():
    policy, rng = Policy(NESTED, seed=0), np.random.default_rng(0)
    seen = {tuple(int(action >= 0) for action in policy.sample(rng)): 0 for _ in range(200)}
    assert set(seen) == {(1, 0, 0, 1), (1, 1, 0, 1), (1, 0, 1, 1)}
    for _ in range(50):
        first, second, third, _ = policy.sample(rng)
        assert (second >= 0, third >= 0) == (first == 1, first == 2)


def trained(seed=0):
    """Return a policy whose weights are not those it started with."""
    policy = Policy(NESTED, seed)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return policy


def test_the_probabilities_of_all_configurations_sum_to_one():
    everything = [
        (a, b if a == 1 else -1, c if a == 2 else -1, d)
        for a in range(3)
        for b in range(2 if a == 1 else 1)
        for c in range(4 if a == 2 else 1)
        for d in range(2)
    ]
    log_probs = trained().evaluate(actions(*everything)).log_probs.sum(dim=1)
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_samples_come_as_often_as_the_policy_says():
    policy, rng = trained(), np.random.default_rng(0)
    drawn = np.array([policy.sample(rng)[0] for _ in range(2000)])
    expected = policy.probabilities(0, []) * 2000
    assert (((np.bincount(drawn, minlength=3) - expected) ** 2) / expected).sum() < 13.8  # chi-square, p = 0.001


def test_what_is_masked_has_no_probability_entropy_or_value_and_leaves_no_trace():
    policy = trained()
    said = policy.evaluate(actions([0, -1, -1, 1], [1, 1, -1, 1]))
    for column in said:
        assert column[0, 1:3].tolist() == [0, 0]
        assert column[1, 2].item() == 0
    without = policy.probabilities(3, [0, -1, -1])
    assert said.log_probs[0, 3].exp().item() == pytest.approx(without[1], abs=1e-6)


def test_a_decision_knows_those_before_it():
    policy = trained()
    assert not np.allclose(policy.probabilities(3, [0, -1, -1]), policy.probabilities(3, [1, 0, -1]), atol=1e-3)


def test_making_a_policy_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Policy(NESTED, seed=1)
    assert torch.rand(1) == expected


# ---------------------------------------------------------------------------------------- the objective


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective"),
    [(1.1, 2.0, 2.2), (1.5, 2.0, 2.4), (0.5, 2.0, 1.0), (0.5, -2.0, -1.6), (1.5, -2.0, -3.0), (1.0, -2.0, -2.0)],
)
def test_the_objective_is_clipped_as_in_the_paper(ratio, advantage, objective):
    values = torch.tensor([np.log(ratio)]), torch.tensor([0.0]), torch.tensor([advantage])
    assert clipped_objective(*values, 0.2).item() == pytest.approx(objective)


def test_nothing_is_learnt_beyond_the_clip():
    log_probs = torch.tensor([np.log(1.5)], requires_grad=True)
    clipped_objective(log_probs, torch.zeros(1), torch.ones(1), 0.2).sum().backward()
    assert log_probs.grad.item() == 0


def trajectory(taken, values):
    return Trajectory(np.array(taken), np.zeros(len(taken), np.float32), np.array(values, np.float32))


def test_advantages_are_the_sums_of_the_definition():
    gamma, lam, values, reward = 0.9, 0.8, [0.5, -0.25, 1.0], 2.0
    following = [*values[1:], 0.0]
    deltas = [gamma * after - value for value, after in zip(values, following, strict=True)]
    deltas[-1] += reward
    expected = [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, 3)) for t in range(3)]
    assert advantages_of(trajectory([0, 1, 0], values), reward, gamma, lam) == pytest.approx(expected)


def test_masked_decisions_do_not_discount_and_the_last_one_that_was_made_is_rewarded():
    plain = advantages_of(trajectory([0, 1], [0.5, 0.25]), 1.0, 0.9, 0.8)
    masked = advantages_of(trajectory([0, -1, 1, -1], [0.5, 0, 0.25, 0]), 1.0, 0.9, 0.8)
    assert masked == pytest.approx([plain[0], 0, plain[1], 0])


def test_with_lambda_one_an_advantage_is_the_return_minus_the_value():
    assert advantages_of(trajectory([0, 1], [0.5, 0.25]), 1.0, 1.0, 1.0) == pytest.approx([0.5, 0.75])


def test_an_update_makes_what_was_rewarded_more_likely_and_learns_its_value():
    policy = Policy([Decision(4), Decision(3)], seed=0)
    learner = Learner(policy, SETTINGS)
    rng = np.random.default_rng(0)
    for _ in range(8):
        batch = [learner.trajectory(policy.sample(rng)) for _ in range(20)]
        learner.update(batch, [1.0 if one.actions[0] == 2 else -1.0 for one in batch], rng)
    assert policy.probabilities(0, [])[2] > 0.6
    values = policy.evaluate(actions([2, 0], [1, 0])).values[:, 1]
    assert values[0] > values[1]


# ---------------------------------------------------------------------------------------- the tuner


class TestPpo(TunerConformance):
    types = ("choice", "randint")
    space: ClassVar = {**choices(3, "abc"), "n": {"_type": "randint", "_value": [3, 9]}}

    def make(self, optimize_mode):
        return PPOTuner(optimize_mode, trials_per_update=10, seed=3)


def run(tuner, space, score, trials):
    tuner.update_search_space(space)
    scores = []
    for number in range(trials):
        configuration = tuner.generate_parameters(number)
        scores.append(score(configuration))
        tuner.receive_trial_result(number, configuration, scores[-1])
        tuner.trial_end(number, success=True)
    return scores


def test_it_learns_choices_that_go_together_and_random_search_does_not():
    """Eight choices of six; what each is worth depends on the one before it, too."""
    rng = np.random.default_rng(0)
    alone, together = rng.normal(size=(8, 6)), 0.5 * rng.normal(size=(8, 6, 6))

    def score(configuration):
        taken = ["abcdef".index(configuration[f"c{place}"]) for place in range(8)]
        pairs = sum(together[place, taken[place], taken[place + 1]] for place in range(7))
        return float(pairs + sum(alone[place, taken[place]] for place in range(8)))

    space = choices(8, "abcdef")
    ours = [run(PPOTuner(seed=seed), space, score, 180) for seed in range(2)]
    random = [run(HyperoptTuner("random_search", "maximize", seed=seed), space, score, 180) for seed in range(2)]
    assert min(np.mean(scores[-40:]) for scores in ours) > max(np.mean(scores[-40:]) for scores in random) + 2
    assert min(map(max, ours)) > max(map(max, random))


def test_nested_choices_are_learnt():
    space = {
        "layer": {
            "_type": "choice",
            "_value": [
                {"_name": "empty"},
                {"_name": "conv", "kernel": {"_type": "choice", "_value": [1, 3, 5, 7, 9, 11]}, **choices(3, "abcdef")},
                {"_name": "pool", "size": {"_type": "randint", "_value": [0, 90]}},
            ],
        }
    }
    scores = run(PPOTuner(seed=0), space, lambda c: float(c["layer"].get("kernel", 0)), 120)
    assert np.mean(scores[-20:]) > 2 * np.mean(scores[:40])


def test_no_configuration_comes_twice_and_the_end_is_said():
    tuner = PPOTuner(seed=0, trials_per_update=5)
    space = {**choices(2, "abc"), "n": {"_type": "randint", "_value": [0, 4]}}
    found = []
    tuner.update_search_space(space)
    for number in range(36):
        found.append(tuner.generate_parameters(number))
        tuner.receive_trial_result(number, found[-1], float(found[-1]["c0"] == "a"))
    assert len({str(configuration) for configuration in found}) == 36
    with pytest.raises(NoMoreTrialError, match="all 36 configurations"):
        tuner.generate_parameters(36)


def test_an_empty_space_has_one_configuration():
    tuner = PPOTuner(seed=0, trials_per_update=1)
    tuner.update_search_space({})
    assert tuner.generate_parameters(0) == {}
    tuner.receive_trial_result(0, {}, 1.0)
    with pytest.raises(NoMoreTrialError):
        tuner.generate_parameters(1)


def test_one_batch_has_no_two_equal_configurations():
    tuner = PPOTuner(seed=0)
    tuner.update_search_space(choices(2, "abc"))
    assert len({str(configuration) for configuration in tuner.generate_multiple_parameters(list(range(9)))}) == 9


def test_the_unit_of_the_metric_does_not_matter():
    def plain(configuration):
        return sum("abcd".index(value) for value in configuration.values())

    def stretched(configuration):
        return 1e12 * plain(configuration) ** 3 - 1e15

    space = choices(5, "abcd")
    first, second = (run(PPOTuner(seed=1), space, score, 60) for score in (plain, stretched))
    assert [1e12 * value**3 - 1e15 for value in first] == second


@pytest.mark.parametrize(
    "change",
    [
        {"trials_per_update": 10},
        {"epochs_per_update": 1},
        {"minibatch_size": 20},
        {"ent_coef": 5.0},
        {"lr": 0.03},
        {"vf_coef": 0.0},
        {"max_grad_norm": 1e-3},
        {"gamma": 0.1},
        {"lam": 0.1},
        {"cliprange": 0.01},
    ],
)
def test_every_argument_changes_what_is_learnt(change):
    assert not torch.equal(learnt_weights(), learnt_weights(**change))


@functools.cache
def learnt_weights(**args):
    tuner = PPOTuner(seed=0, **args)
    run(tuner, choices(3, "abcd"), lambda c: float(sum(value == "a" for value in c.values())), 40)
    return torch.cat([parameter.detach().ravel() for parameter in tuner._learner.policy.parameters()])


def test_results_of_before_teach_the_policy_of_a_changed_space():
    tuner = PPOTuner(seed=0)
    space = choices(2, "abcdefgh")
    run(tuner, space, lambda c: float(c["c0"] == "a"), 40)
    tuner.update_search_space({"c1": space["c1"], "c0": space["c0"]})
    assert len(tuner._suggested) == 40
    assert tuner._updates == 2


@pytest.mark.parametrize(
    ("args", "argument", "says"),
    [
        ({"trials_per_update": 0}, "trials_per_update", "at least 1"),
        ({"lr": 0}, "lr", "a number"),
        ({"gamma": 1.5}, "gamma", "between 0 and 1"),
        ({"ent_coef": -1}, "ent_coef", "at least 0"),
        ({"clip_range": 0.1}, "clip_range", "did you mean 'cliprange'"),
    ],
)
def test_wrong_arguments_are_refused(args, argument, says):
    with pytest.raises(ClassArgsError, match=rf"classArgs\.{argument}: .*{says}"):
        registry.validate_class_args("PPOTuner", args)


def test_a_randint_of_too_many_values_is_refused():
    with pytest.raises(NniError, match=r"searchSpace.n: PPOTuner takes a randint of at most 1024 values, got 2000"):
        PPOTuner().update_search_space({"n": {"_type": "randint", "_value": [0, 2000]}})


@pytest.mark.slow
def test_it_runs_by_its_documented_name(isolated_home, tmp_path, free_port):
    (tmp_path / "trial.py").write_text("import nni\nnni.report_final_result(nni.get_next_parameter()['c0'])\n")
    experiment = Experiment("local")
    config = experiment.config
    config.search_space = choices(2, range(4))
    config.trial_command, config.trial_code_directory, config.trial_concurrency = "python3 trial.py", tmp_path, 2
    config.max_trial_number = 6
    config.tuner = {"name": "PPOTuner", "class_args": {"trials_per_update": 3}}
    assert experiment.run(free_port), experiment.get_status()
    assert len({str(result.parameter) for result in experiment.export_data()}) == 6
