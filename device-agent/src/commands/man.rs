//! `countersign man`: the manual, a page for each command.

use std::path::PathBuf;

use clap::CommandFactory as _;
use serde::Serialize;

use super::{Cli, EXIT_CODES};
use crate::error::AgentError;
use crate::output::{Format, Output};
use crate::told::Exit;

/// Write the manual into a folder, a page for each command
///
/// The folder is made if it is missing. The pages have the text of --help, with examples and exit codes.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign man /usr/local/share/man/man1\n  \
    countersign man /tmp/man && man /tmp/man/countersign-approve.1\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// The folder
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
}

#[derive(Serialize)]
struct Manual {
    schema: &'static str,
    dir: PathBuf,
}

/// Writes.
pub(super) fn run(args: Args, output: Output) -> Result<Exit, AgentError> {
    let dir = args.dir;
    std::fs::create_dir_all(&dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &dir))
        .map_err(|source| AgentError::File { path: dir.clone(), source })?;
    match output.format() {
        Format::Text => output.progress(&format!("the manual is in {}", dir.display())),
        Format::Json => output.json(&Manual { schema: "countersign.man/1", dir }),
    }
    Ok(Exit::Done)
}
