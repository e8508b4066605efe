//! Reaching the fleet of this data folder: the running one if there is one, else one in this process for
//! as long as the command takes. Either way the command speaks to it over the HTTP API.

use std::{path::PathBuf, time::Duration};

use chiffon_common::{ErrorCode, Problem};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    client::Client,
    commands::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Agents, Fleet, Ports},
    home::{Held, Home, Kind, Lock, Running, read_token},
    interrupt::Interrupt,
    logging,
    progress::Steps,
};

/// How long another command is waited for: as long as a short run takes.
const OTHERS: Duration = Duration::from_secs(600);

/// How long one that holds the lock may take until it listens, or to go away.
const STARTING: Duration = Duration::from_secs(30);

/// How long a fleet that is there may take to say so: much longer than a busy machine needs.
const ANSWER: Duration = Duration::from_secs(10);

/// How often the lock is asked for; the kernel has no bounded wait for it.
const LOOK: Duration = Duration::from_millis(150);

/// How long the agents of a command may take to end; nothing runs any more by then.
const GRACE: Duration = Duration::from_secs(10);

/// What a command needs of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To read and to answer; nothing has to run.
    Records,
    /// That what it follows can run.
    Agents,
    /// The same, for as long as it wants: not a fleet that ends with another command.
    OwnAgents,
}

/// A fleet that can be spoken to.
pub struct Session {
    /// Speaks to it.
    pub client: Client,
    kind: Kind,
    /// The file by which a fleet of another process tells that it is there.
    told: PathBuf,
    here: Option<(Fleet, Lock)>,
}

impl Session {
    /// Connects or starts.
    pub async fn open(context: &mut Context<'_>, need: Need) -> Result<Self, Failure> {
        context.home.check()?;
        let settings = context.settings(&[])?;
        logging::begin(&settings, context.terminal, context.verbose, false);
        let steps = Steps::new(context.terminal);
        context.home.make_folder(&|what| steps.step(what))?;
        let taken = take_or_find(context, need).await?;
        let lock = match taken {
            Taken::Lock(lock) => lock,
            Taken::Running(running) => {
                let client = Client::new(running.address, read_token(&context.home)?)?;
                return Ok(Self {
                    client,
                    kind: running.kind,
                    told: context.home.told(),
                    here: None,
                });
            }
        };
        context.home.fill(&|what| steps.step(what))?;
        let agents = match need {
            Need::Records => Agents::None,
            Need::Agents | Need::OwnAgents => Agents::All,
        };
        if agents == Agents::All {
            crate::fleet::first_ansible(&context.home, &steps, &mut context.interrupt).await?;
        }
        drop(steps);
        let fleet = Fleet::start(&context.home, &settings, Ports::Ephemeral, agents).await?;
        let kind = match agents {
            Agents::All => Kind::Run,
            Agents::None => Kind::Look,
        };
        match lock.tell(&running(&fleet, kind)) {
            // A look begins nothing, so nobody has to find it; on a full disk it is wanted most.
            Err(_) if kind == Kind::Look => {}
            told => told?,
        }
        let client = Client::new(fleet.address(), read_token(&context.home)?)?;
        Ok(Self {
            client,
            kind,
            told: context.home.told(),
            here: Some((fleet, lock)),
        })
    }

    /// Whether the fleet ends with this command.
    pub fn is_one_shot(&self) -> bool {
        self.here.is_some()
    }

    /// Whether it is one that goes on when the commands around it have ended.
    pub fn stays(&self) -> bool {
        self.kind == Kind::Up
    }

    /// Whether agents run there: in a fleet that was only started for a look, none do.
    pub fn has_agents(&self) -> bool {
        self.kind != Kind::Look
    }

    /// Whether the fleet of another process has ended in good order, so that nobody need wait for it.
    pub fn is_gone(&self) -> bool {
        self.here.is_none() && !self.told.exists()
    }

    /// Ends what was started for this command. The lock goes last.
    pub async fn close(self) {
        if let Some((fleet, lock)) = self.here {
            fleet.stop(GRACE).await;
            drop(lock);
        }
    }
}

/// What `up.json` says of a fleet of this process.
pub fn running(fleet: &Fleet, kind: Kind) -> Running {
    Running {
        pid: std::process::id(),
        address: fleet.address(),
        kind,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: Timestamp::now(),
    }
}

enum Taken {
    Lock(Lock),
    Running(Running),
}

