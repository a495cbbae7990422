//! `countersign version`.

use serde::Serialize;

use super::EXIT_CODES;
use crate::error::AgentError;
use crate::output::{Format, Output};
use crate::told::Exit;

/// Print the version
#[derive(clap::Args)]
#[command(after_help = format!("Example:\n  countersign version --json\n\n{EXIT_CODES}"))]
pub(super) struct Args {}

#[derive(Serialize)]
struct Version {
    schema: &'static str,
    version: &'static str,
    protocol: u8,
}

/// Prints.
pub(super) fn run(_args: &Args, output: Output) -> Result<Exit, AgentError> {
    let version = Version {
        schema: "countersign.version/1",
        version: env!("CARGO_PKG_VERSION"),
        protocol: protocol::VERSION,
    };
    match output.format() {
        Format::Json => output.json(&version),
        Format::Text => output.line(&format!("countersign {} (protocol {})", version.version, version.protocol)),
    }
    Ok(Exit::Done)
}
