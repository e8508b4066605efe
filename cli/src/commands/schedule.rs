//! `chiffon schedule`: what is asked at set times.

use chiffon_common::{
    Digest, EntryId, ErrorCode, Problem, Tier,
    api::{MissedRuns, NextTimes, NextTry, ScheduleEdit, SchedulePlan, ScheduleView, StandingEdit},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Context, answer::Said, asking::tell_taken, call, read, tell_more, through::see_through,
};
use crate::{
    args::{
        self, AddSchedule, ApproveSchedule, EditSchedule, NextOfSchedule, RunSchedule, Schedule,
        ScheduleWords,
    },
    exit::Exit,
    failure::Failure,
    output, render,
    session::{Need, Session, interrupted},
    terminal::{Answered, ask},
};

/// It asks by itself meanwhile, so its version may have moved on; one that somebody keeps changing is told.
const TRIES: u32 = 5;

pub async fn schedule(context: &mut Context<'_>, args: &Schedule) -> Result<Exit, Failure> {
    match args {
        Schedule::Add(args) => add(context, args).await,
        Schedule::List(args) => list(context, args).await,
        Schedule::Show { schedule } => {
            let shown = read(context, async |client| {
                let id = client.resolve_schedule(schedule).await?;
                Ok(client.schedule(id).await?.value)
            });
            let shown = shown.await?;
            show(context, &shown, "");
            Ok(Exit::Ok)
        }
        Schedule::Edit(args) => edit(context, args).await,
        Schedule::Pause { schedule } => toggle(context, schedule, "pause").await,
        Schedule::Resume { schedule } => toggle(context, schedule, "resume").await,
        Schedule::Remove { schedule } => remove(context, schedule).await,
        Schedule::Next(args) => next(context, args).await,
        Schedule::Run(args) => run(context, args).await,
        Schedule::Approve(args) => approve(context, args).await,
        Schedule::Withdraw { schedule } => {
            let now = read(context, async |client| {
                let id = client.resolve_schedule(schedule).await?;
                client.withdraw_schedule(id).await
            });
            let now = now.await?;
            show(context, &now, "A person is asked each time from now on.\n");
            Ok(Exit::Ok)
        }
    }
}

fn show(context: &Context<'_>, schedule: &ScheduleView, before: &str) {
    let paint = context.terminal.out;
    output::one(context.terminal, schedule, || {
        format!(
            "{before}{}",
            render::schedule(paint, schedule, Timestamp::now())
        )
    });
}

async fn add(context: &mut Context<'_>, args: &AddSchedule) -> Result<Exit, Failure> {
    let words = &args.words;
    if args.text.is_none() && words.entry.is_none() {
        let todo = "Say what: a sentence, as in chiffon schedule add \"How full are the disks on nas?\", or --entry with --on.";
        return Err(Failure::usage(
            "Neither a sentence nor --entry was given.",
            todo,
        ));
    }
    if words.cron.is_none() && words.at.is_none() {
        let todo =
            "Say when: --cron \"0 7 * * *\" for times that come again, or --at 2030-05-01T03:00.";
        return Err(Failure::usage("Neither --cron nor --at was given.", todo));
    }
    let mut edit = ScheduleEdit {
        text: args.text.clone(),
        ..ScheduleEdit::default()
    };
    laid_over(&mut edit, words)?;
    let key = args.idempotency_key.as_deref();
    let made = read(context, async |client| {
        client.add_schedule(&edit, key).await
    })
    .await?;
    show(context, &made, "");
    Ok(Exit::Ok)
}

/// What was said on the command line over what is there.
fn laid_over(edit: &mut ScheduleEdit, words: &ScheduleWords) -> Result<(), Failure> {
    if words.cron.is_some() || words.at.is_some() {
        (edit.cron, edit.at) = (words.cron.clone(), words.at.clone());
    }
    if let Some(zone) = &words.zone {
        edit.zone = Some(zone.clone());
    } else if words.at.as_deref().is_some_and(has_zone) {
        // The one that is written at the time.
        edit.zone = None;
    }
    if let Some(missed) = words.missed {
        edit.missed = match missed {
            args::MissedRuns::Skip => MissedRuns::Skip,
            args::MissedRuns::Once => MissedRuns::Once,
            args::MissedRuns::All => MissedRuns::All,
        };
        edit.missed_within_seconds = None;
    }
    edit.missed_within_seconds = words.missed_within.or(edit.missed_within_seconds);
    if let Some(title) = &words.title {
        edit.title.clone_from(title);
    }
    if let Some(entry) = &words.entry {
        edit.entry = Some(entry_id(entry)?);
        edit.text = None;
        edit.parameters.clear();
    }
    if !words.on.is_empty() {
        edit.hosts.clone_from(&words.on);
    }
    let given = call::parameters(words.parameters.as_deref(), &words.parameter)?;
    edit.parameters.extend(given);
    if let Some(project) = &words.project {
        let read = project
            .parse()
            .map_err(|error| Failure::usage(format!("--project: {error}."), "Give another name."));
        edit.project_id = Some(read?);
    }
    Ok(())
}

