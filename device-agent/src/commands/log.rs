//! `countersign log`: the diary of the chain, and its verification from the first byte.

use clap::Subcommand;
use serde::Serialize;

use super::{Context, EXIT_CODES, settle};
use crate::clock;
use crate::core::view::{StepView, short};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::VerifiedCounts;
use crate::told::Exit;

/// See how the membership came about, and verify it
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign log show\n  countersign log verify\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the diary: every entry in words
    #[command(after_help = format!("Example:\n  countersign log show\n\n{EXIT_CODES}"))]
    Show,
    /// Verify the whole log and every record again
    #[command(after_help = format!("Example:\n  countersign log verify\n\n{EXIT_CODES}"))]
    Verify,
    Settle(settle::Args),
}

#[derive(Serialize)]
struct Shown<'a> {
    entries: &'a [StepView],
}

/// Shows or verifies.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what {
        What::Settle(args) => return settle::run(context, args).await,
        What::Show => {
            let door = context.door(Session::NotNeeded).await?;
            let entries: Vec<StepView> = door.get("/log").await?;
            context.result("countersign.log/1", &Shown { entries: &entries }, |output| {
                for step in &entries {
                    let at = clock::show(step.at);
                    output.line(&format!(
                        "{:>4}  {}  {at}  {:13}  {}",
                        step.seq,
                        short(&step.hash),
                        step.kind,
                        step.what
                    ));
                }
            });
        }
        What::Verify => {
            let door = context.door(Session::NotNeeded).await?;
            let counts: VerifiedCounts = door.post("/log/verify", &()).await?;
            context.result("countersign.log-verified/1", &counts, |output| {
                output.line(&format!(
                    "verified {} entries and {} records; head {}",
                    counts.entries,
                    counts.records,
                    short(&counts.head)
                ));
            });
        }
    }
    Ok(Exit::Done)
}
