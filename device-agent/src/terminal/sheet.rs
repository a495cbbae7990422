//! Recovery words on a terminal: shown once, written down by a person, wiped off the screen, and two of them asked back.
//!
//! Whoever can type two of them has them in front of her somewhere else: on the screen they are no more.

use protocol::code::{RecoveryCode, WORDS};
use zeroize::Zeroizing;

use super::read_line;
use crate::error::AgentError;
use crate::output::Output;

/// Words on a line.
const COLUMNS: usize = 4;
/// How many words are asked back.
const ASKED: usize = 2;

/// What is to be written down.
pub(crate) struct Sheet<'a> {
    /// The words.
    pub(crate) code: &'a RecoveryCode,
    /// Fingerprint of the chain that they are for.
    pub(crate) fingerprint: &'a str,
}

/// Whether the words are on paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnPaper {
    /// Two of them were typed back.
    Yes,
    /// Input ended before.
    Unknown,
}

impl Sheet<'_> {
    /// Shows the words until two of them are typed back. It may be cancelled: the screen is wiped all the same.
    pub(crate) async fn show(&self, output: Output) -> Result<OnPaper, AgentError> {
        loop {
            {
                let _screen = Screen::take(output);
                for line in self.head() {
                    output.progress(&line);
                }
                output.prompt(&self.table());
                output.prompt("\nPress Enter when they are on paper; the screen is then wiped: ");
                if read_line().await?.is_empty() {
                    return Ok(OnPaper::Unknown);
                }
            }
            match self.asks_back(output, two_positions()).await? {
                Answer::Right => return Ok(OnPaper::Yes),
                Answer::Ended => return Ok(OnPaper::Unknown),
                Answer::Wrong { position } => {
                    output.progress(&format!("That is not word {position}. All of them again:"));
                }
            }
        }
    }

    fn head(&self) -> Vec<String> {
        vec![
            "RECOVERY WORDS".to_owned(),
            format!("chain            {}", self.fingerprint),
            format!("recovery device  {}", self.code.keys().id().short()),
            String::new(),
            "With these words alone you bring in a new device and remove lost ones, when no".to_owned(),
            "device is left to you. So can anybody else who reads them: keep them on paper,".to_owned(),
            "apart from your devices and from the sync code, which is another secret.".to_owned(),
            "They are shown this once, and kept nowhere.".to_owned(),
            String::new(),
        ]
    }

    fn table(&self) -> Zeroizing<String> {
        let words = self.code.words();
        // Room for everything: a text that grew would leave copies of the words behind.
        let mut table = Zeroizing::new(String::with_capacity(WORDS * 24));
        for (number, word) in (1..).zip(words.split(' ')) {
            let end = if number % COLUMNS == 0 { "\n" } else { " " };
            let gap = " ".repeat(9_usize.saturating_sub(word.len()));
            for part in [if number < 10 { "  " } else { " " }, &number.to_string(), " ", word, &gap, end] {
                table.push_str(part);
            }
        }
        table
    }

    async fn asks_back(&self, output: Output, positions: [usize; ASKED]) -> Result<Answer, AgentError> {
        let words = self.code.words();
        for position in positions {
            output.prompt(&format!("Word {position} of the paper: "));
            let typed = read_line().await?;
            if typed.is_empty() {
                return Ok(Answer::Ended);
            }
            let word = words.split(' ').nth(position - 1).unwrap_or_default();
            if typed.trim().to_lowercase() != word {
                return Ok(Answer::Wrong { position });
            }
        }
        Ok(Answer::Right)
    }
}

/// What was typed back.
enum Answer {
    Right,
    Wrong { position: usize },
    Ended,
}

/// Two of the positions from 1 to [`WORDS`], the lower one first.
fn two_positions() -> [usize; ASKED] {
    let mut bytes = [0; ASKED];
    // Without random bytes the first two are asked, which is no secret either.
    let _ = getrandom::fill(&mut bytes);
    let [one, other] = bytes.map(usize::from);
    let first = one % WORDS;
    let second = (first + 1 + other % (WORDS - 1)) % WORDS;
    [first.min(second) + 1, first.max(second) + 1]
}

/// A screen of its own, where the terminal has one: what stood on it is in no scrollback. Dropping it gives the terminal back.
pub(crate) enum Screen {
    /// One that is wiped.
    Own(Output),
    /// The terminal has none: what is written stays.
    TheTerminals,
}

impl Screen {
    /// Takes one.
    pub(crate) fn take(output: Output) -> Self {
        if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
            return Self::TheTerminals;
        }
        output.prompt("\u{1b}[?1049h\u{1b}[2J\u{1b}[H");
        Self::Own(output)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Self::Own(output) = self {
            output.prompt("\u{1b}[2J\u{1b}[?1049l");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_once_beside_its_number() {
        let code = RecoveryCode::draw(&mut rand_core::UnwrapErr(getrandom::SysRng));
        let sheet = Sheet { code: &code, fingerprint: "1a2b" };
        let table = sheet.table();
        let parts: Vec<&str> = table.split_whitespace().collect();
        let shown: Vec<String> = parts.chunks(2).map(|pair| pair.join(" ")).collect();
        let words = code.words();
        let expected: Vec<String> =
            words.split(' ').zip(1..).map(|(word, number)| format!("{number} {word}")).collect();
        assert_eq!(shown, expected);
        assert!(table.lines().all(|line| line.len() < 80), "{}", table.as_str());
        assert!(table.capacity() <= WORDS * 24, "it did not grow");
    }

    #[test]
    fn two_different_words_are_asked_back_and_each_may_be() {
        let mut asked = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            let [first, second] = two_positions();
            assert!(1 <= first && first < second && second <= WORDS);
            asked.extend([first, second]);
        }
        assert_eq!(asked.len(), WORDS);
    }
}
