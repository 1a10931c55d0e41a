"""Intervals and floor against scipy, against plain resampling of images, and in simulated studies."""

import numpy as np
import pytest
from scipy import stats

from fairdistill import uncertainty
from fairdistill.outcomes import Outcomes, collect


def unpaired(right):
    """Outcomes of independent images, from right answers of shape (n_groups, n_classes, images per cell)."""
    n_groups, n_classes, n = right.shape
    group, label = np.indices((n_groups, n_classes, n))[:2]
    names = np.arange(right.size).astype(str)
    return collect(
        right=right.ravel(), label=label.ravel(), group=group.ravel(), image_id=names, shape=(n_groups, n_classes)
    )


def paired(right):
    """The same with the i-th samples of a class being copies of one image."""
    n_groups, n_classes, _ = right.shape
    group, label, i = np.indices(right.shape)
    names = [f"{y}-{k}" for y, k in zip(label.ravel(), i.ravel(), strict=True)]
    return collect(
        right=right.ravel(),
        label=label.ravel(),
        group=group.ravel(),
        image_id=np.array(names),
        shape=(n_groups, n_classes),
    )


def copies(rng, accuracy, n, agreement=0.8):
    """Right answers to copies that share their difficulty in `agreement` of the images."""
    accuracy = np.asarray(accuracy)
    shared, own = rng.random((1, accuracy.shape[1], n)), rng.random((*accuracy.shape, n))
    difficulty = np.where(rng.random((1, accuracy.shape[1], n)) < agreement, shared, own)
    return difficulty < accuracy[..., None]


def covered(truth, low, high):
    return np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high)))


def test_the_floor_is_what_direct_simulation_of_a_fair_classifier_gives():
    # 100 images in each of 3 x 4 cells at accuracy 0.75, as on UTKFace
    right = np.broadcast_to(np.arange(100) < 75, (4, 3, 100))
    rng = np.random.default_rng(1)
    direct = rng.binomial(100, 0.75, (100_000, 4, 3)) / 100

    fair = uncertainty.resample_fair(unpaired(right), resamples=20_000, rng=rng)

    for measure, mean, sd in [(uncertainty.deo_a, 0.089, 0.022), (uncertainty.deo_m, 0.123, 0.033)]:
        assert measure(fair).mean() == pytest.approx(measure(direct).mean(), abs=0.001)
        assert measure(fair).std() == pytest.approx(measure(direct).std(), abs=0.001)
        assert (measure(fair).mean(), measure(fair).std()) == pytest.approx((mean, sd), abs=0.0015)


def test_the_floor_of_cifar10s_is_lower_where_copies_err_together():
    rng = np.random.default_rng(2)
    right = copies(rng, np.full((2, 10), 0.92), 1000, agreement=0)
    together = copies(rng, np.full((2, 10), 0.92), 1000, agreement=0.9)
    floors = [uncertainty.assess(paired(bits), resamples=2000)["deo_a"]["floor"]["mean"] for bits in (right, together)]

    assert floors[0] == pytest.approx(0.0097, abs=0.0008)
    assert floors[1] < floors[0] / 2


def test_the_floor_keeps_accuracy_per_class_and_how_often_copies_agree():
    outcomes = paired(copies(np.random.default_rng(3), [[0.9, 0.5], [0.6, 0.7]], 500))

    fair = uncertainty.resample_fair(outcomes, resamples=20_000, rng=np.random.default_rng(4))

    means = fair.mean(axis=0)
    np.testing.assert_allclose(means, np.broadcast_to(outcomes.accuracy.mean(axis=0), (2, 2)), atol=0.001)
    # McNemar: the gap of a fair classifier has variance (images with one copy right) / n^2
    first, second = outcomes.right
    discordant = [np.sum(a != b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose((fair[:, 0] - fair[:, 1]).std(axis=0), np.sqrt(discordant) / 500, rtol=0.02)


def test_drawing_patterns_is_drawing_images():
    rng = np.random.default_rng(5)
    models = [paired(copies(rng, [[0.9, 0.5], [0.6, 0.7]], 60)) for _ in range(2)]
    bits = np.array([model.right for model in models])
    index = rng.integers(0, 60, (20_000, 2, 60))
    plain = np.stack([bits[:, :, y][..., index[:, y]].mean(axis=-1) for y in range(2)], axis=-1)
    plain = np.moveaxis(plain, 2, 0).reshape(20_000, 8)

    drawn = uncertainty.resample(models, resamples=20_000, rng=rng).reshape(20_000, 8)

    np.testing.assert_allclose(drawn.mean(axis=0), plain.mean(axis=0), atol=0.002)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(plain.T), atol=2e-4)


def test_models_tested_on_other_images_are_drawn_independently():
    rng = np.random.default_rng(6)
    right = copies(rng, [[0.7, 0.5], [0.6, 0.7]], 200)
    same = [paired(right), paired(right)]
    other = [paired(right), unpaired(right)]

    def correlation(models):
        drawn = uncertainty.resample(models, resamples=5000, rng=rng)[:, :, 0, 0]
        return np.corrcoef(drawn, rowvar=False)[0, 1]

    assert correlation(same) == pytest.approx(1)
    assert abs(correlation(other)) < 0.05


def test_the_accuracy_interval_is_scipys_bootstrap_interval():
    right = np.random.default_rng(7).random((2, 1, 200)) < 0.8
    result = uncertainty.assess(unpaired(right))["accuracy"]

    expected = stats.bootstrap((right.ravel(),), np.mean, method="percentile", rng=0).confidence_interval
    assert (result["low"], result["high"]) == pytest.approx(tuple(expected), abs=0.004)


def test_the_gap_of_two_groups_in_one_class_has_the_normal_interval_where_it_is_large():
    right = np.stack([np.arange(1000) < 800, np.arange(1000) < 600])[:, None]

    result = uncertainty.assess(unpaired(right))["deo_a"]

    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000 + 0.6 * 0.4 / 1000)
    assert (result["low"], result["corrected"], result["high"]) == pytest.approx(
        (0.2 - half, 0.2, 0.2 + half), abs=0.003
    )
    assert result["verdict"] == "above floor"


