//! Answering the question of a request: by flags, or at the prompt under the plan on one screen.

use std::time::Duration;

use chiffon_common::{
    Digest, HostName, Tier,
    api::{Answer, DecisionView, RequestView},
};

use super::sealed::as_sealed;
use crate::{
    args::{Consent, Patience},
    client::Client,
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    render::{self, Extent, one_line},
    terminal::{Answered, Format, Terminal, ask},
};

/// What a person has said on the command line.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// `--yes`: up to this tier.
    pub yes: Option<Tier>,
    /// `--confirm`.
    pub confirm: Option<String>,
    /// `--comment`.
    pub comment: Option<String>,
    /// The command only looks: nobody is asked, even where somebody could be.
    pub only_looks: bool,
    /// A conversation: there is no flag by which something could have been agreed to beforehand.
    pub in_chat: bool,
    /// `--dry-run`: the plan is refused as soon as it stands.
    pub dry_run: bool,
    /// `--timeout`.
    pub timeout: Option<Duration>,
}

impl Said {
    /// What the flags of a command that starts something say.
    pub fn beforehand(consent: &Consent, patience: Patience) -> Self {
        let comment = |tier| format!("approved beforehand by --yes={tier}");
        Self {
            yes: consent.yes.and_then(|tier| Tier::try_from(tier).ok()),
            confirm: consent.confirm.clone(),
            comment: consent.yes.map(comment),
            timeout: patience.timeout.map(Duration::from_secs),
            ..Self::default()
        }
    }
}

/// What stands in the record where a dry run has refused its own plan.
const DRY_RUN: &str = "a dry run: only the plan was wanted (--dry-run)";

/// How often a question is asked before it is left open.
pub(super) const ASKED: u32 = 3;

/// What came of it.
pub enum Verdict {
    /// The question is answered.
    Answered(Box<RequestView>),
    /// A dry run: the plan stands, and was refused.
    OnlyPlanned(Box<RequestView>),
    /// Nobody could be asked, or nobody said a word; the question stays open.
    Open(Failure),
    /// Ctrl-C.
    Interrupted,
}

/// The question that waits, if one does.
pub fn pending(request: &RequestView) -> Option<&DecisionView> {
    request.decisions.iter().find(|one| one.state == "pending")
}

/// Asks for the approval of a plan, or gives it as the flags say.
pub async fn approve(
    client: &Client,
    terminal: &Terminal,
    interrupt: &mut Interrupt,
    request: &RequestView,
    said: &Said,
) -> Result<Verdict, Failure> {
    let Some(question) = pending(request) else {
        return Err(Failure::internal("a plan waits, but there is no question"));
    };
    if question.kind != "approval" {
        let may_ask = terminal.may_ask && !said.only_looks;
        return other(client, may_ask, interrupt, request, question).await;
    }
    if said.dry_run {
        let closing = Said {
            comment: Some(DRY_RUN.to_owned()),
            ..Said::default()
        };
        let refusal = answer(question, "reject", None, &closing);
        let refused = client.answer(&refusal).await?;
        // One that has ended is warned of nothing any more.
        let warnings = request.warnings.clone();
        let request = RequestView {
            warnings,
            ..refused
        };
        return Ok(Verdict::OnlyPlanned(Box::new(request)));
    }
    let tier = question.tier.unwrap_or(Tier::Two);
    let digest = question
        .digest
        .ok_or_else(|| Failure::internal("an approval without a digest"))?;
    // What is shown is made from the very bytes that an approval is bound to.
    let request = &as_sealed(client, request, digest).await?;
    if terminal.format == Format::Table || terminal.may_ask {
        let plan = render::plan(terminal.err, request, Extent::Screen).unwrap_or_default();
        terminal.say(&format!("\n{plan}\n"));
    }
    if said.yes.is_some_and(|up_to| up_to >= tier) {
        let confirm = said.confirm.clone().or_else(|| host_to_type(request, tier));
        let answer = answer(question, "approve", confirm, said);
        return Ok(Verdict::Answered(Box::new(client.answer(&answer).await?)));
    }
    let open = nobody_to_ask(request, question, tier, said);
    if !terminal.may_ask || said.only_looks {
        return Ok(Verdict::Open(open));
    }
    let given = match decided(terminal, interrupt, request, tier).await {
        Clear::Said((Word::Approve, confirm)) => {
            let confirm = confirm.or_else(|| said.confirm.clone());
            answer(question, "approve", confirm, said)
        }
        Clear::Said(_) => answer(question, "reject", None, said),
        Clear::Nothing => return Ok(Verdict::Open(open)),
        Clear::Interrupted => return Ok(Verdict::Interrupted),
    };
    Ok(Verdict::Answered(Box::new(client.answer(&given).await?)))
}

