//! The sync code: 256 random bits that open the door and nothing more.
//!
//! It lets a device ask. It decrypts no record and signs no write. As words it is the BIP-39 English list used as raw entropy with
//! its checksum, not a wallet seed; as a payload for QR codes it also names the relay.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::keys::{DerivedKey, DeviceKeys, SealingSecret, SigningKey, secret};
use crate::seal::derive;

/// Words of a sync code.
pub const WORDS: usize = 24;
/// What a QR payload begins with.
pub const PAYLOAD_PREFIX: &str = "countersign:join?";
const CHECKSUM_BYTES: usize = 4;

/// What is wrong with words or a payload that somebody typed. None of the messages repeats a word that is on the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Another number of words.
    #[error("a sync code has 24 words; {got} were given")]
    WordCount {
        /// Words given.
        got: usize,
    },
    /// A word that is not on the list.
    #[error("word {position} is not on the list; the nearest is \"{nearest}\"")]
    UnknownWord {
        /// Its position, from 1.
        position: usize,
        /// The nearest word of the list.
        nearest: &'static str,
    },
    /// All words are on the list, but together they are no code: one is wrong, or two are swapped.
    #[error("the words do not fit together: one is wrong, or two have changed places")]
    Checksum,
    /// A payload that is cut, changed, or of another kind.
    #[error("this is not a whole Countersign payload: {what}")]
    Payload {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl CodeError {
    /// The stable code of this error, as it stands in the test vectors. It never travels.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::WordCount { .. } => "word-count",
            Self::UnknownWord { .. } => "unknown-word",
            Self::Checksum => "checksum",
            Self::Payload { .. } => "bad-payload",
        }
    }
}

secret! {
    /// A sync code.
    SyncCode;
}

secret! {
    /// What a recovery device is made from: 24 words on paper, other ones than the sync code's.
    RecoveryCode;
}

impl RecoveryCode {
    /// The 24 words, separated by single spaces.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        SyncCode::from_bytes(*self.expose()).words()
    }

    /// Reads 24 words in any case and spacing. Nothing in them says whether they are those of a sync code.
    ///
    /// # Errors
    ///
    /// [`CodeError`] naming the position of a word that is not on the list, with the nearest one.
    pub fn from_words(text: &str) -> Result<Self, CodeError> {
        SyncCode::from_words(text).map(|code| Self::from_bytes(*code.expose()))
    }

    /// The recovery device's keys: an Ed25519 seed and an X25519 secret, HKDF(code, `countersign/v1/recovery-signing`) and HKDF(code,
    /// `countersign/v1/recovery-sealing`).
    #[must_use]
    pub fn keys(&self) -> DeviceKeys {
        let of = |label: &[u8]| derive(self.expose(), &[label]);
        DeviceKeys {
            signing: SigningKey::from_seed(of(b"countersign/v1/recovery-signing").expose()),
            sealing: SealingSecret::from_bytes(of(b"countersign/v1/recovery-sealing").expose()),
        }
    }
}

impl SyncCode {
    /// The 24 words, separated by single spaces.
    #[must_use]
    #[expect(clippy::expect_used, reason = "32 bytes are a size that BIP-39 has words for")]
    pub fn words(&self) -> Zeroizing<String> {
        let mnemonic = bip39::Mnemonic::from_entropy(self.expose()).expect("32 bytes of entropy");
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        for word in mnemonic.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// Reads 24 words in any case and spacing.
    ///
    /// # Errors
    ///
    /// [`CodeError`] naming the position of a word that is not on the list, with the nearest one.
    pub fn from_words(text: &str) -> Result<Self, CodeError> {
        let lower = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> = lower.split_whitespace().collect();
        if words.len() != WORDS {
            return Err(CodeError::WordCount { got: words.len() });
        }
        let list = bip39::Language::English.word_list();
        if let Some((index, word)) = words.iter().enumerate().find(|(_, word)| list.binary_search(word).is_err()) {
            return Err(CodeError::UnknownWord { position: index + 1, nearest: nearest(list, word) });
        }
        let joined = Zeroizing::new(words.join(" "));
        let mnemonic =
            bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &joined).map_err(|_| CodeError::Checksum)?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let bytes: [u8; 32] = entropy.as_slice().try_into().map_err(|_| CodeError::Checksum)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The payload of a QR code: `countersign:join?relay=URL&code=…`, the code with four bytes of checksum in base64url.
    #[must_use]
    pub fn payload(&self, relay: &str) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(self.expose().to_vec());
        bytes.extend_from_slice(&checksum(self.expose()));
        let code = Zeroizing::new(BASE64URL_NOPAD.encode(&bytes));
        Zeroizing::new(format!(
            "{PAYLOAD_PREFIX}relay={}&code={}",
            relay.replace('%', "%25").replace('&', "%26"),
            *code
        ))
    }

    /// Reads what [`SyncCode::payload`] made: the code and the relay's URL.
    ///
    /// # Errors
    ///
    /// [`CodeError::Payload`].
    pub fn from_payload(text: &str) -> Result<(Self, String), CodeError> {
        let fail = |what| CodeError::Payload { what };
        let query = text.trim().strip_prefix(PAYLOAD_PREFIX).ok_or(fail("it does not begin with countersign:join?"))?;
        let mut relay = None;
        let mut code = None;
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("relay", value)) if relay.is_none() => {
                    relay = Some(value.replace("%26", "&").replace("%25", "%"));
                }
                Some(("code", value)) if code.is_none() => code = Some(value),
                _ => return Err(fail("it has a part that is neither relay nor code")),
            }
        }
        let relay = relay.ok_or(fail("it names no relay"))?;
        let code = code.ok_or(fail("it holds no code"))?;
        let bytes = BASE64URL_NOPAD
            .decode(code.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| fail("its code is cut or changed"))?;
        let (secret, sum) = bytes.split_first_chunk::<32>().ok_or(fail("its code is cut"))?;
        if sum != checksum(secret) {
            return Err(fail("its code is cut or changed"));
        }
        Ok((Self::from_bytes(*secret), relay))
    }

    /// The join key: Ed25519 with the seed HKDF(sync code, info = `countersign/v1/join-key`).
    #[must_use]
    pub fn join_key(&self) -> SigningKey {
        SigningKey::from_seed(derive(self.expose(), &[b"countersign/v1/join-key"]).expose())
    }

    /// The key under which a joiner seals its description: HKDF(sync code, info = `countersign/v1/description-key`).
    #[must_use]
    pub fn description_key(&self) -> DerivedKey {
        derive(self.expose(), &[b"countersign/v1/description-key"])
    }
}

fn checksum(secret: &[u8; 32]) -> [u8; CHECKSUM_BYTES] {
    let hash: [u8; 32] =
        Sha256::new_with_prefix(b"countersign/v1/payload-checksum").chain_update(secret).finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The word of the list with the smallest edit distance.
fn nearest(list: &'static [&'static str], word: &str) -> &'static str {
    list.iter().copied().min_by_key(|candidate| distance(candidate, word)).unwrap_or_default()
}

/// Levenshtein distance. Typed words are cut at twice the longest word of the list, so the cost is bounded.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(16).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (slot, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *slot;
            let substituted = diagonal + usize::from(x != *y);
            left = substituted.min(above + 1).min(left + 1);
            diagonal = above;
            *slot = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