/// Whether a time says of which zone or offset it is.
fn has_zone(at: &str) -> bool {
    at.contains('[') || at.trim().parse::<Timestamp>().is_ok()
}

fn entry_id(text: &str) -> Result<EntryId, Failure> {
    text.parse().map_err(|error| {
        let todo = "`chiffon catalogue list` shows all entries.";
        Problem::new(ErrorCode::UnknownEntry, format!("{error}."), todo).into()
    })
}

async fn list(context: &mut Context<'_>, args: &args::ListSchedules) -> Result<Exit, Failure> {
    let part = &args.part;
    let page = read(context, async |client| {
        let (cursor, state) = (part.cursor.as_deref(), args.state.as_deref());
        client.schedules(part.limit, cursor, state).await
    });
    let page = page.await?;
    let terminal = context.terminal;
    output::list(terminal, &page.items, &page, || match &*page.items {
        [] => "There are no such schedules; `chiffon schedule add` makes one.".to_owned(),
        schedules => render::schedules(terminal.out, schedules, Timestamp::now()),
    });
    tell_more(terminal, &page);
    Ok(Exit::Ok)
}

/// As it is there, to be changed in parts.
fn said(view: &ScheduleView) -> ScheduleEdit {
    ScheduleEdit {
        title: view.title.clone(),
        cron: view.cron.clone(),
        at: view.at.map(|at| at.to_string()),
        zone: Some(view.zone.clone()),
        missed: view.missed,
        missed_within_seconds: view.missed_within_seconds,
        text: view.text.clone(),
        entry: view.entry.clone(),
        hosts: view.hosts.iter().map(ToString::to_string).collect(),
        parameters: view.parameters.clone(),
        project_id: Some(view.project_id.clone()),
    }
}

async fn edit(context: &mut Context<'_>, args: &EditSchedule) -> Result<Exit, Failure> {
    if args.text.is_none() && args.words == ScheduleWords::default() {
        let todo = "Say what is to be another: --text, --cron, --at, --zone, --missed, --title, --entry, --on or --parameter.";
        return Err(Failure::usage("There is nothing to change.", todo));
    }
    let now = read(context, async |client| {
        let id = client.resolve_schedule(&args.schedule).await?;
        let mut tries = 1..TRIES;
        loop {
            let was = client.schedule(id).await?;
            let mut edit = said(&was.value);
            if let Some(text) = &args.text {
                (edit.text, edit.entry) = (Some(text.clone()), None);
                edit.hosts.clear();
                edit.parameters.clear();
            }
            laid_over(&mut edit, &args.words)?;
            match client.put_schedule(&was, &edit).await {
                Err(failure)
                    if failure.code == Some(ErrorCode::PreconditionFailed)
                        && tries.next().is_some() => {}
                other => return other,
            }
        }
    });
    let now = now.await?;
    show(context, &now, "");
    Ok(Exit::Ok)
}

async fn toggle(
    context: &mut Context<'_>,
    schedule: &str,
    word: &'static str,
) -> Result<Exit, Failure> {
    let now = read(context, async |client| {
        let id = client.resolve_schedule(schedule).await?;
        client.toggle_schedule(id, word).await
    });
    let now = now.await?;
    show(context, &now, "");
    Ok(Exit::Ok)
}

async fn remove(context: &mut Context<'_>, schedule: &str) -> Result<Exit, Failure> {
    let was = read(context, async |client| {
        let id = client.resolve_schedule(schedule).await?;
        let mut tries = 1..TRIES;
        loop {
            let was = client.schedule(id).await?;
            match client.remove_schedule(&was).await {
                Err(failure)
                    if failure.code == Some(ErrorCode::PreconditionFailed)
                        && tries.next().is_some() => {}
                Ok(()) => return Ok(was.value),
                Err(failure) => return Err(failure),
            }
        }
    });
    let was = was.await?;
    output::one(context.terminal, &was, || {
        format!("Schedule {} is gone; what it asked stays.", was.schedule_id)
    });
    Ok(Exit::Ok)
}

