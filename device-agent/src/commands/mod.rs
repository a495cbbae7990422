//! The commands: one file each. They parse, call the door, and print.

mod input;
mod hidden;
mod new_file;
mod paper;
mod recover;
mod recovery;
mod init;
mod join_screen;
pub(crate) mod join;
mod run;
mod queue;
mod lost;
mod status;
mod requests;
mod approve;
mod deny;
mod remove;
mod devices;
mod leave;
mod code;
mod policy;
mod totp;
mod approvals;
mod export;
mod rekey;
mod record;
mod settle;
mod log;
mod credential;
mod relay;
mod reset;
mod chain;
mod doctor;
mod completion;
mod man;
mod version;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use protocol::request::Description;
use serde::Serialize;

use crate::core::view::{ChangeView, OutcomeView, ProposalView};
use crate::dial::{Endpoint, Plaintext};
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::exit;
use crate::home::Home;
use crate::output::{Color, Format, Logs, Output};
use crate::terminal::Writing;
use crate::text;
use crate::told::Exit;
pub(crate) use input::{confirm, confirm_beginning, read_file, read_stdin, seconds};

const EXIT_CODES: &str = "Exit codes:
  0 done or approved        3 refused by the rules           6 not a member
  1 failed                  4 expired or timed out           7 relay not reachable
  2 wrong usage             5 not found or already decided   8 verification failed";

const EXAMPLES: &str = "Examples:
  countersign init --relay https://relay.example.org     a new chain, with this device as its first
  countersign code show                                  the words that a second device joins with
  countersign run                                        leave it running: it shows the prompt
  countersign join --relay https://relay.example.org     on the second device
  countersign requests list                              back on the first, without run: who asks
  countersign approve 3f9c                               type the code that the second device shows
  countersign record put notes first 'hello'             on either
";

/// New devices ask; a device that is trusted already countersigns.
#[derive(Parser)]
#[command(name = "countersign", version, about, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(clap::Args)]
struct Global {
    /// State directory [default: $COUNTERSIGN_HOME, else $XDG_STATE_HOME/countersign, else ~/.local/state/countersign]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Print one JSON object (streams: one a line) on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Local address to dial the relay from
    #[arg(long, global = true, value_name = "IP")]
    source_address: Option<IpAddr>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,
    /// Say more on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Join(join::Args),
    Run(run::Args),
    Status(status::Args),
    Requests(requests::Args),
    Approve(approve::Args),
    Deny(deny::Args),
    Devices(devices::Args),
    Leave(leave::Args),
    Code(code::Args),
    Policy(policy::Args),
    Totp(totp::Args),
    Approvals(approvals::Args),
    Recovery(recovery::Args),
    Record(record::Args),
    Log(log::Args),
    Credential(credential::Args),
    Relay(relay::Args),
    Chain(chain::Args),
    Doctor(doctor::Args),
    Completion(completion::Args),
    Man(man::Args),
    Version(version::Args),
}

/// What a command works with.
pub(crate) struct Context {
    /// The state directory.
    pub(crate) home: Home,
    /// Where to print.
    pub(crate) output: Output,
    /// The address to dial from.
    pub(crate) source: Option<IpAddr>,
}

impl Context {
    /// The way to the agent.
    pub(crate) async fn door(&self, session: Session) -> Result<Door, AgentError> {
        Door::open(&self.home, self.source, session).await
    }

    /// Prints a result: the object for programs, or lines for people.
    pub(crate) fn result(&self, schema: &'static str, value: &impl Serialize, lines: impl FnOnce(&Output)) {
        match self.output.format() {
            Format::Json => self.output.json(&Versioned { schema, value }),
            Format::Text => lines(&self.output),
        }
    }
}

/// An object with the name and version of its form.
#[derive(Serialize)]
struct Versioned<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

/// The program: parses its arguments, runs one command, and maps its ending to an exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Ends the process if a shell asks for completions.
    clap_complete::CompleteEnv::with_factory(Cli::command).var(completion::VARIABLE).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.number() } else { Exit::Done.number() });
        }
    };
    let format = if cli.global.json { Format::Json } else { Format::Text };
    let output = Output::new(format, cli.global.color);
    log_to_stderr(cli.global.verbose);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(AgentError::Terminal)
        .and_then(|runtime| {
            let ended = runtime.block_on(dispatch(cli, output));
            // A thread that still waits for a line of standard input must not hold the process.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(exit) => ExitCode::from(exit.number()),
        Err(error) => {
            let told = exit::tell(&error);
            output.failure(&told);
            ExitCode::from(told.exit.number())
        }
    }
}

async fn dispatch(cli: Cli, output: Output) -> Result<Exit, AgentError> {
    let Global { home, source_address: source, .. } = cli.global;
    let command = match cli.command {
        // These need no state directory.
        Command::Completion(args) => return completion::run(&args, output),
        Command::Man(args) => return man::run(args, output),
        Command::Version(args) => return version::run(&args, output),
        Command::Credential(credential::Args { what: credential::What::Verify(args) }) => {
            return credential::verify::run(&args, output);
        }
        command => command,
    };
    let context = Context { home: Home::locate(home)?, output, source };
    match command {
        Command::Init(args) => init::run(&context, args).await,
        Command::Join(args) => join::run(&context, args).await,
        Command::Run(args) => run::run(&context, args).await,
        Command::Status(args) => status::run(&context, args).await,
        Command::Requests(args) => requests::run(&context, args).await,
        Command::Approve(args) => approve::run(&context, args).await,
        Command::Deny(args) => deny::run(&context, args).await,
        Command::Devices(args) => devices::run(&context, args).await,
        Command::Leave(args) => leave::run(&context, args).await,
        Command::Code(args) => code::run(&context, args).await,
        Command::Approvals(args) => approvals::run(&context, args).await,
        Command::Totp(args) => totp::run(&context, args).await,
        Command::Policy(args) => policy::run(&context, args).await,
        Command::Recovery(args) => recovery::run(&context, args).await,
        Command::Record(args) => record::run(&context, args).await,
        Command::Log(args) => log::run(&context, args).await,
        Command::Credential(args) => credential::run(&context, args).await,
        Command::Chain(args) => chain::run(&context, args).await,
        Command::Relay(args) => relay::run(&context, args).await,
        Command::Doctor(args) => doctor::run(&context, args).await,
        Command::Completion(args) => completion::run(&args, output),
        Command::Man(args) => man::run(args, output),
        Command::Version(args) => version::run(&args, output),
    }
}

fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::fmt::format::debug_fn;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    // What the TLS library says of a certificate comes back as an error, and is told as such.
    let (own, others) = match verbose {
        0 => (LevelFilter::WARN, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::ERROR),
        _ => (LevelFilter::DEBUG, LevelFilter::INFO),
    };
    let targets = Targets::new().with_target("countersign", own).with_default(others);
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Logs).with_target(false).with_ansi(false);
    let _ = if verbose > 0 {
        registry.with(lines).try_init()
    } else {
        // Whoever asked for no log reads sentences, like every other line of progress.
        let sentence = debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            _ => Ok(()),
        });
        registry.with(lines.without_time().with_level(false).fmt_fields(sentence)).try_init()
    };
}

/// How it is written: option of `run`, `requests watch` and `join`.
#[derive(clap::Args)]
pub(crate) struct PlainArgs {
    /// Write lines of text only, and write none over: for screen readers
    #[arg(long)]
    plain: bool,
}

impl PlainArgs {
    /// What was asked for.
    pub(crate) fn writing(&self) -> Writing {
        if self.plain { Writing::Lines } else { Writing::Over }
    }
}

/// Risks of a command that dials a relay: each takes that of plain text by name, and perhaps others.
pub(crate) trait Risks: clap::ValueEnum + PartialEq + Send + Sync + 'static {
    /// Speak unencrypted HTTP over a network.
    const PLAINTEXT: Self;
}

/// A risk that is taken by naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RelayRisk {
    /// Speak unencrypted HTTP over a network.
    Plaintext,
}

impl Risks for RelayRisk {
    const PLAINTEXT: Self = Self::Plaintext;
}

/// How the relay is reached: options of every command that is given an address.
#[derive(clap::Args)]
pub(crate) struct RelayArgs<R: Risks = RelayRisk> {
    /// Certificate authority of the relay, PEM; else the system's roots are trusted
    #[arg(long, value_name = "FILE")]
    relay_ca: Option<PathBuf>,
    /// Take a risk by naming it
    #[arg(long, value_enum, value_name = "RISK")]
    accept_risk: Vec<R>,
}

impl<R: Risks> RelayArgs<R> {
    /// The relay's address, and the certificate authority to keep with it.
    pub(crate) fn endpoint(
        &self,
        url: &str,
        source: Option<IpAddr>,
    ) -> Result<(Endpoint, Option<Vec<u8>>), AgentError> {
        let ca = self.ca()?;
        Ok((Endpoint::parse(url, ca.as_deref(), source, self.plaintext())?, ca))
    }

    /// Whether plain text over a network was accepted by name.
    pub(crate) fn plaintext(&self) -> Plaintext {
        if self.accepts(&R::PLAINTEXT) { Plaintext::Accepted } else { Plaintext::LoopbackOnly }
    }

    /// Whether a risk is taken.
    pub(crate) fn accepts(&self, risk: &R) -> bool {
        self.accept_risk.contains(risk)
    }

    /// The certificate authority that is named.
    pub(crate) fn ca(&self) -> Result<Option<Vec<u8>>, AgentError> {
        self.relay_ca.as_deref().map(read_file).transpose()
    }
}

/// Prints a change of the membership that this command made.
pub(crate) fn show_change(context: &Context, change: &ChangeView, next: &str) {
    context.result("countersign.change/1", change, |output| {
        output.line(&change.sentence);
        output.progress(next);
    });
}

/// Prints what came of something that may need several approvers.
pub(crate) fn show_outcome(context: &Context, outcome: &OutcomeView, next: &str) {
    match outcome {
        OutcomeView::Changed(change) => show_change(context, change, next),
        OutcomeView::Proposed(proposal) => show_proposal(context, proposal),
    }
}

/// Prints that others must agree first.
pub(crate) fn show_proposal(context: &Context, proposal: &ProposalView) {
    context.result("countersign.proposal/1", proposal, |output| {
        output.line(&format!("PROPOSED to {}", proposal.what));
        output.progress(&format!("It is not done yet: {}.", proposal.standing()));
        output.progress(&format!("next: {}   (on another approver)", proposal.next()));
    });
}

/// What this device says of itself: the name its person chose, or the host's.
pub(crate) fn description(name: Option<&str>) -> Description {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = text::clean(&name.map_or_else(host, str::to_owned));
    Description {
        name: if name.is_empty() { "device".to_owned() } else { name },
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        totp: None,
    }
}

/// Ends when this process is asked to.
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let waits = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = waits else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_that_are_not_built_do_not_exist() {
        for absent in ["ticket", "ui"] {
            assert!(Cli::try_parse_from(["countersign", absent]).is_err(), "{absent}");
        }
    }

    #[test]
    fn every_help_names_examples_and_exit_codes() {
        fn check(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Exit codes:") && help.contains("Example"), "{}", command.get_name());
            command.get_subcommands_mut().filter(|command| command.get_name() != "help").for_each(check);
        }
        check(&mut Cli::command());
    }
}
