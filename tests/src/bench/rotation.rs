//! A new epoch in a large chain: a key for each member, and no record is touched.

use protocol::cbor::{self, Blob};
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::entry::Entry;
use protocol::keyring::{Acting, Keyring};
use protocol::wire::{Append, Appended, LogPage, Purpose};
use protocol::{Verified, limits};

use super::Bench;
use super::child::{Relay, Transport};
use super::clock::Start;
use super::device::{Device, SignedRead, chain};
use super::dial::{Http, Place};
use super::figure::Aim;
use super::spread::Times;
use super::writes::put_rate;
use crate::actor::{now, rng};

const DEVICES: usize = 64;
const RECORDS: usize = 10_000;
const BATCH: usize = 250;
/// Rotations of one measurement; the middle one is shown.
const TURNS: usize = 9;

/// Seconds of the three parts of one rotation.
struct Parts {
    signed: f64,
    landed: f64,
    followed: f64,
}

pub(super) async fn run(bench: &mut Bench) {
    bench.table.section("Rotation: 64 devices, 10,000 records, a new sync code");
    let relay = Relay::start(&bench.folder.path().join("rotation"), Transport::Plain);
    let place = Place::of(&relay);
    let mut devices = chain(DEVICES, 0);
    let mut http = place.http(devices[0].from).await;
    devices[0].founds(&mut http).await;
    let puts = (0..RECORDS / BATCH).map(|turn| devices[0].puts(turn * BATCH, BATCH)).collect();
    put_rate(&place, 1, puts).await;
    let mut parts = Vec::new();
    for _ in 0..TURNS {
        parts.push(rotate(&place, &mut http, &mut devices).await);
    }
    let middle = |of: fn(&Parts) -> f64| 1000.0 * Times::of(parts.iter().map(of).collect()).p50();
    let table = &mut bench.table;
    table.plain(
        "one rotation: signed, landed, and followed by a member",
        middle(|it| it.signed + it.landed + it.followed),
        "ms",
        Aim::AtMost(1000.0),
    );
    table.plain("of it: 64 keys sealed, signed", middle(|it| it.signed), "ms", Aim::None);
    table.plain("of it: appended, durable", middle(|it| it.landed), "ms", Aim::None);
    table.plain("of it: a member reads, verifies and opens its key", middle(|it| it.followed), "ms", Aim::None);
}

async fn rotate(place: &Place, http: &mut Http, devices: &mut [Device]) -> Parts {
    let founder = &devices[0];
    let (roster, keyring) = (founder.chain.roster.clone(), founder.chain.keyring.clone());
    let start = Start::now();
    let acting = Acting { keys: &founder.keys, roster: &roster, keyring: &keyring };
    let entry = change::rotate(acting, CodeChange::Draw, RecoveryChange::Keep, now(), &mut rng()).expect("a rotation");
    let signed = start.seconds();
    let start = Start::now();
    let append = Append { entries: vec![Blob(entry.bytes().to_vec())], purpose: Purpose::New };
    let answer = http.post("/v1/log", cbor::encode(&append)).await;
    let appended: Appended = cbor::decode("answer", &answer, 1024).expect("an answer");
    let landed = start.seconds();
    assert_eq!(appended.head, entry.hash());
    let member = &devices[DEVICES - 1];
    let start = Start::now();
    let path = format!("/v1/chains/{}/log?after={}", roster.chain(), roster.seq());
    let answer = SignedRead::new(&member.keys, place, path).send(http).await;
    let page: LogPage = cbor::decode("log page", &answer, limits::BODY_BYTES_MAX).expect("a page");
    let next = Verified::<Entry>::from_bytes(&page.entries[0]).expect("an entry");
    let roster = roster.apply(&next).expect("the next entry");
    let keyring = Keyring::follow(&roster, &member.keys, keyring.epoch_key()).expect("the new keys");
    let followed = start.seconds();
    for device in devices {
        device.stands_at(roster.clone(), keyring.clone());
    }
    Parts { signed, landed, followed }
}
