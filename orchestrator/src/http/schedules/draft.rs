//! A schedule as somebody says it, read and held against everything that it names, so that what cannot work is refused
//! now and not in the night.

use chiffon_common::{
    Actor, Content, ErrorCode, Event, FieldError, LONGEST_WINDOW_SECONDS, Missed, Problem, When,
    api::{MissedRuns, ScheduleEdit},
};

use super::super::{
    State,
    catalogue::{Wanted, called},
    input::permitted,
    problem::{Refused, internal},
};
use crate::{
    engine::{Draft, IntakeError, moment, times, zone, zone_at},
    planner::Proposal,
};

/// Longest texts, in characters.
const TITLE: usize = 200;
pub(super) const CRON: usize = 500;
pub(super) const WORD: usize = 64;
/// How old a time may be where nobody says.
const WITHIN: u64 = 24 * 3600;

/// Reads it.
pub(super) async fn draft(state: &State, edit: ScheduleEdit) -> Result<Draft, Refused> {
    permitted("/title", &edit.title, TITLE)?;
    permitted("/cron", edit.cron.as_deref().unwrap_or_default(), CRON)?;
    permitted("/at", edit.at.as_deref().unwrap_or_default(), WORD)?;
    let at_time = || edit.at.as_deref().and_then(zone_at);
    let zone = edit.zone.clone().or_else(at_time);
    let zone = zone.unwrap_or_else(|| "UTC".to_owned());
    permitted("/zone", &zone, WORD)?;
    let when = when(&edit, &zone)?;
    let missed = missed(&edit)?;
    let project_id = edit.project_id.clone().unwrap_or_default();
    let title = edit.title.clone();
    let content = content(state, edit).await?;
    Ok(Draft {
        title,
        when,
        zone,
        missed,
        text: content.text,
        call: content.call,
        project_id,
    })
}

fn unfit(pointer: &str, detail: impl Into<String>, todo: &str) -> Problem {
    let detail = detail.into();
    let field = FieldError::body(pointer, detail.clone());
    Problem::new(ErrorCode::BadSchedule, detail, todo).at(field)
}

/// The same problem, pointing at what it is about.
pub(super) fn pointing(pointer: &str) -> impl Fn(Problem) -> Problem {
    move |problem| {
        let detail = problem.detail.clone();
        problem.at(FieldError::body(pointer, detail))
    }
}

fn when(edit: &ScheduleEdit, zone_name: &str) -> Result<When, Problem> {
    let zone = zone(zone_name).map_err(pointing("/zone"))?;
    match (&edit.cron, &edit.at) {
        (Some(cron), None) => {
            let when = When::Cron(cron.trim().to_owned());
            times(&when).map_err(pointing("/cron"))?;
            Ok(when)
        }
        (None, Some(at)) => Ok(When::At(moment(at, &zone).map_err(pointing("/at"))?)),
        (Some(_), Some(_)) => Err(unfit(
            "/at",
            "`cron` and `at` were both given",
            "give `cron` for times that come again, or `at` for one time",
        )),
        (None, None) => Err(unfit(
            "/cron",
            "neither `cron` nor `at` was given",
            "give `cron` for times that come again, or `at` for one time",
        )),
    }
}

fn missed(edit: &ScheduleEdit) -> Result<Missed, Problem> {
    const PLACE: &str = "/missed_within_seconds";
    match (edit.missed, edit.missed_within_seconds) {
        (MissedRuns::Skip, None) => Ok(Missed::Skip),
        (MissedRuns::Once, None) => Ok(Missed::Once),
        (MissedRuns::Skip | MissedRuns::Once, Some(_)) => Err(unfit(
            PLACE,
            "a window is of use with `missed: all` only",
            "leave it out, or say `all`",
        )),
        (MissedRuns::All, within) => {
            let within_seconds = within.unwrap_or(WITHIN);
            match (60..=LONGEST_WINDOW_SECONDS).contains(&within_seconds) {
                true => Ok(Missed::All { within_seconds }),
                false => Err(unfit(
                    PLACE,
                    format!("a window has 60 to {LONGEST_WINDOW_SECONDS} seconds"),
                    "a week is the longest",
                )),
            }
        }
    }
}

async fn content(state: &State, edit: ScheduleEdit) -> Result<Content, Refused> {
    let is_call = !edit.hosts.is_empty() || !edit.parameters.is_empty();
    match (&edit.text, &edit.entry) {
        (Some(_), None) if is_call => Err(unfit(
            "/text",
            "hosts and parameters belong to an entry, not to a sentence",
            "say them in the sentence, or name an `entry`",
        )
        .into()),
        (Some(text), None) => of_sentence(state, text.clone()).await,
        (None, Some(_)) => of_entry(state, edit).await,
        (Some(_), Some(_)) => Err(unfit(
            "/entry",
            "`text` and `entry` were both given",
            "give a sentence, or an entry with hosts and parameters",
        )
        .into()),
        (None, None) => Err(unfit(
            "/text",
            "neither `text` nor `entry` was given",
            "give a sentence, or an entry with hosts and parameters",
        )
        .into()),
    }
}

async fn of_entry(state: &State, edit: ScheduleEdit) -> Result<Content, Refused> {
    let loaded = state.shared.library.current().await?;
    let name = edit.entry.as_ref().map_or("", |entry| entry.as_str());
    let entry = loaded.catalogue.find(name).map_err(pointing("/entry"))?;
    let secret = entry.secret_parameters();
    if let Some(named) = secret
        .iter()
        .find(|name| edit.parameters.contains_key(*name))
    {
        let detail = format!("{named} is secret, and everybody may read a schedule");
        let todo = "choose an entry that needs no secret, or ask each time by hand";
        return Err(unfit(&format!("/parameters/{named}"), detail, todo).into());
    }
    let wanted = Wanted {
        entry,
        hosts: &edit.hosts,
        parameters: edit.parameters,
    };
    called(&loaded.planner, loaded.inventory()?, wanted)
}

/// A sentence must be one, and must be understood: nobody is there to be asked back at night.
async fn of_sentence(state: &State, text: String) -> Result<Content, Refused> {
    let content = Content {
        kind: "text".to_owned(),
        text,
        mentions_chiffon: true,
        call: None,
        retry_of: None,
        undo_of: None,
        answers: None,
    };
    let shared = &state.shared;
    let word = || "schedule".parse().map_err(|error| internal(&error));
    let event = Event {
        v: 0,
        event_id: "schedule".parse().map_err(|error| internal(&error))?,
        tenant_id: shared.settings.tenant.clone(),
        source: "schedule".to_owned(),
        room_id: word()?,
        project_id: Default::default(),
        actor: Actor {
            id: state.principal.id.clone(),
            kind: state.principal.kind.clone(),
        },
        content,
        ts: shared.clock.now(),
    };
    event.validate().map_err(IntakeError::Malformed)?;
    let loaded = shared.library.current().await?;
    match loaded
        .planner
        .plan(&event.content.text, loaded.inventory()?)
    {
        Proposal::Plan(_) => Ok(event.content),
        Proposal::Ask(question) | Proposal::Nothing(question) => {
            Err(pointing("/text")(question.problem).into())
        }
    }
}
