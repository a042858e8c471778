"""LayerNorms in single steps are judged by the type that they really square in, also in mixed graphs."""

from __future__ import annotations

import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from parity.repository.check.graph_facts import read_graph
from parity.repository.check.graph_types import tensor_types
from tests.repository_samples import layernorm_steps

HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT


def cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=kind)


def mixed(before: list[NodeProto], steps: list[NodeProto] | None = None) -> onnx.ModelProto:
    """A network whose one tensor `half` is FP16; `before` makes `x` of it, which is normalised in steps."""
    weights = [
        numpy_helper.from_array(numpy_helper.to_array(helper.make_tensor("", kind, [4], [0.5] * 4)), name)
        for name, kind in (("bias", SINGLE), ("half_bias", HALF), ("half_two", HALF), ("two", SINGLE))
    ]
    nodes = [cast("images", "half", HALF), *before, *(steps or layernorm_steps())]
    nodes.append(cast("variance", "output0", SINGLE))
    ends = [helper.make_tensor_value_info(name, SINGLE, [1, 4]) for name in ("images", "output0")]
    graph = helper.make_graph(nodes, "mixed", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def through(*casts: int) -> list[NodeProto]:
    """LayerNorm's steps with casts to these types before the square and after it."""
    before, after = casts
    return [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        cast("centred", "recast", before),
        helper.make_node("Mul", ["recast", "recast"], ["square"]),
        cast("square", "squared", after),
        helper.make_node("ReduceMean", ["squared"], ["variance"], axes=[-1]),
    ]


@pytest.mark.parametrize(
    ("before", "steps", "kind"),
    [
        ([cast("half", "x", SINGLE)], None, "FP32"),
        ([cast("half", "a", SINGLE), helper.make_node("Add", ["a", "bias"], ["x"])], None, "FP32"),
        (
            [
                cast("half", "a", SINGLE),
                helper.make_node("Add", ["bias", "a"], ["b"]),
                helper.make_node("Transpose", ["b"], ["x"]),
            ],
            None,
            "FP32",
        ),
        ([helper.make_node("Add", ["half", "half_bias"], ["x"])], None, "FP16"),
        ([cast("half", "a", SINGLE), cast("a", "x", HALF)], None, "FP16"),
        ([cast("half", "x", SINGLE)], through(HALF, SINGLE), "FP16"),
        ([helper.make_node("Identity", ["half"], ["x"])], through(SINGLE, HALF), "FP32"),
        ([helper.make_node("If", ["half"], ["x"])], None, ""),
    ],
    ids=["cast", "cast, add", "cast, add, transpose", "add in half", "cast back", "cast before the square",
         "cast around the square", "from a branch"],
)  # fmt: skip
def test_the_type_that_is_squared_in(before: list[NodeProto], steps: list[NodeProto], kind: str) -> None:
    facts = read_graph(mixed(before, steps).SerializeToString())
    assert facts is not None
    ((_, found),) = facts.layernorms
    assert found == kind


def test_what_a_converter_left_noted_does_not_count() -> None:
    model = mixed([cast("half", "a", SINGLE), helper.make_node("Add", ["a", "bias"], ["x"])])
    model.graph.value_info.append(helper.make_tensor_value_info("x", HALF, [1, 4]))
    model.graph.value_info.append(helper.make_tensor_value_info("nowhere", HALF, [1, 4]))
    assert tensor_types(model.graph, model.graph.node)["x"] == "FP32"


def test_what_the_graph_notes_of_a_branch_counts() -> None:
    model = mixed([helper.make_node("If", ["half"], ["x"])])
    model.graph.value_info.append(helper.make_tensor_value_info("x", SINGLE, [1, 4]))
    assert tensor_types(model.graph, model.graph.node)["x"] == "FP32"


def test_the_types_are_those_that_onnx_infers() -> None:
    """ONNX's own inference is the oracle, on operators with outputs of every kind."""
    nodes = [
        cast("images", "half", HALF),
        helper.make_node("Shape", ["half"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Greater", ["images", "zeros"], ["mask"]),
        helper.make_node("Where", ["mask", "images", "zeros"], ["chosen"]),
        helper.make_node("CastLike", ["chosen", "half"], ["like"]),
        helper.make_node("ArgMax", ["like"], ["best"], axis=1),
        helper.make_node("Reshape", ["like", "shape"], ["shaped"]),
        helper.make_node("Gather", ["shaped", "best"], ["gathered"]),
        helper.make_node("Constant", [], ["three"], value=helper.make_tensor("", HALF, [], [3.0])),
        helper.make_node("Pow", ["gathered", "three"], ["cubed"]),
        helper.make_node("ReduceSum", ["cubed"], ["summed"]),
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["quantised"]),
        helper.make_node("DequantizeLinear", ["quantised", "scale", "zero"], ["output0"]),
    ]
    weights = [
        helper.make_tensor("scale", SINGLE, [], [0.1]),
        helper.make_tensor("zero", TensorProto.INT8, [], [0]),
    ]
    ends = [helper.make_tensor_value_info(name, SINGLE, [1, 4]) for name in ("images", "output0")]
    graph = helper.make_graph(nodes, "kinds", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    wanted = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.output)}
    assert len(wanted) == len(nodes)
    names = {1: "FP32", 3: "INT8", 7: "INT64", 9: "BOOL", 10: "FP16"}
    found = tensor_types(model.graph, model.graph.node)
    assert {name: found[name] for name in wanted} == {name: names[kind] for name, kind in wanted.items()}
