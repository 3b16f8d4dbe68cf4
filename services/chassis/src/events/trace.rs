//! W3C trace context in and out of events.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const HEADER: &str = "traceparent";

/// The trace context of the current span; empty outside of a trace.
pub(super) fn current() -> String {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut headers);
    headers.remove(HEADER).unwrap_or_default()
}

/// Makes what an event says its cause was the parent of a span.
pub(super) fn continue_from(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let headers = HashMap::from([(HEADER.to_owned(), traceparent.to_owned())]);
    let cause = TraceContextPropagator::new().extract(&headers);
    // The only failure is a span that no subscriber records.
    let _ = span.set_parent(cause);
}
