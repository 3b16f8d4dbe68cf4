//! A real OTLP/gRPC receiver that keeps the spans.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::eventually;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The process: `service.name` of its resource.
    pub process: String,
    /// Its name.
    pub name: String,
    /// The trace, in hexadecimal.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The span above; empty at the root.
    pub parent: String,
    /// 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its length.
    pub length: Duration,
}

/// A running receiver; ends with the test.
#[derive(Clone, Default)]
pub struct Spans(Arc<Mutex<Vec<Seen>>>);

impl Spans {
    /// Starts one; the answer is also its address.
    pub async fn receive() -> (Self, String) {
        let spans = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(spans.clone()))
            .add_service(MetricsServiceServer::new(Ignored))
            .add_service(LogsServiceServer::new(Ignored));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (spans, format!("http://{address}"))
    }

    /// The spans of a trace so far.
    #[must_use]
    pub fn of(&self, trace: &str) -> Vec<Seen> {
        let spans = self.0.lock().unwrap();
        spans
            .iter()
            .filter(|span| span.trace == trace)
            .cloned()
            .collect()
    }

    /// Waits until a trace holds a span that is wanted, and everything between it and the one that `from`, the caller's own
    /// span, caused: the way down.
    pub async fn way(
        &self,
        trace: &str,
        from: &str,
        what: &str,
        wanted: impl Fn(&Seen) -> bool,
    ) -> Vec<Seen> {
        let limit = Duration::from_secs(20);
        let found = tokio::time::timeout(limit, async {
            loop {
                let spans = self.of(trace);
                let ways = spans.iter().filter(|span| wanted(span));
                let found = ways.filter_map(|span| way(&spans, span, from)).next();
                if let Some(found) = found {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        found.unwrap_or_else(|_| {
            panic!(
                "trace {trace} has no way from {from} to {what}:\n{}",
                tree(&self.of(trace))
            )
        })
    }

    /// Waits for any span that is wanted.
    pub async fn wait(&self, what: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        eventually(what, Duration::from_secs(20), async || {
            let spans = self.0.lock().unwrap();
            spans.iter().find(|span| wanted(span)).cloned()
        })
        .await
    }
}

fn way(spans: &[Seen], span: &Seen, from: &str) -> Option<Vec<Seen>> {
    let mut way = vec![span.clone()];
    // A way longer than this goes in a circle.
    for _ in 0..64 {
        let last = way.last()?;
        if last.parent == from {
            way.reverse();
            return Some(way);
        }
        let above = spans.iter().find(|span| span.id == last.parent)?;
        way.push(above.clone());
    }
    None
}

/// The spans of a trace as a tree, to read.
#[must_use]
pub fn tree(spans: &[Seen]) -> String {
    let mut text = String::new();
    for span in spans {
        if !spans.iter().any(|above| above.id == span.parent) {
            branch(spans, span, 0, &mut text);
        }
    }
    text
}

fn branch(spans: &[Seen], span: &Seen, depth: usize, text: &mut String) {
    text.push_str(&format!(
        "{:indent$}{} [{}] {:.1} ms\n",
        "",
        span.name,
        span.process,
        span.length.as_secs_f64() * 1e3,
        indent = depth * 2
    ));
    for below in spans.iter().filter(|below| below.parent == span.id) {
        if depth < 64 {
            branch(spans, below, depth + 1, text);
        }
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let own = resource
                .resource
                .map(|resource| attributes(&resource.attributes));
            let process = own.and_then(|own| own.get("service.name").cloned());
            for span in resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                let length = span
                    .end_time_unix_nano
                    .saturating_sub(span.start_time_unix_nano);
                kept.push(Seen {
                    process: process.clone().unwrap_or_default(),
                    trace: hexadecimal(&span.trace_id),
                    id: hexadecimal(&span.span_id),
                    parent: hexadecimal(&span.parent_span_id),
                    kind: span.kind,
                    attributes: attributes(&span.attributes),
                    length: Duration::from_nanos(length),
                    name: span.name,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Metrics and logs are taken, so that no exporter complains.
struct Ignored;

#[tonic::async_trait]
impl MetricsService for Ignored {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Ignored {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|pair| {
            let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
            let text = match value {
                Some(any_value::Value::StringValue(text)) => text.clone(),
                Some(any_value::Value::IntValue(number)) => number.to_string(),
                Some(other) => format!("{other:?}"),
                None => String::new(),
            };
            (pair.key.clone(), text)
        })
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
