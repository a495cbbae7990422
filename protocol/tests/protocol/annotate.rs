//! Writes CBOR as annotated hex, one item a line, and reads it back: the golden files are for people of other languages too.

use data_encoding::HEXLOWER;

/// The names of the fields of each map, by the name of what holds it.
const FIELDS: [(&str, &[&str]); 35] = [
    ("entry", &["version", "chain", "seq", "prev", "at", "body"]),
    ("found", &["device", "join key", "key id", "description", "name key", "sync code", "policy", "recovery"]),
    ("admit", &["request", "role", "epoch", "how", "description", "welcome", "approvals", "ticket", "totp step"]),
    ("deny", &["request", "device", "reason", "block"]),
    ("device", &["signing", "sealing"]),
    ("recovery", &["device", "epoch key"]),
    ("policy", &["ways", "quorums", "request lifetime", "members max", "closing delay", "reset delay", "totp"]),
    ("quorums", &["admit", "remove", "policy", "closing"]),
    ("join request", &["version", "join key", "device", "description hash", "commitment", "at"]),
    ("withdrawal", &["version", "request"]),
    ("nonce", &["version", "chain", "request", "round", "head", "epoch", "nonce"]),
    ("reveal", &["version", "request", "nonce", "value"]),
    (
        "record",
        &[
            "version",
            "chain",
            "collection",
            "id",
            "epoch",
            "counter",
            "last",
            "base",
            "head",
            "at",
            "kind",
            "ciphertext hash",
        ],
    ),
    (
        "connect",
        &[
            "version",
            "offered",
            "origin",
            "relay nonce",
            "own nonce",
            "chain",
            "device",
            "standing",
            "request",
            "head",
            "cursor",
        ],
    ),
    ("cursor", &["store", "number"]),
    ("ack", &["seq", "number"]),
    ("append", &["entries", "purpose"]),
    ("appended", &["head", "seq"]),
    ("log page", &["entries", "head", "seq"]),
    ("ask", &["request", "description"]),
    ("standing", &["request", "stage", "remaining", "online", "nonces"]),
    ("seen", &["address", "proxy", "at"]),
    ("rounds", &["nonce", "reveal"]),
    ("open request", &["request", "description", "seen", "remaining", "rounds"]),
    ("open requests", &["requests"]),
    ("requests", &["request", "description", "seen", "remaining", "rounds"]),
    ("sealed", &["record", "ciphertext"]),
    ("records", &["record", "ciphertext"]),
    ("put", &["records"]),
    ("stored", &["numbers"]),
    ("rows", &["number", "sealed"]),
    ("record page", &["rows", "cursor", "last"]),
    ("challenge", &["nonce", "at"]),
    ("ready", &["head", "seq", "knows your head"]),
    ("ended", &["request", "ending"]),
];

/// What the second item of `[kind, {…}]` is, by the first.
const KINDS: [(&str, &[&str]); 3] = [
    ("body", &["", "found", "admit", "deny"]),
    ("to device", &["challenge", "ready", "log page", "record page", "open request", "ended", "standing"]),
    ("from device", &["ack"]),
];

/// Which form lies in a byte string of this name.
const INNER: [(&str, &str); 6] = [
    ("request", "join request"),
    ("entries", "entry"),
    ("nonces", "nonce"),
    ("nonce", "nonce"),
    ("reveal", "reveal"),
    ("record", "record"),
];

fn names(table: &[(&str, &'static [&'static str])], holder: &str, index: u64) -> &'static str {
    let found = table.iter().find(|(name, _)| *name == holder);
    found.and_then(|(_, names)| names.get(usize::try_from(index).unwrap())).copied().unwrap_or("")
}

/// The annotated text of CBOR whose outermost item is called `what`.
pub(crate) fn annotate(what: &str, bytes: &[u8]) -> String {
    let mut dump = Dump { bytes, at: 0, out: String::new() };
    while dump.at < bytes.len() {
        dump.item(what, what, 0);
    }
    dump.out
}

/// The bytes of an annotated text: everything but comments and space.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    let digits: String = text.lines().map(|line| line.split('#').next().unwrap().replace(' ', "")).collect();
    HEXLOWER.decode(digits.as_bytes()).expect("annotated hex")
}

struct Dump<'a> {
    bytes: &'a [u8],
    at: usize,
    out: String,
}

