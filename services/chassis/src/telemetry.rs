//! Traces, metrics and logs: `tracing` inside, OTLP outside, W3C trace context in and out over gRPC, HTTP and the event
//! feed. Every SQL statement becomes a span of its own without a word in the code that runs it.

use std::{
    task::{Context as Poll2, Poll},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, KeyValue, global,
    metrics::Histogram,
    propagation::{Extractor, Injector},
    trace::{Span as _, SpanKind, TraceContextExt, TraceId, Tracer, TracerProvider},
};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    metrics::SdkMeterProvider,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tracing::{Instrument, Level, Metadata, Span, Subscriber, field::Field, field::Visit};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{
        self, FmtContext, FormatEvent,
        format::{Format, Json, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::Config;

/// Sends what is still held when dropped.
#[must_use = "telemetry ends when this is dropped"]
#[derive(Default)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Sends the spans held so far.
    pub fn flush(&self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::force_flush) {
            tracing::warn!(%error, "spans could not be sent");
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A receiver that is away must not keep the process; the exporters' own timeouts bound this.
        let _ = self
            .traces
            .take()
            .map(|provider| provider.shutdown_with_timeout(Duration::from_secs(3)));
        let _ = self
            .metrics
            .take()
            .map(|provider| provider.shutdown_with_timeout(Duration::from_secs(3)));
        let _ = self
            .logs
            .take()
            .map(|provider| provider.shutdown_with_timeout(Duration::from_secs(3)));
    }
}

/// Starts logging and tracing and, if a receiver is configured, export. Call once in a process, inside a tokio runtime.
pub fn init(config: &Config, process: &'static str) -> anyhow::Result<Telemetry> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let filter = EnvFilter::try_new(&config.log)
        .context("--log is not a filter such as info,chassis=debug")?;
    let resource = Resource::builder()
        .with_service_name(process)
        .with_attributes([
            KeyValue::new("service.namespace", "civicmesh"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ])
        .build();
    // Without a receiver too: requests have an id to quote, and a caller's trace goes on behind us.
    let mut traces = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            config.trace_share,
        ))));
    let (mut metrics, mut logs) = (None, None);
    if let Some(endpoint) = &config.otlp_endpoint {
        traces = traces.with_batch_exporter(
            opentelemetry_otlp::SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()?,
        );
        metrics = Some(metrics_to(endpoint, resource.clone())?);
        logs = Some(logs_to(endpoint, resource)?);
    }
    let traces = traces.build();
    global::set_tracer_provider(traces.clone());
    if let Some(metrics) = &metrics {
        global::set_meter_provider(metrics.clone());
    }
    let tracer = traces.tracer("civicmesh");
    let statements = config.otlp_endpoint.as_ref().map(|_| {
        let tracer = tracer.clone();
        SqlSpans { tracer }.with_filter(filter_fn(|metadata| metadata.target() == "sqlx::query"))
    });
    let sent = logs
        .as_ref()
        .map(|logs| OpenTelemetryTracingBridge::new(logs).with_filter(filter_fn(is_log)));
    tracing_subscriber::registry()
        .with(spans(tracer))
        .with(lines().with_filter(filter))
        .with(statements)
        .with(sent)
        .try_init()
        .context("telemetry is started once")?;
    Ok(Telemetry {
        traces: Some(traces),
        metrics,
        logs,
    })
}

fn metrics_to(endpoint: &str, resource: Resource) -> anyhow::Result<SdkMeterProvider> {
    let exporter = opentelemetry_otlp::MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    Ok(SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .with_resource(resource)
        .build())
}

fn logs_to(endpoint: &str, resource: Resource) -> anyhow::Result<SdkLoggerProvider> {
    let exporter = opentelemetry_otlp::LogExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    Ok(SdkLoggerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// Makes our spans those of a trace.
fn spans<S: Subscriber + for<'a> LookupSpan<'a>>(tracer: SdkTracer) -> impl Layer<S> {
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_filter(filter_fn(is_ours))
}

/// Writes one JSON object a line.
fn lines<S>() -> fmt::Layer<S, JsonFields, Line>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let json = fmt::format()
        .json()
        .flatten_event(true)
        .with_current_span(true);
    fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(Line(json))
}

/// A line with the id of the trace it belongs to, first.
struct Line(Format<Json>);

impl<S> FormatEvent<S, JsonFields> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let current = Context::current();
        let trace = current.span().span_context().trace_id();
        if trace == TraceId::INVALID {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let fields = line.strip_prefix('{').unwrap_or(&line);
        write!(writer, r#"{{"trace_id":"{trace}",{fields}"#)
    }
}

/// Spans of the libraries below us (h2, hyper, the exporter itself) are noise.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::INFO && !is_transport(metadata.target())
}

/// The exporter's own transport must not log into itself.
fn is_log(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && *metadata.level() <= Level::INFO && !is_transport(metadata.target())
}

fn is_transport(target: &str) -> bool {
    [
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower",
        "opentelemetry",
    ]
    .iter()
    .any(|name| {
        target
            .split("::")
            .next()
            .is_some_and(|root| root.starts_with(name))
    })
}

