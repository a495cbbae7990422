//! The table of options: name, default, meaning, and what it sets.

use std::path::PathBuf;

use super::value::{Raw, count, duration, rate, switch};
use super::{Config, LogFormat, ProxyProtocol};
use crate::origins;
use crate::store::Synchronous;

/// One option.
pub(super) struct Opt {
    /// Its name in the file, with its section.
    pub(super) key: &'static str,
    /// Its default, as it would stand in the file.
    pub(super) default: &'static str,
    /// What it does, for the template.
    pub(super) meaning: &'static str,
    /// Puts a value into the configuration.
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), String>,
}

type Set = fn(&mut Config, &Raw) -> Result<(), String>;

const fn opt(key: &'static str, default: &'static str, meaning: &'static str, set: Set) -> Opt {
    Opt { key, default, meaning, set }
}

/// All options, sections together, those without a section first.
pub(super) const OPTIONS: &[Opt] = &[
    opt("listen", "\"127.0.0.1:7370\"", "Address and port to listen on. Port 0 takes a free one.", |c, raw| {
        let text = raw.text()?;
        c.listen =
            text.parse().map_err(|_| format!("expected an address and port like \"127.0.0.1:7370\", not {text:?}"))?;
        Ok(())
    }),
    opt(
        "public_origins",
        "[]",
        "Origins that devices dial, like [\"https://relay.example\"]. Empty: the listening address, and localhost.",
        |c, raw| {
            c.public_origins = raw.list();
            c.public_origins.iter().try_for_each(|origin| origins::check(origin))
        },
    ),
    opt("data", "\"\"", "Folder of the store. Empty: the state directory of the system or of the user.", |c, raw| {
        c.data = PathBuf::from(raw.text()?);
        Ok(())
    }),
    opt(
        "trusted_proxies",
        "[]",
        "Proxies whose Forwarded or X-Forwarded-For is believed, like [\"10.0.0.0/8\"]; both only where they agree.",
        |c, raw| {
            let net = |text: String| {
                let address = text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
                text.parse()
                    .ok()
                    .or(address)
                    .ok_or_else(|| format!("expected an address range like \"10.0.0.0/8\", not {text:?}"))
            };
            c.trusted_proxies = raw.list().into_iter().map(net).collect::<Result<_, _>>()?;
            Ok(())
        },
    ),
    opt(
        "proxy_protocol",
        "false",
        "true: every connection begins with the PROXY protocol (v1 or v2) and comes from trusted_proxies; others are closed. \
         For healthcheck trusted_proxies names the relay's own address too.",
        |c, raw| {
            c.proxy_protocol = if switch(raw.text()?)? { ProxyProtocol::Required } else { ProxyProtocol::Off };
            Ok(())
        },
    ),
    opt(
        "tls.certificate",
        "\"\"",
        "File with the chain of certificates (PEM). Empty: plain HTTP. Read again on SIGHUP.",
        |c, raw| {
            c.tls.certificate = PathBuf::from(raw.text()?);
            Ok(())
        },
    ),
    opt("tls.key", "\"\"", "File with the private key (PEM).", |c, raw| {
        c.tls.key = PathBuf::from(raw.text()?);
        Ok(())
    }),
    opt("limits.requests_per_address", "\"60/m\"", "Join requests from one address (IPv4 /32, IPv6 /64).", |c, raw| {
        c.rates.requests_per_address = rate(raw.text()?)?;
        Ok(())
    }),
    opt("limits.requests_per_join_key", "\"20/m\"", "Join requests with one sync code.", |c, raw| {
        c.rates.requests_per_join_key = rate(raw.text()?)?;
        Ok(())
    }),
    opt("limits.chains_per_address", "\"60/m\"", "Chains founded from one address.", |c, raw| {
        c.rates.chains_per_address = rate(raw.text()?)?;
        Ok(())
    }),
    opt(
        "limits.refused_per_address",
        "\"300/m\"",
        "Refused requests of one address, before it is answered 429.",
        |c, raw| {
            c.rates.refused_per_address = rate(raw.text()?)?;
            Ok(())
        },
    ),
    opt("limits.connections", "16384", "Connections open at a time.", |c, raw| {
        c.connections.total = count(raw.text()?)?;
        Ok(())
    }),
    opt(
        "limits.connections_per_address",
        "4096",
        "Connections open at a time from one address, trusted proxies aside.",
        |c, raw| {
            c.connections.per_address = count(raw.text()?)?;
            Ok(())
        },
    ),
    opt(
        "limits.connections_unproven",
        "2048",
        "Connections without an authenticated socket. At more the oldest is cut off.",
        |c, raw| {
            c.connections.unproven = count(raw.text()?)?;
            Ok(())
        },
    ),
    opt(
        "timeouts.handshake",
        "\"10s\"",
        "For TLS, for the headers of a request, and for the answer to a challenge.",
        |c, raw| {
            c.timeouts.handshake = duration(raw.text()?)?;
            Ok(())
        },
    ),
    opt("timeouts.body", "\"30s\"", "For the body of a request.", |c, raw| {
        c.timeouts.body = duration(raw.text()?)?;
        Ok(())
    }),
    opt("timeouts.ping", "\"30s\"", "Silence on a socket before it is pinged.", |c, raw| {
        c.timeouts.ping = duration(raw.text()?)?;
        Ok(())
    }),
    opt(
        "timeouts.idle",
        "\"30s\"",
        "For the answer to a ping, for an acknowledgement, and for a blocked write.",
        |c, raw| {
            c.timeouts.idle = duration(raw.text()?)?;
            Ok(())
        },
    ),
    opt("timeouts.drain", "\"15s\"", "For what is in flight when the relay stops.", |c, raw| {
        c.timeouts.drain = duration(raw.text()?)?;
        Ok(())
    }),
    opt("log.format", "\"text\"", "\"text\", or \"json\": one object a line. Logs go to standard error.", |c, raw| {
        c.log.format = match raw.text()? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => return Err(format!("expected \"text\" or \"json\", not {other:?}")),
        };
        Ok(())
    }),
    opt("log.level", "\"info\"", "\"error\", \"warn\", \"info\", \"debug\" or \"trace\".", |c, raw| {
        let level = raw.text()?;
        // A single word that is no level would be taken for the name of a module, and silence everything.
        let word = level.chars().all(|c| c.is_ascii_alphabetic());
        if word && !["error", "warn", "info", "debug", "trace", "off"].contains(&level) {
            return Err(format!("expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\", not {level:?}"));
        }
        level.clone_into(&mut c.log.level);
        Ok(())
    }),
    opt(
        "store.synchronous",
        "\"full\"",
        "DANGEROUS: \"off\" loses acknowledged writes when the power fails. It exists for showing that the durability test fails.",
        |c, raw| {
            c.synchronous = match raw.text()? {
                "full" => Synchronous::Full,
                "off" => Synchronous::Off,
                other => return Err(format!("expected \"full\" or \"off\", not {other:?}")),
            };
            Ok(())
        },
    ),
];
