//! What keeps this device from working, one check after the other, from its own files to the relay.
//!
//! It looks and changes nothing. Each check says what it found and, unless that is well, what to type next.

mod member;

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use serde::Serialize;

use crate::core::is_forked;
use crate::core::view::lost_records;
use crate::dial::Endpoint;
use crate::door::Door;
use crate::error::AgentError;
use crate::home::Home;
use crate::keyfile::{Secrets, Standing};
use crate::relay_client::RelayClient;
use crate::store::{DraftRow, DraftState, Setting, Store};
use crate::{clock, exit, limits};

pub(crate) use member::Membership;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Nothing to do.
    Ok,
    /// It works, and somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at: a stable word.
    pub(crate) check: &'static str,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) says: String,
    /// What to type, unless all is well.
    pub(crate) next: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, says: says.into(), next: None }
    }

    fn warn(check: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, says: says.into(), next: Some(next.into()) }
    }

    fn fail(check: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, says: says.into(), next: Some(next.into()) }
    }

    /// A check that ended in an error.
    pub(crate) fn failed(check: &'static str, error: &AgentError) -> Self {
        let told = exit::tell(error);
        Self { check, verdict: Verdict::Fail, says: told.message, next: told.hint }
    }
}

/// Looks at what lies on this device's disk: state directory, keys, the daemon's socket, the log. `unjoined` is how it ends for a device
/// that is no member yet: nothing is broken where a person looks before she founds or joins. What is known of the membership comes along:
/// the relay has a say in that check.
pub(crate) async fn look_at_home(home: &Home, unjoined: Verdict) -> (Vec<Finding>, Membership) {
    if !home.dir().is_dir() {
        let none = AgentError::NotAMember { home: home.dir().to_owned() };
        return (vec![Finding { verdict: unjoined, ..Finding::failed("home", &none) }], Membership::Unknown);
    }
    let membership = if has_log(home) { Membership::look(home).await } else { Ok(Membership::Unknown) };
    let over = membership.as_ref().ok().and_then(Membership::over);
    let daemon = match (over, Door::of_daemon(home).await.is_some()) {
        (Some(_), false) => Finding::ok("daemon", "none runs, and nothing is left to do for one"),
        (_, runs) => socket(home, runs),
    };
    let mut findings = vec![permissions(home), keys(home, unjoined), daemon];
    findings.extend(log(home, &membership, unjoined));
    findings.extend(records(home));
    (findings, membership.unwrap_or(Membership::Unknown))
}

/// Whether there is a log that could be read: a device that asks to join has none.
fn has_log(home: &Home) -> bool {
    let joins = matches!(Secrets::read(home), Ok(None | Some(Secrets { standing: Standing::Joiner(_), .. })));
    home.store_file().exists() && !joins
}

fn permissions(home: &Home) -> Finding {
    let dir = home.dir().display();
    let looked = std::fs::metadata(home.dir()).map_err(|source| AgentError::File { path: home.dir().into(), source });
    let (meta, own) = match (looked, home.own_uid()) {
        (Ok(meta), Ok(own)) => (meta, own),
        (Err(error), _) | (_, Err(error)) => return Finding::failed("home", &error),
    };
    let mode = meta.mode() & 0o777;
    if meta.uid() != own {
        let says = format!("{dir} belongs to user {}, and this is user {own}", meta.uid());
        return Finding::fail("home", says, format!("chown -R {own} {dir}   (or run this as its owner)"));
    }
    match mode & 0o077 {
        0 => Finding::ok("home", format!("{dir}, closed to others")),
        // Who can write here can put another file in the place of one of ours.
        open if open & 0o022 != 0 => {
            Finding::fail("home", format!("others can write in {dir} (mode {mode:o})"), format!("chmod 700 {dir}"))
        }
        _ => Finding::warn("home", format!("others can look into {dir} (mode {mode:o})"), format!("chmod 700 {dir}")),
    }
}

