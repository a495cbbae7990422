//! Bytes on the left, what they are on the right: every byte of a form or message, one field a line.

use data_encoding::HEXLOWER;

use crate::support::layout;
use crate::vectors::notation::{KINDS, field};

/// Bytes of a long string on one line.
const WRAP: usize = 32;

/// Annotates the bytes of a CDDL rule. Forms in `known` (name, bytes) that lie inside stand by name only.
pub(super) fn annotate(rule: &str, bytes: &[u8], known: &[(String, Vec<u8>)]) -> String {
    let mut out = Annotator { bytes, at: 0, known, out: String::new() };
    out.item(rule, rule, "", 0);
    assert_eq!(out.at, bytes.len(), "the whole of {rule}");
    out.out
}

/// Annotates a signed form and its proofs. `signers` are the names of the keys, in order.
pub(super) fn annotate_form(rule: &str, bytes: &[u8], signers: &[String], known: &[(String, Vec<u8>)]) -> String {
    let mut out = Annotator { bytes, at: 0, known, out: String::new() };
    if bytes[0] != 0xd2 {
        out.line(0, "", 1, &format!("array of {}: the form and its proofs", signers.len()));
    }
    for (index, signer) in signers.iter().enumerate() {
        out.sign1(if index == 0 { Some(rule) } else { None }, signer);
    }
    assert_eq!(out.at, bytes.len(), "the whole of {rule}");
    out.out
}

struct Annotator<'a> {
    bytes: &'a [u8],
    at: usize,
    known: &'a [(String, Vec<u8>)],
    out: String,
}

