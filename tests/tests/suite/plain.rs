//! `--plain`: on a terminal too, everything is a line of text that is written once.

use countersign_tests::actor::COLLECTION;
use countersign_tests::home::Home;
use countersign_tests::relay::Relay;

#[test]
fn a_device_is_let_in_by_typing_words_and_no_line_is_written_over() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let words = laptop.words();
    let mut watching = laptop.types_at_a_terminal(&["requests", "watch", "--plain"]);
    let joining = Home::new("phone").asks(&relay.origin(), &words);
    let id = joining.waits();
    watching.all.wait("the request", |line| line.starts_with("REQUEST").then_some(()));
    watching.say(&format!("{}\n", &id[..8]));
    watching.all.wait("the question", |line| line.starts_with("Type code 1 of the new device").then_some(()));
    let code = joining.code(1);
    watching.say(&format!("{}\n", &code[..5]));
    watching.all.wait("what a code is", |line| line.starts_with("A code has six digits").then_some(()));
    watching.say(&format!("{} {}\n", &code[..3], &code[3..]));
    watching.all.wait("the end", |line| line.contains("The prompt of").then_some(()));
    assert_eq!(joining.end().code(), 0);
    watching.say("\n");
    watching.all.wait("the list", |line| line.contains("nobody asks").then_some(()));
    assert!(!watching.all.text().contains('\u{1b}'), "{}", watching.all.text());
}

#[test]
fn the_joiner_shows_its_code_in_one_line() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let phone = Home::new("phone");
    let words = phone.keeps("words", &laptop.words());
    let joining = phone.types_at_a_terminal(&[
        "join",
        "--plain",
        "--relay",
        &relay.origin(),
        "--name",
        "phone",
        "--code-file",
        &words,
    ]);
    joining.all.wait("waiting", |line| line.starts_with("waiting:").then_some(()));
    let id = laptop.requests().remove(0);
    let _ = laptop.opens(&id);
    let code = joining.all.wait("a code", |line| {
        let rest = line.strip_prefix("code 1: ")?;
        Some(rest.chars().filter(char::is_ascii_digit).collect::<String>())
    });
    assert_eq!(laptop.approves(&id, &code).code(), 0);
    joining.all.wait("the end", |line| line.contains("joined chain").then_some(()));
    assert!(!joining.all.text().contains('\u{1b}'), "{}", joining.all.text());
}

/// The next prompt of a shell stood behind the value; a pipe must have the bytes and nothing else.
#[test]
fn a_value_ends_a_line_on_a_terminal_and_is_exactly_what_was_put_in_a_pipe() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    for (id, value) in [("without", "hello"), ("with", "hello\n"), ("empty", ""), ("two", "a\nb")] {
        let file = laptop.keeps("value.txt", value);
        assert_eq!(laptop.types(&["record", "put", COLLECTION, id, "--file", &file]).code(), 0);
        let get = ["record", "get", COLLECTION, id];
        let line = value.strip_suffix('\n').unwrap_or(value).replace('\n', "\r\n");
        assert_eq!(laptop.shows_at_a_terminal(&get), format!("{line}\r\n"), "{id}");
        assert_eq!(laptop.piped(&get), value.as_bytes(), "{id}");
    }
}
