//! Strict deterministic CBOR (RFC 8949 §4.2.1): unsigned integer keys in order, shortest forms, nothing unknown, nothing after.
//!
//! The decoder underneath accepts more than that, so every decode ends by encoding the value again and comparing the bytes.
//! Without it one signed value would have many encodings, and "same bytes, same answer" would mean nothing.

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::error::FormError;

/// Encodes a value. The encoders of this crate write into memory and never fail.
#[expect(
    clippy::expect_used,
    reason = "writing into a Vec is infallible and no encoder here raises an error of its own"
)]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory")
}

/// Decodes exactly one value of at most `limit` bytes, and only from its deterministic encoding.
pub fn decode<T>(form: &'static str, bytes: &[u8], limit: usize) -> Result<T, FormError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    if bytes.len() > limit {
        return Err(FormError::TooLarge { form, got: bytes.len(), limit });
    }
    let mut decoder = Decoder::new(bytes);
    let value: T = decoder.decode().map_err(|error| FormError::Malformed { form, what: error.to_string() })?;
    if encode(&value) == bytes {
        return Ok(value);
    }
    let item = bytes.get(..decoder.position()).unwrap_or(bytes);
    if has_indefinite_length(item) {
        return Err(FormError::Malformed { form, what: "a length is indefinite".to_owned() });
    }
    Err(FormError::NotCanonical { form })
}

/// Whether one well-formed item has a part of indefinite length (RFC 8949 §3.2). The decoder underneath takes maps of that kind and
/// refuses strings and arrays; to a peer all are the same.
fn has_indefinite_length(item: &[u8]) -> bool {
    let mut rest = item;
    while let Some((head, after)) = rest.split_first() {
        let width = match head & 0x1f {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return true,
            _ => 0,
        };
        let Some((argument, after)) = after.split_at_checked(width) else { return false };
        let argument = match argument {
            [] => u64::from(head & 0x1f),
            wide => wide.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        let content = if matches!(head >> 5, 2 | 3) { usize::try_from(argument).unwrap_or(usize::MAX) } else { 0 };
        rest = after.get(content..).unwrap_or_default();
    }
    false
}

/// A byte string of no fixed length: a sealed blob, or a signed form inside another one, kept exactly as received.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl core::fmt::Debug for Blob {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl core::ops::Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<C> Encode<C> for Blob {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Blob {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

/// Decodes an array of at most `N` items. The bound is checked at its head: four million empty items cost a second to make and a
/// stranger nothing to send.
pub(crate) fn at_most<'b, C, T, const N: u64>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<T>, minicbor::decode::Error>
where
    T: Decode<'b, C>,
{
    match d.array()? {
        Some(count) if count <= N => (0..count).map(|_| d.decode_with(ctx)).collect(),
        _ => Err(minicbor::decode::Error::message(format!("expected an array of at most {N} items"))),
    }
}

/// The same for an array that is never empty.
pub(crate) fn some<'b, C, T, const N: u64>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<T>, minicbor::decode::Error>
where
    T: Decode<'b, C>,
{
    let items = at_most::<C, T, N>(d, ctx)?;
    if items.is_empty() { Err(minicbor::decode::Error::message("expected at least one item")) } else { Ok(items) }
}

/// Declares an enum that travels as a small unsigned integer and is shown by a fixed name.
macro_rules! code_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $value,)+ }
            }

            /// The name in texts and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl core::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.u8(self.number())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                match d.u8()? {
                    $($value => Ok(Self::$variant),)+
                    _ => Err(minicbor::decode::Error::message(concat!("unknown ", stringify!($name)))),
                }
            }
        }
    };
}
pub(crate) use code_enum;
