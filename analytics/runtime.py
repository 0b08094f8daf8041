"""Runs ONNX graphs: the only module that knows onnxruntime.

One thread for each session, set explicitly: the graphs here are small, and a pool of threads that
spin between calls costs more than it gains. No memory arena: it would keep the largest buffer
ever needed for good.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway.core.arrays import BoolArray, Float32Array, FloatArray, frozen
from gateway.core.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NODE_COUNT_MAX: Final = 200
"""A graph with more nodes pays more for walking through them than for its arithmetic."""

ROWS: Final = "rows"
SCORE: Final = "score"
CONTRIBUTION: Final = "contribution"
"""Names in the graph of a model of distance; see `Method`."""
HISTORY: Final = "history"
STATISTIC: Final = "statistic"
"""Names in the graph of a model of statistics, beside `CONTRIBUTION`."""

_ERRORS_ONLY: Final = 3


class Session:
    """One loaded graph; not for two threads at once."""

    def __init__(self, model: bytes) -> None:
        """Load a graph.

        Raises:
            ModelError: the bytes are no graph that this runtime can run.
        """
        self._session = _open(model)
        self.inputs = {each.name: _shape(each.shape) for each in self._session.get_inputs()}
        """Shape of each input by name; None where it may vary."""
        self.outputs = {each.name: _shape(each.shape) for each in self._session.get_outputs()}
        """Shape of each output by name; None where it may vary."""
        self._output_names = list(self.outputs)

    def run(self, inputs: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
        """Run the graph and return its outputs by name.

        Raises:
            ModelError: the inputs do not fit the graph, or the graph fails on them.
        """
        try:
            outputs = self._session.run(self._output_names, dict(inputs))
        except _run_errors() as error:
            raise ModelError(f"the model fails on its input: {error}") from error
        return dict(zip(self._output_names, outputs, strict=True))


class RowScorer:
    """Scores the rows of all assets of a type in one call; not for two threads at once."""

    def __init__(self, model: bytes, *, row_count: int, column_count: int) -> None:
        """Load the graph of an anomaly model.

        Args:
            model: The ONNX graph.
            row_count: Rows in every call, n.
            column_count: Columns of a row, m.
        Raises:
            ModelError: it does not load, or its inputs and outputs are not those of an anomaly
                model with m columns.
        """
        self._session = Session(model)
        self._row_count, self._column_count = row_count, column_count
        if set(self._session.inputs) != {ROWS}:
            raise ModelError(f"the model's inputs are {list(self._session.inputs)}, not {[ROWS]}")
        missing = {SCORE, CONTRIBUTION} - self._session.outputs.keys()
        if missing:
            raise ModelError(f"the model lacks the outputs {sorted(missing)}")
        self._rows = np.zeros((row_count, column_count), dtype=np.float32)
        self._inputs = {ROWS: self._rows}
        # The shapes that a graph declares may be missing or wrong; what it returns counts.
        self.run(self._rows, np.ones(row_count, dtype=np.bool_))

    def run(
        self, rows: FloatArray | Float32Array, is_usable: BoolArray
    ) -> tuple[Float32Array, Float32Array]:
        """Return score (n,) and contribution (n, m); what stands for unusable rows is no result.

        Args:
            rows: Shape (n, m).
            is_usable: Which rows count, shape (n,); the graph sees zeros for the others, so that
                a NaN there cannot slow it down.
        Raises:
            ModelError: the graph fails, or its outputs have the wrong shape.
        """
        np.copyto(self._rows, rows, casting="same_kind")
        self._rows[~is_usable] = 0.0
        outputs = self._session.run(self._inputs)
        score, contribution = outputs[SCORE], outputs[CONTRIBUTION]
        if score.shape != (self._row_count,) or contribution.shape != self._rows.shape:
            raise ModelError(
                f"the model returns scores of shape {score.shape} and contributions of shape "
                f"{contribution.shape} for rows of shape {self._rows.shape}"
            )
        return frozen(score), frozen(contribution)


class StatisticsGraph:
    """Computes the statistics of the last rows of all assets; not for two threads at once."""

    def __init__(self, model: bytes, *, shape: tuple[int, int, int], statistic_count: int) -> None:
        """Load the graph of a model of statistics.

        Args:
            model: The ONNX graph.
            shape: Of the histories in every call, (n, L, m).
            statistic_count: k.
        Raises:
            ModelError: it does not load, or its inputs and outputs are not those of such a model.
        """
        self._session = Session(model)
        if set(self._session.inputs) != {HISTORY}:
            raise ModelError(f"the model's inputs are {list(self._session.inputs)}, not {HISTORY}")
        missing = {STATISTIC, CONTRIBUTION} - self._session.outputs.keys()
        if missing:
            raise ModelError(f"the model lacks the outputs {sorted(missing)}")
        self.history: Float32Array = np.zeros(shape, dtype=np.float32)
        """What the next run sees, shape (n, L, m), the oldest row first; it may be written to."""
        self._inputs = {HISTORY: self.history}
        self._shapes = ((shape[0], statistic_count), (shape[0], statistic_count, shape[2]))
        self.run()

    def run(self) -> tuple[Float32Array, Float32Array]:
        """Return statistics (n, k) and contributions (n, k, m).

        Raises:
            ModelError: the graph fails, or its outputs have the wrong shape.
        """
        outputs = self._session.run(self._inputs)
        statistic, contribution = outputs[STATISTIC], outputs[CONTRIBUTION]
        if (statistic.shape, contribution.shape) != self._shapes:
            raise ModelError(
                f"the model returns statistics of shape {statistic.shape} and contributions of "
                f"shape {contribution.shape} for histories of shape {self.history.shape}"
            )
        return statistic, contribution


def read_constants(model: bytes) -> dict[str, FloatArray]:
    """Return the outputs of a graph without inputs, read-only.

    Raises:
        ModelError: it does not load, or wants inputs.
    """
    session = Session(model)
    if session.inputs:
        raise ModelError(f"the model's inputs are {list(session.inputs)}, it should have none")
    outputs = session.run({})
    return {name: frozen(np.array(value, dtype=np.float64)) for name, value in outputs.items()}


def size_warning(model: bytes) -> str | None:
    """Return a sentence when a graph has so many nodes that it will be slow; else None.

    Raises:
        ModelError: the bytes are no ONNX model.
    """
    try:
        node_count = sum(
            1
            for graph in _messages(memoryview(model), field=_GRAPH_FIELD)
            for _ in _messages(graph, field=_NODE_FIELD)
        )
    except ValueError as error:
        raise ModelError(f"the model is damaged: {error}") from error
    if node_count <= NODE_COUNT_MAX:
        return None
    return (
        f"the model has {node_count} nodes; above {NODE_COUNT_MAX} a call takes longer for "
        "walking through them than for the arithmetic: export it as fewer, larger operations"
    )


def _open(model: bytes) -> "InferenceSession":
    # Heavy: imported when the first model is loaded.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _run_errors() as error:
        raise ModelError(f"the model cannot be loaded: {error}") from error


def _run_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises for a graph or an input that it cannot take."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # They have no common base of their own; ValueError and RuntimeError are its Python layer's.
    return (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
        state.NoSuchFile,
        state.EngineError,
        ValueError,
        RuntimeError,
    )


def _shape(declared: list[object]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in declared)


_GRAPH_FIELD: Final = 7
"""`graph` in onnx.proto's ModelProto."""
_NODE_FIELD: Final = 1
"""`node` in onnx.proto's GraphProto."""


def _messages(message: memoryview, *, field: int) -> Iterator[memoryview]:
    """Yield the parts of a protobuf message that stand in a field of messages.

    Raises:
        ValueError: the message is damaged.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        match key & 7:
            case 0:
                _, position = _varint(message, position)
            case 1:
                position += 8
            case 2:
                size, position = _varint(message, position)
                if key >> 3 == field:
                    yield message[position : position + size]
                position += size
            case 5:
                position += 4
            case _:
                raise ValueError("a group or an unknown wire type")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number of protobuf's variable length and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number without an end")
