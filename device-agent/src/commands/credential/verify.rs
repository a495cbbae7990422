//! `countersign credential verify`: what an outsider finds in a credential. It needs no state directory and no network.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use protocol::credential::{Known, Link, Proven, verify};
use protocol::roster::{Departure, Why};
use protocol::{ChainId, Hash, id};
use serde::Serialize;

use super::EXIT_CODES;
use crate::error::AgentError;
use crate::output::{Format, Output};
use crate::told::Exit;

/// Check a credential, and say what it proves
///
/// It needs no membership and no network. Without --head or --newer, a device that was removed can show the log as it was before: keep
/// the head that is told here, also with a refusal, and give it the next time. What no credential proves: that whoever shows it holds
/// the device's key.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign credential verify phone.credential\n  \
    countersign credential verify phone.credential --newer laptop.credential\n  \
    countersign credential verify - --chain fbc1… --head 3f9c…@4 < phone.credential\n\n{EXIT_CODES}"))]
pub(in crate::commands) struct Args {
    /// The credential; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// The chain that it must be of
    #[arg(long, value_name = "ID")]
    chain: Option<ChainId>,
    /// The newest head that is known, with its entry: its log must have it
    #[arg(long, value_name = "HASH@SEQ", value_parser = head)]
    head: Option<(Hash, u64)>,
    /// Another credential, of any device of the chain, whose head is known
    #[arg(long, value_name = "FILE", conflicts_with = "head")]
    newer: Option<PathBuf>,
}

fn head(text: &str) -> Result<(Hash, u64), String> {
    let parts = text.split_once('@').and_then(|(hash, seq)| Some((hash.parse().ok()?, seq.parse().ok()?)));
    parts.ok_or_else(|| "write it as it was told: 64 digits, @, and the number of the entry".to_owned())
}

/// Verifies.
pub(in crate::commands) fn run(args: &Args, output: Output) -> Result<Exit, AgentError> {
    let known = match &args.newer {
        None => Known { chain: args.chain, head: args.head },
        Some(newer) => newest(newer, &Known { chain: args.chain, head: None })?,
    };
    let bytes = if args.file.as_os_str() == "-" { stdin()? } else { read(&args.file)? };
    let proven = proven(&args.file, &bytes, &known)?;
    match output.format() {
        Format::Json => output.json(&View::of(&proven)),
        Format::Text => lines(&proven).iter().for_each(|line| output.line(line)),
    }
    Ok(Exit::Done)
}

fn proven(path: &Path, bytes: &[u8], known: &Known) -> Result<Proven, AgentError> {
    let what = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    verify(bytes, known).map_err(|error| AgentError::NotProven { what, error })
}

/// The head of another credential, also where its own device is no member any more.
fn newest(path: &Path, known: &Known) -> Result<Known, AgentError> {
    match proven(path, &read(path)?, known) {
        Ok(proven) => Ok(proven.newest()),
        Err(AgentError::NotProven { what, error }) => error.newest().ok_or(AgentError::NotProven { what, error }),
        Err(other) => Err(other),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AgentError> {
    let file = std::fs::File::open(path).and_then(bounded);
    file.map_err(|source| AgentError::File { path: path.to_owned(), source })
}

fn stdin() -> Result<Vec<u8>, AgentError> {
    bounded(std::io::stdin().lock()).map_err(AgentError::Terminal)
}

/// A byte more than is allowed is enough to be refused.
fn bounded(input: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(protocol::limits::CREDENTIAL_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[derive(Serialize)]
struct View {
    schema: &'static str,
    chain: String,
    fingerprint: String,
    founder: String,
    device: String,
    sealing: String,
    role: &'static str,
    epoch: u64,
    head: String,
    seq: u64,
    links: Vec<LinkView>,
}

#[derive(Serialize)]
struct LinkView {
    device: String,
    seq: u64,
    by: String,
    with: Vec<String>,
    how: Option<&'static str>,
    ended: Option<EndView>,
}

#[derive(Serialize)]
struct EndView {
    seq: u64,
    by: String,
    why: &'static str,
}

impl View {
    fn of(proven: &Proven) -> Self {
        let end = |end: &Departure| EndView { seq: end.seq, by: end.by.to_string(), why: why(end) };
        let link = |link: &Link| LinkView {
            device: link.device.to_string(),
            seq: link.seq,
            by: link.by.to_string(),
            with: link.with.iter().map(ToString::to_string).collect(),
            how: link.how.map(|how| how.name()),
            ended: link.ended.as_ref().map(end),
        };
        Self {
            schema: "countersign.credential/1",
            chain: proven.chain().to_string(),
            fingerprint: id::fingerprint(proven.chain().as_bytes()),
            founder: proven.founder().to_string(),
            device: proven.device().signing.to_string(),
            sealing: HEXLOWER.encode(proven.device().sealing.as_bytes()),
            role: proven.role().name(),
            epoch: proven.epoch(),
            head: proven.head().to_string(),
            seq: proven.seq(),
            links: proven.links().iter().map(link).collect(),
        }
    }
}

fn why(end: &Departure) -> &'static str {
    match end.why {
        Why::Removed(reason) => reason.name(),
        Why::Left => "left",
        Why::Replaced => "replaced",
    }
}

fn lines(proven: &Proven) -> Vec<String> {
    let (chain, known) = (proven.chain(), format!("{}@{}", proven.head(), proven.seq()));
    let mut lines = vec![
        format!("proven: device {} is a member ({})", proven.device().signing.short(), proven.role()),
        format!("device   {}", proven.device().signing),
        format!("chain    {chain}"),
        format!("         fingerprint {}", id::fingerprint(chain.as_bytes())),
        format!("founder  {}", proven.founder()),
        format!("epoch    {}", proven.epoch()),
        format!("head     {known}"),
    ];
    lines.extend(proven.links().iter().map(|link| format!("came in  {}", came_in(link, proven))));
    lines.push(
        "not proven: that whoever shows it holds the device's key, and that the log has not gone on since".to_owned(),
    );
    lines.push(format!("the next time: --chain {chain} --head {known}"));
    lines
}

fn came_in(link: &Link, proven: &Proven) -> String {
    let (device, seq, by) = (link.device.short(), link.seq, link.by.short());
    let how = match link.how {
        _ if link.device == proven.founder() => format!("device {device} founded the chain"),
        None => format!("device {device} was brought as the recovery device by {by} at entry {seq}"),
        Some(how) => format!("device {device} was admitted by {by} at entry {seq} ({how})"),
    };
    let with: String = link.with.iter().map(|device| format!(", with {}", device.short())).collect();
    let ended = link.ended.as_ref().map_or_else(String::new, |end| match end.why {
        Why::Left => format!("; left at entry {}", end.seq),
        _ => format!("; gone since entry {}, by {} ({})", end.seq, end.by.short(), why(end)),
    });
    format!("{how}{with}{ended}")
}
