//! A stranger who has the sync code and no approval.
//!
//! It is a client of its own, so that nothing but the relay can stop it: it signs well-formed records and reads with a key it made,
//! and with the join key itself, and sends the bytes. It prints the relay's answers and exits 0 only if every one is a refusal.
//!
//! `stranger RELAY CHAIN HEAD CODE_FILE`, the relay as `http://ADDRESS:PORT`, chain and head as a member's `status` shows them.
#![expect(clippy::print_stdout, reason = "a program that prints what it was told")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use protocol::cbor::{self, Blob};
use protocol::code::SyncCode;
use protocol::id::{BlindedCollection, BlindedId, Random};
use protocol::keys::SigningKey;
use protocol::record::{Kind, Record};
use protocol::wire::{Put, SealedRecord};
use protocol::{ChainId, Hash, Verified, http_signature};
use rand_core::UnwrapErr;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [relay, chain, head, code_file] = arguments.as_slice() else {
        bail!("usage: stranger RELAY CHAIN HEAD CODE_FILE");
    };
    let chain: ChainId = chain.parse().context("CHAIN")?;
    let head: Hash = head.parse().context("HEAD")?;
    let code = SyncCode::from_words(&std::fs::read_to_string(code_file)?)?;
    let own = SigningKey::draw(&mut UnwrapErr(getrandom::SysRng));
    let mut refused = true;
    for (whose, key) in [("a key of its own", own), ("the join key", code.join_key())] {
        let write = post(relay, "/v1/records", &record(&key, chain, head)?)?;
        println!("write signed by {whose}: {write}");
        let read = signed_get(relay, &format!("/v1/chains/{chain}/records"), &key)?;
        println!("read signed by {whose}: {read}");
        refused &= write.starts_with("403 not-a-member") && read.starts_with("403 not-a-member");
    }
    if refused { Ok(()) } else { bail!("the relay did not refuse") }
}

/// A first record of this key's line, complete in every field.
fn record(key: &SigningKey, chain: ChainId, head: Hash) -> anyhow::Result<Vec<u8>> {
    let form = Record {
        version: protocol::VERSION,
        chain,
        collection: BlindedCollection([1; 32]),
        id: BlindedId([2; 32]),
        epoch: 1,
        counter: 1,
        last: None,
        base: None,
        head,
        at: now().as_secs() * 1000,
        kind: Kind::Delete,
        ciphertext_hash: None,
    };
    let record = Blob(Verified::sign(form, key, &[])?.bytes().to_vec());
    Ok(cbor::encode(&Put { records: vec![SealedRecord { record, ciphertext: None }], refill: None }))
}

fn post(relay: &str, path: &str, body: &[u8]) -> anyhow::Result<String> {
    let length = body.len();
    exchange(
        relay,
        &format!("POST {path} HTTP/1.1\r\ncontent-type: application/cbor\r\ncontent-length: {length}\r\n"),
        body,
    )
}

fn signed_get(relay: &str, path: &str, key: &SigningKey) -> anyhow::Result<String> {
    let nonce = Random::draw(&mut UnwrapErr(getrandom::SysRng));
    let headers = http_signature::sign(key, "GET", &format!("{relay}{path}"), now().as_secs(), nonce);
    let http_signature::Headers { input, signature } = headers;
    exchange(relay, &format!("GET {path} HTTP/1.1\r\nsignature-input: {input}\r\nsignature: {signature}\r\n"), &[])
}

/// Sends one request and returns status and problem code.
fn exchange(relay: &str, head: &str, body: &[u8]) -> anyhow::Result<String> {
    let address = relay.strip_prefix("http://").context("RELAY must begin with http://")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("{head}host: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).context("no status line")?;
    let problem = answer.split("\r\n\r\n").nth(1).and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
    let code = problem.as_ref().and_then(|problem| problem["code"].as_str()).unwrap_or("(no problem)");
    Ok(format!("{status} {code}"))
}

#[expect(clippy::disallowed_methods, reason = "this program is its own driver")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
