//! What an operator can set: by flag, environment, file, or not at all.

mod options;
mod value;
mod load;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use load::{ConfigError, Loaded, Origin, Setting, load, template};

use crate::rates::{Rate, RatesConfig};
use crate::store::Synchronous;

/// The whole configuration, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Origins that devices dial; empty for the listening address and `localhost`.
    pub public_origins: Vec<String>,
    /// Folder of the store.
    pub data: PathBuf,
    /// TLS files; both empty for plain HTTP.
    pub tls: TlsFiles,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those proxies speak the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
    /// Limits on strangers.
    pub rates: RatesConfig,
    /// Bounds on connections.
    pub connections: Connections,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// When the store syncs.
    pub synchronous: Synchronous,
    /// Log lines.
    pub log: Log,
}

/// Certificate files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Chain of certificates, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Whether the relay speaks TLS itself.
    #[must_use]
    pub fn are_set(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// Whether connections begin with the PROXY protocol, version 1 or 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    Off,
    /// Each one does, and comes from a trusted proxy; others are closed.
    Required,
}

/// Bounds on connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open at a time.
    pub total: usize,
    /// Open at a time from one address.
    pub per_address: usize,
    /// Open at a time that have not authenticated a socket. At more the oldest is cut off.
    pub unproven: usize,
}

/// Time-outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TLS handshake, for the headers of a request, and for the answer to a challenge.
    pub handshake: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// For the answer to a ping, for an acknowledgement, and for a blocked write.
    pub idle: Duration,
    /// For everything in flight when the relay stops.
    pub drain: Duration,
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Their shape.
    pub format: LogFormat,
    /// What is logged: a level, or a filter of tracing-subscriber.
    pub level: String,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object each.
    Json,
}

impl Config {
    /// What can be used and is hardly meant, each with what to do.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.public_origins.is_empty() && !self.listen.ip().to_canonical().is_loopback() {
            warnings.push(format!(
                "listen = {} is open to others and public_origins is empty: devices that dial another address than this one or \
                 localhost are refused; name there what they dial",
                self.listen
            ));
        }
        warnings
    }
}

const fn per_minute(number: u32) -> Rate {
    match NonZeroU32::new(number) {
        Some(number) => Rate(number),
        None => Rate(NonZeroU32::MIN),
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7370)),
            public_origins: Vec::new(),
            data: PathBuf::new(),
            tls: TlsFiles::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol: ProxyProtocol::Off,
            rates: RatesConfig {
                requests_per_address: per_minute(60),
                requests_per_join_key: per_minute(20),
                chains_per_address: per_minute(60),
                refused_per_address: per_minute(300),
            },
            connections: Connections { total: 16_384, per_address: 4_096, unproven: 2_048 },
            timeouts: Timeouts {
                handshake: Duration::from_secs(10),
                body: Duration::from_secs(30),
                ping: Duration::from_secs(30),
                idle: Duration::from_secs(30),
                drain: Duration::from_secs(15),
            },
            synchronous: Synchronous::Full,
            log: Log { format: LogFormat::Text, level: "info".into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_is_open_to_others_and_knows_no_address_is_warned_of() {
        let of = |listen: &str, origins: &[&str]| Config {
            listen: listen.parse().unwrap(),
            public_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ..Config::default()
        };
        for open in ["0.0.0.0:7370", "[::]:7370", "192.0.2.1:443"] {
            let warnings = of(open, &[]).warnings();
            assert!(warnings.concat().contains("public_origins is empty"), "{open}: {warnings:?}");
            assert!(of(open, &["https://relay.example.org"]).warnings().is_empty(), "{open}");
        }
        for own in ["127.0.0.1:7370", "127.0.0.9:1", "[::1]:7370", "[::ffff:127.0.0.1]:7370"] {
            assert!(of(own, &[]).warnings().is_empty(), "{own}");
        }
    }
}
