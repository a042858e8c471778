"""What parity says to TensorRT's Python API, by version.

TensorRT itself is not installed here: the modules are drawn from NVIDIA's list of what 11 removed. The same
functions run against the real TensorRT-RTX in tests/integration/test_build.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.errors import UsageError
from parity.repository import trt_api

VERSION_10 = SimpleNamespace(
    __name__="tensorrt",
    __version__="10.16.2.10",
    NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0, STRONGLY_TYPED=1),
    MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
)
VERSION_11 = SimpleNamespace(
    __name__="tensorrt",
    __version__="11.4.1.6",
    NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
    MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
)
WITHOUT_FLAGS = SimpleNamespace(NetworkDefinitionCreationFlag=SimpleNamespace())
RTX = SimpleNamespace(
    __name__="tensorrt_rtx",
    __version__="1.7",
    ComputeCapability=SimpleNamespace(SM89="ada", SM120="blackwell", SM75="turing", NONE=0, CURRENT=-1),
)


@pytest.mark.parametrize(("trt", "flags"), [(VERSION_10, 2), (VERSION_11, 2), (WITHOUT_FLAGS, 0)])
def test_networks_are_strongly_typed_wherever_that_can_be_said(trt: Any, flags: int) -> None:
    assert trt_api.network_flags(trt) == flags


@pytest.mark.parametrize("trt", [VERSION_10, VERSION_11])
def test_the_workspace_is_a_memory_pool(trt: Any) -> None:
    said: list[tuple[str, int]] = []
    config = SimpleNamespace(set_memory_pool_limit=lambda *told: said.append(told))
    trt_api.limit_workspace(trt, config, None)
    assert said == []
    trt_api.limit_workspace(trt, config, 512)
    assert said == [("workspace", 512 << 20)]


def test_capabilities_are_those_that_the_library_names() -> None:
    assert trt_api.known_capabilities(RTX) == ["7.5", "8.9", "12.0"]
    said: list[tuple[str, int]] = []
    config = SimpleNamespace(set_compute_capability=lambda *told: said.append(told))
    trt_api.set_capabilities(RTX, config, ("12.0", "8.9"))
    assert (config.num_compute_capabilities, said) == (2, [("blackwell", 0), ("ada", 1)])


def test_unknown_capabilities_are_all_told() -> None:
    with pytest.raises(UsageError, match=r"does not build for 9\.0, 10\.0") as caught:
        trt_api.set_capabilities(RTX, SimpleNamespace(), ("9.0", "8.9", "10.0"))
    assert "7.5, 8.9, 12.0" in str(caught.value)


def test_parser_errors_name_the_node() -> None:
    def error(name: str) -> Any:
        return SimpleNamespace(
            node_operator=lambda: "MatMul", node_name=lambda: name, desc=lambda: "types differ"
        )

    found = [error("/a/b"), error("")]
    parser = SimpleNamespace(num_errors=2, get_error=lambda index: found[index])
    assert trt_api.parser_errors(parser) == ["MatMul '/a/b': types differ", "types differ"]


def test_a_fraction_of_nested_phases() -> None:
    fraction = trt_api.Fraction()
    fraction.start("build", None, 4)
    assert fraction.value() == 0
    fraction.complete("build", 0)
    assert fraction.value() == 0.25
    fraction.start("tactics", "build", 2)
    fraction.complete("tactics", 0)
    assert fraction.value() == 0.375
    fraction.finish("tactics")
    assert fraction.value() == 0.375
    fraction.finish("build")
    assert fraction.value() == 1


PHASES = st.sampled_from("abc")


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("start"),
                st.sampled_from("abc"),
                st.sampled_from([None, "a", "b"]),
                st.integers(-1, 5),
            ),
            st.tuples(st.just("complete"), st.sampled_from("abcd"), st.integers(-1, 9)),
            st.tuples(st.just("finish"), st.sampled_from("abcd")),
        )
    )
)
def test_a_fraction_never_falls_whatever_is_reported(events: list[tuple[Any, ...]]) -> None:
    fraction, reached = trt_api.Fraction(), 0.0
    for name, *arguments in events:
        if name == "start" and arguments[0] == arguments[1]:
            continue  # a phase is not its own parent
        getattr(fraction, name)(*arguments)
        value = fraction.value()
        assert reached <= value <= 1
        reached = value
