//! Signed reads: the one profile of RFC 9421, and everything beside it.

use ed25519_dalek::Signer as _;
use protocol::http_signature::{Headers, ReadRefusal, sign, verify};
use protocol::id::Random;

use crate::world::keys;

const URI: &str = "https://relay.example/v1/chains/00/log?after=3";
const NOW: u64 = 1_790_000_000;

fn headers() -> Headers {
    sign(&keys("phone").signing, "GET", URI, NOW, Random([0x33; 32]))
}

fn reads(headers: &Headers, method: &str, uris: &[&str], now: u64) -> Result<protocol::DeviceId, ReadRefusal> {
    let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
    verify(Some(&headers.input), Some(&headers.signature), method, &uris, now)
}

/// Signs parameters of any shape, over any covered components, as RFC 9421 §2.5 says: written down a second time.
fn forge(lines: &[(&str, &str)], params: &str) -> Headers {
    let names: Vec<String> = lines.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let input = format!("({}){params}", names.join(" "));
    let mut base: Vec<String> = lines.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    base.push(format!("\"@signature-params\": {input}"));
    let key = ed25519_dalek::SigningKey::from_bytes(&keys("phone").signing.expose_seed());
    let signature = key.sign(base.join("\n").as_bytes()).to_bytes();
    Headers {
        input: format!("countersign={input}"),
        signature: format!("countersign=:{}:", data_encoding::BASE64.encode(&signature)),
    }
}

fn params(change: impl Fn(&str, String) -> Option<String>) -> String {
    let keyid = keys("phone").id().to_string();
    let all = [
        ("created", NOW.to_string()),
        ("nonce", format!("\"{}\"", "3".repeat(64))),
        ("keyid", format!("\"{keyid}\"")),
        ("alg", "\"ed25519\"".to_owned()),
        ("tag", "\"countersign-v1\"".to_owned()),
    ];
    all.into_iter().filter_map(|(name, value)| change(name, value).map(|value| format!(";{name}={value}"))).collect()
}

const LINES: [(&str, &str); 2] = [("@method", "GET"), ("@target-uri", URI)];

#[test]
fn a_signed_read_names_its_device() {
    assert_eq!(reads(&headers(), "GET", &[URI], NOW), Ok(keys("phone").id()));
    let others = ["http://127.0.0.1:7370/v1/chains/00/log?after=3", URI];
    assert_eq!(reads(&headers(), "GET", &others, NOW), Ok(keys("phone").id()), "a relay has several origins");
    let second = forge(&LINES, &params(|_, value| Some(value)));
    assert_eq!(reads(&second, "GET", &[URI], NOW), Ok(keys("phone").id()), "signed by somebody else's code");
}

#[test]
fn a_read_is_good_for_its_method_and_address_only() {
    for (method, uri) in [("HEAD", URI), ("POST", URI), ("GET", "https://relay.example/v1/chains/00/log?after=4")] {
        assert_eq!(reads(&headers(), method, &[uri], NOW), Err(ReadRefusal::BadSignature), "{method} {uri}");
    }
    assert_eq!(reads(&headers(), "GET", &[], NOW), Err(ReadRefusal::BadSignature));
    let other_host = "https://evil.example/v1/chains/00/log?after=3";
    assert_eq!(reads(&headers(), "GET", &[other_host], NOW), Err(ReadRefusal::BadSignature));
}

#[test]
fn a_read_lives_sixty_seconds_either_side_of_the_relays_clock() {
    for now in [NOW - 60, NOW, NOW + 60] {
        assert!(reads(&headers(), "GET", &[URI], now).is_ok());
    }
    for now in [0, NOW - 61, NOW + 61, u64::MAX] {
        assert_eq!(reads(&headers(), "GET", &[URI], now), Err(ReadRefusal::Clock));
    }
    let negative = forge(&LINES, &params(|name, value| Some(if name == "created" { "-1".to_owned() } else { value })));
    assert_eq!(reads(&negative, "GET", &[URI], 0), Err(ReadRefusal::Malformed));
}

#[test]
fn every_other_profile_is_malformed() {
    let with = |which: &str, value: Option<&str>| {
        params(|name, own| if name == which { value.map(str::to_owned) } else { Some(own) })
    };
    let mut others = vec![
        ("no alg", forge(&LINES, &with("alg", None))),
        ("another alg", forge(&LINES, &with("alg", Some("\"hmac-sha256\"")))),
        ("another tag", forge(&LINES, &with("tag", Some("\"other\"")))),
        ("no tag", forge(&LINES, &with("tag", None))),
        ("no nonce", forge(&LINES, &with("nonce", None))),
        ("a short nonce", forge(&LINES, &with("nonce", Some("\"abc\"")))),
        ("a nonce that is a number", forge(&LINES, &with("nonce", Some("7")))),
        ("no keyid", forge(&LINES, &with("keyid", None))),
        ("a short keyid", forge(&LINES, &with("keyid", Some("\"00\"")))),
        ("no created", forge(&LINES, &with("created", None))),
        ("created as text", forge(&LINES, &with("created", Some("\"1790000000\"")))),
        ("expires besides", forge(&LINES, &format!("{};expires=1", params(|_, value| Some(value))))),
        ("only the method", forge(&LINES[..1], &params(|_, value| Some(value)))),
        ("the address first", forge(&[LINES[1], LINES[0]], &params(|_, value| Some(value)))),
        ("a date besides", forge(&[LINES[0], LINES[1], ("date", "now")], &params(|_, value| Some(value)))),
    ];
    let good = headers();
    others.push((
        "two signatures",
        Headers {
            input: format!("{}, second=()", good.input),
            signature: format!("{}, second=:AA==:", good.signature),
        },
    ));
    others.push((
        "a signature of another label",
        Headers { signature: good.signature.replace("countersign=", "other="), ..good.clone() },
    ));
    others.push(("a cut signature", Headers { signature: "countersign=:AA==:".to_owned(), ..good.clone() }));
    others.push(("a signature that is text", Headers { signature: "countersign=\"x\"".to_owned(), ..good.clone() }));
    others.push(("no dictionary", Headers { input: "(".to_owned(), ..good.clone() }));
    others.push(("nothing", Headers { input: String::new(), signature: String::new() }));
    for (how, headers) in others {
        assert_eq!(reads(&headers, "GET", &[URI], NOW), Err(ReadRefusal::Malformed), "{how}");
    }
    assert_eq!(verify(None, Some(&good.signature), "GET", &[URI.to_owned()], NOW), Err(ReadRefusal::Missing));
    assert_eq!(verify(Some(&good.input), None, "GET", &[URI.to_owned()], NOW), Err(ReadRefusal::Missing));
}

#[test]
fn no_digit_of_the_parameters_can_be_changed() {
    let good = headers();
    for (at, old) in good.input.char_indices() {
        let new = if old == '1' { '2' } else { '1' };
        let mut input = good.input.clone();
        input.replace_range(at..at + old.len_utf8(), &new.to_string());
        let label_only = at < "countersign".len();
        let answer = reads(&Headers { input, signature: good.signature.clone() }, "GET", &[URI], NOW);
        assert!(answer.is_err(), "{old} at {at} changed to {new} (label: {label_only})");
    }
}
