//! Code rounds: nonce, reveal and the check code that an approver types.
//!
//! The joiner commits to its random values in the request, before any nonce exists; the approver's nonce is signed before it sees
//! the joiner's value. So neither side, nor a relay that substitutes keys in between, can steer the code: each try of an attacker
//! is one guess in a million, and each costs a round that a person opened.
//!
//! What a code does *not* prove: that the person who reads it out is the person who should. Whoever talks an owner into typing a
//! stranger's digits gets in.

use core::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::FormError;
use crate::id::{ChainId, Commitment, DeviceId, Hash, Random, RequestId};
use crate::keys::{SigningKey, secret};
use crate::limits;
use crate::request::JoinRequest;
use crate::signed::{Form, Verified, check_version};

/// An approver opens the prompt: its nonce for the next free round of a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Nonce {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The approver's chain.
    #[n(1)]
    pub chain: ChainId,
    /// The request whose prompt was opened.
    #[n(2)]
    pub request: RequestId,
    /// 1 to [`limits::ROUNDS_MAX`].
    #[n(3)]
    pub round: u8,
    /// The approver's head.
    #[n(4)]
    pub head: Hash,
    /// The epoch at that head.
    #[n(5)]
    pub epoch: u64,
    /// 32 fresh random bytes.
    #[n(6)]
    pub nonce: Random,
}

impl Form for Nonce {
    type Evidence = ();
    const NAME: &'static str = "nonce";
    const LABEL: &'static str = "countersign/v1/nonce";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        check_round(Self::NAME, self.round)
    }
}

/// The joiner's answer to one nonce: the value that its commitment named.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reveal {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The joiner's request.
    #[n(1)]
    pub request: RequestId,
    /// Hash of the nonce form that is answered.
    #[n(2)]
    pub nonce: Hash,
    /// cᵣ of that nonce's round.
    #[n(3)]
    pub value: Commitment,
}

impl Form for Reveal {
    type Evidence = ();
    const NAME: &'static str = "reveal";
    const LABEL: &'static str = "countersign/v1/reveal";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)
    }
}

fn check_round(form: &'static str, round: u8) -> Result<(), FormError> {
    if (1..=limits::ROUNDS_MAX).contains(&round) {
        Ok(())
    } else {
        Err(FormError::BadField { form, what: "round is not between 1 and 8" })
    }
}

secret! {
    /// The joiner's secret end of its commitments: c₈, from which c₇ … c₀ follow by hashing.
    Commitments;
}

impl Commitments {
    /// cᵣ. Of rounds beyond the last it yields c₈.
    #[must_use]
    pub fn value(&self, round: u8) -> Commitment {
        (round..limits::ROUNDS_MAX).fold(Commitment(*self.expose()), |value, _| commit(&value))
    }

    /// c₀, which the request carries.
    #[must_use]
    pub fn public(&self) -> Commitment {
        self.value(0)
    }
}

/// cᵣ₋₁ of cᵣ: SHA-256(`countersign/v1/commitment` ‖ cᵣ).
#[must_use]
pub fn commit(value: &Commitment) -> Commitment {
    Commitment(Sha256::new_with_prefix(b"countersign/v1/commitment").chain_update(value.0).finalize().into())
}

/// Whether a value is cᵣ of a request's c₀.
#[must_use]
pub fn links(commitment: &Commitment, round: u8, value: &Commitment) -> bool {
    (1..=limits::ROUNDS_MAX).contains(&round) && (0..round).fold(*value, |value, _| commit(&value)) == *commitment
}

/// Why a nonce or a reveal does not continue a round. The blame is the peer's, which may be the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoundError {
    /// It names another request.
    #[error("it belongs to another join request")]
    OtherRequest,
    /// It is not signed by the joiner of the request.
    #[error("it is not signed by the device that asks")]
    NotTheJoiner,
    /// It answers another nonce.
    #[error("it answers another nonce")]
    OtherNonce,
    /// The value is not the one that the request committed to.
    #[error("its value is not the one that the request committed to")]
    BrokenCommitment,
    /// Another round than the next free one.
    #[error("round {got} is not the next; expected {expected}")]
    NotNext {
        /// Round named.
        got: u8,
        /// Next free round.
        expected: u8,
    },
    /// A second nonce in a round that was answered. One of the two was made to search for a matching code.
    #[error("a second, different nonce came for round {round}")]
    SecondNonce {
        /// The round.
        round: u8,
    },
    /// A nonce from another chain than the first.
    #[error("a nonce came from a second chain")]
    SecondChain,
}

