//! `countersign doctor`: what keeps this device from working.

use serde::Serialize;

use super::{Context, EXIT_CODES, RelayArgs};
use crate::dial::{Endpoint, Plaintext};
use crate::doctor::{self, Finding, Verdict};
use crate::error::AgentError;
use crate::relay_client::RelayClient;
use crate::store::{Setting, Store};
use crate::told::Exit;

/// Look for what keeps this device from working
///
/// It looks at the state directory, the keys, the daemon, the log, the way to the relay (proxy, TCP, TLS, HTTP), the clocks, whether the relay
/// knows itself by the address that is dialled, and whether this device is a member by its log and by what the relay answers. It changes nothing. Each line that is not ok is followed by what to type next. With --relay
/// it also looks before a device is a member.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign doctor\n  countersign doctor --json\n  \
    countersign doctor --relay https://relay.example.org\n\nIt exits with 1 if any check fails; warnings are 0.\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Address of a relay [default: this device's own]
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    #[command(flatten)]
    how: RelayArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    verdict: Verdict,
    checks: &'a [Finding],
}

/// Looks.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    // Who names a relay may look before this device is a member.
    let unjoined = if args.relay.is_some() { Verdict::Warn } else { Verdict::Fail };
    let (mut findings, membership) = doctor::look_at_home(&context.home, unjoined).await;
    // A relay that is named may have nothing of this device.
    let mut own = None;
    match endpoint(context, &args) {
        Ok(Some(endpoint)) => {
            let walked = doctor::walk_to_relay(endpoint.clone()).await;
            let reached = walked.iter().all(|finding| finding.verdict != Verdict::Fail);
            own = (reached && args.relay.is_none()).then(|| RelayClient::new(endpoint));
            findings.extend(walked);
        }
        Ok(None) => {}
        Err(error) => findings.push(Finding::failed("relay", &error)),
    }
    findings.extend(membership.check(own).await);
    let has = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let verdict = [Verdict::Fail, Verdict::Warn].into_iter().find(|verdict| has(*verdict)).unwrap_or(Verdict::Ok);
    context.result("countersign.doctor/1", &Report { verdict, checks: &findings }, |output| {
        for finding in &findings {
            let word = match finding.verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            output.line(&format!("{word}  {:<6}  {}", finding.check, finding.says));
            if let Some(next) = &finding.next {
                output.line(&format!("              next: {next}"));
            }
        }
    });
    Ok(if verdict == Verdict::Fail { Exit::Failed } else { Exit::Done })
}

/// The relay that was named, else the one that this device knows.
fn endpoint(context: &Context, args: &Args) -> Result<Option<Endpoint>, AgentError> {
    if let Some(url) = &args.relay {
        return Ok(Some(args.how.endpoint(url, context.source)?.0));
    }
    let path = context.home.store_file();
    if !path.exists() {
        return Ok(None);
    }
    let store = Store::open(&path)?;
    let Some(url) = store.text_setting(Setting::Relay)? else { return Ok(None) };
    let ca = store.setting(Setting::RelayCa)?;
    // Whether plain text over a network is accepted was asked when the address was first given.
    Endpoint::parse(&url, ca.as_deref(), context.source, Plaintext::Accepted).map(Some)
}
