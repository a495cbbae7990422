//! The one module that prints: results to standard output, prompts and progress to standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::told::{Head, Told};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One object, or one a line, for programs.
    Json,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that is not dumb, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether somebody still reads a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// As far as is known.
    There,
    /// Not any more: it has what it wanted.
    Gone,
}

/// Log lines that wait for a block of the terminal to let them scroll by; nothing while there is no block.
static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Where log lines go: to standard error, or to the block that has the terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logs;

impl Logs {
    /// From now on a block takes them.
    pub(crate) fn hold() {
        *HELD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// What waits.
    pub(crate) fn held() -> Vec<String> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = held.as_mut().map(std::mem::take).unwrap_or_default();
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    /// No block takes them any more.
    pub(crate) fn release() {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = std::io::stderr().lock().write_all(&held.unwrap_or_default());
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match HELD.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(held) => held.write(bytes),
            None => std::io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    color: Color,
}

impl Output {
    /// Prints in a format.
    pub(crate) fn new(format: Format, color: Color) -> Self {
        Self { format, color }
    }

    /// The format.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A line of a result. A reader that went away is no error: it has what it wanted.
    pub(crate) fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Bytes of a result, as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// A piece of a result that must not be cut unnoticed: a full disk is an error.
    pub(crate) fn stream(&self, bytes: &[u8]) -> std::io::Result<Reader> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(Reader::There),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(error),
        }
    }

    /// The content of a record. A terminal gets a line; a file or a pipe gets the bytes that were put.
    pub(crate) fn value(&self, bytes: &[u8]) {
        self.bytes(bytes);
        if std::io::stdout().is_terminal() && !bytes.ends_with(b"\n") {
            self.bytes(b"\n");
        }
    }

    /// One object on one line.
    pub(crate) fn json(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.line(&text);
        }
    }

    /// Whether a result is read by a person, so that bytes would be noise.
    pub(crate) fn is_on_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// A line of progress.
    pub(crate) fn progress(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{text}").and_then(|()| err.flush());
    }

    /// Text without an end of line: a prompt, or a line that is written over.
    pub(crate) fn prompt(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{text}").and_then(|()| err.flush());
    }

    /// Writes over the current line of a terminal.
    pub(crate) fn rewrite(&self, text: &str) {
        self.prompt(&format!("\r\u{1b}[K{text}"));
    }

    /// How a command ended, if it did not end well, for people only: what is for programs was printed before.
    pub(crate) fn failure_told(&self, told: &Told) {
        let error = self.paint("31;1", "error:");
        self.progress(&format!("{error} {}", told.message));
        if let Some(hint) = &told.hint {
            self.progress(&format!("{} {hint}", self.paint("36", "next:")));
        }
        if let Some(head) = &told.proven {
            self.progress(&format!("its log holds all the same. The next time: {}", head.options()));
        }
    }

    /// How a command ended, if it did not end well.
    pub(crate) fn failure(&self, told: &Told) {
        self.failure_told(told);
        if self.format == Format::Json {
            self.json(&Failure {
                schema: "countersign.error/1",
                exit: told.exit.number(),
                code: &told.code,
                message: &told.message,
                hint: told.hint.as_deref(),
                proven: told.proven.as_deref(),
            });
        }
    }

    /// Bold, where colour is on.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colored() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn colored(&self) -> bool {
        self.is_colored_on(&std::io::stderr())
    }

    /// Whether a result on standard output may have colours.
    pub(crate) fn result_is_colored(&self) -> bool {
        self.is_colored_on(&std::io::stdout())
    }

    /// Whether a prompt on standard error may have colours.
    pub(crate) fn prompt_is_colored(&self) -> bool {
        self.is_colored_on(&std::io::stderr())
    }

    fn is_colored_on(&self, stream: &impl std::io::IsTerminal) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
                stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

#[derive(Serialize)]
struct Failure<'a> {
    schema: &'static str,
    exit: u8,
    code: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<&'a Head>,
}
