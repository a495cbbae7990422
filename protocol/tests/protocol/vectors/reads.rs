//! `docs/vectors/reads.json`: HTTP message signatures of reads, in the one profile and beside it.

use ed25519_dalek::Signer as _;
use protocol::http_signature::{Headers, ReadRefusal, sign, verify};
use protocol::id::Random;
use protocol::keys::SigningKey;

use super::json::{Json, list, object};
use super::making::Ring;
use super::{compare, note};
use crate::world::keys;

const CHAIN: &str = "https://relay.example/v1/chains/fbc11cfc85a5d0069d4336eeb4714738b56a2a23ebe6612958f8277fd54fbcf8";
const NOW: u64 = 1_790_000_000;

/// A read as a relay gets it, and what it is told.
struct Case {
    name: &'static str,
    says: &'static str,
    error: Option<&'static str>,
    method: &'static str,
    target: String,
    now: u64,
    input: Option<String>,
    signature: Option<String>,
    /// What was signed: the signature base of RFC 9421 §2.5. Absent where nothing was signed.
    base: Option<String>,
}

/// Covered components and parameters as they are signed.
struct Signing {
    lines: Vec<(&'static str, String)>,
    params: Vec<(&'static str, String)>,
    label: &'static str,
}

impl Signing {
    fn of(method: &str, target: &str) -> Self {
        Self {
            lines: vec![("@method", method.to_owned()), ("@target-uri", target.to_owned())],
            params: vec![
                ("created", NOW.to_string()),
                ("nonce", format!("\"{}\"", "3".repeat(64))),
                ("keyid", format!("\"{}\"", keys("phone").id())),
                ("alg", "\"ed25519\"".to_owned()),
                ("tag", "\"countersign-v1\"".to_owned()),
            ],
            label: "countersign",
        }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.params.retain(|(known, _)| *known != name);
        self.params.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.params.retain(|(known, _)| *known != name);
        self
    }

    /// The headers and the signature base, by RFC 9421 and not by the crate.
    fn signed(&self, key: &SigningKey) -> (Headers, String) {
        let names: Vec<String> = self.lines.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let params: String = self.params.iter().map(|(name, value)| format!(";{name}={value}")).collect();
        let input = format!("({}){params}", names.join(" "));
        let mut base: Vec<String> = self.lines.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        base.push(format!("\"@signature-params\": {input}"));
        let base = base.join("\n");
        let signature = ed25519_dalek::SigningKey::from_bytes(&key.expose_seed()).sign(base.as_bytes()).to_bytes();
        let signature = format!("{}=:{}:", self.label, data_encoding::BASE64.encode(&signature));
        (Headers { input: format!("{}={input}", self.label), signature }, base)
    }
}

fn case(name: &'static str, says: &'static str, error: Option<&'static str>, signing: &Signing) -> Case {
    let (headers, base) = signing.signed(&keys("phone").signing);
    Case {
        name,
        says,
        error,
        method: "GET",
        target: format!("{CHAIN}/log?after=3"),
        now: NOW,
        input: Some(headers.input),
        signature: Some(headers.signature),
        base: Some(base),
    }
}

fn usual() -> Signing {
    Signing::of("GET", &format!("{CHAIN}/log?after=3"))
}

fn good() -> Vec<Case> {
    let key = keys("phone").signing;
    let made = sign(&key, "GET", &format!("{CHAIN}/log?after=3"), NOW, Random([0x33; 32]));
    assert_eq!(made, usual().signed(&key).0, "the crate signs as RFC 9421 says");
    let other = |name, says, method: &'static str, path: &str| {
        let target = format!("{CHAIN}{path}");
        Case { method, target: target.clone(), ..case(name, says, None, &Signing::of(method, &target)) }
    };
    let origin = "http://127.0.0.1:7370/v1/chains/00/requests".to_owned();
    let mut cases = vec![
        case("get", "with a query", None, &usual()),
        other("without-query", "without a query there is no question mark", "GET", "/requests"),
        other("two-parameters", "the query as it stands, undecoded", "GET", "/records?after=7&store=9"),
        other("head", "HEAD is signed as HEAD", "HEAD", "/log"),
        Case {
            target: origin.clone(),
            ..case("port", "an origin with a port that is not the default", None, &Signing::of("GET", &origin))
        },
        case("other-label", "the label is free", None, &Signing { label: "sig1", ..usual() }),
        case("other-order", "so is the order of the parameters", None, &usual().set("created", &NOW.to_string())),
        case("short-nonce", "16 characters of nonce", None, &usual().set("nonce", "\"0123456789abcdef\"")),
        case("upper-case-keyid", "digits of keyid in capitals", None, &upper_case()),
    ];
    for (name, now) in [("minute-old", NOW + 60), ("minute-ahead", NOW - 60)] {
        cases.push(Case { now, ..case(name, "60 s either side of the relay's clock", None, &usual()) });
    }
    cases
}

fn upper_case() -> Signing {
    usual().set("keyid", &format!("\"{}\"", keys("phone").id().to_string().to_uppercase()))
}

fn unsigned() -> Vec<Case> {
    let bare = |name, says, input: Option<&str>, signature: Option<&str>, error| {
        let input = input.map(str::to_owned);
        Case { input, signature: signature.map(str::to_owned), base: None, ..case(name, says, Some(error), &usual()) }
    };
    let (headers, _) = usual().signed(&keys("phone").signing);
    let (input, signature) = (headers.input.as_str(), headers.signature.as_str());
    let twice = format!("{input}, second=()");
    let two = format!("{signature}, second=:AA==:");
    let renamed = signature.replace("countersign=", "other=");
    vec![
        bare("nothing", "no headers", None, None, "signature-missing"),
        bare("no-signature", "Signature is missing", Some(input), None, "signature-missing"),
        bare("no-input", "Signature-Input is missing", None, Some(signature), "signature-missing"),
        bare("empty", "empty headers", Some(""), Some(""), "malformed"),
        bare("no-dictionary", "Signature-Input is no dictionary (RFC 9651)", Some("("), Some(signature), "malformed"),
        bare("two-signatures", "one signature, not two", Some(&twice), Some(&two), "malformed"),
        bare("two-values", "Signature has a member more", Some(input), Some(&two), "malformed"),
        bare("another-label", "the labels differ", Some(input), Some(&renamed), "malformed"),
        bare("short-signature", "64 bytes, not one", Some(input), Some("countersign=:AA==:"), "malformed"),
        bare("text-signature", "a text where bytes must be", Some(input), Some("countersign=\"x\""), "malformed"),
        bare("unclosed-signature", "no closing colon", Some(input), signature.strip_suffix(':'), "malformed"),
    ]
}

fn other_profiles() -> Vec<Case> {
    let bad = |name, says, signing: &Signing| case(name, says, Some("malformed"), signing);
    let target = format!("{CHAIN}/log?after=3");
    let lines = |lines: &[&'static str]| Signing {
        lines: lines
            .iter()
            .map(|name| (*name, if *name == "@method" { "GET".to_owned() } else { target.clone() }))
            .collect(),
        ..usual()
    };
    let mut cases = vec![
        bad("another-alg", "alg is ed25519", &usual().set("alg", "\"hmac-sha256\"")),
        bad("another-tag", "tag is countersign-v1", &usual().set("tag", "\"other\"")),
        bad("nonce-of-15", "a nonce of 15 characters", &usual().set("nonce", "\"0123456789abcde\"")),
        bad("nonce-of-65", "a nonce of 65 characters", &usual().set("nonce", &format!("\"{}\"", "3".repeat(65)))),
        bad("nonce-number", "a nonce that is a number", &usual().set("nonce", "7")),
        bad("keyid-short", "keyid has 64 digits", &usual().set("keyid", "\"00\"")),
        bad("keyid-bytes", "keyid is a text", &usual().set("keyid", ":AA==:")),
        bad("created-text", "created is a number", &usual().set("created", "\"1790000000\"")),
        bad("created-negative", "created is not negative", &usual().set("created", "-1")),
        bad("expires", "a parameter more", &usual().set("expires", "1790000060")),
        bad("method-alone", "both components", &lines(&["@method"])),
        bad("other-order-of-components", "in this order", &lines(&["@target-uri", "@method"])),
        bad("a-component-more", "and no others", &lines(&["@method", "@target-uri", "@path"])),
    ];
    for (name, says, missing) in [
        ("no-created", "without created", "created"),
        ("no-nonce", "without nonce", "nonce"),
        ("no-keyid", "without keyid", "keyid"),
        ("no-alg", "without alg", "alg"),
        ("no-tag", "without tag", "tag"),
    ] {
        cases.push(bad(name, says, &usual().without(missing)));
    }
    cases
}

fn refused() -> Vec<Case> {
    let bad = |name, says, error| case(name, says, Some(error), &usual());
    let stranger = usual().signed(&keys("stranger").signing);
    let other = format!("{CHAIN}/log?after=4");
    let host = "https://evil.example/v1/chains/00/log?after=3".to_owned();
    vec![
        Case { now: NOW + 61, ..bad("old", "61 s old", "clock") },
        Case { now: NOW - 61, ..bad("ahead", "61 s ahead", "clock") },
        Case { method: "HEAD", ..bad("other-method", "signed as GET", "bad-signature") },
        Case { target: other, ..bad("other-query", "signed for another query", "bad-signature") },
        Case { target: host, ..bad("other-origin", "signed for another origin", "bad-signature") },
        Case {
            signature: Some(stranger.0.signature.clone()),
            ..bad("other-key", "signed by another key than keyid", "bad-signature")
        },
        Case {
            now: NOW + 61,
            signature: Some(stranger.0.signature),
            ..bad("clock-and-bad-signature", "the clock is asked before the signature", "clock")
        },
    ]
}

impl Case {
    fn to_json(&self) -> Json {
        let targets = [self.target.clone()];
        let verdict = verify(self.input.as_deref(), self.signature.as_deref(), self.method, &targets, self.now);
        assert_eq!(verdict.err().as_ref().map(ReadRefusal::code), self.error, "{}", self.name);
        object! {
            "name": self.name,
            "comment": self.says,
            "error": self.error,
            "method": self.method,
            "target_uri": self.target.clone(),
            "now_s": self.now,
            "signature_input": self.input.clone(),
            "signature": self.signature.clone(),
            "signer": self.error.is_none().then_some("phone"),
            "base": self.base.clone(),
        }
    }
}

#[test]
fn signed_reads_are_the_same_as_ever() {
    let cases = [good(), unsigned(), other_profiles(), refused()].into_iter().flatten();
    let file = object! {
        "about": note("Signed reads (RFC 9421), the headers and what is signed."),
        "keys": Ring::new(&["phone", "stranger"], &[]).to_json(),
        "cases": list(cases.map(|case| case.to_json())),
    };
    compare("reads.json", &file);
}
