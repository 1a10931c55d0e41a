"""The tables of `make bench`."""

from types import SimpleNamespace

import pytest
import torch
from method_trainings import method_settings
from synthetic_trainings import result, runs

from benchmarks import training_worker
from benchmarks.cases import EPOCHS, PARTS, Dataset
from benchmarks.training_plot import draw
from benchmarks.training_table import medians, ratios, summarise, to_markdown
from benchmarks.training_worker import COOL_DOWN, WARM_UP, measure, measure_method, tensor_bytes, window
from fairdistill.training.engines import fast, reference


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(training_worker, "BATCH_SIZE", 16)
    monkeypatch.setitem(training_worker.DATASETS, "tiny", Dataset(32, 3, 2, 1000, 100))


def test_two_processes_do_twice_the_work_of_one():
    one, two = (summarise([result(500.0)] * n, "cifar10s", {"fp32": 100.0 * n, "bf16": 1.0}) for n in (1, 2))
    assert one["images_per_second"] == pytest.approx(256)
    assert two["images_per_second"] == pytest.approx(512)
    assert one["epoch_seconds"] == pytest.approx(50_000 / 256)
    assert one["backward_ms"] == pytest.approx(250)
    assert two["backward_ms"] == pytest.approx(125)
    # twice the work on twice the peak
    assert one["share_of_peak"] == two["share_of_peak"] == pytest.approx(20 / 0.5 / 100)


def test_the_parts_add_up_to_the_step_with_the_feature_pass_spread_over_the_epochs():
    plain, spread = (
        summarise([result(500.0, feature_ms_per_image=ms)], "cifar10s", {"fp32": 100.0}) for ms in (0.0, 2.0)
    )
    assert sum(plain[f"{part}_ms"] for part in PARTS) == pytest.approx(500)
    assert spread["teacher_ms"] - plain["teacher_ms"] == pytest.approx(128 * 2 / EPOCHS)
    assert spread["epoch_seconds"] - plain["epoch_seconds"] == pytest.approx(50_000 * 2e-3 / EPOCHS)


def test_a_process_with_a_slow_neighbour_counts_as_fast_as_it_was():
    found = summarise([result(500.0), result(1000.0)], "utkface", {"fp32": 100.0})
    assert found["images_per_second"] == pytest.approx(256 + 128)


def test_by_its_parts_distillation_costs_what_the_teacher_and_the_loss_take_over_all_else():
    cost = medians(runs())["cost_by_parts"]
    # a tenth of the step reads the teacher, and the loss is 2 %
    assert cost["cifar10s", "resnet18", "student", "reference"] == pytest.approx(0.12 / 0.88)
    # whose features are computed before, two processes at once
    features = 128 * 1.0 / EPOCHS
    assert cost["cifar10s", "resnet18", "student", "fast"] == pytest.approx((0.12 * 250 + features) / (0.88 * 250))
    assert cost.xs("teacher", level="role").isna().all()
    # what is timed alone on a GPU is no part of a recorded step
    assert medians(runs(device="cuda"))["cost_by_parts"].isna().all()


def test_the_cost_of_distillation_is_a_students_time_over_its_teachers():
    cost = medians(runs())["distillation_cost"]
    assert cost["cifar10s", "resnet18", "student", "reference"] == pytest.approx(0.5)
    assert cost["cifar10s", "resnet18", "student", "fast"] == pytest.approx(128 * 1.0 / EPOCHS / 250)
    assert cost.xs("teacher", level="role").isna().all()


def test_texts_are_no_part_of_medians():
    table = medians(runs().assign(machine="a machine", commit="c"))
    assert set(table["machine"]) == {"a machine"}
    assert table["distillation_cost"].notna().sum() == 8


def test_a_ratio_is_compared_with_the_goal_of_its_role():
    compared = ratios(medians(runs())).loc[("utkface", "resnet18")]
    assert compared.loc["teacher", "ratio"] == pytest.approx(4)
    assert compared["goal"].to_dict() == {"student": 4.0, "teacher": 3.0}
    assert compared["met"].all()


