//! A joiner and two approvers with a relay between them that knows the sync code: it delivers what it likes, to whom it likes, as
//! often as it likes, with requests of its own. The promise: a code that the joiner shows never admits another device.

use std::sync::OnceLock;

use protocol::code::SyncCode;
use protocol::entry::{self, Founding};
use protocol::id::Random;
use protocol::keys::DeviceKeys;
use protocol::policy::Policy;
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::{Answer, Attempt, Commitments, JoinerRounds, Nonce, Prompt, Reveal};
use protocol::{VERSION, Verified, limits};
use rand_core::Rng as _;

use super::{Choices, seeded};

/// A device that asks: the honest joiner, or one that the relay made with the sync code.
#[derive(Clone)]
struct Asking {
    keys: DeviceKeys,
    request: Verified<JoinRequest>,
    commitments: Commitments,
}

impl Asking {
    fn new(name: &str, code: &SyncCode) -> Self {
        let mut rng = seeded(name);
        let keys = DeviceKeys::draw(&mut rng);
        let commitments = Commitments::draw(&mut rng);
        let description =
            Description { name: name.to_owned(), platform: String::new(), version: String::new(), totp: None };
        let sealed = description.seal(code, &keys.id(), &mut rng).expect("a description");
        let request = JoinRequest::sign(code, &keys, &sealed, commitments.public(), 0).expect("a request");
        Self { keys, request, commitments }
    }

    fn rounds(&self) -> JoinerRounds {
        JoinerRounds::new(self.request.clone(), self.commitments.clone())
    }
}

/// A prompt that an approver opened, and what came of it.
#[derive(Clone)]
struct Opened {
    nonce: Verified<Nonce>,
    request: Verified<JoinRequest>,
    prompt: Option<Prompt>,
}

#[derive(Clone)]
struct World {
    founding: Founding,
    roster: Roster,
    approvers: [DeviceKeys; 2],
    /// The first is the honest joiner.
    asking: [Asking; 3],
    joiner: JoinerRounds,
    screen: Vec<Answer>,
    nonces: Vec<Verified<Nonce>>,
    reveals: Vec<Verified<Reveal>>,
    opened: [Option<Opened>; 2],
}

impl World {
    fn new() -> Self {
        let laptop = DeviceKeys::draw(&mut seeded("laptop"));
        let tablet = DeviceKeys::draw(&mut seeded("tablet"));
        let description =
            Description { name: String::new(), platform: String::new(), version: String::new(), totp: None };
        let founding = entry::found(&laptop, &description, Policy::default(), None, 0, &mut seeded("founding"));
        let founding = founding.expect("a founding");
        let roster = Roster::found(&founding.entry).expect("a roster");
        let asking = ["joiner", "thief", "thief's second"].map(|name| Asking::new(name, &founding.code));
        let joiner = asking.first().expect("three").rounds();
        Self {
            founding,
            roster,
            approvers: [laptop, tablet],
            asking,
            joiner,
            screen: Vec::new(),
            nonces: Vec::new(),
            reveals: Vec::new(),
            opened: [None, None],
        }
    }

    /// A nonce for a request, by an approver or by a key that the relay made.
    fn nonce(
        &self,
        signer: &DeviceKeys,
        request: &Verified<JoinRequest>,
        round: u8,
        seed: u8,
    ) -> Option<Verified<Nonce>> {
        let mut bytes = [0; 32];
        seeded(&format!("{:?} {round} {seed}", signer.id())).fill_bytes(&mut bytes);
        let form = Nonce {
            version: VERSION,
            chain: self.roster.chain(),
            request: request.id(),
            round,
            head: self.roster.head(),
            epoch: self.roster.epoch(),
            nonce: Random(bytes),
        };
        Verified::sign(form, &signer.signing, &[]).ok()
    }

    /// An approver opens the prompt of whatever request the relay shows it, once.
    fn opens(&mut self, who: u8, which: u8, round: u8) {
        let at = usize::from(who % 2);
        let (Some(keys), Some(asking)) = (self.approvers.get(at), self.asking.get(usize::from(which % 3))) else {
            return;
        };
        let round = 1 + round % limits::ROUNDS_MAX;
        let Some(nonce) = self.nonce(keys, &asking.request, round, 0) else { return };
        let request = asking.request.clone();
        if let Some(place @ None) = self.opened.get_mut(at) {
            self.nonces.push(nonce.clone());
            *place = Some(Opened { nonce, request, prompt: None });
        }
    }