/// Makes a span of each statement that sqlx reports when it has ended, below the span it ran in.
struct SqlSpans {
    tracer: SdkTracer,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SqlSpans {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let parent = Context::current();
        if !parent.span().span_context().is_sampled() {
            return;
        }
        let mut statement = Statement::default();
        event.record(&mut statement);
        let end = SystemTime::now();
        let start = end
            .checked_sub(Duration::from_secs_f64(statement.elapsed))
            .unwrap_or(end);
        let text = if statement.text.is_empty() {
            statement.summary.clone()
        } else {
            statement.text
        };
        let mut span = self
            .tracer
            .span_builder(statement.summary)
            .with_kind(SpanKind::Client)
            .with_start_time(start)
            .with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.query.text", text.trim().to_owned()),
                KeyValue::new("db.response.returned_rows", statement.rows),
            ])
            .start_with_context(&self.tracer, &parent);
        span.end_with_timestamp(end);
    }
}

#[derive(Default)]
struct Statement {
    summary: String,
    text: String,
    rows: i64,
    elapsed: f64,
}

impl Visit for Statement {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = value;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = i64::try_from(value).unwrap_or(i64::MAX);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// Writes the current span's W3C trace context into the headers of a call that leaves.
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeadersMut(headers))
    });
}

/// The current span's `traceparent`, to travel with an event; empty outside a trace.
#[must_use]
pub fn traceparent() -> String {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// Puts a span below the one that a `traceparent` names; nothing if it names none.
pub fn follow(span: &Span, traceparent: &str) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(traceparent) {
        headers.insert("traceparent", value);
        follow_headers(span, &headers);
    }
}

/// Puts a span below the one that arrived in these headers; nothing if none did.
pub fn follow_headers(span: &Span, headers: &HeaderMap) {
    let parent =
        global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    if parent.span().span_context().is_valid() {
        let _ = span.set_parent(parent);
    }
}

/// The current trace's id in hexadecimal, for people to quote; empty outside a trace.
#[must_use]
pub fn trace_id() -> String {
    let context = Span::current().context();
    let span = context.span();
    if span.span_context().is_valid() {
        span.span_context().trace_id().to_string()
    } else {
        String::new()
    }
}

/// Wraps a server so that each request runs in a span below its caller's and is measured.
#[derive(Clone)]
pub struct ServerLayer {
    service: &'static str,
    durations: Histogram<f64>,
}

impl ServerLayer {
    /// A layer whose spans say which service answered.
    #[must_use]
    pub fn new(service: &'static str) -> Self {
        let durations = global::meter("civicmesh")
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Duration of calls served, by method and status.")
            .build();
        Self { service, durations }
    }
}

impl<S> tower::Layer<S> for ServerLayer {
    type Service = TracedServer<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TracedServer {
            inner,
            layer: self.clone(),
        }
    }
}

/// A server whose requests are traced and measured.
#[derive(Clone)]
pub struct TracedServer<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, B, R> tower::Service<http::Request<B>> for TracedServer<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Poll2<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let name = path.trim_start_matches('/').to_owned();
        let span = tracing::info_span!(
            "request",
            otel.name = name,
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            civicmesh.service = self.layer.service,
            url.path = path,
            http.response.status_code = tracing::field::Empty,
            rpc.response.status_code = tracing::field::Empty,
        );
        follow_headers(&span, request.headers());
        let durations = self.layer.durations.clone();
        let service = self.layer.service;
        let start = Instant::now();
        let answer = self.inner.call(request);
        let recorded = span.clone();
        Box::pin(
            async move {
                let answer = answer.await;
                if let Ok(response) = &answer {
                    let status = response
                        .headers()
                        .get("grpc-status")
                        .and_then(|value| value.to_str().ok());
                    recorded.record("http.response.status_code", response.status().as_u16());
                    recorded.record("rpc.response.status_code", status.unwrap_or("0"));
                    // Only what is our fault is an error: UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS, 5xx.
                    if response.status().is_server_error()
                        || matches!(status, Some("2" | "13" | "14" | "15"))
                    {
                        recorded.record("otel.status_code", "ERROR");
                    }
                    durations.record(
                        start.elapsed().as_secs_f64(),
                        &[
                            KeyValue::new("civicmesh.service", service),
                            KeyValue::new("rpc.method", bounded_name(&path)),
                            KeyValue::new(
                                "rpc.response.status_code",
                                status.unwrap_or("0").to_owned(),
                            ),
                        ],
                    );
                }
                answer
            }
            .instrument(span),
        )
    }
}

/// Only the contract's own methods become metric labels; a stranger's paths would grow without bound.
fn bounded_name(path: &str) -> String {
    let name = path.trim_start_matches('/');
    let known = name
        .split_once('/')
        .is_some_and(|(service, _)| proto::DESCRIPTORS.get_service_by_name(service).is_some());
    if known {
        name.to_owned()
    } else {
        "other".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Seek},
        sync::Arc,
    };

    use super::*;

    #[test]
    fn a_line_names_its_trace() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber = tracing_subscriber::registry()
            .with(spans(tracer))
            .with(lines().with_writer(Arc::clone(&file)));
        let trace = tracing::subscriber::with_default(subscriber, || {
            tracing::info!("outside");
            tracing::info_span!("request").in_scope(|| {
                tracing::info_span!("call").in_scope(|| tracing::info!("inside"));
                trace_id()
            })
        });
        assert_eq!(trace.len(), 32);
        let mut written = String::new();
        (&*file).rewind().unwrap();
        (&*file).read_to_string(&mut written).unwrap();
        let lines: Vec<serde_json::Value> = written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0].get("trace_id"), None);
        assert_eq!(lines[1]["trace_id"], trace);
        assert_eq!(lines[1]["message"], "inside");
    }
}
