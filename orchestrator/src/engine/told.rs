//! What a room is told of the work that was asked for in it: each question, and the end. A function of what does not
//! change any more, so that a message reads the same whenever it is read.

use std::collections::BTreeSet;

use chiffon_arbiter::{Decision, DecisionKind, Run, plan_id_of};
use chiffon_common::{Action, ActionId, DecisionId, HostName, PlanId, Step, Tier, visible};
use uuid::Uuid;

/// The plan that what a room is told belongs to: that of the event which asked for the work.
pub(crate) fn plan_of(run: &Run) -> PlanId {
    plan_id_of(&run.request.tenant_id, &run.request.event_id)
}

/// A question of a run, or its end where none is named. It holds anybody's words, so nothing in it may turn round or hide what
/// stands beside it (S21). Only what a yes or no answers asks for an answer in the room.
pub(crate) fn told(run: &Run, asks: Option<DecisionId>) -> Option<Action> {
    let request = &run.request;
    let target = request.room_id.clone();
    let action_id = action_of(plan_of(run), asks);
    let say = |text: String| Action::SendReply {
        action_id,
        target: target.clone(),
        reply_to: request.event_id.clone(),
        text: visible(&text),
    };
    let Some(decision_id) = asks else {
        let state = &request.state;
        let text = || format!("{}: {}", state.name(), bounded(&request.because));
        return state.ended().then(|| say(text()));
    };
    let asked = run.decisions.get(&decision_id)?;
    let DecisionKind::Approval { tier, .. } = &asked.kind else {
        return Some(say(elsewhere(run, asked)));
    };
    Some(Action::RequestApproval {
        action_id,
        target: target.clone(),
        text: visible(&approval(run, asked, *tier)),
        decision_id,
    })
}

/// The action of a run's messages that has this id.
pub(super) fn told_as(run: &Run, action: ActionId) -> Option<Action> {
    let questions = run.decisions.keys().copied().map(Some);
    questions
        .chain([None])
        .filter(|asks| action_of(plan_of(run), *asks) == action)
        .find_map(|asks| told(run, asks))
}

/// The id of a message: beside those of the plan's own actions, which are counted.
fn action_of(plan: PlanId, asks: Option<DecisionId>) -> ActionId {
    let what = asks.map_or_else(|| "end".to_owned(), |asks| asks.to_string());
    let name = format!("chiffon:action\n{plan}\n{what}");
    ActionId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
}

/// As much of a text as a message has room for, and how much more there is.
fn bounded(text: &str) -> String {
    const MOST: usize = 7_000;
    match text.chars().count().saturating_sub(MOST) {
        0 => text.to_owned(),
        more => {
            let shown: String = text.chars().take(MOST).collect();
            format!("{shown}... ({more} more characters)")
        }
    }
}

fn approval(run: &Run, asked: &Decision, tier: Tier) -> String {
    let id = run.request.request_id;
    let until = asked.deadline.strftime("%Y-%m-%d %H:%M UTC");
    let step = |step: &Step| {
        let hosts: Vec<&str> = step.hosts.iter().map(HostName::as_str).collect();
        format!("{} ({})", step.title, hosts.join(", "))
    };
    let steps = run.plan.iter().flat_map(|plan| &plan.steps);
    let steps: Vec<String> = steps.map(step).collect();
    let how = match tier {
        Tier::Zero | Tier::One => {
            format!(
                "It is a change of tier 1. Reply yes or no to this message until {until}; `chiffon request show {id}` tells all of it."
            )
        }
        Tier::Two => format!(
            "A no may be said here until {until}, when it is taken for said. {}",
            by_command(run)
        ),
    };
    format!("May this be done? {}. {how}", bounded(&steps.join("; ")))
}

/// How a change of tier 2 gets its yes: there is no page for it, so whoever reads this may need somebody else.
pub(super) fn by_command(run: &Run) -> String {
    let id = run.request.request_id;
    let steps = run.plan.iter().flat_map(|plan| &plan.steps);
    let hosts: BTreeSet<&str> = steps
        .flat_map(|step| &step.hosts)
        .map(HostName::as_str)
        .collect();
    let hosts: Vec<&str> = hosts.into_iter().collect();
    bounded(&format!(
        "A yes to a change of tier 2 is not said in a room: `chiffon approve {id}`, on a machine with the command line of this fleet, shows all of it and asks for the name of a host that it changes ({}). Who has none asks somebody who has.",
        hosts.join(", ")
    ))
}

fn elsewhere(run: &Run, asked: &Decision) -> String {
    let id = run.request.request_id;
    let question = bounded(&asked.question);
    let stop = match question.trim_end().ends_with(['.', '?', '!', ':', ')']) {
        true => "",
        false => ".",
    };
    format!("{question}{stop} Answer with `chiffon answer {id}`.")
}