def interval(low, point, high):
    return {"low": low, "corrected": point, "high": high}


def test_the_interval_of_a_gap_is_zou_and_donners():
    first, second = interval(0.4, 0.5, 0.7), interval(0.25, 0.3, 0.34)

    low, high = uncertainty.mover(first, second, 0.5)

    assert low == pytest.approx(0.2 - np.sqrt(0.1**2 + 0.04**2 - 2 * 0.5 * 0.1 * 0.04))
    assert high == pytest.approx(0.2 + np.sqrt(0.2**2 + 0.05**2 - 2 * 0.5 * 0.2 * 0.05))


def test_the_gap_between_models_of_one_noise_is_known_exactly():
    assert uncertainty.mover(interval(0.4, 0.5, 0.6), interval(0.2, 0.3, 0.4), 1.0) == pytest.approx((0.2, 0.2))


def test_gaps_in_accuracy_weigh_each_models_own_cells():
    # the second test set has three times as many images of the group that is easy
    first = unpaired(np.stack([np.arange(400) < 400, np.arange(400) < 0])[:, None])
    easy, hard = np.ones(600, dtype=bool), np.zeros(200, dtype=bool)
    second = collect(
        right=np.concatenate([easy, hard]),
        label=np.zeros(800, dtype=int),
        group=np.repeat([0, 1], [600, 200]),
        image_id=np.arange(800).astype(str),
        shape=(2, 1),
    )
    known = [uncertainty.assess(model, resamples=200) for model in (first, second)]

    assert uncertainty.gap_intervals(first, second, *known)["accuracy"] == (-0.25, -0.25)


@pytest.mark.parametrize("copies", [False, True])
def test_the_covariances_of_a_gap_are_those_of_resampled_images(copies):
    """Two models whose answers share the difficulty of an image, on separate groups or on copies of one image."""
    rng = np.random.default_rng(4)
    accuracy = np.array([[[0.9, 0.85], [0.5, 0.7]], [[0.85, 0.8], [0.4, 0.6]]])
    hard = rng.random((2, 2, 400))
    if copies:
        hard[:] = 0.7 * hard[0] + 0.3 * hard
    models = [
        Outcomes(
            right=[[hard[a, y] < cells[a, y] for y in range(2)] for a in range(2)],
            paired=copies,
            images="same",
        )
        for cells in accuracy
    ]
    drawn = uncertainty.resample(models, resamples=20_000, rng=rng)

    for name, measure in uncertainty.MEASURES.items():
        expected = np.corrcoef(measure(drawn), rowvar=False)[0, 1]
        assert expected > 0.3
        assert uncertainty.deo_correlation(*models, measure=name) == pytest.approx(expected, abs=0.04)
    known = [uncertainty.assess(model, resamples=200) for model in models]
    gap = np.subtract(*uncertainty.overall(drawn, models[0].count).T)
    assert uncertainty.gap_intervals(*models, *known)["accuracy"] == pytest.approx(
        tuple(np.quantile(gap, [0.025, 0.975])), abs=0.003
    )


STUDIES, RESAMPLES, CHUNK = 2000, 100, 40


