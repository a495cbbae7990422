//! What an operator can set.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

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
    /// TLS, if the relay does it itself.
    pub tls: Option<Tls>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Limits on strangers.
    pub rates: RatesConfig,
    /// Bounds on connections.
    pub connections: Connections,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// When the store syncs.
    pub synchronous: Synchronous,
    /// Shape of log lines.
    pub log: LogFormat,
}

/// Certificate files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Chain of certificates, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
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
    /// Without any sign of life, and for an acknowledgement or a blocked write.
    pub idle: Duration,
    /// For everything in flight when the relay stops.
    pub drain: Duration,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object each.
    Json,
}

const fn rate(burst: u32, per_minute: u32) -> Rate {
    // A const context: `NonZeroU32::new(…).unwrap()` on literals would be refused by the lints.
    let (Some(burst), Some(per_minute)) = (NonZeroU32::new(burst), NonZeroU32::new(per_minute)) else {
        return Rate { burst: NonZeroU32::MIN, per_minute: NonZeroU32::MIN };
    };
    Rate { burst, per_minute }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7370)),
            public_origins: Vec::new(),
            data: PathBuf::from("."),
            tls: None,
            trusted_proxies: Vec::new(),
            rates: RatesConfig {
                requests_per_address: rate(60, 60),
                requests_per_join_key: rate(20, 20),
                chains_per_address: rate(60, 60),
                refused_per_address: rate(300, 300),
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
            log: LogFormat::Text,
        }
    }
}
