//! What the programs of agents share: command line, settings, keys, bus, and a life from start to drain. What a run is to the
//! agent is left to the program's worker.

mod args;
mod life;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use chiffon_bus::AmqpOptions;
use chiffon_common::{AgentId, ErrorCode, Problem, TrustedKeys};
use chiffon_program::{
    Env, ended_by, healthcheck, locate,
    settings::{self, Broker, LogFormat, LogLevel, Sources, invalid, path},
};

use self::args::{Asked, Command};
use crate::{AgentConfig, Worker};

/// What tells one program from another.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it is, in its help.
    pub about: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How its agents are called: by this, or by this with a dot and a name.
    pub called: &'static str,
    /// Whether a name must follow.
    pub needs_suffix: bool,
}

/// What a program makes of the data folder and the settings: its worker, and how many runs it takes at once, where that is
/// set.
pub type Made = (Arc<dyn Worker>, Option<NonZeroUsize>);

/// Reads the command line of this process, does what it says, and ends with the exit code.
pub fn main(
    program: &Program,
    make: impl FnOnce(&Path, &Sources) -> Result<Made, Problem>,
) -> ExitCode {
    let asked = match args::parse(program) {
        Ok(asked) => asked,
        Err(ended) => return ended,
    };
    let env = Env::of_process();
    done(program, &asked, &env, make).unwrap_or_else(|problem| ended_by(&problem))
}

fn done(
    program: &Program,
    asked: &Asked,
    env: &Env,
    make: impl FnOnce(&Path, &Sources) -> Result<Made, Problem>,
) -> Result<ExitCode, Problem> {
    let home = locate(env)?;
    let health = home.join(format!("{}.health", program.name));
    if asked.command == Command::Healthcheck {
        return Ok(healthcheck(&health));
    }
    let file = match &asked.config {
        Some(file) => file.clone(),
        None => home.join("chiffon.yaml"),
    };
    let sources = Sources::read(&file, env, &asked.flags)?;
    let about = About::of(program, &home, &sources)?;
    if asked.command == Command::Keys {
        for key in about.keys.ids() {
            println!("{key}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (worker, slots) = make(&home, &sources)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_secs(1))
        .enable_all()
        .build()
        .map_err(|error| fault(format!("There is no runtime: {error}.")))?;
    chiffon_program::begin_log(about.log.0, about.log.1);
    let ended = runtime.block_on(Box::pin(life::live(life::Start {
        program,
        about,
        home: &home,
        health,
        env,
        worker,
        slots,
    })));
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

/// Who this agent is, whom it obeys, and where the bus is.
struct About {
    id: AgentId,
    keys: TrustedKeys,
    bus: AmqpOptions,
    heartbeat: Duration,
    log: (LogLevel, LogFormat),
}

impl About {
    fn of(program: &Program, home: &Path, sources: &Sources) -> Result<Self, Problem> {
        let heartbeat = sources.number("agents.heartbeat_seconds", 1..=60)?;
        let log = settings::log_of_program(sources)?;
        let keys = sources.parsed("agents.orchestrators", path)?;
        let keys = trusted(keys.unwrap_or_else(|| home.join("keys/orchestrators.pub")))?;
        let broker = Broker::of(sources)?.ok_or_else(|| {
            let todo =
                "Set bus.url to amqp://USER@HOST:PORT/VHOST; USER is what this agent is called.";
            invalid(
                "bus.url is not set, and this agent works through a RabbitMQ.".to_owned(),
                todo,
            )
        })?;
        let bus = broker.options(program.name)?;
        Ok(Self {
            id: id_of(program, bus.user())?,
            bus,
            keys,
            heartbeat: Duration::from_secs(heartbeat.into()),
            log,
        })
    }

    fn config(&self, home: &Path, version: &str, slots: Option<NonZeroUsize>) -> AgentConfig {
        let folder = home.join("agents").join(self.id.as_str());
        let mut config = AgentConfig::new(self.id.clone(), folder, self.keys.clone());
        config.slots = slots.unwrap_or(config.slots);
        config.heartbeat = self.heartbeat;
        version.clone_into(&mut config.version);
        config
    }
}

/// The login is the agent's id: by it the broker vouches for the sender, and its permissions are its queue's.
fn id_of(program: &Program, login: &str) -> Result<AgentId, Problem> {
    let called = program.called;
    let suffix = login.strip_prefix(called);
    let is_fit = match suffix {
        Some("") => !program.needs_suffix,
        Some(suffix) => suffix.len() > 1 && suffix.starts_with('.'),
        None => false,
    };
    let id = login.parse::<AgentId>().ok().filter(|_| is_fit);
    id.ok_or_else(|| {
        let name = chiffon_common::visible(login);
        let forms = match program.needs_suffix {
            true => format!("{called}.NAME"),
            false => format!("{called} or {called}.NAME"),
        };
        invalid(
            format!("The user of bus.url is {name}, which is no name of such an agent."),
            &format!(
                "Let it log in as {forms}: what an agent is called is its user at the broker."
            ),
        )
    })
}

fn trusted(file: PathBuf) -> Result<TrustedKeys, Problem> {
    let unfit = |why: String| {
        let detail = format!("{} cannot be used: {why}.", file.display());
        let todo = "Put the public key of each orchestrator there, one a line: `chiffon-orchestrator public-key` prints it.";
        Problem::new(ErrorCode::KeyFault, detail, todo)
    };
    let text = std::fs::read_to_string(&file).map_err(|error| unfit(error.to_string()))?;
    let keys = TrustedKeys::parse(&text).map_err(|error| unfit(error.to_string()))?;
    if keys.ids().next().is_none() {
        return Err(unfit("it names no key".to_owned()));
    }
    Ok(keys)
}

fn fault(detail: String) -> Problem {
    Problem::new(ErrorCode::AgentFault, detail, "Try again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_called_as_it_logs_in() {
        let mut program = Program {
            name: "chiffon-agent-infra",
            about: "",
            version: "1",
            called: "infrastructure",
            needs_suffix: false,
        };
        for (login, is_fit) in [
            ("infrastructure", true),
            ("infrastructure.nas", true),
            ("infrastructure.", false),
            ("infrastructures", false),
            ("guest", false),
            ("", false),
            ("infrastructure.a b", false),
        ] {
            assert_eq!(id_of(&program, login).is_ok(), is_fit, "{login}");
        }
        program.needs_suffix = true;
        assert!(id_of(&program, "infrastructure").is_err());
    }

    #[test]
    fn keys_are_needed_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        for text in [None, Some("# nobody\n"), Some("no key\n")] {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let problem = trusted(file.clone()).unwrap_err();
            assert_eq!(problem.code, ErrorCode::KeyFault);
            assert!(problem.todo.contains("public-key"), "{problem:?}");
        }
    }
}
