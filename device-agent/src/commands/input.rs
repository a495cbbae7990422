//! What a person gives a command: a word before what cannot be undone, a file, a duration.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use super::Context;
use crate::error::AgentError;
use crate::{limits, terminal};

/// Asks a person at a terminal to type a word before something that cannot be undone. Without a terminal what was typed suffices.
pub(crate) async fn confirm(context: &Context, word: &str) -> Result<(), AgentError> {
    if !std::io::stdin().is_terminal() {
        return Ok(());
    }
    context.output.prompt(&format!("Type {word} to go on: "));
    if terminal::read_line().await?.trim() == word {
        return Ok(());
    }
    Err(AgentError::Usage { what: "nothing was done".to_owned(), hint: String::new() })
}

/// Asks for the beginning of a fingerprint; spaces in it do not count.
pub(crate) async fn confirm_beginning(context: &Context, beginning: &str) -> Result<(), AgentError> {
    let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    context.output.prompt(&format!("Type {beginning}, the beginning of the chain's fingerprint, to go on: "));
    if letters(&terminal::read_line().await?) == letters(beginning) {
        return Ok(());
    }
    Err(AgentError::Usage { what: "nothing was done".to_owned(), hint: String::new() })
}

/// Reads a file of bounded size.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, AgentError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limits::INPUT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| AgentError::File { path: path.to_owned(), source })?;
    bounded(bytes, &path.display().to_string())
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> Result<Vec<u8>, AgentError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limits::INPUT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(AgentError::Terminal)?;
    bounded(bytes, "standard input")
}

fn bounded(bytes: Vec<u8>, from: &str) -> Result<Vec<u8>, AgentError> {
    if bytes.len() > limits::INPUT_BYTES {
        Err(AgentError::Usage {
            what: format!("{from} is too long: a record has at most 256 KiB, a sync code 24 words"),
            hint: String::new(),
        })
    } else {
        Ok(bytes)
    }
}

/// Reads a duration: `90s`, `15m`, `24h`, `7d`.
pub(crate) fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no duration: write 90s, 15m, 24h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("7d"), Ok(604_800));
        for wrong in ["", "s", "1w", "-1s", "15", "1.5h", "99999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