impl Annotator<'_> {
    fn text(&mut self, depth: usize, hex: &str, comment: &str) {
        let hex = format!("{:width$}{}", "", hex.trim_end(), width = depth * 2);
        if comment.is_empty() {
            self.out.push_str(&format!("{hex}\n"));
        } else {
            self.out.push_str(&format!("{hex:<24} ; {comment}\n"));
        }
    }

    /// Writes bytes down as one line, after `prefix`, which was passed before.
    fn line(&mut self, depth: usize, prefix: &str, length: usize, comment: &str) {
        let hex = HEXLOWER.encode(&self.bytes[self.at..self.at + length]);
        self.text(depth, &format!("{prefix}{hex}"), comment);
        self.at += length;
    }

    fn wrapped(&mut self, depth: usize, length: usize) {
        let end = self.at + length;
        while self.at < end {
            self.line(depth, "", WRAP.min(end - self.at), "");
        }
    }

    /// Major type, argument, and length of the head.
    fn head(&self) -> (u8, u64, usize) {
        let first = self.bytes[self.at];
        let width = match first & 0x1f {
            0..=23 => 0,
            width @ 24..=27 => 1 << (width - 24),
            other => panic!("no form of ours has additional information {other}"),
        };
        let wide = &self.bytes[self.at + 1..self.at + 1 + width];
        let argument = wide.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        (first >> 5, if width == 0 { u64::from(first & 0x1f) } else { argument }, 1 + width)
    }

    /// Takes a head as hex, to stand before what follows on its line.
    fn prefix(&mut self, before: &str, length: usize) -> String {
        let hex = HEXLOWER.encode(&self.bytes[self.at..self.at + length]);
        self.at += length;
        format!("{before}{hex} ")
    }

    fn item(&mut self, name: &str, rule: &str, before: &str, depth: usize) {
        let (major, argument, head) = self.head();
        match major {
            0 => self.line(depth, before, head, &format!("{name}: {argument}")),
            2 => self.byte_string(name, before, depth, head, argument),
            3 => {
                let prefix = self.prefix(before, head);
                let length = usize::try_from(argument).unwrap();
                let text = String::from_utf8(self.bytes[self.at..self.at + length].to_vec()).unwrap();
                self.line(depth, &prefix, length, &format!("{name}: {text:?}"));
            }
            4 | 5 => match self.numbers_only() {
                Some((length, shown)) => self.line(depth, before, length, &format!("{name}: {shown}")),
                None if major == 4 => self.array(name, rule, before, depth, head, argument),
                None => self.map(name, rule, before, depth, head, argument),
            },
            7 => self.line(depth, before, head, &format!("{name}: {}", if argument == 21 { "true" } else { "false" })),
            _ => panic!("no form of ours has major type {major}"),
        }
    }

    fn byte_string(&mut self, name: &str, before: &str, depth: usize, head: usize, argument: u64) {
        let length = usize::try_from(argument).unwrap();
        let prefix = self.prefix(before, head);
        let content = &self.bytes[self.at..self.at + length];
        if let Some((known, _)) = self.known.iter().find(|(_, bytes)| bytes == content) {
            self.text(depth, &format!("{prefix}‹{known}›"), &format!("{name}, {length} bytes"));
            self.at += length;
        } else if length <= WRAP {
            self.line(depth, &prefix, length, name);
        } else {
            self.text(depth, &prefix, &format!("{name}, {length} bytes"));
            self.wrapped(depth + 1, length);
        }
    }

    fn array(&mut self, name: &str, rule: &str, before: &str, depth: usize, head: usize, count: u64) {
        let prefix = self.prefix(before, head);
        if let Some((_, kinds)) = KINDS.iter().find(|(known, _)| *known == rule) {
            let (_, kind, length) = self.head();
            let inner = kinds[usize::try_from(kind).unwrap()];
            let prefix = self.prefix(&prefix, length);
            return self.item(&format!("{name} of kind {kind}, {inner}"), inner, &prefix, depth);
        }
        self.text(depth, &prefix, &format!("{name}: array of {count}"));
        for _ in 0..count {
            self.item(name, rule, "", depth + 1);
        }
    }

    fn map(&mut self, name: &str, rule: &str, before: &str, depth: usize, head: usize, count: u64) {
        self.line(depth, before, head, &format!("{name}: map of {count}"));
        for _ in 0..count {
            let (_, key, length) = self.head();
            let prefix = self.prefix("", length);
            let (name, inner) = field(rule, key);
            self.item(&name, &inner, &prefix, depth + 1);
        }
    }

    /// Length and text of an array or map that holds nothing but numbers.
    fn numbers_only(&self) -> Option<(usize, String)> {
        let mut ahead = Annotator { bytes: self.bytes, at: self.at, known: self.known, out: String::new() };
        let (major, count, head) = ahead.head();
        ahead.at += head;
        let mut number = || {
            let (major, argument, length) = ahead.head();
            ahead.at += length;
            (major == 0).then_some(argument)
        };
        let mut shown = Vec::new();
        for _ in 0..count {
            let first = number()?;
            shown.push(if major == 5 { format!("{first}: {}", number()?) } else { first.to_string() });
        }
        let shown = shown.join(", ");
        Some((ahead.at - self.at, if major == 5 { format!("{{{shown}}}") } else { format!("[{shown}]") }))
    }

    /// One COSE_Sign1: of a form with this rule, or of a proof over a hash.
    fn sign1(&mut self, rule: Option<&str>, signer: &str) {
        let parts = layout(&self.bytes[self.at..]);
        assert_eq!(self.bytes[self.at], 0xd2);
        self.line(0, "", 10, "COSE_Sign1, protected header {1: -8, 4: kid}");
        self.line(1, "", 32, &format!("kid: {signer}"));
        let head = parts.payload.start - parts.kid.end;
        self.line(0, "", head, &format!("unprotected header, payload of {} bytes", parts.payload.len()));
        match rule {
            Some(rule) => self.item(rule, rule, "", 1),
            None => self.line(1, "", 32, "the hash of the form"),
        }
        self.line(0, "", 2, "signature");
        self.wrapped(1, 64);
    }
}
