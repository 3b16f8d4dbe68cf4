//! Consul: the healthy set by blocking queries (rs-consul), and the agent calls that it lacks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rs_consul::types::{GetServiceNodesRequest, QueryOptions};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Endpoint, endpoint, publish};

/// How long one blocking query waits for news.
const WAIT: Duration = Duration::from_secs(30);
/// Between two checks of a replica by the agent.
const CHECK_INTERVAL: &str = "1s";
/// A replica that failed for this long is forgotten; Consul allows no less.
const DEREGISTER_AFTER: &str = "1m";
/// How often a replica makes sure that the agent still knows it.
const KEEP_INTERVAL: Duration = Duration::from_secs(5);
/// No call to the agent may take longer.
const AGENT_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Consul {
    url: String,
    token: String,
    query: rs_consul::Consul,
    agent: Client<HttpConnector, Full<Bytes>>,
}

impl Consul {
    pub(super) fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let _: http::Uri = url.parse().context("Consul's address")?;
        let config = rs_consul::Config {
            address: url.clone(),
            token: (!token.is_empty()).then(|| token.to_owned()),
            ..rs_consul::Config::default()
        };
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(AGENT_TIMEOUT));
        Ok(Self {
            url,
            token: token.to_owned(),
            query: rs_consul::Consul::new(config),
            agent: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Tells every change of the passing set. Never ends.
    pub(super) async fn follow(
        self: Arc<Self>,
        service: String,
        sender: watch::Sender<Option<Vec<Endpoint>>>,
    ) {
        let mut index = 0;
        let mut pause = Duration::from_millis(100);
        loop {
            let request = GetServiceNodesRequest {
                service: &service,
                passing: true,
                ..GetServiceNodesRequest::default()
            };
            let options = QueryOptions {
                index: (index > 0).then_some(index),
                wait: Some(WAIT),
                timeout: None,
                ..QueryOptions::default()
            };
            // The agent adds up to a sixteenth so that not all clients come back at once. The client's own limit would
            // leave out the body.
            let query = self.query.get_service_nodes(request, Some(options));
            let answer = tokio::time::timeout(WAIT + WAIT / 16 + AGENT_TIMEOUT, query).await;
            let answer = answer.map_err(anyhow::Error::from);
            match answer.and_then(|answer| answer.map_err(anyhow::Error::from)) {
                Ok(answer) => {
                    pause = Duration::from_millis(100);
                    // An index that went down means that the agent was reset: start over.
                    index = if answer.index < index {
                        0
                    } else {
                        answer.index
                    };
                    let nodes = answer.response.into_iter();
                    publish(
                        &sender,
                        nodes
                            .filter_map(|node| {
                                let own = &node.service.address;
                                let host = if own.is_empty() {
                                    &node.node.address
                                } else {
                                    own
                                };
                                endpoint(host, node.service.port)
                            })
                            .collect(),
                    );
                    if index == 0 {
                        tokio::time::sleep(pause).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        service,
                        "Consul does not answer"
                    );
                    index = 0;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> anyhow::Result<StatusCode> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if !self.token.is_empty() {
            request = request.header("X-Consul-Token", &self.token);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)))?;
        let response = tokio::time::timeout(AGENT_TIMEOUT, self.agent.request(request)).await??;
        Ok(response.status())
    }

    async fn put(&self, path: &str, body: Option<serde_json::Value>) -> anyhow::Result<()> {
        let status = self.call(Method::PUT, path, body).await?;
        anyhow::ensure!(status.is_success(), "Consul answers {status} to {path}");
        Ok(())
    }

    pub(super) async fn register(
        self: Arc<Self>,
        service: &str,
        address: SocketAddr,
    ) -> anyhow::Result<Registration> {
        let id = format!("{service}-{}", uuid::Uuid::now_v7());
        let payload = json!({
            "ID": id,
            "Name": service,
            "Address": address.ip().to_string(),
            "Port": address.port(),
            "Check": {
                "GRPC": format!("{address}/{service}"),
                "Interval": CHECK_INTERVAL,
                "Timeout": "2s",
                "DeregisterCriticalServiceAfter": DEREGISTER_AFTER,
            },
        });
        self.put("/v1/agent/service/register", Some(payload.clone()))
            .await
            .context("register in Consul")?;
        let stop = CancellationToken::new();
        let keep = tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(self.clone().keep(id.clone(), payload)),
        );
        Ok(Registration {
            consul: self,
            id,
            stop,
            keep: AbortOnDropHandle::new(keep),
        })
    }

    /// Registers again when the agent has lost the registration, as after its restart.
    async fn keep(self: Arc<Self>, id: String, payload: serde_json::Value) {
        loop {
            tokio::time::sleep(KEEP_INTERVAL).await;
            let path = format!("/v1/agent/service/{id}");
            let known = self.call(Method::GET, &path, None).await;
            if matches!(known, Ok(StatusCode::NOT_FOUND)) {
                tracing::warn!(id, "Consul has lost this replica, registering again");
                let again = self.put("/v1/agent/service/register", Some(payload.clone()));
                if let Err(error) = again.await {
                    tracing::warn!(error = format!("{error:#}"), "cannot register again");
                }
            }
        }
    }
}

/// This replica's entry in Consul.
pub struct Registration {
    consul: Arc<Consul>,
    id: String,
    stop: CancellationToken,
    keep: AbortOnDropHandle<Option<()>>,
}

impl Registration {
    /// Takes the replica out, before it stops serving.
    pub async fn deregister(self) {
        self.stop.cancel();
        // Else a registration that is just being made again would come after.
        let _ = self.keep.await;
        let path = format!("/v1/agent/service/deregister/{}", self.id);
        if let Err(error) = self.consul.put(&path, None).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "cannot deregister from Consul"
            );
        }
    }
}