    /// The relay makes a nonce of its own.
    fn forges(&mut self, which: u8, round: u8, seed: u8) {
        let Some(asking) = self.asking.get(usize::from(which % 3)) else { return };
        let own = DeviceKeys::draw(&mut seeded("the relay's own"));
        self.nonces.extend(self.nonce(&own, &asking.request, round, seed));
    }

    fn joiner_gets(&mut self, nonce: Verified<Nonce>) {
        let Some(honest) = self.asking.first() else { return };
        let before = self.joiner.answered().len();
        if let Ok(answer) = self.joiner.answer(nonce, &honest.keys.signing) {
            assert!(self.joiner.answered().len() <= before + 1);
            self.reveals.push(answer.reveal.clone());
            self.screen.push(answer);
        }
        let rounds: Vec<u8> = self.joiner.answered().iter().map(|nonce| nonce.round).collect();
        assert!(rounds.iter().zip(1..).all(|(round, next)| *round == next), "one nonce a round, in order: {rounds:?}");
    }

    /// The relay answers as one of its own devices.
    fn thief_answers(&mut self, which: u8, nonce: &Verified<Nonce>) {
        let thieves = self.asking.get(1..).unwrap_or_default();
        let Some(thief) = thieves.get(usize::from(which) % thieves.len().max(1)) else { return };
        let form = Reveal {
            version: VERSION,
            request: thief.request.id(),
            nonce: nonce.hash(),
            value: thief.commitments.value(nonce.round),
        };
        self.reveals.extend(Verified::sign(form, &thief.keys.signing, &[]).ok());
    }

    fn approver_gets(&mut self, who: u8, reveal: &Verified<Reveal>) {
        if let Some(Some(opened)) = self.opened.get_mut(usize::from(who % 2))
            && let Ok(prompt) = Prompt::new(opened.request.clone(), opened.nonce.clone(), reveal)
        {
            assert!(opened.prompt.as_ref().is_none_or(|before| before.round() == prompt.round()));
            opened.prompt = Some(prompt);
        }
    }

    /// The person types what the joiner's screen shows for the round that the prompt asks for.
    fn person_types(&self, who: u8) {
        let Some(Some(Opened { prompt: Some(prompt), .. })) = self.opened.get(usize::from(who % 2)) else { return };
        for shown in self.screen.iter().filter(|shown| shown.round == prompt.round()) {
            if let Attempt::Right(confirmed) = prompt.type_code(&shown.code.digits()) {
                let honest = self.asking.first().map(|honest| honest.request.id());
                assert_eq!(Some(confirmed.request().id()), honest, "the joiner's code admits another device");
            }
        }
    }
}

/// Plays a conversation.
pub fn conversation(data: &[u8]) {
    // Made once: to make it takes longer than to play most conversations.
    static BEGINNING: OnceLock<World> = OnceLock::new();
    let mut world = BEGINNING.get_or_init(World::new).clone();
    let mut choices = Choices(data);
    // A relay that runs out of bytes is done; one that goes on for ever proves nothing more.
    for _ in 0..64 {
        let (Some(what), Some(who), Some(which)) = (choices.next(), choices.next(), choices.next()) else { break };
        match what % 7 {
            0 => world.opens(who, which, choices.next().unwrap_or_default()),
            1 => world.forges(who, which, choices.next().unwrap_or_default()),
            2 => {
                if let Some(nonce) = Choices(&[which]).of(&world.nonces).cloned() {
                    world.joiner_gets(nonce);
                }
            }
            3 => {
                if let Some(nonce) = Choices(&[which]).of(&world.nonces).cloned() {
                    world.thief_answers(who, &nonce);
                }
            }
            4 => {
                if let Some(reveal) = Choices(&[which]).of(&world.reveals).cloned() {
                    world.approver_gets(who, &reveal);
                }
            }
            5 => world.person_types(who),
            _ => {
                if let Some(nonce) = Choices(&[which]).of(&world.nonces) {
                    let mut bytes = nonce.bytes().to_vec();
                    let at = usize::from(who) % bytes.len();
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << (which % 8);
                    }
                    assert!(Verified::<Nonce>::from_bytes(&bytes).is_err(), "a changed nonce verifies");
                }
            }
        }
    }
    assert_eq!(world.founding.code.join_key().join_key(), world.roster.join_key());
}
