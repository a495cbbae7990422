//! `countersign deny`.

use protocol::limits::BLOCK_MAX;

use super::{Context, EXIT_CODES};
use crate::core::view::DecisionView;
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::DenyRequest;
use crate::told::Exit;

/// Deny a request, for good
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign deny 3f9c\n  countersign deny 3f9c --block 24h\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// A prefix of the request's id
    id: String,
    /// Let the relay refuse the address range for a time, at most 7 days: 90s, 15m, 24h, 7d
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    block: Option<u32>,
}

/// Denies.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let deny = DenyRequest { id: args.id, block: args.block.unwrap_or(0) };
    let decision: DecisionView = door.post("/requests/deny", &deny).await?;
    context.result("countersign.decision/1", &decision, |output| {
        output.line(&decision.sentence());
        output.progress("The new device is not told: stop it there and run join again.");
    });
    Ok(Exit::Done)
}

fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no duration of at most 7 days: write 90s, 15m, 24h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let total = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    if u64::from(total) > BLOCK_MAX.as_secs() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_up_to_seven_days() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("7d"), Ok(604_800));
        for wrong in ["", "s", "8d", "1w", "-1s", "15", "1.5h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
