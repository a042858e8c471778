"""A team's own policy: what it may change, what takes a reason, and what is a mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from parity import policies
from parity.config import RunFile, load, validate
from parity.criteria import Parameters
from parity.criteria.map_variance import MapVarianceParameters
from parity.errors import UsageError
from parity.policies import Policy
from parity.policies.looser import loosenings
from tests.unit.test_config import GOOD

STRICTER = """
extends = "canary-10"
[criteria]
map_variance = { limit_percent = 0.05 }
noise_floor = {}
[requires]
soak_hours = 48.0
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        policies.read(write(folder, text))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_stricter_file_takes_all_else_from_what_it_extends(tmp_path: Path) -> None:
    policy, base = policies.read(write(tmp_path, STRICTER)), policies.load("canary-10")
    variance = policy.parameters(MapVarianceParameters, "map_variance")
    assert (variance.limit_percent, variance.least_images) == (0.05, 500)
    assert list(policy.criteria) == [*base.criteria, "noise_floor"]
    assert policy.requires == base.requires.model_copy(update={"soak_hours": 48.0})
    assert (policy.phase, policy.loosened) == ("canary-10", ())
    assert policy.digest != base.digest


def test_a_file_that_changes_nothing_is_the_same_policy(tmp_path: Path) -> None:
    policy = policies.read(write(tmp_path, 'extends = "canary-10"\ndescription = "Ours."'))
    assert policy.digest == policies.load("canary-10").digest


LOOSER = """
extends = "canary-10"
without = ["throughput"]
{reason}
[criteria]
p95_latency = {{ limit_ratio = 1.1 }}
[requires]
evidence = ["answers", "serving", "drill", "tests"]
earlier = ["conversion", "backend"]
max_age_hours = 200.0
tensorrt = false
"""


def test_what_is_looser_takes_a_reason_and_is_named_whole(tmp_path: Path) -> None:
    text = mistakes(tmp_path, LOOSER.format(reason=""))
    for words in (
        'takes `allow_looser = "reason"`',
        "criteria.throughput is left out, in canary-10 judged",
        "criteria.p95_latency.limit_ratio is 1.1, in canary-10 1",
        "requires.earlier is conversion, backend, in canary-10 conversion, integration, backend",
        "requires.max_age_hours is 200, in canary-10 72",
        "requires.tensorrt is false, in canary-10 true",
    ):
        assert words in text


def test_with_a_reason_it_is_let_through_and_kept(tmp_path: Path) -> None:
    policy = policies.read(write(tmp_path, LOOSER.format(reason='allow_looser = "The GPU is shared."')))
    assert [each.what for each in policy.loosened] == [
        "criteria.p95_latency.limit_ratio",
        "criteria.throughput",
        "requires.earlier",
        "requires.max_age_hours",
        "requires.tensorrt",
    ]
    assert {each.reason for each in policy.loosened} == {"The GPU is shared."}
    assert all("The GPU is shared." in note for note in policy.notes)
    assert len(policy.notes) == 5


@pytest.mark.parametrize("reason", ["", "   ", "\\n"])
def test_a_reason_without_words_is_none(tmp_path: Path, reason: str) -> None:
    text = mistakes(tmp_path, f'extends = "conversion"\nwithout = ["flip_rate"]\nallow_looser = "{reason}"')
    assert "a reason in words" in text


def test_a_reason_for_nothing_is_a_mistake(tmp_path: Path) -> None:
    assert "nothing is looser" in mistakes(
        tmp_path, STRICTER.replace("[crit", 'allow_looser = "x"\n[crit', 1)
    )


def test_a_file_of_its_own_is_held_to_the_built_in_of_its_phase(tmp_path: Path) -> None:
    text = mistakes(tmp_path, 'phase = "canary-10"\n[criteria.image_coverage]')
    assert "criteria.map_variance is left out, in canary-10 judged" in text
    assert "requires.tensorrt is false" in text


def test_an_earlier_phase_cannot_be_passed_off_as_a_later_one(tmp_path: Path) -> None:
    text = mistakes(tmp_path, 'extends = "conversion"\nphase = "backend"')
    assert "criteria.existing_tests is left out, in backend judged" in text


