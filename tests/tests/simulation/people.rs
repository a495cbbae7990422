//! What people do at a device: by the routes that every command calls, reading screens and typing codes. They look again after a while; time is
//! the simulation's here, and costs none.

use std::rc::Rc;
use std::time::Duration;

use countersign::simulation::{Failed, Member};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::machines::Desk;

/// What somebody does at a device.
#[derive(Clone)]
pub(crate) enum Errand {
    /// Founds a chain.
    Begin,
    /// Joins by the words.
    Join { words: String },
    /// Reads the words of the sync code to a new device, waits for its request, and decides. The new device answers by another number.
    Invite { joiner: Rc<Desk>, number: u64, decision: Decision },
    /// Decides on the request of a device that asked already.
    Decide { joiner: Rc<Desk>, decision: Decision },
    /// Reads everything, as JSON.
    List,
    /// Calls one route.
    Call { route: &'static str, body: Option<Value> },
    /// Writes a value, or deletes.
    Write { id: String, value: Option<String>, queue: bool },
    /// Removes a device, by its name.
    Remove { name: String, reason: &'static str },
    /// Gives a device another role.
    Role { name: String, role: &'static str },
    /// Changes the policy.
    Policy { wish: Value },
    /// Agrees to whatever waits for others.
    Agree { reason: &'static str },
    /// Announces the end of the chain, carries it out, or stops it.
    Closing(Closing),
    /// Settles a fork, for the branch that is pinned here or for the other one.
    Settle { other: bool },
}

/// How a request is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Admit,
    /// A wrong code first.
    MistypeAndAdmit,
    /// Wrong codes only.
    Mistype,
    Deny,
    NotMe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Announce,
    Veto,
    End,
}

/// Looks for a request that somebody waits for.
const LOOKS: usize = 20;
/// Codes that somebody types.
const TRIES: usize = 4;

pub(crate) async fn run(member: &Member, errand: Errand) -> Result<String, Failed> {
    match errand {
        Errand::Begin | Errand::Join { .. } => Ok("somebody lives here already".to_owned()),
        Errand::Invite { joiner, number, decision } => invite(member, &joiner, number, decision).await,
        Errand::Decide { joiner, decision } => decide(member, &joiner, decision).await,
        Errand::List => Ok(member.call("/records/list", Some(json!({ "collection": null }))).await?.to_string()),
        Errand::Call { route, body } => member.call(route, body).await.map(|_| "done".to_owned()),
        Errand::Write { id, value, queue } => {
            let value = value.map(|value| BASE64.encode(value.as_bytes()));
            let route = if queue { "/records/queue" } else { "/records/write" };
            let body = json!({ "collection": "notes", "id": id, "value": value });
            member.call(route, Some(body)).await.map(|_| "written".to_owned())
        }
        Errand::Remove { name, reason } => remove(member, &name, reason).await,
        Errand::Role { name, role } => {
            outcome(member.call("/devices/role", Some(json!({ "device": name, "role": role }))).await?)
        }
        Errand::Policy { wish } => {
            let plan = member.call("/policy/plan", Some(wish.clone())).await?;
            outcome(member.call("/policy/set", Some(json!({ "wish": wish, "base": plan["base"] }))).await?)
        }
        Errand::Agree { reason } => agree(member, reason).await,
        Errand::Closing(what) => closing(member, what).await,
        Errand::Settle { other } => settle(member, other).await,
    }
}

fn outcome(view: Value) -> Result<String, Failed> {
    Ok(if view.get("proposal").is_some() { "proposed" } else { "landed" }.to_owned())
}

/// Two people, one at each device: one reads the words out and waits, the other types them in and reads the check code out.
async fn invite(member: &Member, joiner: &Rc<Desk>, number: u64, decision: Decision) -> Result<String, Failed> {
    let code = member.call("/code", None).await?;
    let words = text(&code["words"]);
    joiner.send(number, Errand::Join { words });
    decide(member, joiner, decision).await
}

async fn decide(member: &Member, joiner: &Rc<Desk>, decision: Decision) -> Result<String, Failed> {
    let Some(id) = wait_for(member, joiner).await? else { return Ok("nobody asked".to_owned()) };
    match decision {
        Decision::Deny | Decision::NotMe => {
            let reason = if decision == Decision::Deny { "denied" } else { "not-me" };
            let body = json!({ "id": id, "block": 0, "reason": reason });
            return member.call("/requests/deny", Some(body)).await.map(|_| "denied".to_owned());
        }
        Decision::Admit | Decision::MistypeAndAdmit | Decision::Mistype => {}
    }
    member.call("/requests/open", Some(json!({ "id": id }))).await?;
    type_codes(member, joiner, &id, decision).await
}

async fn type_codes(member: &Member, joiner: &Rc<Desk>, id: &str, decision: Decision) -> Result<String, Failed> {
    let wrong = match decision {
        Decision::Mistype => TRIES,
        Decision::MistypeAndAdmit => 1,
        _ => 0,
    };
    let mut last = None;
    for attempt in 0..TRIES {
        let Some(right) = code_of(joiner).await else { return Ok("no code was shown".to_owned()) };
        let typed = if attempt < wrong { other_than(&right) } else { right };
        match member.call("/requests/approve", Some(json!({ "id": id, "code": typed, "role": "approver" }))).await {
            Ok(view) => return Ok(if view.get("proposal").is_some() { "agreed" } else { "admitted" }.to_owned()),
            // Another approver's code may be on the screen; the next one is on its way.
            Err(failed) if failed.code == "wrong-code" => last = Some(failed),
            Err(failed) => return Err(failed),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    last.map_or_else(|| Ok("gave up".to_owned()), Err)
}

/// Waits until the new device shows a check code.
async fn code_of(joiner: &Rc<Desk>) -> Option<String> {
    for _ in 0..LOOKS {
        let code = joiner.code.borrow().clone();
        if code.is_some() {
            return code;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    None
}

fn other_than(code: &str) -> String {
    code.chars()
        .map(|digit| {
            if digit == '7' {
                '8'
            } else if digit.is_ascii_digit() {
                '7'
            } else {
                digit
            }
        })
        .collect()
}

/// Waits until the request of that device, and of no other of the same name, is shown here.
async fn wait_for(member: &Member, joiner: &Rc<Desk>) -> Result<Option<String>, Failed> {
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(id) = joiner.asked.borrow().as_ref().map(ToString::to_string) else { continue };
        let open = member.call("/requests", None).await?;
        if list(&open).iter().any(|request| text(&request["id"]) == id) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn remove(member: &Member, name: &str, reason: &str) -> Result<String, Failed> {
    let view = member.call("/devices/removal", Some(json!({ "devices": [name], "from": null }))).await?;
    let ids = |items: &Value| -> Vec<Value> { list(items).iter().map(|item| item["device"].clone()).collect() };
    // Those that it let in stay.
    let order =
        json!({ "devices": ids(&view["devices"]), "keep": ids(&view["admitted"]), "reason": reason, "from": null });
    outcome(member.call("/devices/remove", Some(order)).await?)
}

async fn agree(member: &Member, reason: &str) -> Result<String, Failed> {
    let waiting = member.call("/approvals", None).await?;
    let Some(proposal) = list(&waiting).first().cloned() else { return Ok("nothing waits".to_owned()) };
    if proposal["kind"] == "admit" {
        return Ok("an admission, which takes a code".to_owned());
    }
    let body = json!({ "id": proposal["proposal"], "reason": reason, "accepted": ["ways", "quorum"] });
    outcome(member.call("/approvals/agree", Some(body)).await?)
}

async fn closing(member: &Member, what: Closing) -> Result<String, Failed> {
    match what {
        Closing::Announce => outcome(member.call("/chain/closing/announce", Some(json!({}))).await?),
        Closing::Veto => member.call("/chain/veto", Some(json!({ "id": null }))).await.map(|_| "vetoed".to_owned()),
        Closing::End => {
            let standing = member.call("/chain/closing", None).await?;
            if standing.is_null() {
                return Ok("nothing was announced".to_owned());
            }
            let order = json!({ "closing": standing["id"] });
            member.call("/chain/closing/end", Some(order)).await.map(|_| "ended".to_owned())
        }
    }
}

async fn settle(member: &Member, other: bool) -> Result<String, Failed> {
    let fork = member.call("/log/fork", None).await?;
    let branch = if other { &fork["other"] } else { &fork["pinned"] };
    outcome(member.call("/log/settle", Some(json!({ "keep": branch["first"] }))).await?)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}
