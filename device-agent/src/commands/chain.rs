//! `countersign chain`: ending it, and stopping that.

use std::io::IsTerminal as _;

use clap::Subcommand;

use super::{Context, EXIT_CODES, confirm_beginning, reset, show_change, show_proposal};
use crate::clock;
use crate::core::view::{ChangeView, ClosingView, OutcomeView, short};
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::body::{EndOrdered, Status, VetoOrdered};
use crate::text;
use crate::told::Exit;

/// End the chain, or stop that
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign chain purge\n  countersign chain veto\n  \
    countersign chain reset --relay https://relay.example.org\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Announce the end of the chain; typed again after the delay, carry it out: the relay deletes all records
    ///
    /// Every device is told of it, and each approver can stop it until it is carried out. How long that is stands in the policy, by
    /// default 7 days; the relay counts it. Nothing is carried out by itself. What a device has it keeps, and can export.
    #[command(after_help = format!("Examples:\n  countersign chain purge\n  \
        countersign chain purge --accept-risk=purge     (without a terminal)\n\n{EXIT_CODES}"))]
    Purge {
        /// Take the risk without being asked
        #[arg(long, value_enum, value_name = "RISK")]
        accept_risk: Vec<PurgeRisk>,
    },
    Reset(reset::Args),
    /// Stop an announced end, or an announced reset
    #[command(after_help = format!("Examples:\n  countersign chain veto\n  countersign chain veto 3f9c\n\n{EXIT_CODES}"))]
    Veto {
        /// A prefix of its id, where more than one thing stands
        id: Option<String>,
    },
}

/// A risk that is taken by naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PurgeRisk {
    /// Every record of the chain is deleted at the relay.
    Purge,
}

/// Announces, carries out, or stops.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what {
        What::Purge { accept_risk } => {
            let door = context.door(Session::NotNeeded).await?;
            purge(context, &door, accept_risk.contains(&PurgeRisk::Purge)).await?;
        }
        What::Reset(args) => return reset::run(context, args).await,
        What::Veto { id } => {
            let door = context.door(Session::NotNeeded).await?;
            let change: ChangeView = door.post("/chain/veto", &VetoOrdered { id }).await?;
            show_change(context, &change, "Every device is told. next: countersign log show");
        }
    }
    Ok(Exit::Done)
}

async fn purge(context: &Context, door: &Door, accepted: bool) -> Result<(), AgentError> {
    let output = context.output;
    let closing: Option<ClosingView> = door.get("/chain/closing").await?;
    let Some(closing) = closing else {
        output.progress("This announces the end of the chain. When it is carried out, the relay deletes every record.");
        confirm_end(context, door, accepted).await?;
        let change = match door.post("/chain/closing/announce", &()).await? {
            OutcomeView::Changed(change) => change,
            OutcomeView::Proposed(proposal) => {
                show_proposal(context, &proposal);
                return Ok(());
            }
        };
        let after = door.get::<Option<ClosingView>>("/chain/closing").await?;
        let due = after.map_or_else(String::new, |closing| format!(", from {} on", clock::show(closing.due_at)));
        show_change(context, &change, "Every device is told, and each approver can stop it: countersign chain veto");
        output.progress(&format!("next: countersign chain purge   (again{due}: it carries it out)"));
        return Ok(());
    };
    output.progress(&standing(&closing));
    output.progress("This carries it out, if the relay says that the delay has passed: every record is deleted there, at once and for good.");
    confirm_end(context, door, accepted).await?;
    let change: ChangeView = door.post("/chain/closing/end", &EndOrdered { closing: closing.id }).await?;
    show_change(context, &change, "next: countersign record export FILE   (on each device, for what it has)");
    Ok(())
}

/// An announced end in words.
pub(super) fn standing(closing: &ClosingView) -> String {
    format!(
        "the end of the chain was announced by {} at entry {}, {} ({}); it may be carried out from {} on",
        text::quote(&closing.by),
        closing.seq,
        clock::show(closing.at),
        short(&closing.id),
        clock::show(closing.due_at)
    )
}

/// Asks a person to type the beginning of the chain's fingerprint: a word would be typed by habit.
async fn confirm_end(context: &Context, door: &Door, accepted: bool) -> Result<(), AgentError> {
    if accepted {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(AgentError::Usage {
            what: "without a terminal nobody can be asked whether every record is to be deleted".to_owned(),
            hint: "countersign chain purge --accept-risk=purge".to_owned(),
        });
    }
    let status: Status = door.get("/status").await?;
    let beginning: String = status.fingerprint.chars().take(9).collect();
    confirm_beginning(context, &beginning).await
}
