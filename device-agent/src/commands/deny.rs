//! `countersign deny`.

use protocol::limits::BLOCK_MAX;
use serde::Serialize;

use super::{Context, EXIT_CODES, seconds};
use crate::core::duration;
use crate::core::view::DecisionView;
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::{Denial, DenyRequest};
use crate::terminal;
use crate::told::Exit;

/// Deny a request, for good
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign deny 3f9c\n  countersign deny 3f9c --block 24h\n  countersign deny 3f9c --not-me\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// A prefix of the request's id
    #[arg(add = clap_complete::ArgValueCompleter::new(super::completion::open_requests))]
    id: String,
    /// Let the relay show nobody the requests from its address range for a time, at most 7 days: 90s, 15m, 24h, 7d
    #[arg(long, value_name = "DURATION", value_parser = block)]
    block: Option<u32>,
    /// Nobody here asked: the sync code has leaked. It is replaced at once, and no other device has to be added again
    #[arg(long)]
    not_me: bool,
}

/// The decision, and what was asked of the relay besides.
#[derive(Serialize)]
struct Denied {
    #[serde(flatten)]
    decision: DecisionView,
    /// Seconds for which the relay was asked to show nobody what comes from the address range; 0 for none.
    block: u32,
}

/// Denies.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let reason = if args.not_me { Denial::NotMe } else { Denial::Denied };
    let deny = DenyRequest { id: args.id, block: args.block.unwrap_or(0), reason };
    let denied = Denied { decision: door.post("/requests/deny", &deny).await?, block: deny.block };
    context.result("countersign.decision/1", &denied, |output| {
        output.line(&denied.decision.sentence);
        if denied.block > 0 {
            output.line(&format!(
                "the relay is asked to show nobody what comes from its address range for {}",
                duration(denied.block)
            ));
        }
        output.progress(match reason {
            Denial::Denied => "The new device is not told: stop it there and run join again.",
            Denial::NotMe => terminal::CODE_REPLACED,
        });
        if reason == Denial::NotMe {
            output.progress(terminal::CODE_REPLACED_NEXT);
        }
    });
    Ok(Exit::Done)
}

fn block(text: &str) -> Result<u32, String> {
    let total = seconds(text)?;
    if u64::from(total) > BLOCK_MAX.as_secs() { Err("a block is at most 7d".to_owned()) } else { Ok(total) }
}
