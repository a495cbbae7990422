//! `countersign log settle`: both branches of a fork side by side, and the choice between them.

use std::io::IsTerminal as _;

use super::{Context, EXIT_CODES, show_outcome};
use crate::core::view::{BranchView, ForkView, OutcomeView, short};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::SettleOrdered;
use crate::told::Exit;
use crate::{clock, terminal};

/// Show both branches of a forked log; let one go on, and abandon the other
///
/// An approver of both branches may do that, in a new epoch under a new sync code; where the policy of either asks for several approvers of
/// anything, as many must type the same. What was decided and written on the other branch alone is
/// gone afterwards, also at the relay; a device that stood on it goes over when it next connects. A removed device settles nothing.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign log settle                 (shows both, and at a terminal asks)\n  \
    countersign log settle --keep 3f9c81aa\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// The branch that goes on, by a prefix of its first entry's hash
    #[arg(long, value_name = "HASH")]
    keep: Option<String>,
}

/// Shows, and settles.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let keep = match args.keep {
        Some(keep) => keep,
        None => {
            let fork: ForkView = door.get("/log/fork").await?;
            let asks = std::io::stdin().is_terminal();
            if !asks {
                context.result("countersign.log-fork/1", &fork, |output| {
                    lines(&fork).iter().for_each(|line| output.line(line))
                });
                context.output.progress("next: countersign log settle --keep HASH   (the branch that goes on)");
                return Ok(Exit::Verification);
            }
            lines(&fork).iter().for_each(|line| context.output.progress(line));
            context.output.prompt("Type the first eight characters of the branch that goes on: ");
            let typed = terminal::read_line().await?.trim().to_owned();
            if typed.len() < 8 {
                return Err(AgentError::Usage { what: "nothing was done".to_owned(), hint: String::new() });
            }
            typed
        }
    };
    let outcome: OutcomeView = door.post("/log/settle", &SettleOrdered { keep }).await?;
    show_outcome(context, &outcome, "next: countersign log verify   (and on the other devices: countersign status)");
    if matches!(outcome, OutcomeView::Proposed(_)) {
        context.output.progress(
            "An approver who saw the fork types the same as here. One who stands on the relay's branch hears of it only if that is the one to go on: \
             if nobody else stands on yours, keep the other one.",
        );
    }
    Ok(Exit::Done)
}

fn lines(fork: &ForkView) -> Vec<String> {
    let mut lines = vec![format!("The log forks at entry {}.", fork.seq)];
    for (what, branch) in [("pinned on this device", &fork.pinned), ("shown by the relay", &fork.other)] {
        let BranchView { first, steps, approver_here } = branch;
        let may = if *approver_here { "this device approves there" } else { "this device is no approver there" };
        lines.push(format!("branch {}  {what}; {may}", short(first)));
        for step in steps {
            lines.push(format!(
                "{:>4}  {}  {}  {:13}  {}",
                step.seq,
                short(&step.hash),
                clock::show(step.at),
                step.kind,
                step.what
            ));
        }
    }
    lines
}
