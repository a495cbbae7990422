//! `man` and `completion`: what the command line knows of itself, for the manual and for shells.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::Cli;

/// Writes a page for each command into a folder, which is made if it is missing.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .with_context(|| format!("cannot write the manual into {}", folder.display()))
}

/// Prints what a shell evaluates. Nothing in it is asked of a running relay, so it is all in the script.
pub(super) fn completion(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign-relay", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_a_page_for_every_command_with_examples_and_exit_codes() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("man1")).unwrap();
        for page in ["", "-serve", "-config-check", "-config-show", "-config-template", "-healthcheck", "-man"] {
            let name = format!("countersign-relay{page}.1");
            let text = std::fs::read_to_string(folder.path().join("man1").join(&name)).unwrap();
            assert!(text.contains("Exit codes: "), "{name}");
            assert!(page.is_empty() || text.contains("Example"), "{name}");
        }
    }
}
