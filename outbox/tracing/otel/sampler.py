"""Which traces are kept: a link to a job's creation counts as a parent does.

The attempts of a job begin traces of their own. If each were sampled by itself, one creation in a
hundred would seldom meet its attempts.
"""

from collections.abc import Sequence

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

_KEPT = context.create_key("duly-kept")


def kept() -> Context:
    """A context in which a span begins a new trace that is kept: that was decided already."""
    return context.set_value(_KEPT, "already decided", Context())


class LinkBased(Sampler):
    """Asks another sampler, which takes the first link of a span without parent for its parent."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """What was decided already, or what the other sampler decides."""
        if context.get_value(_KEPT, parent_context):
            return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes)
        if links and not trace.get_current_span(parent_context).get_span_context().is_valid:
            parent = trace.NonRecordingSpan(links[0].context)
            parent_context = trace.set_span_in_context(parent, Context())
        return self._inner.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """What it is, for people."""
        return f"LinkBased{{{self._inner.get_description()}}}"
