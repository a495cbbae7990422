//! `docs/vectors/rounds.json`: reveals as relay and approver check them, nonces as a joiner answers them, what is typed, and what a
//! joiner believes at the end.

mod admissions;

use protocol::id::{Commitment, Random};
use protocol::request::JoinRequest;
use protocol::round::{Attempt, Nonce, Prompt, Reveal, RoundError, check_reveal};
use protocol::{ChainId, Form, Hash, RequestId, Verified};

use super::json::{Json, hex, list, object};
use super::making::{Pool, Ring};
use super::{compare, note};
use crate::world::{Chain, Joiner, keys};

/// The forms of the file, and who signs them.
struct Book {
    ring: Ring,
    pool: Pool,
}

impl Book {
    fn keep<T: Form>(&mut self, name: &str, form: &Verified<T>) -> Json {
        let made = self.ring.made(form);
        self.pool.keep(&self.ring, name, &made).into()
    }

    fn request(&mut self, request: &Verified<JoinRequest>) -> Json {
        self.keep(&format!("request-{}", request.id().short()), request)
    }

    fn nonce(&mut self, nonce: &Verified<Nonce>) -> Json {
        self.keep(&format!("nonce-{}-{}", nonce.round, nonce.hash().short()), nonce)
    }

    fn reveal(&mut self, reveal: &Verified<Reveal>) -> Json {
        self.keep(&format!("reveal-{}", reveal.hash().short()), reveal)
    }
}

fn nonce_with(chain: &Chain, joiner: &Joiner, round: u8, change: impl FnOnce(&mut Nonce)) -> Verified<Nonce> {
    let mut form = (*chain.opens(&chain.laptop, joiner, round)).clone();
    change(&mut form);
    Verified::sign(form, &chain.laptop.signing, &[]).unwrap()
}

/// A request, a nonce and a reveal: the check that relay and approver share.
fn reveals(book: &mut Book) -> Json {
    let chain = Chain::founded();
    let (phone, tablet) = (chain.asks("phone"), chain.asks("tablet"));
    let mut cases = Vec::new();
    let mut case = |name: &str,
                    says: &str,
                    error,
                    request: &Joiner,
                    nonce: &Verified<Nonce>,
                    reveal: &Verified<Reveal>| {
        assert_eq!(check_reveal(&request.request, nonce, reveal).err().as_ref().map(RoundError::code), error, "{name}");
        cases.push(object! {
            "name": name, "comment": says, "error": error, "request": book.request(&request.request),
            "nonce": book.nonce(nonce), "reveal": book.reveal(reveal),
        });
    };
    let mut rounds = phone.rounds();
    for round in 1..=8 {
        let nonce = chain.opens(&chain.laptop, &phone, round);
        let answer = rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
        case(&format!("round-{round}"), "a good answer", None, &phone, &nonce, &answer.reveal);
    }
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let good = phone.answers(&nonce).reveal;
    let with = |by: &Joiner, change: &dyn Fn(&mut Reveal)| {
        let mut form = (*good).clone();
        change(&mut form);
        Verified::sign(form, &by.keys.signing, &[]).unwrap()
    };
    let other = with(&phone, &|reveal| reveal.request = tablet.request.id());
    case(
        "reveal-of-another-request",
        "the reveal names another request",
        Some("other-request"),
        &phone,
        &nonce,
        &other,
    );
    let strange = chain.opens(&chain.laptop, &tablet, 1);
    let answer = with(&phone, &|reveal| reveal.nonce = strange.hash());
    case(
        "nonce-of-another-request",
        "the nonce names another request",
        Some("other-request"),
        &phone,
        &strange,
        &answer,
    );
    let stolen = with(&tablet, &|_| {});
    case("by-another-device", "another device signed the reveal", Some("not-the-joiner"), &phone, &nonce, &stolen);
    let second = nonce_with(&chain, &phone, 1, |nonce| nonce.nonce = Random([9; 32]));
    case("of-another-nonce", "the reveal answers another nonce", Some("other-nonce"), &phone, &second, &good);
    let says = "a value that nobody committed to";
    let made_up = with(&phone, &|reveal| reveal.value = Commitment([9; 32]));
    case("made-up-value", says, Some("broken-commitment"), &phone, &nonce, &made_up);
    for (round, name) in [(0, "value-of-round-0"), (2, "value-of-round-2")] {
        let value = phone.commitments.value(round);
        let wrong = with(&phone, &|reveal| reveal.value = value);
        case(name, "the value of another round than the nonce's", Some("broken-commitment"), &phone, &nonce, &wrong);
    }
    let says = "another request's reveal by another device: the request is asked first";
    let both = with(&tablet, &|reveal| reveal.request = tablet.request.id());
    case("other-request-and-not-the-joiner", says, Some("other-request"), &phone, &nonce, &both);
    let both = with(&tablet, &|reveal| reveal.nonce = Hash([9; 32]));
    case("not-the-joiner-and-other-nonce", "then the signer", Some("not-the-joiner"), &phone, &nonce, &both);
    let both = with(&phone, &|reveal| (reveal.nonce, reveal.value) = (Hash([9; 32]), Commitment([9; 32])));
    case("other-nonce-and-broken-commitment", "then the nonce", Some("other-nonce"), &phone, &nonce, &both);
    Json::List(cases)
}

