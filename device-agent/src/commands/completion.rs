//! `countersign completion`: what a shell evaluates, and what it then asks for each time somebody presses the key.
//!
//! The script knows nothing itself: it calls this program with [`VARIABLE`] set, and that answers from the command line's own
//! definition. So a script that was installed once offers what the installed version can do, and the requests that are open now.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap_complete::CompletionCandidate;
use clap_complete::env::Shells;

use super::EXIT_CODES;
use crate::core::view::{RequestView, short};
use crate::door::Door;
use crate::error::AgentError;
use crate::home::Home;
use crate::output::Output;
use crate::told::Exit;
use crate::{limits, text};

/// Set by the shell's script when it asks for completions.
pub(super) const VARIABLE: &str = "COUNTERSIGN_COMPLETE";

/// Print a script with which a shell completes commands, options and the ids of open requests
///
/// Ids are offered while the daemon runs: the key that completes must not wait for the relay, nor hold the lock of the device.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign completion bash > ~/.local/share/bash-completion/completions/countersign\n  \
    countersign completion zsh > ~/.zfunc/_countersign\n  \
    countersign completion fish > ~/.config/fish/completions/countersign.fish\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Prints the script, also with `--json`: a shell reads it.
pub(super) fn run(args: &Args, output: Output) -> Result<Exit, AgentError> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string()).ok_or_else(|| AgentError::Usage {
        what: format!("there is no script for {}", args.shell),
        hint: "countersign completion bash".to_owned(),
    })?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "countersign", "countersign", "countersign", &mut script)
        .map_err(AgentError::Terminal)?;
    output.bytes(&script);
    Ok(Exit::Done)
}

/// The ids of the open requests that begin with what was typed. Nothing if no daemon answers at once.
pub(super) fn open_requests(typed: &OsStr) -> Vec<CompletionCandidate> {
    let home = Home::locate(home_flag(std::env::args_os()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Some(typed), Ok(home), Ok(runtime)) = (typed.to_str(), home, runtime) else {
        return Vec::new();
    };
    let asked = async {
        let door = Door::of_daemon(&home).await?;
        door.get::<Vec<RequestView>>("/requests").await.ok()
    };
    let answer = runtime.block_on(async { tokio::time::timeout(limits::COMPLETION_WAIT, asked).await });
    let requests = answer.ok().flatten().unwrap_or_default();
    let offered = |request: RequestView| {
        // The short form, unless more was typed already.
        let id = if typed.len() > short(&request.id).len() { request.id.as_str() } else { short(&request.id) };
        id.starts_with(typed).then(|| CompletionCandidate::new(id).help(Some(text::quote(&request.name).into())))
    };
    requests.into_iter().filter_map(offered).collect()
}

/// The state directory that stands on the line which is being completed.
fn home_flag(mut words: impl Iterator<Item = std::ffi::OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        if word == "--home" {
            return words.next().map(PathBuf::from);
        }
        if let Some(dir) = word.to_str().and_then(|word| word.strip_prefix("--home=")) {
            return Some(dir.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_asks_the_daemon_of_the_home_on_the_line() {
        let of = |line: &str| home_flag(line.split(' ').map(Into::into));
        assert_eq!(of("countersign -- countersign --home /a approve"), Some("/a".into()));
        assert_eq!(of("countersign -- countersign --home=/b approve"), Some("/b".into()));
        assert_eq!(of("countersign -- countersign approve"), None);
    }
}
