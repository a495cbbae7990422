//! A QR code as lines of half blocks, two rows of modules to a line.
//!
//! Light is what is drawn: on a terminal with a dark background that alone is right, and with colours it is right on every background.

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use crate::error::AgentError;

/// Light modules around the code; a reader finds its edges by them (ISO/IEC 18004, 4 modules).
const QUIET: usize = 4;

/// What the lines are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// White on black, whatever the terminal's own colours are: out of the fixed part of the palette, which no theme changes.
    Colors,
    /// The terminal's own: for a file, or where colours are unwanted.
    Plain,
}

/// Draws a text. Error correction is the lowest: a screen has no stains, and the code fits 24 lines for most relays.
pub(crate) fn draw(text: &str, ink: Ink) -> Result<Zeroizing<String>, AgentError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|error| AgentError::Task { what: format!("drawing a QR code: {error}") })?;
    let (width, modules) = (code.width(), code.to_colors());
    let rows: Vec<&[Color]> = modules.chunks(width).collect();
    // What lies outside is light.
    let is_light = |x: usize, y: usize| {
        let module = y.checked_sub(QUIET).zip(x.checked_sub(QUIET)).and_then(|(y, x)| rows.get(y)?.get(x));
        module.is_none_or(|module| *module == Color::Light)
    };
    let side = width + 2 * QUIET;
    let mut drawn = Zeroizing::new(String::with_capacity(side * side * 2));
    for y in (0..side).step_by(2) {
        if ink == Ink::Colors {
            drawn.push_str("\u{1b}[38;5;231;48;5;16m");
        }
        for x in 0..side {
            drawn.push(match (is_light(x, y), is_light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        drawn.push_str(if ink == Ink::Colors { "\u{1b}[0m\n" } else { "\n" });
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera sees of the lines: pixels, and in them the codes.
    fn read(drawn: &str) -> Vec<String> {
        const PIXELS: usize = 3;
        let rows: Vec<Vec<bool>> = drawn
            .lines()
            .flat_map(|line| {
                let upper = line.chars().map(|c| matches!(c, '█' | '▀')).collect();
                [upper, line.chars().map(|c| matches!(c, '█' | '▄')).collect()]
            })
            .collect();
        let shade = |x: usize, y: usize| if rows[y / PIXELS][x / PIXELS] { 255 } else { 0 };
        let (width, height) = (rows[0].len() * PIXELS, rows.len() * PIXELS);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, shade);
        image.detect_grids().iter().map(|grid| grid.decode().unwrap().1).collect()
    }

    #[test]
    fn what_is_drawn_is_read_by_another_program() {
        for length in [1, 99, 150, 400] {
            let text = "countersign:join?relay=http".chars().cycle().take(length).collect::<String>();
            let drawn = draw(&text, Ink::Plain).unwrap();
            assert_eq!(read(&drawn), [text]);
        }
    }

    #[test]
    fn the_code_stands_in_a_quiet_zone_and_every_line_is_as_long() {
        let drawn = draw("hello", Ink::Plain).unwrap();
        let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
        // Version 1 has 21 modules.
        assert!(lines.len() == 15 && lines.iter().all(|line| line.len() == 29));
        let light = |cells: &[char]| cells.iter().all(|cell| *cell == '█');
        assert!(light(&lines[0]) && light(&lines[1]) && light(&lines[13]) && light(&lines[14]));
        assert!(lines.iter().all(|line| light(&line[..4]) && light(&line[25..])));
    }

    #[test]
    fn with_colours_nothing_depends_on_the_terminals_own() {
        let (plain, colored) = (draw("hello", Ink::Plain).unwrap(), draw("hello", Ink::Colors).unwrap());
        for (plain, colored) in plain.lines().zip(colored.lines()) {
            assert_eq!(colored, format!("\u{1b}[38;5;231;48;5;16m{plain}\u{1b}[0m"));
        }
        assert_eq!(plain.lines().count(), colored.lines().count());
    }

    #[test]
    fn what_is_too_long_for_any_code_is_an_error() {
        assert!(matches!(draw(&"x".repeat(3000), Ink::Plain), Err(AgentError::Task { .. })));
    }
}