/// What a line at the prompt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Approve,
    Reject,
    /// The whole plan, before anything is decided.
    All,
    /// The diffs alone.
    Diff,
}

/// The word of the person, with the host name that was typed.
async fn decided(
    terminal: &Terminal,
    interrupt: &mut Interrupt,
    request: &RequestView,
    tier: Tier,
) -> Clear<(Word, Option<String>)> {
    let hosts = hosts(request);
    let looks = "(a: show all, d: the diff)";
    let words = match tier {
        Tier::Zero | Tier::One => format!("Approve this plan? [y/N] {looks}"),
        Tier::Two => {
            let hosts = some_of(&hosts);
            format!(
                "This is tier 2. {looks}\nType the host name ({hosts}) to approve, or n to reject:"
            )
        }
    };
    let mut unclear = 0;
    while unclear < ASKED {
        let line = match ask(&words, interrupt).await {
            Answered::Line(line) => line,
            Answered::NoMore => break,
            Answered::Interrupted => return Clear::Interrupted,
        };
        match word(tier, &line, &hosts) {
            Some(Word::All) => {
                let all = render::plan(terminal.err, request, Extent::All);
                terminal.say(&format!("\n{}\n", all.unwrap_or_default()));
            }
            Some(Word::Diff) => {
                let diff = render::plan_diff(terminal.err, request);
                terminal.say(&format!("\n{diff}\n"));
            }
            Some(Word::Approve) if tier == Tier::Two => {
                return Clear::Said((Word::Approve, Some(line)));
            }
            Some(decided) => return Clear::Said((decided, None)),
            None => unclear += 1,
        }
    }
    Clear::Nothing
}

/// `nas or web or db, or another of 500`: any of them may be typed.
fn some_of(hosts: &[&str]) -> String {
    const NAMED: usize = 3;
    match hosts.len() {
        count if count > NAMED + 1 => {
            let named = hosts[..NAMED].join(" or ");
            format!("{named}, or another of its {count} hosts")
        }
        _ => hosts.join(" or "),
    }
}

/// Only a clear word decides; a slip of the keys neither approves a plan nor throws it away.
fn word(tier: Tier, line: &str, hosts: &[&str]) -> Option<Word> {
    match (tier, line.to_ascii_lowercase().as_str()) {
        // Also of a host that is called like one of the other words.
        (Tier::Two, _) if hosts.contains(&line) => Some(Word::Approve),
        (Tier::Zero | Tier::One, "y" | "yes") => Some(Word::Approve),
        (_, "a" | "all") => Some(Word::All),
        (_, "d" | "diff") => Some(Word::Diff),
        // As `[y/N]` says.
        (Tier::Zero | Tier::One, "") | (_, "n" | "no") => Some(Word::Reject),
        _ => None,
    }
}

/// What came of asking several times.
enum Clear<T> {
    Said(T),
    Nothing,
    Interrupted,
}

/// Asks until the line means something.
async fn until_clear<T>(
    question: &str,
    interrupt: &mut Interrupt,
    meaning: impl Fn(&str) -> Option<T>,
) -> Clear<T> {
    for _ in 0..ASKED {
        match ask(question, interrupt).await {
            Answered::Line(line) => {
                if let Some(said) = meaning(&line) {
                    return Clear::Said(said);
                }
            }
            Answered::NoMore => break,
            Answered::Interrupted => return Clear::Interrupted,
        }
    }
    Clear::Nothing
}

/// A question about a run that was cut off, or whose outcome nobody knows.
async fn other(
    client: &Client,
    may_ask: bool,
    interrupt: &mut Interrupt,
    request: &RequestView,
    question: &DecisionView,
) -> Result<Verdict, Failure> {
    let open = other_question(request, question);
    if !may_ask {
        return Ok(Verdict::Open(open));
    }
    let options = question.options.join(", ");
    let words = one_line(&format!("{} ({options}):", question.question), 500);
    let option = |line: &str| question.options.iter().find(|option| *option == line);
    match until_clear(&words, interrupt, option).await {
        Clear::Said(choice) => {
            let answer = answer(question, choice, None, &Said::default());
            Ok(Verdict::Answered(Box::new(client.answer(&answer).await?)))
        }
        Clear::Nothing => Ok(Verdict::Open(open)),
        Clear::Interrupted => Ok(Verdict::Interrupted),
    }
}