def test_loosenings_are_inherited_until_they_are_taken_back(tmp_path: Path) -> None:
    write(
        tmp_path,
        'extends = "conversion"\nallow_looser = "Ours."\n[criteria]\nflip_rate = {limit_percent = 2.0}\n'
        "confidence_shift = {limit = 0.02}",
        "base.toml",
    )
    child = 'extends = "base.toml"\n[criteria]\nflip_rate = { limit_percent = 1.0 }'
    (left,) = policies.read(write(tmp_path, child)).loosened
    assert (left.what, left.than, left.reason) == ("criteria.confidence_shift.limit", "conversion", "Ours.")
    looser = 'extends = "base.toml"\n[criteria]\nflip_rate = { limit_percent = 3.0 }'
    assert "flip_rate.limit_percent is 3, in base.toml 2" in mistakes(tmp_path, looser)
    excused = policies.read(write(tmp_path, 'allow_looser = "More."\n' + looser)).loosened
    assert {(each.what, each.loose, each.reason) for each in excused} == {
        ("criteria.confidence_shift.limit", "0.02", "Ours."),
        ("criteria.flip_rate.limit_percent", "3", "More."),
    }


LISTS = """
extends = "integration"
[criteria]
p95_latency = {{ concurrencies = {loads} }}
metrics_available = {{ metrics = {metrics} }}
"""
QUEUE = "nv_inference_queue_duration_us"


@pytest.mark.parametrize(
    ("loads", "metrics"),
    [([1, 2, 4, 8, 16], [QUEUE]), ([1, 2, 4, 8, 16, 32], [QUEUE, "nv_inference_count"])],
)
def test_a_list_with_more_entries_is_no_looser(tmp_path: Path, loads: list[int], metrics: list[str]) -> None:
    text = LISTS.format(loads=loads, metrics=metrics)
    assert policies.read(write(tmp_path, text)).loosened == ()


def test_a_list_without_an_entry_is_looser_whatever_was_added(tmp_path: Path) -> None:
    text = LISTS.format(loads=[1, 2, 4, 8, 32], metrics=["nv_inference_count"])
    told = mistakes(tmp_path, text)
    assert "p95_latency.concurrencies is 1, 2, 4, 8, 32, in integration 1, 2, 4, 8, 16" in told
    assert f"metrics_available.metrics is nv_inference_count, in integration {QUEUE}" in told


def test_the_order_of_a_list_changes_nothing_and_an_entry_twice_is_a_mistake(tmp_path: Path) -> None:
    shuffled = LISTS.format(loads=[16, 1, 8, 2, 4], metrics=[QUEUE])
    assert policies.read(write(tmp_path, shuffled)).digest == policies.load("integration").digest
    told = mistakes(tmp_path, LISTS.format(loads=[1, 2, 4, 8, 16, 16], metrics=[QUEUE, QUEUE]))
    assert "criteria.p95_latency.concurrencies" in told and "16 is there twice" in told
    assert f"'{QUEUE}' is there twice" in told


def test_a_parameter_that_does_not_say_which_way_is_looser_is_so_any_way() -> None:
    class Unsaid(Parameters):
        knob: float = Field(1.0)

    def policy(knob: float) -> Policy:
        return Policy(phase="x", description="", criteria={"image_coverage": Unsaid(knob=knob)})

    assert loosenings(policy(1.0), policy(1.0), "it") == ()
    for other in (0.5, 2.0):
        (found,) = loosenings(policy(1.0), policy(other), "it")
        assert found.what == "criteria.image_coverage.knob"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "canary-11"', "no policy is called 'canary-11'; did you mean 'canary-10'?"),
        ('extends = "gone.toml"', "gone.toml: no such file"),
        ('extends = "../other.toml"', "leads out of the policy's folder"),
        ('extends = "/etc/other.toml"', "leads out of the policy's folder"),
        ('extends = "a\\u0000.toml"', "is no name of a file"),
        (f'extends = "{"a" * 300}.toml"', "cannot be read"),
        ('extends = "mine.toml"', "extends itself: mine.toml -> mine.toml"),
        ('phase = "canary-5"\n[criteria.image_coverage]', "no phase is called 'canary-5'"),
        ('extends = "conversion"\nwithout = ["flip_rat"]', "'flip_rat' is not among what is extended"),
        (
            'extends = "conversion"\nwithout = ["flip_rate"]\n[criteria.flip_rate]',
            "'flip_rate', which [criteria.flip_rate] sets",
        ),
        ('phase = "x"\nwithout = ["flip_rate"]\n[criteria.image_coverage]', "not among what is extended"),
        ('extends = "conversion"\n[requires]\nleast_image = 5', "did you mean 'least_images'?"),
        ('extends = "conversion"\n[requires]\nevidence = ["answer"]', "did you mean 'answers'?"),
        ('extends = "backend"\n[requires]\nearlier = ["convercion"]', "did you mean 'conversion'?"),
        ('extends = "conversion"\n[requires]\nevidence = ["answers", "answers"]', "there twice"),
        ('extends = "conversion"\n[requires]\nearlier = ["backend"]', "'backend' is not before 'conversion'"),
        ('extends = "conversion"\n[requires]\nearlier = ["conversion"]', "is not before 'conversion'"),
        ('extends = "backend"\n[requires]\nevidence = ["answers"]', "lacks serving, drill, tests, which"),
        ('extends = "conversion"\n[requires]\nmax_age_hours = inf', "requires.max_age_hours"),
        ('extends = "conversion"\n[requires]\nleast_images = "5"', "requires.least_images"),
        ('extends = "conversion"\n[requires]\ntensorrt = 1', "requires.tensorrt"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: str) -> None:
    assert words in mistakes(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = mistakes(
        tmp_path,
        'extends = "nothing"\nphases = "x"\nwithout = 3\ndescription = 4\n[criteria]\nflip_rate = 5\n'
        "p95_latancy = {}\nmap_variance = { limit = 1 }\n[requires]\nearlier = 1",
    )
    assert text.count("\n  - ") == 8
    for words in ("'nothing'", "'phases'; did you mean 'phase'?", "without", "description"):
        assert words in text
    for words in ("criteria.flip_rate", "'p95_latency'", "criteria.map_variance.limit", "requires.earlier"):
        assert words in text


def test_files_that_extend_each_other_are_told_of(tmp_path: Path) -> None:
    write(tmp_path, 'extends = "b.toml"', "a.toml")
    write(tmp_path, 'extends = "a.toml"', "b.toml")
    assert "extends itself: a.toml -> b.toml -> a.toml" in mistakes(tmp_path, 'extends = "a.toml"')


def test_a_chain_of_files_has_an_end(tmp_path: Path) -> None:
    write(tmp_path, 'extends = "conversion"', "0.toml")
    for i in range(1, 8):
        write(tmp_path, f'extends = "{i - 1}.toml"', f"{i}.toml")
    assert policies.read(tmp_path / "7.toml").digest == policies.load("conversion").digest
    assert "a chain of over 8 files" in mistakes(tmp_path, 'extends = "7.toml"')


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "base.toml").symlink_to(write(tmp_path, STRICTER, "outside.toml"))
    assert "leads out" in mistakes(inside, 'extends = "base.toml"')