fn keys(home: &Home, unjoined: Verdict) -> Finding {
    match Secrets::read(home) {
        Ok(Some(Secrets { standing: Standing::Member(_), .. })) => {
            Finding::ok("keys", "this device has its keys, and nobody else can read them")
        }
        Ok(Some(_)) => match asked(home) {
            Ok(says) => Finding::warn("keys", says, "countersign join"),
            Err(error) => Finding::failed("keys", &error),
        },
        Ok(None) => {
            let none = AgentError::NotAMember { home: home.dir().to_owned() };
            Finding { verdict: unjoined, ..Finding::failed("keys", &none) }
        }
        Err(error) => Finding::failed("keys", &error),
    }
}

/// How far a device that is no member came with its request.
fn asked(home: &Home) -> Result<&'static str, AgentError> {
    let store = Store::open(&home.store_file())?;
    Ok(match (store.joining()?, store.setting(Setting::Asked)?) {
        (Some(_), Some(_)) => "this device asked to join and is not admitted yet",
        (Some(_), None) => "this device drew a request to join, and no relay has taken it yet",
        (None, _) => "this device is no member, and no request of it is open",
    })
}

fn socket(home: &Home, daemon: bool) -> Finding {
    let left = home.sockets().into_iter().find_map(|path| Some((std::fs::symlink_metadata(&path).ok()?, path)));
    match (left, daemon) {
        (Some((meta, path)), true) if meta.mode() & 0o077 != 0 => Finding::warn(
            "daemon",
            format!("it runs; its socket {} has mode {:o}", path.display(), meta.mode() & 0o777),
            format!("chmod 600 {}", path.display()),
        ),
        (_, true) => Finding::ok("daemon", "it runs and answers"),
        (Some((_, path)), false) => Finding::warn(
            "daemon",
            format!("nobody answers at {}: it was killed", path.display()),
            "countersign run   (it replaces the socket)",
        ),
        (None, false) => {
            Finding::warn("daemon", "none runs: requests show only when somebody looks", "countersign run")
        }
    }
}

/// The log, verified from `found` if no other process works with it; else only whether a fork is known.
fn log(home: &Home, membership: &Result<Membership, AgentError>, unjoined: Verdict) -> Option<Finding> {
    if !has_log(home) {
        return None;
    }
    let store = || is_forked(&Store::open(&home.store_file())?);
    let standing = match membership {
        Ok(Membership::Here { core, .. }) => {
            Ok((core.fork().is_some(), format!("{} entries, all of them verified", core.roster().seq() + 1)))
        }
        Ok(Membership::Daemon(_) | Membership::Unknown) => {
            store().map(|forked| (forked, "no fork is known (another process works with it)".to_owned()))
        }
        Err(error @ (AgentError::Unfounded | AgentError::Unrecovered)) => {
            return Some(Finding { verdict: unjoined, ..Finding::failed("log", error) });
        }
        Err(error) => return Some(Finding::failed("log", error)),
    };
    Some(match standing {
        Ok((false, says)) => Finding::ok("log", says),
        Ok((true, _)) => Finding::fail(
            "log",
            "ALARM: the log forks: the relay showed two validly signed entries for one place",
            "countersign log settle   (shows both branches; an approver of both ends it)",
        ),
        Err(error) => Finding::failed("log", &error),
    })
}

/// Records that wait for a person; nothing is said where none do.
fn records(home: &Home) -> Option<Finding> {
    if !home.store_file().exists() {
        return None;
    }
    let count = || {
        let store = Store::open(&home.store_file())?;
        let refused = |row: &DraftRow| matches!(row.state, DraftState::Refused { .. });
        Ok((store.drafts()?.iter().filter(|row| refused(row)).count(), store.lost_count()?))
    };
    match count() {
        Ok((0, 0)) => None,
        Ok((0, lost)) => Some(Finding::warn("records", lost_records(lost), "countersign record lost")),
        Ok((unsent, lost)) => {
            let writes = if unsent == 1 {
                "1 write of this device waits"
            } else {
                &*format!("{unsent} writes of this device wait")
            };
            let besides = if lost > 0 { format!("; {}", lost_records(lost)) } else { String::new() };
            let next = "countersign record queue   (and what went besides: countersign record lost)";
            Some(Finding::warn("records", format!("{writes} for its person{besides}"), next))
        }
        Err(error) => Some(Finding::failed("records", &error)),
    }
}

