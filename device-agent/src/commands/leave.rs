//! `countersign leave`.

use super::{Context, EXIT_CODES, confirm, show_change};
use crate::core::view::ChangeView;
use crate::door::Session;
use crate::error::AgentError;
use crate::told::Exit;

/// Leave the chain with this device
///
/// What it wrote counts on. The next approver that is connected gives the chain new keys and a new sync code. The last approver
/// cannot leave.
#[derive(clap::Args)]
#[command(after_help = format!("Example:\n  countersign leave\n\n{EXIT_CODES}"))]
pub(super) struct Args {}

/// Leaves.
pub(super) async fn run(context: &Context, _args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    context.output.progress(
        "This device will read and write nothing of the chain any more, and can come back only by a new join.",
    );
    confirm(context, "leave").await?;
    let change: ChangeView = door.post("/leave", &()).await?;
    show_change(context, &change, "What this device had stays in its state directory, which can be removed.");
    Ok(Exit::Done)
}
