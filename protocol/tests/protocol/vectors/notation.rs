//! CBOR as people read it: maps with the names of their fields.

use minicbor::Decoder;
use minicbor::data::Type;

use super::json::Json;

/// The fields of each map, in the order of their numbers, by the CDDL rule of `docs/protocol.md` or, where the page gives a map no
/// rule of its own, by the name of the field that holds it. `name=rule` says what a field holds.
pub(crate) const FIELDS: [(&str, &str); 59] = [
    ("device", "signing sealing"),
    ("description", "name platform version totp"),
    ("join-request", "version join_key device=device description_hash commitment at"),
    ("withdrawal", "version request"),
    ("nonce", "version chain request round head epoch nonce"),
    ("reveal", "version request nonce value"),
    ("entry", "version chain seq prev at body=body"),
    ("found", "device=device join_key key_id description name_key sync_code policy=policy recovery=recovery"),
    ("recovery", "device=device epoch_key"),
    ("admit", "request role epoch how description welcome approvals ticket totp_step"),
    ("deny", "request device reason block"),
    ("remove", "removals=removal reason rotation=rotation approvals"),
    ("removal", "device cut=cut"),
    ("cut", "counter last at"),
    ("rotation", "epoch key_id join_key recipients=recipient previous name_key sync_code recovery=device"),
    ("recipient", "device sealed"),
    ("rotate", "rotation=rotation"),
    ("leave", "cut=cut"),
    ("change-role", "device role cut=cut approvals"),
    ("change-policy", "policy=policy approvals"),
    ("closing", "approvals"),
    ("veto", "of hash"),
    ("close", "closing"),
    ("settle", "abandoned rotation=rotation approvals"),
    ("approval", "version chain head subject=subject"),
    ("admit-subject", "request role"),
    ("role-subject", "device role cut=cut"),
    ("settle-subject", "abandoned"),
    ("refill", "version chain records"),
    ("reset", "version chain head wait"),
    ("policy", "ways quorums=quorums request_lifetime members_max closing_delay reset_delay totp=totp"),
    ("quorums", "admit remove policy closing"),
    ("totp", "mode secret"),
    ("record", "version chain collection id epoch counter last base head at kind ciphertext_hash"),
    ("content", "collection id value"),
    ("connect", "version offered origin relay_nonce own_nonce chain device standing request head cursor=cursor"),
    ("cursor", "store number"),
    ("append", "entries purpose"),
    ("appended", "head seq"),
    ("log-page", "entries head seq"),
    ("ask", "request description"),
    ("standing", "request stage remaining online nonces chain"),
    ("seen", "address proxy at"),
    ("open-request", "request description seen=seen remaining rounds=round"),
    ("round", "nonce reveal"),
    ("open-requests", "requests=open-request"),
    ("sealed-record", "record ciphertext"),
    ("put", "records=sealed-record refill"),
    ("stored", "numbers"),
    ("record-row", "number sealed=sealed-record"),
    ("record-page", "rows=record-row cursor=cursor last"),
    ("challenge", "nonce at"),
    ("ready", "head seq knows_your_head"),
    ("ended", "request ending"),
    ("approved", "approval"),
    ("whereabouts", "chain head seq"),
    ("approvals-kept", "approvals"),
    ("reset-standing", "reset remaining"),
    ("chain-of-key", "chain head seq reset_delay"),
];

/// What the second item of `[kind, {…}]` is, by the first.
pub(crate) const KINDS: [(&str, &[&str]); 4] = [
    (
        "body",
        &[
            "",
            "found",
            "admit",
            "deny",
            "remove",
            "rotate",
            "leave",
            "change-role",
            "change-policy",
            "closing",
            "veto",
            "close",
            "settle",
        ],
    ),
    (
        "subject",
        &["", "", "admit-subject", "", "removal", "", "", "role-subject", "policy", "", "", "", "settle-subject"],
    ),
    (
        "to-device",
        &[
            "challenge",
            "ready",
            "log-page",
            "record-page",
            "open-request",
            "ended",
            "standing",
            "approved",
            "reset-standing",
        ],
    ),
    ("from-device", &["ack"]),
];

/// The one message of a device; its rule is part of `from-device`.
const ACK: (&str, &str) = ("ack", "seq number");

/// Name of a field, and the rule of what it holds, if it has one.
pub(crate) fn field(rule: &str, number: u64) -> (String, String) {
    let all = FIELDS.iter().chain([&ACK]);
    let names = all.clone().find(|(name, _)| *name == rule).map_or("", |(_, names)| names);
    let text = names.split(' ').nth(usize::try_from(number).unwrap()).unwrap_or_default();
    let (name, inner) = text.split_once('=').unwrap_or((text, ""));
    (if name.is_empty() { number.to_string() } else { name.to_owned() }, inner.to_owned())
}

/// The table of names that a file carries: for each map its fields in the order of their numbers.
pub(crate) fn names_of(rules: &[&str]) -> Json {
    let names = |rule: &&str| {
        let (_, text) = FIELDS.iter().chain([&ACK]).find(|(name, _)| name == rule).unwrap();
        let fields = text.split(' ').map(|field| Json::from(field.split('=').next().unwrap())).collect();
        ((*rule).to_owned(), Json::List(fields))
    };
    Json::Object(rules.iter().map(names).collect())
}

/// A CBOR item as JSON: maps by the names of their fields, byte strings as `h'…'`, texts as they are.
///
/// `None` for what is not one item of the kinds that the protocol uses.
pub(crate) fn fields(rule: &str, bytes: &[u8]) -> Option<Json> {
    let mut decoder = Decoder::new(bytes);
    let value = item(rule, &mut decoder)?;
    (decoder.position() == bytes.len()).then_some(value)
}

fn item(rule: &str, d: &mut Decoder<'_>) -> Option<Json> {
    Some(match d.datatype().ok()? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Json::Number(d.u64().ok()?),
        Type::Bool => Json::Bool(d.bool().ok()?),
        Type::Bytes => Json::Text(format!("h'{}'", data_encoding::HEXLOWER.encode(d.bytes().ok()?))),
        Type::String => Json::Text(d.str().ok()?.to_owned()),
        Type::Array => {
            let count = d.array().ok()??;
            match KINDS.iter().find(|(name, _)| *name == rule) {
                Some((_, kinds)) => {
                    let kind = d.u64().ok()?;
                    let inner = kinds.get(usize::try_from(kind).ok()?).copied().unwrap_or_default();
                    Json::List(vec![Json::Number(kind), item(inner, d)?])
                }
                None => Json::List((0..count).map(|_| item(rule, d)).collect::<Option<_>>()?),
            }
        }
        Type::Map => {
            let count = d.map().ok()??;
            let mut members = Vec::new();
            for _ in 0..count {
                let (name, inner) = field(rule, d.u64().ok()?);
                members.push((name, item(&inner, d)?));
            }
            Json::Object(members)
        }
        _ => return None,
    })
}
