//! JSON in the order in which it was written, so that a case begins with its name.

use core::fmt::Write as _;

/// A JSON value. Numbers are unsigned: nothing in the protocol is negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Widest line on which a list or an object stands whole.
const LINE_MAX: usize = 140;

impl Json {
    /// The text of a file.
    pub(crate) fn to_file(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out.push('\n');
        out
    }

    /// Appends a member to an object.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<Json>) {
        let Self::Object(members) = self else { panic!("only an object has members") };
        members.push((name.to_owned(), value.into()));
    }

    fn line(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => serde_json::to_string(text).unwrap(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::line).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name:?}: {}", value.line())).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    fn write(&self, out: &mut String, depth: usize) {
        let line = self.line();
        let (open, close, parts): (char, char, Vec<(String, &Self)>) = match self {
            Self::List(items) => ('[', ']', items.iter().map(|item| (String::new(), item)).collect()),
            Self::Object(members) => {
                ('{', '}', members.iter().map(|(name, value)| (format!("{name:?}: "), value)).collect())
            }
            _ => return out.push_str(&line),
        };
        if depth > 0 && line.len() + depth * 2 <= LINE_MAX || parts.is_empty() {
            return out.push_str(&line);
        }
        out.push(open);
        for (index, (name, value)) in parts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}\n{:width$}{name}", "", width = depth * 2 + 2).unwrap();
            value.write(out, depth + 1);
        }
        write!(out, "\n{:width$}{close}", "", width = depth * 2).unwrap();
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> Json {
    Json::Text(data_encoding::HEXLOWER.encode(bytes.as_ref()))
}

/// A list of values.
pub(crate) fn list<T: Into<Json>>(items: impl IntoIterator<Item = T>) -> Json {
    Json::List(items.into_iter().map(Into::into).collect())
}

/// An object, member by member.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {
        $crate::vectors::json::Json::Object(vec![$(($name.to_owned(), $crate::vectors::json::Json::from($value))),*])
    };
}
pub(crate) use object;

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Json {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<u8> for Json {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Self::List(items)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