def test_text_alone_extends_no_file() -> None:
    with pytest.raises(UsageError, match="only a file can extend one"):
        policies.parse('extends = "a.toml"', where="mine")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x = 1\n" * 20_000, "too large"),
        (b"\xff", "not TOML"),
        (b"x = " + b"9" * 5000, "not TOML"),
        (b"x = " + b"[" * 5000, "not TOML"),
        (b"x." * 1000 + b"x = 1", "deep"),
        (b"x = " + b"[" * 20 + b"]" * 20, "deep"),
        (b"\x00", "not TOML"),
        (b"phase = 1979-05-27\n[criteria.image_coverage]\nx = 1979-05-27", "criteria.image_coverage.x"),
        (b'phase = "\\u202Ex"\n[criteria.image_coverage]', "no phase is called"),
    ],
)
def test_hostile_files(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        policies.read(path)


def test_a_folder_or_nothing_is_no_policy(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.toml"):
        with pytest.raises(UsageError, match="no such file"):
            policies.read(path)


def run_file(tmp_path: Path, **changes: Any) -> RunFile:
    lines = "".join(f'{key} = "{value}"\n' for key, value in changes.items())
    return load(write(tmp_path, lines + GOOD, "parity.toml"), None, None)


def test_a_run_file_without_a_policy_is_judged_by_its_phase(tmp_path: Path) -> None:
    assert policies.for_run(run_file(tmp_path)).digest == policies.load("rehearsal").digest


def test_a_run_file_names_a_policy_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, STRICTER)
    monkeypatch.chdir("/")
    found = policies.for_run(run_file(tmp_path, phase="canary-10", policy="mine.toml"))
    assert found.requires.soak_hours == 48.0


def test_a_policy_of_another_phase_than_the_run_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, STRICTER)
    with pytest.raises(UsageError, match='set phase = "canary-10"'):
        policies.for_run(run_file(tmp_path, policy="mine.toml"))


def test_the_examples_of_the_documents_are_policies(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", Path("docs/policies.md").read_text("utf-8"), re.DOTALL)
    stricter, looser = [block for block in blocks if block.startswith("extends")]
    assert not policies.read(write(tmp_path, stricter)).loosened
    assert len(policies.read(write(tmp_path, looser)).loosened) == 1
    without = re.sub("allow_looser = .*\n", "", looser)
    message = mistakes(tmp_path, without).split("mine.toml: ")[1]
    assert f"error: loose.toml: {message}" in Path("docs/policies.md").read_text("utf-8")


def test_a_policys_defaults_are_those_of_its_parameters() -> None:
    policy = policies.parse('phase = "x"\n[criteria.map_variance]', where="x")
    assert policy.criteria == {"map_variance": validate(MapVarianceParameters, {})}
    assert policy.requires.evidence == ("answers",)