@pytest.fixture
def coarse(monkeypatch):
    """Ends of intervals to 0.0005, which is enough to count how often they cover."""
    monkeypatch.setattr(uncertainty, "HALVINGS", 11)


def answers(rng, accuracy, n, agreement, studies=STUDIES):
    """Resample shares of right answers in simulated studies, CHUNK studies at a time.

    `accuracy` has shape (k, cells): in each cell n images are answered k times, and their answers share their
    difficulty in `agreement` of the images. Yields the observed shares, (CHUNK, k, cells), and the bootstrapped ones.
    """
    k, cells = accuracy.shape
    bits = (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(bool)
    p, right = accuracy.T[:, None], bits[None]
    alone = np.where(right, p, 1 - p).prod(axis=-1)
    easy, hard = np.where(right, p, 1).min(axis=-1), np.where(right, 0, p).max(axis=-1)
    frequency = agreement * np.clip(easy - hard, 0, 1) + (1 - agreement) * alone
    for _ in range(studies // CHUNK):
        counts = rng.multinomial(n, frequency, size=(CHUNK, cells))
        again = rng.multinomial(n, counts / n, size=(RESAMPLES, CHUNK, cells))
        yield tuple(np.moveaxis(drawn @ bits / n, -1, -2) for drawn in (counts, again))


# half the gap between the two groups of each class, as on CIFAR-10S
HALF_GAPS = np.array([0, 0.02, 0.02, 0.05, 0.04, 0.08, 0.06, 0.04, 0.03, 0.03])
CIFAR10S = np.stack([0.8 - HALF_GAPS, 0.8 + HALF_GAPS])
FAIR = np.full((4, 3), 0.75)
MILD = FAIR + np.array([[0.05], [0.0], [-0.02], [-0.05]]) * [1, 0.8, 0.8]
# of the ResNet student on UTKFace
BIASED = np.array([[0.81, 0.76, 0.84], [0.63, 0.89, 0.70], [0.95, 0.93, 0.79], [0.87, 0.86, 0.74]])


@pytest.mark.parametrize(
    ("truth", "n", "agreement", "expected"),
    [
        (CIFAR10S, 1000, 0.8, {"deo_a": 0.95, "deo_m": 0.95}),
        (FAIR, 100, None, {"deo_a": 0.97, "deo_m": 0.97}),
        (BIASED, 100, None, {"deo_a": 0.93, "deo_m": 0.92}),
    ],
    ids=["cifar10s", "utkface fair", "utkface biased"],
)
@pytest.mark.usefixtures("coarse")
def test_the_coverage_of_the_intervals_in_2000_simulated_studies(truth, n, agreement, expected):
    shape = truth.shape
    cells = truth.reshape(1, -1) if agreement is None else truth
    hits = {name: [] for name in (*expected, "accuracy")}
    for observed, again in answers(np.random.default_rng(8), cells, n, agreement or 0):
        observed, again = observed.reshape(-1, *shape), again.reshape(RESAMPLES, -1, *shape)
        ends = np.quantile(again.mean(axis=(-2, -1)), [uncertainty.TAIL, 1 - uncertainty.TAIL], axis=0)
        hits["accuracy"].append(covered(truth.mean(), *ends))
        for name in expected:
            low, _, high = uncertainty.deo_interval(observed, again - observed, measure=name)
            hits[name].append(covered(uncertainty.MEASURES[name](truth), low, high))

    found = {name: np.mean(values) for name, values in hits.items()}
    assert found == pytest.approx({"accuracy": 0.945} | expected, abs=0.02)


@pytest.mark.usefixtures("coarse")
def test_the_coverage_of_a_gap_between_two_models_of_the_same_images():
    student, teacher = MILD, BIASED
    truth = np.stack([student, teacher]).reshape(2, -1)
    hits = {name: [] for name in uncertainty.MEASURES}
    for observed, again in answers(np.random.default_rng(9), truth, 100, 0.6, STUDIES // 2):
        observed, again = observed.reshape(-1, 2, 4, 3), again.reshape(RESAMPLES, -1, 2, 4, 3)
        for name, measure in uncertainty.MEASURES.items():
            ends = np.stack(uncertainty.deo_interval(observed, again - observed, measure=name), axis=-1)
            scores = measure(again)
            for study in range(CHUNK):
                correlation = np.corrcoef(scores[:, study], rowvar=False)[0, 1]
                low, high = uncertainty.mover(*(interval(*model) for model in ends[study]), correlation)
                hits[name].append(low <= measure(student) - measure(teacher) <= high)

    found = {name: np.mean(values) for name, values in hits.items()}
    assert found == pytest.approx({"deo_a": 0.95, "deo_m": 0.95}, abs=0.02)