@pytest.mark.parametrize(
    ("rounds", "said"),
    [(1, "is of one round,"), (2, "is the mean of two rounds,"), (3, "is the median of 3 rounds,")],
)
def test_the_page_says_what_a_number_of_so_many_rounds_is(rounds, said):
    assert f"Each number {said} in which the engines alternate" in to_markdown(runs(rounds=rounds), "a machine")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_page_names_the_machine_and_shows_every_case(device):
    text = to_markdown(runs(device=device), "Measured on: a machine.")
    assert "Measured on: a machine." in text
    assert text.count("| cifar10s | resnet18 ") == 2 + 2 + 4
    assert "| precision, reference | precision, ours |" in text
    assert ("on the GPU, MB, ours" in text) == (device == "cuda")
    assert "nan" not in text


def test_the_plot_is_drawn(tmp_path):
    draw(runs(), tmp_path / "training.png")
    assert (tmp_path / "training.png").stat().st_size > 10_000


def test_only_the_steps_in_the_window_are_timed():
    seen = []
    batches = window(lambda: range(100), 3, lambda: seen.append("begin"), lambda: seen.append("end"))
    seen_batches = [seen.append(batch) or batch for batch in batches()]
    assert seen_batches == list(range(WARM_UP + 3 + COOL_DOWN))
    timed = seen[seen.index("begin") + 1 : seen.index("end")]
    assert timed == list(range(WARM_UP, WARM_UP + 3))


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_a_worker_measures_every_part_that_its_role_and_its_engine_have(tiny, monkeypatch, engine, role):
    monkeypatch.setattr(reference, "WORKERS", 0)
    found = measure(engine, "tiny", "shufflenet_v2_x1_0", role, steps=1, threads=1)
    parts = found["parts_ms"]
    assert list(parts) == PARTS
    assert sum(parts.values()) == pytest.approx(found["step_ms"])
    assert {part for part in PARTS if parts[part] > 0} == set(PARTS) - ({"teacher"} if role == "teacher" else set())
    assert (found["mfd_loss_ms"] is not None) == (role == "student")
    assert (found["feature_ms_per_image"] > 0) == ((engine, role) == ("fast", "student"))
    assert found["gflop_per_step"] > 0


def test_what_is_kept_of_the_base_counts_as_memory():
    owner = SimpleNamespace(kept={"features": torch.zeros(3, dtype=torch.float64)}, rows=torch.zeros(2), name="x")
    assert tensor_bytes(owner) == 3 * 8 + 2 * 4
    assert tensor_bytes(None) == 0


def test_the_stages_of_a_method_count_by_their_epochs(tiny, monkeypatch):
    spent = iter([0.0, 7.0, 13.0])

    def stop(clock):
        clock.seconds = next(spent)

    monkeypatch.setattr(training_worker.Clock, "stop", stop)
    fitnets = method_settings(kind="fitnets", hint_share=0.25)
    found = measure_method("fast", "tiny", "shufflenet_v2_x1_0", fitnets, steps=2, threads=1)
    assert found == {"step_ms": pytest.approx(1e3 * (0.25 * 7 + 0.75 * 13) / 2), "base_ms": 0.0, "device": "cpu"}


@pytest.mark.parametrize(("method", "kept"), [({"kind": "kd"}, True), ({"kind": "nst"}, False)])
def test_what_a_real_data_set_has_no_room_for_is_read_in_each_step(tiny, monkeypatch, method, kept):
    # 3 + 2 numbers of an image, or whole maps
    monkeypatch.setattr(fast.BaseOutputs, "CACHE", 2 * 1000 * 100)
    found = measure_method("fast", "tiny", "shufflenet_v2_x1_0", method_settings(**method), steps=1, threads=1)
    assert (found["base_ms"] > 0) == kept
