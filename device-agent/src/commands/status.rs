//! `countersign status`.

use protocol::limits::PROMPTS_PER_DAY_MAX;

use super::{Context, EXIT_CODES, chain, queue};
use crate::clock;
use crate::core::Words;
use crate::core::view::TotpView;
use crate::door::Session;
use crate::error::AgentError;
use crate::limits;
use crate::local::body::Status;
use crate::text;
use crate::told::Exit;

/// Show chain, head, members, relay and daemon
#[derive(clap::Args)]
#[command(after_help = format!("Example:\n  countersign status\n\n{EXIT_CODES}"))]
pub(super) struct Args {}

/// Shows. A fork, a key that is not the chain's and the end of the membership are told by the exit code too.
pub(super) async fn run(context: &Context, _args: Args) -> Result<Exit, AgentError> {
    let status: Status = context.door(Session::NotNeeded).await?.get("/status").await?;
    context.result("countersign.status/1", &status, |output| {
        output.line(&format!("chain    {}", status.fingerprint));
        output.line(&format!("device   {} {} ({})", text::quote(&status.name), short(&status.device), status.role));
        output.line(&format!("head     {} at entry {}, epoch {}", short(&status.head), status.seq, status.epoch));
        output.line(&format!("members  {}", status.members));
        output.line(&recovery(&status));
        output.line(&format!("relay    {} ({})", status.relay, state(&status.relay_state, &status.relay)));
        output.line(&match status.daemon.as_str() {
            "running" => format!("daemon   running ({})", state(&status.link, &status.relay)),
            _ => "daemon   not running   (countersign run)".to_owned(),
        });
        output.line(&format!("requests {} open", status.requests.len()));
        for proposal in &status.approvals {
            output.line(&format!("PROPOSED {}  {} ({})", short(&proposal.proposal), proposal.what, proposal.standing()));
        }
        status.totp.iter().for_each(|totp| output.line(&codes(totp)));
        if let Some(again_at) = status.prompts_again_at {
            let limit = PROMPTS_PER_DAY_MAX;
            output.line(&format!(
                "prompts  {limit} of {limit} opened within a day without an admission; this device opens no more until {}",
                clock::show(again_at)
            ));
        }
        outbox(&status).iter().for_each(|line| output.line(line));
        if status.records_aside > 0 {
            output.line(&format!(
                "records  {} set aside: they cite a head that this device does not know",
                status.records_aside
            ));
        }
        for said in status.gone.iter().chain(&status.alarm) {
            output.line(said);
        }
        if let Some(closing) = &status.closing {
            output.line(&format!("ENDING   {}", chain::standing(closing)));
            output.line("         countersign chain veto   stops it");
        }
        if let Some(reset) = &status.reset {
            output.line(&format!(
                "RESET    somebody with the sync code wants the relay to delete this chain, on {} ({})",
                clock::show(reset.due_at),
                short(&reset.id)
            ));
            output.line("         countersign chain veto   stops it; and replace the code, as it has leaked: countersign code rotate");
        }
        if let Some(seq) = status.closed_at {
            output.line(&format!("CLOSED   at entry {seq}   (countersign record export FILE: what this device has stays readable)"));
        }
        if let Some(seq) = status.fork_at {
            output.line(&format!("ALARM    the log forks at entry {seq}: membership changes are refused"));
        }
    });
    Ok(match (status.fork_at.is_some() || status.alarm.is_some(), &status.gone) {
        (_, Some(_)) => Exit::NotAMember,
        (true, None) => Exit::Verification,
        (false, None) => Exit::Done,
    })
}

/// One-time codes on this device.
fn codes(totp: &TotpView) -> String {
    let TotpView { mode, failed, failed_max, state, admits_as } = totp;
    match (state.as_str(), admits_as) {
        ("locked", _) => {
            format!("totp     LOCKED: {failed} codes failed here, none is compared   (countersign totp unlock)")
        }
        (_, Some(role)) => {
            format!("totp     {mode}: lets in as {role} by a right code; {failed} of {failed_max} failed here")
        }
        (_, None) => format!("totp     {mode}; {failed} of {failed_max} failed here"),
    }
}

/// Whether the chain outlives the loss of all its devices.
fn recovery(status: &Status) -> String {
    match &status.recovery {
        None => "recovery NONE: when the last device is lost, so is the chain   (countersign recovery new)".to_owned(),
        Some(recovery) => {
            let device = format!("device {}, made {}", short(&recovery.device), clock::show(recovery.at));
            match recovery.words {
                Words::Kept => format!("recovery {device}"),
                Words::NeverTypedBack => format!(
                    "recovery {device}; its words were NEVER TYPED BACK: perhaps nobody has them   (countersign recovery new)"
                ),
            }
        }
    }
}

/// What waits for the relay, and what waits for its person.
fn outbox(status: &Status) -> Vec<String> {
    let outbox = &status.outbox;
    let sent = match (status.link.as_str(), status.relay_state.as_str()) {
        ("connected", _) => "countersign run is sending",
        (_, "reachable") => "sent by countersign run, or by a command that reads or writes records",
        _ => "sent when the relay is reached, by countersign run or by a command that reads or writes records",
    };
    let mut lines = Vec::new();
    if let Some(oldest_at) = outbox.oldest_at {
        lines.push(format!(
            "queued   {}, the oldest written {}   ({sent})",
            match outbox.queued {
                1 => "1 write".to_owned(),
                more => format!("{more} writes"),
            },
            clock::show(oldest_at)
        ));
    }
    let mut unsent: Vec<(String, usize)> = Vec::new();
    for said in outbox.refused.iter().map(queue::refused) {
        match unsent.iter_mut().find(|(known, _)| *known == said) {
            Some((_, writes)) => *writes += 1,
            None => unsent.push((said, 1)),
        }
    }
    for (said, writes) in unsent.iter().take(limits::REFUSED_SHOWN) {
        let times = if *writes > 1 { format!("{writes} writes of ") } else { String::new() };
        lines.push(format!("UNSENT   {times}{said}"));
    }
    let more: usize = unsent.iter().skip(limits::REFUSED_SHOWN).map(|(_, writes)| writes).sum();
    if more > 0 {
        lines.push(format!("UNSENT   {more} more   (countersign record queue)"));
    }
    lines
}

/// What is said of the relay, without its address, which stands beside it.
fn state(said: &str, relay: &str) -> String {
    said.replace(&format!("the relay {relay} is not reachable"), "not reachable")
}

fn short(id: &str) -> &str {
    crate::core::view::short(id)
}
