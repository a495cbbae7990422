//! The key file: the only place on a disk that holds secrets. Deterministic CBOR with a version, mode 0600, written whole.

use minicbor::{Decoder, Encoder};
use protocol::code::SyncCode;
use protocol::keys::{DeviceKeys, EpochKey, SealingSecret, SigningKey};
use protocol::round::Commitments;
use zeroize::Zeroizing;

use crate::error::AgentError;
use crate::home::Home;

const VERSION: u8 = 1;

/// The secrets of a device.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    /// Its two key pairs.
    pub(crate) keys: DeviceKeys,
    /// What it holds besides.
    pub(crate) standing: Standing,
}

/// What a device holds besides its keys.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// The epoch key, which opens everything else.
    Member(EpochKey),
    /// What it needs until it is admitted; gone afterwards.
    Joiner(JoinerSecrets),
}

/// The secrets of a request under way.
#[derive(Debug, Clone)]
pub(crate) struct JoinerSecrets {
    /// The sync code that was typed.
    pub(crate) code: SyncCode,
    /// c₈: whoever knows it knows the check codes beforehand.
    pub(crate) commitments: Commitments,
}

impl Secrets {
    /// Reads the key file, if there is one.
    pub(crate) fn read(home: &Home) -> Result<Option<Self>, AgentError> {
        let path = home.key_file();
        let Some(bytes) = home.read_private(&path)? else {
            return Ok(None);
        };
        Self::decode(&bytes).map(Some).map_err(|_| AgentError::BadKeyFile { path })
    }

    /// Writes the key file whole. When this returns, it is on the disk.
    pub(crate) fn write(&self, home: &Home) -> Result<(), AgentError> {
        home.write_private(&home.key_file(), &self.encode()?)
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, AgentError> {
        // Room for everything: a buffer that grew would leave copies of the secrets behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(256));
        self.encode_into(&mut Encoder::new(&mut *bytes))
            .map_err(|_| AgentError::Damaged { what: "the key file could not be encoded" })?;
        Ok(bytes)
    }

    fn encode_into(
        &self,
        e: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        let length = if matches!(self.standing, Standing::Member(_)) { 4 } else { 5 };
        e.map(length)?.u8(0)?.u8(VERSION)?;
        e.u8(1)?.bytes(self.keys.signing.expose_seed().as_ref())?;
        e.u8(2)?.bytes(self.keys.sealing.expose().as_ref())?;
        match &self.standing {
            Standing::Member(epoch_key) => e.u8(3)?.bytes(epoch_key.expose())?,
            Standing::Joiner(joiner) => {
                e.u8(4)?.bytes(joiner.code.expose())?.u8(5)?.bytes(joiner.commitments.expose())?
            }
        };
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        let bad = || minicbor::decode::Error::message("not a key file");
        let mut d = Decoder::new(bytes);
        let length = d.map()?.ok_or_else(bad)?;
        if d.u8()? != 0 || d.u8()? != VERSION {
            return Err(bad());
        }
        let signing = SigningKey::from_seed(&*secret(&mut d, 1)?);
        let sealing = SealingSecret::from_bytes(&*secret(&mut d, 2)?);
        let standing = match length {
            4 => Standing::Member(EpochKey::from_bytes(*secret(&mut d, 3)?)),
            5 => Standing::Joiner(JoinerSecrets {
                code: SyncCode::from_bytes(*secret(&mut d, 4)?),
                commitments: Commitments::from_bytes(*secret(&mut d, 5)?),
            }),
            _ => return Err(bad()),
        };
        if d.position() != bytes.len() {
            return Err(bad());
        }
        Ok(Self { keys: DeviceKeys { signing, sealing }, standing })
    }
}

fn secret(d: &mut Decoder<'_>, key: u8) -> Result<Zeroizing<[u8; 32]>, minicbor::decode::Error> {
    if d.u8()? != key {
        return Err(minicbor::decode::Error::message("another field was expected"));
    }
    let bytes = d.bytes()?.try_into().map_err(|_| minicbor::decode::Error::message("expected 32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn() -> Secrets {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let standing = Standing::Joiner(JoinerSecrets {
            code: SyncCode::draw(&mut rng),
            commitments: Commitments::draw(&mut rng),
        });
        Secrets { keys: DeviceKeys::draw(&mut rng), standing }
    }

    #[test]
    fn what_is_written_is_read() {
        let secrets = drawn();
        let read = Secrets::decode(&secrets.encode().unwrap()).unwrap();
        assert_eq!(read.keys.id(), secrets.keys.id());
        assert_eq!(read.keys.public(), secrets.keys.public());
        let (Standing::Joiner(a), Standing::Joiner(b)) = (read.standing, secrets.standing) else { panic!("joiner") };
        assert_eq!(a.code, b.code);
        assert_eq!(a.commitments, b.commitments);
    }

    #[test]
    fn a_cut_or_longer_or_later_key_file_is_refused() {
        let bytes = drawn().encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Secrets::decode(&bytes[..end]).is_err());
        }
        let mut later = bytes.to_vec();
        later[2] = 2;
        assert!(Secrets::decode(&later).is_err());
        assert!(Secrets::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = drawn();
        let shown = format!("{secrets:?}");
        let Standing::Joiner(joiner) = &secrets.standing else { panic!("joiner") };
        for secret in [*secrets.keys.signing.expose_seed(), *joiner.code.expose(), *joiner.commitments.expose()] {
            let hex = data_encoding::HEXLOWER.encode(&secret);
            assert!(!shown.contains(&hex[..16]) && !shown.contains(&format!("{}, {}", secret[0], secret[1])));
        }
    }
}