impl RoundError {
    /// The stable code of this error, as it stands in problems and vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherRequest => "other-request",
            Self::NotTheJoiner => "not-the-joiner",
            Self::OtherNonce => "other-nonce",
            Self::BrokenCommitment => "broken-commitment",
            Self::NotNext { .. } => "round-taken",
            Self::SecondNonce { .. } => "second-nonce",
            Self::SecondChain => "second-chain",
        }
    }
}

/// Checks that a reveal answers a nonce of a request: the one check that relay and approver share.
///
/// # Errors
///
/// [`RoundError`].
pub fn check_reveal(
    request: &Verified<JoinRequest>,
    nonce: &Verified<Nonce>,
    reveal: &Verified<Reveal>,
) -> Result<(), RoundError> {
    if reveal.request != request.id() || nonce.request != request.id() {
        return Err(RoundError::OtherRequest);
    }
    if reveal.signer() != request.device.signing {
        return Err(RoundError::NotTheJoiner);
    }
    if reveal.nonce != nonce.hash() {
        return Err(RoundError::OtherNonce);
    }
    if !links(&request.commitment, nonce.round, &reveal.value) {
        return Err(RoundError::BrokenCommitment);
    }
    Ok(())
}

/// The approver's side of a round that was answered: the code is known here, and must now be typed.
#[derive(Debug, Clone)]
pub struct Prompt {
    request: Verified<JoinRequest>,
    nonce: Verified<Nonce>,
    code: CheckCode,
}

/// What became of a code that somebody typed.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// It is the code: the request may be admitted.
    Right(Confirmed),
    /// It is another code: a guess that counts.
    Wrong,
    /// It is not six digits: no guess.
    NotACode,
}

/// Proof that the check code of exactly this request was typed. Only [`Prompt::type_code`] makes one.
#[derive(Debug, Clone)]
pub struct Confirmed(Arc<Verified<JoinRequest>>);

impl Confirmed {
    /// The request whose code was typed.
    #[must_use]
    pub fn request(&self) -> &Arc<Verified<JoinRequest>> {
        &self.0
    }
}

impl Prompt {
    /// Takes the reveal to the approver's own nonce.
    ///
    /// # Errors
    ///
    /// [`RoundError`] if the reveal does not answer this nonce of this request.
    pub fn new(
        request: Verified<JoinRequest>,
        nonce: Verified<Nonce>,
        reveal: &Verified<Reveal>,
    ) -> Result<Self, RoundError> {
        check_reveal(&request, &nonce, reveal)?;
        let code = CheckCode::of(&reveal.value, &nonce);
        Ok(Self { request, nonce, code })
    }

    /// The round, from 1: with several approvers the joiner's screen numbers its codes by it.
    #[must_use]
    pub fn round(&self) -> u8 {
        self.nonce.round
    }

    /// Compares a typed code. The caller counts the wrong ones durably, before it says so.
    #[must_use]
    pub fn type_code(&self, typed: &str) -> Attempt {
        match self.code.matches(typed) {
            Some(true) => Attempt::Right(Confirmed(Arc::new(self.request.clone()))),
            Some(false) => Attempt::Wrong,
            None => Attempt::NotACode,
        }
    }
}

/// The joiner's side of all rounds of one request. It answers one nonce a round, ever, in order.
///
/// Its driver stores [`JoinerRounds::answered`] before a reveal leaves, so that a restart repeats the same answers.
#[derive(Debug, Clone)]
pub struct JoinerRounds {
    request: Verified<JoinRequest>,
    commitments: Commitments,
    answered: Vec<Verified<Nonce>>,
}

/// What a joiner does with a nonce that it accepted.
#[derive(Debug, Clone)]
pub struct Answer {
    /// To be posted, after the nonce is stored.
    pub reveal: Verified<Reveal>,
    /// To be shown, numbered by round.
    pub code: CheckCode,
    /// The round, from 1.
    pub round: u8,
}

impl JoinerRounds {
    /// Starts with no round answered.
    #[must_use]
    pub fn new(request: Verified<JoinRequest>, commitments: Commitments) -> Self {
        Self { request, commitments, answered: Vec::new() }
    }