async fn take_or_find(context: &mut Context<'_>, need: Need) -> Result<Taken, Failure> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let other = match Lock::try_take(&context.home)? {
            Held::Ours(lock) => return Ok(Taken::Lock(lock)),
            Held::Theirs(other) => other,
        };
        let limit = match &other {
            Some(running) if serves(running.kind, need) => {
                let asked = answers(&context.home, running);
                let answer = tokio::select! {
                    answer = asked => answer,
                    () = context.interrupt.wait() => return Err(interrupted()),
                };
                match answer {
                    Answer::Here => return Ok(Taken::Running(running.clone())),
                    Answer::Hangs => return Err(hangs(running).into()),
                    Answer::Ends => STARTING,
                }
            }
            Some(_) => OTHERS,
            None => STARTING,
        };
        if begun.elapsed() > limit {
            return Err(in_use(&context.home, other.as_ref()).into());
        }
        wait_for(context, other.as_ref(), begun, &mut told).await?;
    }
}

/// The lock for a fleet that stays. Another one that stays is told at once; a command ends by itself.
pub async fn lock_to_stay(context: &mut Context<'_>) -> Result<Lock, Failure> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let other = match Lock::try_take(&context.home)? {
            Held::Ours(lock) => return Ok(lock),
            Held::Theirs(other) => other,
        };
        let stays = other.as_ref().is_some_and(|other| other.kind == Kind::Up);
        if stays || begun.elapsed() > STARTING {
            return Err(in_use(&context.home, other.as_ref()).into());
        }
        wait_for(context, other.as_ref(), begun, &mut told).await?;
    }
}

/// A moment of waiting for whoever holds the lock; told once, when it takes long.
async fn wait_for(
    context: &mut Context<'_>,
    other: Option<&Running>,
    begun: Instant,
    told: &mut bool,
) -> Result<(), Failure> {
    if !*told && begun.elapsed() > Duration::from_secs(1) {
        *told = true;
        let pid = other.map(|other| format!(" (pid {})", other.pid));
        let pid = pid.unwrap_or_default();
        context
            .terminal
            .say(&format!("Waiting for another chiffon{pid} to end."));
    }
    wait(&mut context.interrupt, LOOK).await
}

/// Whether a fleet of that kind is enough. A command's own fleet ends with it, so nothing new is begun there.
fn serves(kind: Kind, need: Need) -> bool {
    match (kind, need) {
        (Kind::Up, _) | (_, Need::Records) | (Kind::Run, Need::Agents) => true,
        (Kind::Run, Need::OwnAgents) | (Kind::Look, Need::Agents | Need::OwnAgents) => false,
    }
}

/// How a fleet that says that it is there answers.
enum Answer {
    /// It can be spoken to.
    Here,
    /// It has just begun to end, or does not listen yet.
    Ends,
    /// It takes connections and says nothing.
    Hangs,
}

async fn answers(home: &Home, running: &Running) -> Answer {
    let Ok(token) = read_token(home) else {
        return Answer::Here; // The command itself will say what is wrong with the token.
    };
    let Ok(client) = Client::new(running.address, token) else {
        return Answer::Ends;
    };
    match tokio::time::timeout(ANSWER, client.health()).await {
        Err(_) => Answer::Hangs,
        Ok(Ok(health)) if health.status == "draining" => Answer::Ends,
        Ok(Ok(_)) => Answer::Here,
        // An answer, though no good one.
        Ok(Err(failure)) => match failure.code {
            Some(code) if code != ErrorCode::NotRunning => Answer::Here,
            _ => Answer::Ends,
        },
    }
}

fn hangs(running: &Running) -> Problem {
    let detail = format!(
        "The Chiffon that uses this data folder (pid {}, http://{}) does not answer.",
        running.pid, running.address
    );
    let todo = "Look whether it is stopped or overloaded; if it stays so, end it and start it again: nothing is lost by that.";
    Problem::new(ErrorCode::NotRunning, detail, todo)
}

async fn wait(interrupt: &mut Interrupt, time: Duration) -> Result<(), Failure> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = interrupt.wait() => Err(interrupted()),
    }
}

/// Ctrl-C where nothing is left to be done.
pub fn interrupted() -> Failure {
    Failure::plain(Exit::Interrupted, "Stopped by Ctrl-C.", "")
}

/// The data folder has another user.
pub fn in_use(home: &Home, other: Option<&Running>) -> Problem {
    let who = match other {
        Some(running) => format!("pid {}, http://{}", running.pid, running.address),
        None => "it has not said where it listens".to_owned(),
    };
    let detail = format!(
        "Another Chiffon uses the data folder {} ({who}).",
        home.path().display()
    );
    let todo = "Use it as it is (`chiffon run` finds it by itself), stop it with Ctrl-C there, or set another CHIFFON_HOME.";
    Problem::new(ErrorCode::HomeInUse, detail, todo)
}
