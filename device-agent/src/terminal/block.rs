//! A few lines at the bottom of a terminal that are drawn over, with ordinary lines scrolling by above them.

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use crate::error::AgentError;
use crate::output::Output;

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
        let mut text = self.over();
        let cut: Vec<String> = lines.iter().map(|line| line.chars().take(self.width - 1).collect()).collect();
        text.push_str(&cut.join("\r\n"));
        self.output.prompt(&text);
        self.drawn = lines.len();
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
    }
}