async fn next(context: &mut Context<'_>, args: &NextOfSchedule) -> Result<Exit, Failure> {
    if args.schedule.is_none() && args.cron.is_none() {
        let todo = "Name a schedule (`chiffon schedule list` shows them), or try an expression: --cron \"0 7 * * *\".";
        return Err(Failure::usage(
            "Neither a schedule nor --cron was given.",
            todo,
        ));
    }
    let times: NextTimes = read(context, async |client| match (&args.schedule, &args.cron) {
        (Some(schedule), _) => {
            let id = client.resolve_schedule(schedule).await?;
            client.next_of_schedule(id, args.count).await
        }
        (None, cron) => {
            let tried = NextTry {
                cron: cron.clone().unwrap_or_default(),
                zone: args.zone.clone(),
                count: Some(args.count),
            };
            client.try_schedule(&tried).await
        }
    })
    .await?;
    output::list(context.terminal, &times.times, &times, || {
        render::next_times(&times)
    });
    Ok(Exit::Ok)
}

async fn run(context: &mut Context<'_>, args: &RunSchedule) -> Result<Exit, Failure> {
    let said = Said::beforehand(&args.consent, args.patience);
    let session = Session::open(context, Need::OwnAgents).await?;
    let ended = ask_at_once(context, &session, &args.schedule, &said).await;
    session.close().await;
    ended
}

async fn ask_at_once(
    context: &mut Context<'_>,
    session: &Session,
    schedule: &str,
    said: &Said,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let id = client.resolve_schedule(schedule).await?;
    let accepted = client.run_schedule(id).await?;
    tell_taken(context.terminal, accepted.request_id);
    see_through(context, session, accepted.request_id, said).await
}

async fn approve(context: &mut Context<'_>, args: &ApproveSchedule) -> Result<Exit, Failure> {
    let digest = args.digest.as_deref().map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|error| {
        let todo = "Copy it from the plan: `chiffon schedule approve` shows it.";
        Failure::usage(format!("--digest: {error}."), todo)
    })?;
    let session = Session::open(context, Need::Records).await?;
    let now = stand(context, &session, args, digest).await;
    session.close().await;
    show(context, &now?, "");
    Ok(Exit::Ok)
}

async fn stand(
    context: &mut Context<'_>,
    session: &Session,
    args: &ApproveSchedule,
    digest: Option<Digest>,
) -> Result<ScheduleView, Failure> {
    let client = &session.client;
    let id = client.resolve_schedule(&args.schedule).await?;
    let digest = match digest {
        Some(digest) => digest,
        None => {
            let read = client.plan_of_schedule(id).await?;
            agreed(context, args, &read).await?
        }
    };
    let days = SignedDuration::from_hours(24 * i64::from(args.days));
    let until = Timestamp::now()
        .checked_add(days)
        .map_err(|error| Failure::usage(format!("--days: {error}."), "Name fewer days."))?;
    client
        .approve_schedule(id, &StandingEdit { digest, until })
        .await
}

/// The plan is read, and a person says that it may run every time.
async fn agreed(
    context: &mut Context<'_>,
    args: &ApproveSchedule,
    read: &SchedulePlan,
) -> Result<Digest, Failure> {
    let terminal = context.terminal;
    // Before anything is shown that would be refused (5129).
    if read.plan.tier == Tier::Two {
        return Err(Failure::plain(
            Exit::Conflict,
            "The plan is of tier 2, which a person approves each time.",
            "Nothing was approved; each of its requests waits for a person. More: chiffon explain 5129",
        ));
    }
    terminal.say(&render::standing_plan(terminal.err, read));
    if !terminal.may_ask {
        let what = "An approval without a prompt needs --digest, the plan that was read.";
        let todo = format!(
            "chiffon schedule approve {} --days {} --digest {}",
            args.schedule, args.days, read.standing_digest
        );
        return Err(Failure::usage(what, todo));
    }
    let question = format!(
        "May exactly this run every time, for {} days? [y/N]",
        args.days
    );
    match ask(&question, &mut context.interrupt).await {
        Answered::Line(line) if matches!(&*line.to_ascii_lowercase(), "y" | "yes") => {
            Ok(read.standing_digest)
        }
        Answered::Interrupted => Err(interrupted()),
        Answered::Line(_) | Answered::NoMore => Err(Failure::plain(
            Exit::Denied,
            "Nothing was approved.",
            "A person is asked each time.",
        )),
    }
}