impl Dump<'_> {
    fn line(&mut self, length: usize, depth: usize, comment: &str) {
        let mut rest = &self.bytes[self.at..self.at + length];
        let mut comment = comment;
        while !rest.is_empty() {
            let (now, after) = rest.split_at(rest.len().min(32));
            let hex = format!("{:width$}{}", "", HEXLOWER.encode(now), width = depth * 2);
            self.out.push_str(if comment.is_empty() { hex.clone() } else { format!("{hex}  # {comment}") }.as_str());
            self.out.push('\n');
            (rest, comment) = (after, "");
        }
        self.at += length;
    }

    fn head(&self) -> (u8, u64, usize) {
        let first = self.bytes[self.at];
        let (argument, length) = match first & 0x1f {
            small @ 0..=23 => (u64::from(small), 1),
            width @ 24..=27 => {
                let count = 1usize << (width - 24);
                let wide = &self.bytes[self.at + 1..self.at + 1 + count];
                (wide.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), 1 + count)
            }
            other => panic!("no form of ours has additional information {other}"),
        };
        (first >> 5, argument, length)
    }

    /// `label` is what the comment says, `what` the name of the thing, by which its parts are named.
    fn item(&mut self, label: &str, what: &str, depth: usize) {
        let (major, argument, head) = self.head();
        match major {
            0 => self.line(head, depth, &format!("{label}: {argument}")),
            2 => self.byte_string(label, what, depth, head, usize::try_from(argument).unwrap()),
            3 => {
                let length = usize::try_from(argument).unwrap();
                let text = &self.bytes[self.at + head..self.at + head + length];
                let text = String::from_utf8(text.to_vec()).unwrap();
                self.line(head, depth, &format!("{label}: text of {length}"));
                self.line(length, depth + 1, &format!("{text:?}"));
            }
            4 => self.array(label, what, depth, head, argument),
            5 => {
                self.line(head, depth, &format!("{label}: map of {argument}"));
                for _ in 0..argument {
                    let (_, key, length) = self.head();
                    let name = names(&FIELDS, what, key);
                    self.line(length, depth + 1, &format!("key {key}, {name}"));
                    self.item(name, name, depth + 2);
                }
            }
            6 => self.sign1(label, what, depth, head),
            7 => self.line(head, depth, &format!("{label}: simple {argument} (20 false, 21 true)")),
            _ => panic!("no form of ours has major type {major}"),
        }
    }

    fn array(&mut self, label: &str, what: &str, depth: usize, head: usize, count: u64) {
        if self.bytes[self.at + head] == 0xd2 {
            self.line(head, depth, &format!("{label}: array of {count}, the form and its proofs"));
            self.item(label, what, depth + 1);
            for _ in 1..count {
                self.item("proof", "proof", depth + 1);
            }
        } else if KINDS.iter().any(|(name, _)| *name == what) {
            self.line(head, depth, &format!("{label}: [kind, map]"));
            let (_, kind, length) = self.head();
            let name = names(&KINDS, what, kind);
            self.line(length, depth + 1, &format!("kind {kind}, {name}"));
            self.item(name, name, depth + 1);
        } else {
            self.line(head, depth, &format!("{label}: array of {count}"));
            for index in 0..count {
                self.item(&format!("item {index}"), what, depth + 1);
            }
        }
    }

    /// Tag 18: the parts of a COSE_Sign1 are the same in every form.
    fn sign1(&mut self, label: &str, what: &str, depth: usize, head: usize) {
        self.line(head, depth, &format!("{label}: tag 18, COSE_Sign1"));
        self.line(1, depth + 1, "array of 4");
        self.line(2, depth + 1, "protected header, 38 bytes");
        self.line(6, depth + 2, "{1: -8 (EdDSA), 4: kid of 32 bytes}");
        self.line(32, depth + 2, "kid");
        self.line(1, depth + 1, "unprotected header, empty");
        let (_, length, payload_head) = self.head();
        let length = usize::try_from(length).unwrap();
        self.line(payload_head, depth + 1, &format!("payload, {length} bytes"));
        if what == "proof" {
            self.line(length, depth + 2, "hash of the form");
        } else {
            self.item(what, what, depth + 2);
        }
        self.line(2, depth + 1, "signature, 64 bytes");
        self.line(64, depth + 2, "signature");
    }

    fn byte_string(&mut self, label: &str, what: &str, depth: usize, head: usize, length: usize) {
        let start = self.at + head;
        let content = &self.bytes[start..start + length];
        self.line(head, depth, &format!("{label}: {length} bytes"));
        let form = matches!(content, [0xd2, 0x84, ..] | [0x82..=0x84, 0xd2, 0x84, ..]);
        match INNER.iter().find(|(name, _)| *name == what) {
            Some((_, inner)) if form => self.item(inner, inner, depth + 1),
            _ => self.line(length, depth + 1, if length <= 32 { label } else { "opaque" }),
        }
    }
}