/// Nonces as they come to a joiner, and its answers up to the first that it refuses.
fn answers(book: &mut Book) -> Json {
    let chain = Chain::founded();
    let phone = chain.asks("phone");
    let tablet = keys("tablet");
    let of = |round| chain.opens(&chain.laptop, &phone, round);
    let changed = |round, change: fn(&mut Nonce)| nonce_with(&chain, &phone, round, change);
    let elsewhere = |nonce: &mut Nonce| nonce.chain = ChainId([9; 32]);
    let cases = [
        ("one", "one approver", vec![of(1)], None),
        ("two", "two approvers, a round each", vec![of(1), chain.opens(&tablet, &phone, 2)], None),
        ("eight", "as many rounds as there are", (1..=8).map(of).collect(), None),
        ("repeated", "the same nonce gets the same answer", vec![of(1), of(2), of(1)], None),
        (
            "other-request",
            "a nonce for another request",
            vec![changed(1, |nonce| nonce.request = RequestId([9; 32]))],
            Some("other-request"),
        ),
        (
            "second-nonce",
            "a second nonce in a round ends the join",
            vec![of(1), changed(1, |nonce| nonce.nonce = Random([9; 32]))],
            Some("second-nonce"),
        ),
        (
            "second-nonce-by-another",
            "by another approver too",
            vec![of(1), chain.opens(&tablet, &phone, 1)],
            Some("second-nonce"),
        ),
        (
            "second-chain",
            "a nonce from a second chain ends the join",
            vec![of(1), changed(2, elsewhere)],
            Some("second-chain"),
        ),
        (
            "second-chain-and-second-nonce",
            "the chain is asked first",
            vec![of(1), changed(1, elsewhere)],
            Some("second-chain"),
        ),
        ("round-2-first", "rounds come in order", vec![of(2)], Some("round-taken")),
        ("round-3-second", "rounds come in order", vec![of(1), of(3)], Some("round-taken")),
    ];
    let mut case = |(name, says, nonces, error): (&str, &str, Vec<Verified<Nonce>>, Option<&str>)| {
        let mut rounds = phone.rounds();
        let mut reveals = Vec::new();
        for nonce in &nonces {
            let Ok(answer) = rounds.answer(nonce.clone(), &phone.keys.signing) else { break };
            let code = answer.code.digits().replace(' ', "");
            reveals.push(object! { "reveal": book.reveal(&answer.reveal), "check_code": code });
        }
        assert_eq!(reveals.len() < nonces.len(), error.is_some(), "{name}");
        object! {
            "name": name, "comment": says, "error": error, "index": error.map(|_| reveals.len()), "device": "phone",
            "request": book.request(&phone.request), "c8": hex(phone.commitments.expose()),
            "nonces": list(nonces.iter().map(|nonce| book.nonce(nonce))), "answers": reveals,
        }
    };
    list(cases.map(&mut case))
}

/// What somebody types where a code of a round is asked for.
fn typed(book: &mut Book) -> Json {
    let chain = Chain::founded();
    let phone = chain.asks("phone");
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let answer = phone.answers(&nonce);
    let prompt = Prompt::new(phone.request.clone(), nonce.clone(), &answer.reveal).unwrap();
    let shown = answer.code.digits();
    let code = shown.replace(' ', "");
    let wrong = if code.starts_with('0') { code.replacen('0', "1", 1) } else { format!("0{}", &code[1..]) };
    let texts = [
        ("as-shown", shown.to_string()),
        ("without-space", code.clone()),
        ("with-hyphen", code[..3].to_owned() + "-" + &code[3..]),
        ("between-spaces", format!(" {code} ")),
        ("another-code", wrong),
        ("five-digits", code[..5].to_owned()),
        ("seven-digits", format!("{code}0")),
        ("letters", "abcdef".to_owned()),
        ("nothing", String::new()),
        ("other-digits", "١٢٣٤٥٦".to_owned()),
    ];
    let case = |(name, text): (&str, String)| {
        let attempt = match prompt.type_code(&text) {
            Attempt::Right(_) => "right",
            Attempt::Wrong => "wrong",
            Attempt::NotACode => "not-a-code",
        };
        object! {
            "name": name, "request": book.request(&phone.request), "nonce": book.nonce(&nonce),
            "reveal": book.reveal(&answer.reveal), "text": text, "attempt": attempt,
        }
    };
    list(texts.map(case))
}

#[test]
fn rounds_are_the_same_as_ever() {
    let chain = Chain::founded();
    let other = Chain::founded_with("stranger", protocol::policy::Policy::default()).founding.code.join_key();
    let joins = [("join key", chain.founding.code.join_key()), ("join key of the stranger's chain", other)];
    let ring = Ring::new(&["laptop", "phone", "tablet", "stranger"], &joins);
    let mut book = Book { ring, pool: Pool::default() };
    let (reveals, answers, typed) = (reveals(&mut book), answers(&mut book), typed(&mut book));
    let (entries, admissions) = admissions::cases(&mut book);
    let file = object! {
        "about": note("From the first nonce to the keys: reveals, answers, typed codes, admissions."),
        "keys": book.ring.to_json(),
        "forms": book.pool.into_json(),
        "entries": entries,
        "reveals": reveals,
        "answers": answers,
        "typed": typed,
        "admissions": admissions,
    };
    compare("rounds.json", &file);
}