    /// The nonces that were answered, in the order of their rounds.
    #[must_use]
    pub fn answered(&self) -> &[Verified<Nonce>] {
        &self.answered
    }

    /// The chain that the first nonce named.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        self.answered.first().map(|nonce| nonce.chain)
    }

    /// Whether a device signed a nonce whose code was shown here: only such a device may admit.
    #[must_use]
    pub fn showed_code_for(&self, approver: &DeviceId) -> bool {
        self.answered.iter().any(|nonce| nonce.signer() == *approver)
    }

    /// Takes a nonce: answers a new one, repeats the answer to a known one, refuses everything else.
    ///
    /// # Errors
    ///
    /// [`RoundError`]. [`RoundError::SecondNonce`] and [`RoundError::SecondChain`] show a lying relay and end the join.
    pub fn answer(&mut self, nonce: Verified<Nonce>, key: &SigningKey) -> Result<Answer, AnswerError> {
        if nonce.request != self.request.id() {
            return Err(RoundError::OtherRequest.into());
        }
        if self.chain().is_some_and(|chain| chain != nonce.chain) {
            return Err(RoundError::SecondChain.into());
        }
        match self.answered.get(usize::from(nonce.round) - 1) {
            Some(known) if known.hash() == nonce.hash() => {}
            Some(_) => return Err(RoundError::SecondNonce { round: nonce.round }.into()),
            None if usize::from(nonce.round) == self.answered.len() + 1 => self.answered.push(nonce.clone()),
            None => {
                let expected = u8::try_from(self.answered.len() + 1).unwrap_or(u8::MAX);
                return Err(RoundError::NotNext { got: nonce.round, expected }.into());
            }
        }
        let value = self.commitments.value(nonce.round);
        let form = Reveal { version: crate::VERSION, request: self.request.id(), nonce: nonce.hash(), value };
        let reveal = Verified::sign(form, key, &[])?;
        Ok(Answer { reveal, code: CheckCode::of(&value, &nonce), round: nonce.round })
    }
}

/// Why a joiner gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The nonce does not continue the rounds.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// The answer could not be signed: a defect of this program.
    #[error(transparent)]
    Form(#[from] FormError),
}

/// Six digits that show on both sides only if both saw the same request and the same nonce. Redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckCode(Zeroizing<u32>);

impl CheckCode {
    /// The first 8 bytes, big-endian, of HKDF-SHA256(cᵣ ‖ nonce, info = `countersign/v1/check-code` ‖ request id ‖ hash of the
    /// nonce form), modulo 10⁶.
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 yields up to 8,160 bytes and 8 are asked for")]
    fn of(value: &Commitment, nonce: &Verified<Nonce>) -> Self {
        let mut secret = Zeroizing::new([0; 64]);
        let (front, back) = secret.split_at_mut(32);
        front.copy_from_slice(&value.0);
        back.copy_from_slice(&nonce.nonce.0);
        let mut out = Zeroizing::new([0; 8]);
        Hkdf::<Sha256>::new(None, secret.as_ref())
            .expand_multi_info(
                &[b"countersign/v1/check-code", nonce.request.as_bytes(), nonce.hash().as_bytes()],
                out.as_mut(),
            )
            .expect("8 bytes");
        let code = u64::from_be_bytes(*out) % 1_000_000;
        Self(Zeroizing::new(u32::try_from(code).unwrap_or_default()))
    }

    /// The six digits in two groups, for the joiner's screen only: `482 913`.
    #[must_use]
    pub fn digits(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{:03} {:03}", *self.0 / 1000, *self.0 % 1000))
    }

    /// Whether somebody typed this code, spaces and hyphens aside. `None` if it is not six digits: that is no guess.
    #[must_use]
    fn matches(&self, typed: &str) -> Option<bool> {
        let digits = six_digits(typed)?;
        let own = Zeroizing::new(format!("{:06}", *self.0));
        Some(own.as_bytes().ct_eq(digits.as_bytes()).into())
    }
}

/// The six digits that somebody typed, spaces and hyphens aside. `None` if they are anything else.
#[must_use]
pub fn six_digits(typed: &str) -> Option<Zeroizing<String>> {
    let digits: Zeroizing<String> =
        Zeroizing::new(typed.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}')).collect());
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

impl fmt::Debug for CheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckCode(secret)")
    }
}