/// Walks to the relay: TCP (through the proxy, if there is one), TLS, HTTP, compares the clocks, and makes a signed
/// read. Ends where the way ends.
pub(crate) async fn walk_to_relay(endpoint: Endpoint) -> Vec<Finding> {
    let mut findings = Vec::new();
    let through = endpoint.proxy().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
    let stream = match endpoint.reach().await {
        Ok((stream, own)) => {
            findings.push(Finding::ok("tcp", format!("{} is reached from {own}{through}", endpoint.origin())));
            stream
        }
        Err(error) => {
            findings.push(Finding::failed("tcp", &error));
            return findings;
        }
    };
    match endpoint.secure(stream).await {
        Ok(_) if !endpoint.is_encrypted() => {}
        Ok(secured) => findings.push(certificate(endpoint.valid_until(&secured), clock::now())),
        Err(error) => {
            findings.push(Finding::failed("tls", &error));
            return findings;
        }
    }
    let relay = RelayClient::new(endpoint);
    match relay.ahead().await {
        Ok(Some(ahead)) => {
            findings.push(Finding::ok("http", "a Countersign relay answers"));
            findings.push(clocks(ahead));
            findings.push(match relay.check_address().await {
                Ok(()) => Finding::ok("origin", "the relay knows itself by this address"),
                Err(error) => Finding::failed("origin", &error),
            });
        }
        Ok(None) => findings.push(Finding::fail(
            "http",
            "something answers that is no Countersign relay",
            "countersign doctor --relay URL   (is the address right?)",
        )),
        Err(error) => findings.push(Finding::failed("http", &error)),
    }
    findings
}

fn certificate(until: Option<u64>, now: u64) -> Finding {
    let Some(until) = until else { return Finding::ok("tls", "the certificate is trusted") };
    let (left, day) = (until.saturating_sub(now), clock::show(until));
    if Duration::from_millis(left) < limits::CERTIFICATE_WARNING {
        let next = "renew the relay's certificate, then: kill -HUP of countersign-relay";
        return Finding::warn("tls", format!("the certificate is trusted, and expires in {}", clock::span(left)), next);
    }
    Finding::ok("tls", format!("the certificate is trusted until {day}"))
}

fn clocks(ahead: i64) -> Finding {
    let apart = clock::span(ahead.unsigned_abs());
    let says = match ahead {
        0.. => format!("this machine's is {apart} behind the relay's"),
        _ => format!("this machine's is {apart} ahead of the relay's"),
    };
    let next = "timedatectl set-ntp true   (or ask the relay's operator, if your clock is right)";
    match Duration::from_millis(ahead.unsigned_abs()) {
        apart if apart > limits::CLOCK_FAIL => {
            Finding::fail("clock", format!("{says}: signed reads are refused"), next)
        }
        apart if apart > limits::CLOCK_WARNING => Finding::warn("clock", says, next),
        _ => Finding::ok("clock", "this machine's and the relay's agree"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    #[test]
    fn a_certificate_is_warned_of_two_weeks_before_its_end() {
        assert_eq!(certificate(Some(15 * DAY), 0).verdict, Verdict::Ok);
        let soon = certificate(Some(13 * DAY), 0);
        assert_eq!((soon.verdict, soon.says.ends_with("expires in 13 d 0 h")), (Verdict::Warn, true), "{soon:?}");
        assert!(soon.next.is_some());
    }

    #[test]
    fn a_clock_beyond_the_window_of_signed_reads_fails_either_way() {
        let verdicts = [0, 4_000, 30_000, -30_000, 61_000, -61_000].map(|ahead| clocks(ahead).verdict);
        use Verdict::{Fail, Ok, Warn};
        assert_eq!(verdicts, [Ok, Ok, Warn, Warn, Fail, Fail]);
        assert!(clocks(90_000).says.contains("1 min 30 s behind"));
    }
}
