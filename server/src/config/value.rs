//! Values as an operator writes them.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::rates::Rate;

/// A value before it is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// Text, or a number.
    Text(String),
    /// A list.
    List(Vec<String>),
}

impl Raw {
    /// The one value of an option that takes no list.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::List(_) => Err("expected one value, not a list".into()),
        }
    }

    /// The values of an option that takes a list. In the environment they are separated by commas.
    pub(super) fn list(&self) -> Vec<String> {
        let split = |text: &String| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let parts = match self {
            Self::Text(text) => split(text),
            Self::List(parts) => parts.clone(),
        };
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// As it would stand in the file.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::List(parts) => format!("{parts:?}"),
        }
    }
}

/// `500ms`, `30s`, `15m`, `2h` or `1d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("expected a duration like \"30s\" or \"15m\", not {text:?}");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = |factor| number.checked_mul(factor).map(Duration::from_secs);
    let duration = match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    };
    duration.filter(|duration| !duration.is_zero()).ok_or_else(wrong)
}

/// `60/m`: so many a minute.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let number = text.strip_suffix("/m").and_then(|number| number.trim().parse::<NonZeroU32>().ok());
    number.map(Rate).ok_or_else(|| format!("expected a rate like \"60/m\" (a minute), not {text:?}"))
}

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("expected true or false, not {text:?}"))
}

/// A number of at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("expected a number of at least 1, not {text:?}"))
}

/// The known word nearest to a mistyped one.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|candidate| distance(word, candidate)).unwrap_or_default()
}

/// Levenshtein distance of words as short as option names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, j) in row.iter_mut().zip(0..=b.len()) {
            if j == 0 {
                *slot = left;
                continue;
            }
            let substituted = diagonal + usize::from(b.get(j - 1) != Some(&x));
            diagonal = *slot;
            left = substituted.min(diagonal + 1).min(left + 1);
            *slot = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "15", "m", "-1s", "1.5s", "0s", "99999999999999999999d", "1w"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_nearest_name_is_one_edit_away() {
        let known = ["listen", "data", "trusted_proxies"];
        assert_eq!(nearest("listn", known.into_iter()), "listen");
        assert_eq!(nearest("trusted_proxy", known.into_iter()), "trusted_proxies");
        assert_eq!(nearest("date", known.into_iter()), "data");
    }
}
