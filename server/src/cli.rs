//! The command line: what can be typed, and what each command does.

mod healthcheck;
mod manual;
mod serve;
mod state_dir;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigError, Loaded, load, template};
use crate::tls::{Certificates, TlsError};

/// Where the configuration is looked for when nobody names it.
const FILE_DEFAULT: &str = "/etc/countersign-relay/relay.toml";

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration.";

const EXAMPLES: &str = "Examples:
  countersign-relay serve                            on 127.0.0.1:7370
  countersign-relay config template > relay.toml     every option, to be filled in
  countersign-relay serve --config relay.toml";

/// Countersign's relay: it forwards and enforces, it never decides.
#[derive(Debug, Parser)]
#[command(name = "countersign-relay", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"), max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay until SIGTERM or SIGINT; SIGHUP reads the certificates again.
    #[command(after_help = "Examples:
  countersign-relay serve
  countersign-relay serve --listen 127.0.0.1:0 --data /tmp/relay
  countersign-relay serve --config /etc/countersign-relay/relay.toml

When it listens it prints one line on standard output: listening on http://127.0.0.1:7370
Logs go to standard error.

Exit codes: 0 drained after a signal; 1 failed; 2 wrong usage or configuration.")]
    Serve(Sources),
    /// Look at the configuration.
    #[command(subcommand, after_help = EXIT_CODES)]
    Config(ConfigCommand),
    /// Ask a running relay whether it is ready.
    #[command(after_help = "Examples:
  countersign-relay healthcheck
  countersign-relay healthcheck --listen 127.0.0.1:8080

With TLS it accepts exactly the certificate of the configuration. With proxy_protocol, trusted_proxies must
name the address that it dials from: the relay's own.

Exit codes: 0 ready; 1 not ready, or not reached; 2 wrong usage or configuration.")]
    Healthcheck(Sources),
    /// Print a script with which a shell completes commands and options.
    #[command(after_help = "Example:
  countersign-relay completion bash > /etc/bash_completion.d/countersign-relay

Exit codes: 0 done; 1 failed; 2 wrong usage.")]
    Completion {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write the manual into a folder, a page for each command.
    #[command(after_help = "Example:
  countersign-relay man /usr/local/share/man/man1

Exit codes: 0 done; 1 failed; 2 wrong usage.")]
    Man {
        /// The folder; it is made if it is missing
        #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration can be used; if not, name file and line.
    #[command(
        after_help = "Example:\n  countersign-relay config check --config relay.toml\n\nExit codes: 0 usable; 2 not usable."
    )]
    Check(Sources),
    /// Print each option's value and where it comes from.
    #[command(
        after_help = "Example:\n  countersign-relay config show\n\nExit codes: 0 done; 2 the configuration cannot be used."
    )]
    Show(Sources),
    /// Print a file with every option, commented out at its default.
    #[command(after_help = "Example:\n  countersign-relay config template > relay.toml\n\nExit codes: 0 done.")]
    Template,
}

/// Where the configuration comes from. Each option can also be set by a variable: COUNTERSIGN_RELAY_SECTION__KEY.
#[derive(Debug, Args)]
struct Sources {
    /// Address and port that the relay listens on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Folder of the store
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Configuration file [default: /etc/countersign-relay/relay.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Sources {
    fn load(&self) -> Result<Loaded, ConfigError> {
        let standard = Path::new(FILE_DEFAULT);
        let file = self.config.as_deref().or_else(|| standard.exists().then_some(standard));
        let data = self.data.as_ref().map(|data| data.display().to_string());
        let flags = [("--listen", "listen", self.listen.clone()), ("--data", "data", data)];
        let flags: Vec<_> = flags.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?))).collect();
        // A value that is no Unicode is none of ours.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        load(file, environment, &flags)
    }
}

/// Runs what was typed.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(sources) => with_files(&sources, serve::serve),
        Command::Healthcheck(sources) => with(&sources, |loaded| healthcheck::healthcheck(&loaded.config)),
        Command::Config(ConfigCommand::Check(sources)) => {
            with_files(&sources, |loaded| {
                for warning in loaded.config.warnings() {
                    // Nothing can be done about a standard error that is closed.
                    let _ = writeln!(std::io::stderr(), "countersign-relay: warning: {warning}");
                }
                print("the configuration can be used\n")
            })
        }
        Command::Config(ConfigCommand::Show(sources)) => with(&sources, |loaded| print(&shown(&loaded))),
        Command::Config(ConfigCommand::Template) => print(&template()).map_err(Exit::Failed),
        Command::Completion { shell } => manual::completion(shell).map_err(Exit::Failed),
        Command::Man { folder } => manual::write(&folder).map_err(Exit::Failed),
        Command::Version => print(&format!("countersign-relay {}\n", env!("CARGO_PKG_VERSION"))).map_err(Exit::Failed),
    };
    let (code, why) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Exit::Failed(error)) => (1, format!("{error:#}")),
        Err(Exit::Usage(error)) => (2, error.to_string()),
        Err(Exit::Tls(error)) => (2, error.to_string()),
    };
    // Nothing can be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "countersign-relay: {why}");
    ExitCode::from(code)
}

enum Exit {
    Failed(anyhow::Error),
    Usage(ConfigError),
    Tls(TlsError),
}

/// As [`with`], where the files that the configuration names are used too.
fn with_files(sources: &Sources, run: impl FnOnce(Loaded) -> anyhow::Result<()>) -> Result<(), Exit> {
    let tls = sources.load().map_err(Exit::Usage)?.config.tls;
    if tls.are_set() {
        Certificates::load(tls).map_err(Exit::Tls)?;
    }
    with(sources, run)
}

fn with(sources: &Sources, run: impl FnOnce(Loaded) -> anyhow::Result<()>) -> Result<(), Exit> {
    let loaded = sources.load().map_err(Exit::Usage)?;
    run(loaded).map_err(Exit::Failed)
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn shown(loaded: &Loaded) -> String {
    let lines =
        loaded.settings.iter().map(|setting| format!("{} = {}  # {}\n", setting.key, setting.value, setting.origin));
    lines.collect()
}
