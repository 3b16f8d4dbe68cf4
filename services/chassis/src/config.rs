//! Settings, from flags and environment. Every one is documented by `--help`; secrets do not print.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;

/// A setting that must not be printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Ok(Self(value.to_owned()))
    }
}

/// Where the other services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoverySource {
    /// Fixed addresses: `static:identity=http://10.0.0.1:7001,indicators=http://…`; several of one name are balanced.
    Static(Vec<(String, String)>),
    /// DNS names, resolved again and again: `dns:http://{service}.civicmesh.svc.cluster.local:7000`.
    Dns(String),
    /// A Consul agent's catalogue: `consul:http://127.0.0.1:8500`.
    Consul(String),
}

impl FromStr for DiscoverySource {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = value.split_once(':').unwrap_or((value, ""));
        match kind {
            "static" => rest
                .split(',')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    pair.split_once('=')
                        .map(|(name, address)| (name.trim().to_owned(), address.trim().to_owned()))
                        .ok_or_else(|| format!("{pair:?}: write NAME=http://HOST:PORT"))
                })
                .collect::<Result<_, _>>()
                .map(Self::Static),
            "dns" if rest.contains("{service}") => Ok(Self::Dns(rest.to_owned())),
            "dns" => Err(
                "write dns:http://{service}.DOMAIN:PORT, with {service} where the name goes"
                    .to_owned(),
            ),
            "consul" if rest.starts_with("http") => Ok(Self::Consul(rest.to_owned())),
            _ => Err("write static:NAME=URL,…, dns:URL-WITH-{service} or consul:URL".to_owned()),
        }
    }
}

/// Reads a span such as `5s`, `250ms` or `10m`.
pub fn parse_duration(value: &str) -> Result<Duration, String> {
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let number: u64 = value[..digits]
        .parse()
        .map_err(|_| format!("{value:?}: write 250ms, 5s, 10m or 2h"))?;
    match &value[digits..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        _ => Err(format!("{value:?}: write 250ms, 5s, 10m or 2h")),
    }
}

/// Settings that every process of the mesh has.
#[derive(Args, Clone, Debug)]
// Every service's own settings are a `Config` too, and clap wants each group's name once.
#[group(skip)]
pub struct Config {
    /// Address to listen on, gRPC and HTTP on the one port.
    #[arg(long, env = "CIVICMESH_LISTEN", default_value = "0.0.0.0:7000")]
    pub listen: SocketAddr,

    /// The service's own Postgres database; unused by the gateway.
    #[arg(
        long,
        env = "CIVICMESH_DATABASE_URL",
        default_value = "",
        hide_env_values = true
    )]
    pub database_url: Secret,

    /// Connections to the database at most.
    #[arg(long, env = "CIVICMESH_DATABASE_CONNECTIONS", default_value_t = 10)]
    pub database_connections: u32,

    /// Accept a database that may lose committed facts (fsync and the like off), for tests and demonstrations.
    #[arg(long, env = "CIVICMESH_ALLOW_UNSAFE_DATABASE")]
    pub allow_unsafe_database: bool,

    /// How the other services are found: `static:…`, `dns:…` or `consul:…`.
    #[arg(
        long,
        env = "CIVICMESH_DISCOVERY",
        default_value = "dns:http://{service}:7000"
    )]
    pub discovery: DiscoverySource,

    /// Address under which this replica registers in Consul; the listening address if absent.
    #[arg(long, env = "CIVICMESH_ADVERTISE")]
    pub advertise: Option<SocketAddr>,

    /// Token for Consul.
    #[arg(
        long,
        env = "CIVICMESH_CONSUL_TOKEN",
        default_value = "",
        hide_env_values = true
    )]
    pub consul_token: Secret,

    /// The address that browsers and clients use, and the issuer of tokens.
    #[arg(
        long,
        env = "CIVICMESH_PUBLIC_URL",
        default_value = "http://localhost:8080"
    )]
    pub public_url: String,

    /// What this service proves its own identity with.
    #[arg(
        long,
        env = "CIVICMESH_CLIENT_SECRET",
        default_value = "",
        hide_env_values = true
    )]
    pub client_secret: Secret,

    /// Folder where attachments and photos are kept.
    #[arg(long, env = "CIVICMESH_OBJECTS", default_value = "objects")]
    pub objects: PathBuf,

    /// OTLP/gRPC receiver of traces, metrics and logs, such as `http://collector:4317`; none if absent.
    #[arg(long, env = "CIVICMESH_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// Share of requests traced from the start, 0 to 1; a caller's decision is kept.
    #[arg(long, env = "CIVICMESH_TRACE_SHARE", default_value_t = 0.1)]
    pub trace_share: f64,

    /// What is logged, in the syntax of `RUST_LOG`.
    #[arg(long, env = "CIVICMESH_LOG", default_value = "info")]
    pub log: String,

    /// Longest time a unary call may take; its caller may state less. Uploads may take ten times as long, streams of
    /// answers as long as their caller states.
    #[arg(long, env = "CIVICMESH_DEADLINE", default_value = "10s", value_parser = parse_duration)]
    pub deadline: Duration,

    /// Longest time that calls under way are waited for on SIGTERM.
    #[arg(long, env = "CIVICMESH_DRAIN", default_value = "10s", value_parser = parse_duration)]
    pub drain: Duration,

    /// Calls served at once at most; further ones are shed with UNAVAILABLE.
    #[arg(long, env = "CIVICMESH_CONCURRENCY", default_value_t = 1024)]
    pub concurrency: usize,

    /// Events are deleted when every registered consumer has read them and they are older than this.
    #[arg(long, env = "CIVICMESH_EVENT_RETENTION", default_value = "168h", value_parser = parse_duration)]
    pub event_retention: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_is_read() {
        assert_eq!(
            "static:a=http://x:1,a=http://y:2".parse(),
            Ok(DiscoverySource::Static(vec![
                ("a".into(), "http://x:1".into()),
                ("a".into(), "http://y:2".into())
            ]))
        );
        assert!("dns:http://fixed".parse::<DiscoverySource>().is_err());
        assert!("etcd:http://x".parse::<DiscoverySource>().is_err());
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("s").is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", "hunter2".parse::<Secret>()), "Ok([secret])");
    }
}
