//! `countersign record rekey`: records of old epochs under the current keys.

use serde::Serialize;

use super::Context;
use crate::core::view::RekeyView;
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::Rekey;
use crate::told::Exit;

/// A whole pass.
#[derive(Serialize)]
struct Rekeyed {
    epoch: u64,
    written: u64,
    overtaken: u64,
    disputed: u64,
    damaged: u64,
}

/// Step by step, each line of progress saying how far it is.
pub(super) async fn run(context: &Context) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let mut sum = RekeyView::default();
    let (mut after, mut end) = (0, None);
    loop {
        let step: RekeyView = door.post("/records/rekey", &Rekey { after }).await?;
        (sum.epoch, sum.items) = (step.epoch, step.items.max(sum.items));
        sum.examined += step.examined;
        sum.written += step.written;
        sum.overtaken += step.overtaken;
        sum.disputed += step.disputed;
        sum.damaged += step.damaged;
        if step.written > 0 {
            context
                .output
                .progress(&format!("{} written anew, {} of {} looked at", sum.written, sum.examined, sum.items));
        }
        let end = *end.get_or_insert(step.last);
        match step.next.filter(|next| *next < end) {
            Some(next) => after = next,
            None => break,
        }
    }
    let done = Rekeyed {
        epoch: sum.epoch,
        written: sum.written,
        overtaken: sum.overtaken,
        disputed: sum.disputed,
        damaged: sum.damaged,
    };
    context.result("countersign.rekeyed/1", &done, |output| {
        output.line(&format!("{} records written anew under the keys of epoch {}", sum.written, sum.epoch));
        if sum.written > 0 {
            output.progress("They are by this device from now on: whoever wrote them before is named in them no more.");
        }
        if sum.disputed > 0 {
            output.line(&format!("{} are disputed and stay as they are   (countersign record list)", sum.disputed));
        }
        if sum.damaged > 0 {
            output.line(&format!("{} do not open", sum.damaged));
        }
    });
    Ok(Exit::Done)
}
