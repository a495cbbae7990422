//! `countersign devices`.

use clap::Subcommand;
use serde::Serialize;

use super::{Context, EXIT_CODES};
use crate::core::RecoveryView;
use crate::core::view::{Here, MemberView, short};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::recovery::Recovery;
use crate::told::Exit;
use crate::{clock, text};

/// See the devices of the chain
#[derive(clap::Args)]
#[command(after_help = format!("Example:\n  countersign devices list\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List the members, the founder first
    #[command(after_help = format!("Example:\n  countersign devices list\n\n{EXIT_CODES}"))]
    List,
}

#[derive(Serialize)]
struct Listed<'a> {
    devices: &'a [MemberView],
    /// The recovery device is nobody's: it is no device that a person uses.
    recovery: Option<&'a RecoveryView>,
}

/// Shows.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let What::List = args.what.unwrap_or(What::List);
    let door = context.door(Session::NotNeeded).await?;
    let devices: Vec<MemberView> = door.get("/devices").await?;
    let Recovery { recovery, .. } = door.get("/recovery").await?;
    context.result("countersign.devices/1", &Listed { devices: &devices, recovery: recovery.as_ref() }, |output| {
        for device in &devices {
            let here = if device.here == Here::ThisDevice { "  (this device)" } else { "" };
            let how = device.how.as_deref().map_or_else(
                || "founded".to_owned(),
                |how| format!("admitted by {} ({how})", text::quote(&device.admitted_by)),
            );
            output.line(&format!(
                "{}  {} {}  {}  {how} {}{here}",
                short(&device.device),
                text::quote(&device.name),
                device.platform,
                device.role,
                clock::show(device.admitted_at)
            ));
        }
        match &recovery {
            Some(recovery) => output.line(&format!(
                "{}  the recovery device, on paper  made by {} {}",
                short(&recovery.device),
                text::quote(&recovery.by),
                clock::show(recovery.at)
            )),
            None => output.progress("There is no recovery device: when the last of these is lost, so is the chain."),
        }
    });
    Ok(Exit::Done)
}
