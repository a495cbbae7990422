//! A few lines at the bottom of a terminal that are drawn over, with ordinary lines scrolling by above them.

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use crate::error::AgentError;
use crate::output::{Logs, Output};

/// The block. While it lives the terminal hands over single keys; dropping it puts the terminal back.
pub(super) struct Block {
    output: Output,
    drawn: usize,
    width: usize,
}

impl Block {
    /// Takes the terminal.
    pub(super) fn open(output: Output) -> Result<Self, AgentError> {
        enable_raw_mode().map_err(AgentError::Terminal)?;
        Logs::hold();
        // A terminal that does not know its width says 0.
        let width = crossterm::terminal::size().ok().map(|(width, _)| usize::from(width)).filter(|width| *width > 0);
        Ok(Self { output, drawn: 0, width: width.unwrap_or(80).max(20) })
    }

    /// Follows a change of the terminal's width.
    pub(super) fn resize(&mut self, width: u16) {
        self.width = usize::from(width).max(20);
    }

    /// Draws the lines in place of the ones before. The cursor stays at the end of the last.
    pub(super) fn draw(&mut self, lines: &[String]) {
        for line in Logs::held() {
            self.say(&line);
        }
        let mut text = self.over();
        let folded: Vec<String> = lines.iter().flat_map(|line| fold(line, self.width - 1)).collect();
        text.push_str(&folded.join("\r\n"));
        self.output.prompt(&text);
        self.drawn = folded.len();
    }

    /// Lets a line scroll by above the block.
    pub(super) fn say(&mut self, line: &str) {
        let over = self.over();
        self.output.prompt(&format!("{over}{line}\r\n"));
        self.drawn = 0;
    }

    /// Escape codes that go back to the block's first line and clear from there.
    fn over(&self) -> String {
        match self.drawn {
            0 | 1 => "\r\u{1b}[J".to_owned(),
            lines => format!("\r\u{1b}[{}A\u{1b}[J", lines - 1),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let over = self.over();
        self.output.prompt(&over);
        let _ = disable_raw_mode();
        Logs::release();
    }
}

/// Folds a line at the width of the terminal, at a space where there is one, so that nothing of it is lost and the block knows its
/// height.
fn fold(line: &str, width: usize) -> Vec<String> {
    let mut folded = Vec::new();
    let mut current = String::new();
    for c in line.chars() {
        if columns(&current) + columns(c.encode_utf8(&mut [0; 4])) > width {
            let next = match current.rfind(' ') {
                Some(space) if !current[..space].trim().is_empty() => current.split_off(space + 1),
                _ => String::new(),
            };
            folded.push(std::mem::replace(&mut current, next));
        }
        current.push(c);
    }
    folded.push(current);
    folded
}

/// Columns of a text, at most. Characters beyond Latin, Greek and Cyrillic may take two, and are counted so.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn a_long_line_is_folded_whole() {
        assert_eq!(fold("", 5), [""]);
        assert_eq!(fold("12345", 5), ["12345"]);
        assert_eq!(fold("1234567890a", 5), ["12345", "67890", "a"]);
        assert_eq!(fold("12 345 6789", 6), ["12 ", "345 ", "6789"]);
        assert_eq!(fold("  345678", 6), ["  3456", "78"]);
        assert_eq!(fold("\u{4e00}\u{4e8c}\u{4e09}", 5), ["\u{4e00}\u{4e8c}", "\u{4e09}"], "two columns each");
    }
}
