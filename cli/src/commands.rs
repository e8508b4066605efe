//! One command a file. Each opens a session, asks the HTTP API, and shows what it said.

mod accept;
mod aftermath;
mod answer;
mod approve;
mod ask;
mod asking;
mod audit;
mod call;
mod catalogue;
mod chat;
mod check_entry;
mod completions;
mod config;
mod decision;
mod decisions_watch;
mod doctor;
mod events;
mod explain;
mod export;
mod fleet;
mod follow;
mod freeze;
mod hosts;
mod inventory;
mod log;
mod man;
mod new_entry;
mod outcome;
mod plan;
mod replay;
mod reply;
mod repository;
mod request;
mod retry;
mod run;
mod schedule;
mod sealed;
mod status;
mod telling;
mod through;
mod trust;
mod try_plan;
mod undo;
mod up;
mod version;
mod watch;

use std::future::Future;

use chiffon_common::api::{Health, Page};

pub use self::config::config;
use crate::{
    args::{Cli, Command, Inventory},
    exit::Exit,
    failure::Failure,
    home::{Home, damaged_journals, faults},
    interrupt::Interrupt,
    session::{Need, Session, interrupted},
    settings::Settings,
    terminal::{Format, Terminal},
};
use chiffon_program::{Env, settings::Flag};
pub use completions::completions;
pub use explain::explain;
pub use man::man;
pub use version::version;

/// What every command works with.
pub struct Context<'a> {
    /// The environment.
    pub env: &'a Env,
    /// Where to speak.
    pub terminal: &'a Terminal,
    /// The data folder.
    pub home: Home,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// How often `-v` was given.
    pub verbose: u8,
}

impl<'a> Context<'a> {
    /// Needs a runtime, for the signals.
    pub fn new(cli: &Cli, env: &'a Env, terminal: &'a Terminal) -> Result<Self, Failure> {
        Ok(Self {
            env,
            terminal,
            home: Home::locate(env)?,
            interrupt: Interrupt::listen()?,
            verbose: cli.global.verbose,
        })
    }

    /// The configuration, with these flags on top.
    pub fn settings(&self, flags: &[Flag]) -> Result<Settings, Failure> {
        Ok(Settings::load(&self.home.config(), self.env, flags)?)
    }
}

/// Runs the command to its end.
pub async fn dispatch(command: &Command, mut context: Context<'_>) -> Result<Exit, Failure> {
    let context = &mut context;
    match command {
        Command::Run(args) => run::run(context, args).await,
        Command::Up(args) => up::up(context, args).await,
        Command::Log(args) => log::log(context, args).await,
        Command::Ask(args) => ask::ask(context, args).await,
        Command::Chat(args) => chat::chat(context, args).await,
        Command::Request(args) => request::request(context, args).await,
        Command::Plan(args) => plan::plan(context, args).await,
        Command::Decision(args) => decision::decision(context, args).await,
        Command::Answer(args) => reply::answer(context, args).await,
        Command::Approve(args) => approve::approve(context, args).await,
        Command::Reject(args) => approve::reject(context, args).await,
        Command::Undo(args) => undo::undo(context, args).await,
        Command::Watch(args) => watch::watch(context, args).await,
        Command::Schedule(args) => schedule::schedule(context, args).await,
        Command::Catalogue(args) => catalogue::catalogue(context, args).await,
        Command::Inventory(Inventory::Show) => inventory::show(context).await,
        Command::Inventory(Inventory::Clear(args)) => inventory::clear(context, args).await,
        Command::Inventory(Inventory::Check) => inventory::check(context).await,
        Command::Inventory(Inventory::Trust(args)) => trust::trust(context, args).await,
        Command::Fleet(args) => fleet::fleet(context, args).await,
        Command::Freeze(args) => freeze::freeze(context, args).await,
        Command::Thaw(_) => freeze::thaw(context).await,
        Command::Doctor(_) => doctor::doctor(context).await,
        Command::Status(_) => status::status(context).await,
        Command::Audit(args) => audit::audit(context, args).await,
        Command::Replay(args) => replay::replay(context, args).await,
        Command::Config(args) => config(context.env, context.terminal, args),
        Command::Completions(args) => completions(context.terminal, args),
        Command::Explain(args) => explain(context.terminal, args),
        Command::Man(args) => man(context.terminal, args),
        Command::Version(_) => Ok(version(context.terminal)),
    }
}

/// For commands whose output has no end, or should not be held at once: a document a line and no other form.
fn only_lines(terminal: &Terminal) -> Result<(), Failure> {
    match terminal.format {
        Format::Table | Format::Ndjson => Ok(()),
        Format::Json | Format::Yaml => Err(Failure::usage(
            "This is no single document: it has one form for programs, a JSON document a line.",
            "Ask for it by -o ndjson.",
        )),
    }
}

/// What else there is to a page, for people: rows that cannot be shown, and how to see the rest of the list. Programs
/// find both in the document.
fn tell_more<T>(terminal: &Terminal, page: &Page<T>) {
    for row in &page.unreadable {
        let of = match row.kind.as_str() {
            "request" => String::new(),
            _ => format!(" of request {}", row.request_id),
        };
        let state = row.state.as_deref().map_or_else(String::new, |state| {
            format!(" ({})", crate::render::one_line(state, 40))
        });
        let kind = crate::render::one_line(&row.kind, 40);
        let id = crate::render::one_line(&row.id, 80);
        let failure = Failure::from(row.problem.clone());
        terminal.say(&format!("The {kind} {id}{of}{state} cannot be shown:"));
        terminal.say(&crate::render::failure(terminal.err, &failure));
    }
    if let Some(cursor) = page.next_cursor.as_deref() {
        let cursor = crate::render::one_line(cursor, 200);
        terminal.say(&format!("There are more: --cursor {cursor}"));
    }
}

/// How the fleet is. Whether it can write is tried here: what has nothing to write has not found out.
async fn health(context: &Context<'_>, session: &Session) -> Result<Health, Failure> {
    let health = session.client.health().await?;
    Ok(with_what_lies_here(context, health))
}

fn with_what_lies_here(context: &Context<'_>, mut health: Health) -> Health {
    for (part, fault) in faults(&context.home) {
        let is_told = health
            .components
            .get(&part)
            .is_some_and(|word| word != "ok");
        if !is_told {
            health.components.insert(part, fault);
            "degraded".clone_into(&mut health.status);
        }
    }
    health.notices.extend(damaged_journals(&context.home));
    health
}

/// One question to the API within a session of its own.
async fn read<T, F>(
    context: &mut Context<'_>,
    question: impl FnOnce(crate::client::Client) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let (answer, _) = read_from(context, question).await?;
    Ok(answer)
}

/// The same, and whether it was a fleet that stays that answered.
async fn read_from<T, F>(
    context: &mut Context<'_>,
    question: impl FnOnce(crate::client::Client) -> F,
) -> Result<(T, bool), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let session = Session::open(context, Need::Records).await?;
    let answer = tokio::select! {
        answer = question(session.client.clone()) => answer,
        () = context.interrupt.wait() => Err(interrupted()),
    };
    let stays = session.stays();
    session.close().await;
    Ok((answer?, stays))
}
