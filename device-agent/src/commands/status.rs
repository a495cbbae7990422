//! `countersign status`.

use super::{Context, EXIT_CODES, chain, queue};
use crate::clock;
use crate::core::view::{TotpView, lost_records};
use crate::core::{Words, held_back};
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
        beginning(&status).iter().for_each(|line| output.line(line));
        for proposal in &status.approvals {
            output.line(&format!("PROPOSED {}  {} ({})", short(&proposal.proposal), proposal.what, proposal.standing()));
        }
        status.totp.iter().for_each(|totp| output.line(&codes(totp)));
        if let Some(again_at) = status.prompts_again_at {
            output.line(&format!("prompts  {}", held_back(again_at).trim_start_matches("prompts are ")));
        }
        outbox(&status).iter().for_each(|line| output.line(line));
        if status.records_lost > 0 {
            output.line(&format!("LOST     {}   (countersign record lost)", lost_records(status.records_lost)));
        }
        if status.records_aside > 0 {
            output.line(&format!(
                "records  {} set aside: they cite a head that this device does not know",
                status.records_aside
            ));
        }
        status.alarm.iter().for_each(|alarm| output.line(alarm));
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
            output.line(&format!("ALARM    the log forks at entry {seq}: membership changes are refused   (countersign log settle)"));
        }
    });
    Ok(match (status.fork_at.is_some() || status.alarm.is_some(), &status.gone) {
        (_, Some(_)) => Exit::NotAMember,
        (true, None) => Exit::Verification,
        (false, None) => Exit::Done,
    })
}

/// What is always shown. A device that is no member any more reads that first, and what it had been told until then.
fn beginning(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(gone) = &status.gone {
        lines.push(format!("GONE     {gone}"));
        if status.gone_said_by.as_deref() == Some("relay") && status.gone_code.as_deref() == Some("not-a-member") {
            lines.push("         countersign log show   (on another device of the chain: who removed this one, if anybody did)".to_owned());
        }
        lines.push("         next: countersign record export FILE   (what this device has stays readable)".to_owned());
    }
    let (role, daemon) = match &status.gone {
        Some(_) => ("no member", "not running"),
        None => (status.role.as_str(), "not running   (countersign run)"),
    };
    lines.push(format!("chain    {}", status.fingerprint));
    lines.push(format!("device   {} {} ({role})", text::quote(&status.name), short(&status.device)));
    lines.push(format!("head     {} at entry {}, epoch {}", short(&status.head), status.seq, status.epoch));
    lines.push(match &status.gone {
        Some(_) => format!("members  {} at that entry, as far as this device was told", status.members),
        None => format!("members  {}", status.members),
    });
    lines.extend(status.gone.is_none().then(|| recovery(status)));
    lines.push(format!("relay    {} ({})", status.relay, state(&status.relay_state, &status.relay)));
    lines.push(match status.daemon.as_str() {
        "running" => format!("daemon   running ({})", state(&status.link, &status.relay)),
        _ => format!("daemon   {daemon}"),
    });
    lines.extend(status.gone.is_none().then(|| format!("requests {} open", status.requests.len())));
    lines
}

/// One-time codes on this device.
fn codes(totp: &TotpView) -> String {
    let TotpView { mode, failed, failed_max, state, admits_as } = totp;
    match (state.as_str(), admits_as) {
        ("locked", _) => {
            format!("totp     LOCKED: {failed} codes failed here, none is compared   (countersign totp unlock)")
        }
        ("unopened", _) => {
            "totp     BROKEN: the secret in the policy does not open here, so no code is right   (countersign totp setup)"
                .to_owned()
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
