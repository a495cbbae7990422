//! Signed reads: HTTP message signatures (RFC 9421) in one fixed profile.
//!
//! Components `@method` and `@target-uri`; parameters `created`, `nonce`, `keyid` (the device, 64 hexadecimal digits),
//! `alg="ed25519"`, `tag="countersign-v1"`. There are no bearer tokens anywhere, so no decision is outlived by one.

use sfv::{BareItem, Dictionary, FieldType as _, InnerList, Item, Key, ListEntry, Parameters, Parser};

use crate::id::{DeviceId, Random};
use crate::keys::{SigningKey, signature_holds};
use crate::limits;

/// The `tag` of every signature of ours: one made for another application is worthless here.
pub const TAG: &str = "countersign-v1";
/// The label under which the signature stands in both headers.
pub const LABEL: &str = "countersign";

/// The two headers of a signed read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// `Signature-Input`.
    pub input: String,
    /// `Signature`.
    pub signature: String,
}

/// Why a read is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadRefusal {
    /// There is no signature.
    #[error("this route needs an HTTP message signature (RFC 9421) by a device")]
    Missing,
    /// Not the one profile that exists.
    #[error("the signature headers are not of the profile that docs/protocol.md gives")]
    Malformed,
    /// Made too long ago, or in the future.
    #[error("the signature was made more than 60 s from the relay's clock: compare with the Countersign-Time header")]
    Clock,
    /// It does not hold for this method and address.
    #[error("the signature does not hold for this method and address")]
    BadSignature,
}

impl ReadRefusal {
    /// The stable code of this refusal.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "signature-missing",
            Self::Malformed => "malformed",
            Self::Clock => "clock",
            Self::BadSignature => "bad-signature",
        }
    }
}

/// Signs a read of a target URI. `created` is in unix seconds.
#[must_use]
pub fn sign(key: &SigningKey, method: &str, target_uri: &str, created: u64, nonce: Random) -> Headers {
    let params = format!(
        "(\"@method\" \"@target-uri\");created={created};nonce=\"{nonce}\";keyid=\"{}\";alg=\"ed25519\";tag=\"{TAG}\"",
        key.device_id()
    );
    let signature = key.sign(base(method, target_uri, &params).as_bytes());
    Headers {
        input: format!("{LABEL}={params}"),
        signature: format!("{LABEL}=:{}:", data_encoding::BASE64.encode(&signature)),
    }
}

/// The signature base (RFC 9421 §2.5).
fn base(method: &str, target_uri: &str, params: &str) -> String {
    format!("\"@method\": {method}\n\"@target-uri\": {target_uri}\n\"@signature-params\": {params}")
}

/// Verifies the headers of a read: who signed it. `target_uris` are the addresses that the relay is known by, built from its own
/// configuration and never from a header.
///
/// # Errors
///
/// [`ReadRefusal`].
pub fn verify(
    input: Option<&str>,
    signature: Option<&str>,
    method: &str,
    target_uris: &[String],
    now: u64,
) -> Result<DeviceId, ReadRefusal> {
    let (input, signature) = input.zip(signature).ok_or(ReadRefusal::Missing)?;
    let inputs: Dictionary = Parser::new(input).parse().map_err(|_| ReadRefusal::Malformed)?;
    let Some((label, ListEntry::InnerList(covered))) = inputs.first() else {
        return Err(ReadRefusal::Malformed);
    };
    let (device, created) = profile(covered).filter(|_| inputs.len() == 1).ok_or(ReadRefusal::Malformed)?;
    let signature = take_signature(signature, label).ok_or(ReadRefusal::Malformed)?;
    if created.abs_diff(now) > limits::READ_SKEW_MAX.as_secs() {
        return Err(ReadRefusal::Clock);
    }
    let params = vec![ListEntry::InnerList(covered.clone())].serialize().ok_or(ReadRefusal::Malformed)?;
    let holds = |uri: &String| signature_holds(&device.0, base(method, uri, &params).as_bytes(), &signature);
    if target_uris.iter().any(holds) { Ok(device) } else { Err(ReadRefusal::BadSignature) }
}

/// Checks that exactly the profile's components and parameters are there; returns keyid and created.
fn profile(covered: &InnerList) -> Option<(DeviceId, u64)> {
    let component = |item: &Item| {
        item.bare_item.as_string().filter(|_| item.params.is_empty()).map(|name| name.as_str().to_owned())
    };
    let components: Vec<String> = covered.items.iter().map(component).collect::<Option<_>>()?;
    if components != ["@method", "@target-uri"] {
        return None;
    }
    let params = &covered.params;
    let text = |name| text_of(params, name);
    let created = params.get("created")?.as_integer()?;
    let created: u64 = i64::from(created).try_into().ok()?;
    let nonce_is_there = text("nonce").is_some_and(|nonce| nonce.len() <= 64 && nonce.len() >= 16);
    let ours = text("alg").as_deref() == Some("ed25519") && text("tag").as_deref() == Some(TAG);
    let device = text("keyid")?.parse().ok()?;
    (params.len() == 5 && nonce_is_there && ours).then_some((device, created))
}

fn text_of(params: &Parameters, name: &str) -> Option<String> {
    match params.get(name) {
        Some(BareItem::String(text)) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn take_signature(header: &str, label: &Key) -> Option<[u8; 64]> {
    let signatures: Dictionary = Parser::new(header).parse().ok()?;
    match signatures.get(label.as_str()) {
        Some(ListEntry::Item(item)) if signatures.len() == 1 => item.bare_item.as_byte_sequence()?.try_into().ok(),
        _ => None,
    }
}
