//! Where the replicas of a service are: a fixed list, DNS resolved again and again, or Consul's healthy set.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use http::Uri;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::{Config, DiscoverySource};

mod consul;

/// How often names are resolved again.
const DNS_INTERVAL: Duration = Duration::from_secs(5);
/// How soon they are when a connection fails.
const DNS_MIN_INTERVAL: Duration = Duration::from_millis(250);

/// One replica of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its address, such as `http://10.0.0.1:7000`.
    pub address: Uri,
}

/// The replicas of one service, as they come and go.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is known now; none until the first answer.
    pub endpoints: watch::Receiver<Option<Vec<Endpoint>>>,
    refresh: Arc<Notify>,
}

impl Watch {
    /// Asks again at once, because a connection has failed.
    pub fn refresh(&self) {
        self.refresh.notify_one();
    }
}

/// The source of endpoints. Its watches end when it is dropped.
#[derive(Clone)]
pub struct Discovery {
    source: Source,
    stop: CancellationToken,
    _end: Arc<DropGuard>,
}

#[derive(Clone)]
enum Source {
    Static(Vec<(String, Uri)>),
    Dns(String),
    Consul(Arc<consul::Consul>),
}

impl Discovery {
    /// Reads the settings.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let source = match &config.discovery {
            DiscoverySource::Static(list) => Source::Static(
                list.iter()
                    .map(|(name, address)| Ok((name.clone(), address_of(address)?)))
                    .collect::<anyhow::Result<_>>()?,
            ),
            DiscoverySource::Dns(pattern) => {
                address_of(&pattern.replace("{service}", "x"))?;
                Source::Dns(pattern.clone())
            }
            DiscoverySource::Consul(url) => {
                let consul = consul::Consul::new(url, config.consul_token.expose())?;
                Source::Consul(Arc::new(consul))
            }
        };
        let stop = CancellationToken::new();
        Ok(Self {
            source,
            _end: Arc::new(stop.clone().drop_guard()),
            stop,
        })
    }

    /// Follows the replicas of a service until the receiver is dropped.
    #[must_use]
    pub fn watch(&self, service: &str) -> Watch {
        let (sender, endpoints) = watch::channel(None);
        let refresh = Arc::new(Notify::new());
        match &self.source {
            Source::Static(list) => {
                let fixed = list.iter().filter(|(name, _)| name == service);
                let fixed = fixed.map(|(_, address)| Endpoint {
                    address: address.clone(),
                });
                sender.send_replace(Some(fixed.collect()));
            }
            Source::Dns(pattern) => {
                let follow = resolve(
                    pattern.replace("{service}", service),
                    sender.clone(),
                    refresh.clone(),
                );
                self.spawn(sender, follow);
            }
            Source::Consul(consul) => {
                let follow = consul.clone().follow(service.to_owned(), sender.clone());
                self.spawn(sender, follow);
            }
        }
        Watch { endpoints, refresh }
    }

    fn spawn(
        &self,
        sender: watch::Sender<Option<Vec<Endpoint>>>,
        follow: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sender.closed() => {}
                () = follow => {}
            }
        });
    }

    /// Whether replicas make themselves known.
    #[must_use]
    pub fn registers(&self) -> bool {
        matches!(self.source, Source::Consul(_))
    }

    /// Makes this replica known and keeps it known; none where addresses come from elsewhere (a list, Kubernetes).
    pub async fn register(
        &self,
        service: &str,
        address: SocketAddr,
    ) -> anyhow::Result<Option<Registration>> {
        match &self.source {
            Source::Consul(consul) => consul.clone().register(service, address).await.map(Some),
            Source::Static(_) | Source::Dns(_) => Ok(None),
        }
    }
}

pub use consul::Registration;

fn address_of(text: &str) -> anyhow::Result<Uri> {
    let uri: Uri = text
        .parse()
        .with_context(|| format!("{text:?} is not an address"))?;
    anyhow::ensure!(
        uri.scheme_str() == Some("http") && uri.host().is_some(),
        "{text:?}: write http://HOST:PORT"
    );
    Ok(uri)
}

/// Makes the address of one replica.
fn endpoint(host: &str, port: u16) -> Option<Endpoint> {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let address = format!("http://{host}:{port}").parse().ok()?;
    Some(Endpoint { address })
}

/// Tells a new set, in a fixed order; an empty one replaces nothing but ignorance, for it is mostly a fault of the
/// source, and a replica that is really gone shows itself by refusing.
fn publish(sender: &watch::Sender<Option<Vec<Endpoint>>>, mut found: Vec<Endpoint>) {
    found.sort_by_key(|endpoint| endpoint.address.to_string());
    found.dedup();
    sender.send_if_modified(|known| {
        let news = match known {
            None => true,
            Some(_) if found.is_empty() => false,
            Some(known) => *known != found,
        };
        if news {
            *known = Some(found);
        }
        news
    });
}

async fn resolve(
    address: String,
    sender: watch::Sender<Option<Vec<Endpoint>>>,
    refresh: Arc<Notify>,
) {
    let Ok(uri) = address_of(&address) else {
        return;
    };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(80);
    loop {
        match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(found) => publish(
                &sender,
                found
                    .filter_map(|address| endpoint(&address.ip().to_string(), port))
                    .collect(),
            ),
            Err(error) => {
                tracing::debug!(%error, host, "name does not resolve");
                publish(&sender, Vec::new());
            }
        }
        tokio::time::sleep(DNS_MIN_INTERVAL).await;
        let _ = tokio::time::timeout(DNS_INTERVAL, refresh.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(known: Option<&Vec<Endpoint>>) -> Vec<String> {
        known
            .into_iter()
            .flatten()
            .map(|endpoint| endpoint.address.to_string())
            .collect()
    }

    #[test]
    fn an_empty_answer_keeps_the_last_set() {
        let (sender, receiver) = watch::channel(None);
        publish(&sender, Vec::new());
        assert_eq!(*receiver.borrow(), Some(Vec::new()));
        publish(
            &sender,
            vec![
                endpoint("::1", 2).unwrap(),
                endpoint("10.0.0.1", 1).unwrap(),
            ],
        );
        publish(&sender, Vec::new());
        assert_eq!(
            addresses(receiver.borrow().as_ref()),
            ["http://10.0.0.1:1/", "http://[::1]:2/"]
        );
    }

    #[tokio::test]
    async fn names_are_resolved() {
        let (sender, mut receiver) = watch::channel(None);
        let follow = resolve("http://localhost:81".into(), sender, Arc::default());
        tokio::select! {
            () = follow => unreachable!("follows for ever"),
            known = receiver.wait_for(Option::is_some) => {
                let known = addresses(known.unwrap().as_ref());
                assert!(known.contains(&"http://127.0.0.1:81/".to_owned()), "{known:?}");
            }
        }
    }
}
