//! `countersign leave`.

use std::io::IsTerminal as _;

use super::{Context, EXIT_CODES, confirm, show_change};
use crate::core::view::ChangeView;
use crate::door::Session;
use crate::error::AgentError;
use crate::told::Exit;

/// Leave the chain with this device
///
/// What it wrote counts on. The next approver that is connected gives the chain new keys and a new sync code. The last approver
/// cannot leave. At a terminal it is asked once more; without one --accept-risk=leave says it.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign leave\n  countersign leave --accept-risk=leave     (without a terminal)\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Take the risk without being asked
    #[arg(long, value_enum, value_name = "RISK")]
    accept_risk: Vec<Risk>,
}

/// A risk that is taken by naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Risk {
    /// This device is a member no more.
    Leave,
}

/// Leaves.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let accepted = args.accept_risk.contains(&Risk::Leave);
    if !accepted && !std::io::stdin().is_terminal() {
        return Err(AgentError::Usage {
            what: "without a terminal nobody can be asked whether this device is to leave".to_owned(),
            hint: "countersign leave --accept-risk=leave".to_owned(),
        });
    }
    let door = context.door(Session::NotNeeded).await?;
    context.output.progress(
        "This device will read and write nothing of the chain any more, and can come back only by a new join.",
    );
    if !accepted {
        confirm(context, "leave").await?;
    }
    let change: ChangeView = door.post("/leave", &()).await?;
    show_change(context, &change, "What this device had stays in its state directory, which can be removed.");
    Ok(Exit::Done)
}
