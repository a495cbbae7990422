//! Text that a stranger chose: stripped, cut and quoted before anybody sees it.

use protocol::limits::DESCRIPTION_TEXT_MAX;

/// Strips control and bidirectional characters, folds white space, cuts at 64 characters. Escape codes do not survive it.
pub(crate) fn clean(raw: &str) -> String {
    let kept: String =
        raw.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
    let folded: Vec<&str> = kept.split_whitespace().collect();
    folded.join(" ").chars().take(DESCRIPTION_TEXT_MAX).collect()
}

/// Cleaned and between quotes; a quote inside is replaced, so that nobody can close it early.
pub(crate) fn quote(raw: &str) -> String {
    format!("'{}'", clean(raw).replace('\'', "\u{2019}"))
}

/// Names, each cleaned and between quotes, with commas.
pub(crate) fn quote_all(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// A name that members chose, for a terminal: what controls it is a space.
pub(crate) fn visible(raw: &str) -> String {
    raw.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

/// Characters that change how others are shown, or show nothing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_and_direction_marks_do_not_survive() {
        assert_eq!(clean("\u{1b}[2Jevil\u{202e}gpj.\u{200b}exe\r\n"), "[2Jevilgpj.exe");
    }

    #[test]
    fn a_name_is_cut_at_64_characters() {
        assert_eq!(clean(&"ä".repeat(200)).chars().count(), 64);
    }

    #[test]
    fn a_quote_inside_a_name_does_not_end_the_quotation() {
        assert_eq!(quote("a' approved on 'b"), "'a\u{2019} approved on \u{2019}b'");
    }
}