/// An answer to this question, bound to the plan that it is about.
pub fn answer(
    question: &DecisionView,
    choice: &str,
    confirm: Option<String>,
    said: &Said,
) -> Answer {
    with_digest(question, choice, question.digest, confirm, said)
}

/// The same with the digest that the person has read.
pub fn with_digest(
    question: &DecisionView,
    choice: &str,
    digest: Option<Digest>,
    confirm: Option<String>,
    said: &Said,
) -> Answer {
    Answer {
        request_id: question.request_id,
        decision_id: Some(question.decision_id),
        digest,
        choice: Some(choice.to_owned()),
        text: None,
        confirm,
        comment: said.comment.clone(),
    }
}

fn hosts(request: &RequestView) -> Vec<&str> {
    let steps = request.plan.iter().flat_map(|plan| &plan.steps);
    let mut hosts: Vec<&str> = steps
        .flat_map(|step| &step.hosts)
        .map(HostName::as_str)
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// `--yes=2` is the explicit word for tier 2 already; the host is named for the record.
fn host_to_type(request: &RequestView, tier: Tier) -> Option<String> {
    let first = hosts(request).first().map(|host| (*host).to_owned());
    first.filter(|_| tier == Tier::Two)
}

fn nobody_to_ask(
    request: &RequestView,
    question: &DecisionView,
    tier: Tier,
    said: &Said,
) -> Failure {
    let flag = match tier {
        Tier::Two => "--yes=2",
        Tier::Zero | Tier::One => "--yes",
    };
    let digest = question.digest.map(|digest| format!(" --digest {digest}"));
    let host = hosts(request)
        .first()
        .map(|host| format!(" --confirm {host}"));
    let host = host.filter(|_| tier == Tier::Two).unwrap_or_default();
    let mut todo = format!(
        "Approve it: chiffon approve {}{}{host}",
        request.request_id,
        digest.unwrap_or_default(),
    );
    if !said.only_looks && !said.in_chat {
        todo += &format!("\nOr approve beforehand, with {flag}.");
    }
    todo += &format!("\nRead it first: chiffon plan show {}", request.request_id);
    let what = format!("The plan of tier {tier} waits for approval.");
    Failure::plain(Exit::Waiting, what, todo)
}

/// How to answer a question that is no approval.
pub fn other_question(request: &RequestView, question: &DecisionView) -> Failure {
    let options: Vec<String> = question
        .options
        .iter()
        .map(|one| one_line(one, 40))
        .collect();
    let id = request.request_id;
    let todo = match question.kind.as_str() {
        "question" => format!("Answer it: chiffon answer {id} \"...\""),
        _ => format!(
            "Answer it: chiffon approve {id} --choice {}",
            options.join("|")
        ),
    };
    Failure::plain(Exit::Waiting, one_line(&question.question, 400), todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_word_decides() {
        let cases = [
            (Tier::One, "y", Some(Word::Approve)),
            (Tier::One, "YES", Some(Word::Approve)),
            (Tier::One, "", Some(Word::Reject)),
            (Tier::One, "No", Some(Word::Reject)),
            (Tier::One, "ja", None),
            (Tier::One, "nas", None),
            (Tier::One, "a", Some(Word::All)),
            (Tier::One, "Diff", Some(Word::Diff)),
            (Tier::Two, "nas", Some(Word::Approve)),
            (Tier::Two, "n", Some(Word::Reject)),
            (Tier::Two, "all", Some(Word::All)),
            (Tier::Two, "y", None),
            (Tier::Two, "", None),
        ];
        for (tier, line, expected) in cases {
            assert_eq!(word(tier, line, &["nas", "web"]), expected, "{line:?}");
        }
        assert_eq!(word(Tier::Two, "a", &["a"]), Some(Word::Approve));
    }

    #[test]
    fn of_many_hosts_some_are_named() {
        assert_eq!(some_of(&["nas"]), "nas");
        assert_eq!(some_of(&["a", "b", "c", "d"]), "a or b or c or d");
        let many = some_of(&["a", "b", "c", "d", "e"]);
        assert_eq!(many, "a or b or c, or another of its 5 hosts");
    }
}
