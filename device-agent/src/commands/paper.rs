//! Where recovery words go: onto paper by a person at a terminal, or into a new file. This program keeps them nowhere.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use protocol::code::{CodeError, RecoveryCode};
use zeroize::Zeroizing;

use super::new_file::{self, NewFile};
use super::{Context, asked_to_stop, read_file};
use crate::error::AgentError;
use crate::terminal::{OnPaper, Sheet};

/// What to type with another file.
const FLAG: &str = "--recovery-file FILE";

/// Where new words go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Paper {
    /// A person writes them down.
    Person,
    /// This file, which must not be there.
    File(PathBuf),
}

impl Paper {
    /// Where the words go that a command is about to make. `instead` is what else may be typed without a terminal.
    pub(super) fn of(file: Option<PathBuf>, command: &str, instead: &str) -> Result<Self, AgentError> {
        match file {
            Some(file) => Ok(Self::File(file)),
            None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => Ok(Self::Person),
            None => Err(AgentError::Usage {
                what: "there is no terminal to show the recovery words on, and they are shown only once".to_owned(),
                hint: format!(
                    "{command} --recovery-file FILE   (a new file: move it onto paper, and delete it){instead}"
                ),
            }),
        }
    }

    /// Refuses a file that is there: before anything is drawn, or a person is asked.
    pub(super) fn must_be_new(&self) -> Result<(), AgentError> {
        match self {
            Self::File(file) => new_file::must_be_new(file, FLAG),
            Self::Person => Ok(()),
        }
    }

    /// Writes the words into the file, whole and synced, before anything is sent for which they count. A person is shown them by
    /// [`Paper::show`].
    pub(super) fn write(&self, sheet: &Sheet<'_>) -> Result<(), AgentError> {
        match self {
            Self::Person => Ok(()),
            Self::File(file) => {
                let mut new = NewFile::begin(file, FLAG)?;
                new.write(text(sheet).as_bytes())?;
                new.finish()
            }
        }
    }

    /// Shows the words to a person until they are on paper, or until she ends it.
    pub(super) async fn show(&self, context: &Context, sheet: &Sheet<'_>) -> Result<OnPaper, AgentError> {
        match self {
            Self::File(_) => Ok(OnPaper::Yes),
            Self::Person => tokio::select! {
                // First, so that an interrupt finds somebody who listens before there is anything to interrupt.
                biased;
                () = asked_to_stop() => {
                    context.output.progress("");
                    Ok(OnPaper::Unknown)
                }
                shown = sheet.show(context.output) => shown,
            },
        }
    }

    /// Says where the words are, once they count.
    pub(super) fn told(&self, context: &Context) {
        let line = match self {
            Self::Person => "The recovery words are on paper. Keep them apart from the sync code.".to_owned(),
            Self::File(file) => format!(
                "The recovery words are in {}: move them onto paper, apart from the sync code, and delete the file.",
                file.display()
            ),
        };
        context.output.progress(&line);
    }

    /// For programs: where they are.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Person => "shown",
            Self::File(_) => "file",
        }
    }
}

/// What a file says: the words on one line, and what they are in lines that reading passes over.
fn text(sheet: &Sheet<'_>) -> Zeroizing<String> {
    let words = sheet.code.words();
    Zeroizing::new(format!(
        "# Countersign recovery words of chain {}, recovery device {}.\n\
         # Whoever reads them can take over the chain: countersign recovery use. Keep them apart from the sync code.\n{}\n",
        sheet.fingerprint,
        sheet.code.keys().id().short(),
        words.as_str()
    ))
}

/// The words in a text, without the lines that say what they are.
pub(super) fn parse(bytes: &[u8]) -> Result<RecoveryCode, AgentError> {
    let wrong = |what: String| AgentError::Usage {
        what,
        hint: "the same command again   (and read the paper once more)".to_owned(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("the recovery words are not text".to_owned()))?;
    let mut words = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        words.push_str(line);
        words.push('\n');
    }
    RecoveryCode::from_words(&words).map_err(|error| match error {
        CodeError::WordCount { got } => wrong(format!("there are 24 recovery words; {got} were given")),
        other => wrong(other.to_string()),
    })
}

/// Whether a file holds the words of a recovery device: what an earlier try of the same command wrote.
pub(super) fn holds(file: &Path, device: &protocol::DeviceId) -> bool {
    let read = read_file(file).map(Zeroizing::new).and_then(|bytes| parse(&bytes));
    read.is_ok_and(|code| code.keys().id() == *device)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn drawn() -> RecoveryCode {
        RecoveryCode::draw(&mut rand_core::UnwrapErr(getrandom::SysRng))
    }

    #[test]
    fn the_file_is_new_and_private_and_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("words");
        let (code, other) = (drawn(), drawn());
        let paper = Paper::File(path.clone());
        paper.must_be_new().unwrap();
        paper.write(&Sheet { code: &code, fingerprint: "1a2b" }).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(holds(&path, &code.keys().id()) && !holds(&path, &other.keys().id()));
        assert!(matches!(paper.must_be_new(), Err(AgentError::Usage { .. })));
        assert!(matches!(paper.write(&Sheet { code: &other, fingerprint: "1a2b" }), Err(AgentError::Usage { .. })));
        assert!(holds(&path, &code.keys().id()), "it was not written over");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing lies beside it");
    }

    #[test]
    fn a_wrong_word_is_named_by_its_position_with_the_nearest_one() {
        let code = drawn();
        let words = code.words();
        let mut typed: Vec<&str> = words.split(' ').collect();
        typed[6] = "abandn";
        let said = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(said(&typed.join(" ")), "word 7 is not on the list; the nearest is \"abandon\"");
        assert_eq!(said("# a comment\nabandon"), "there are 24 recovery words; 1 were given");
        assert_eq!(parse(words.to_uppercase().as_bytes()).unwrap(), code);
    }
}
