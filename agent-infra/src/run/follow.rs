//! Following a run: everything it says goes to its account, what is new goes out, and a stop is passed on.

use std::time::Duration;

use chiffon_agent::Progress;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    outcome::Account,
    supervise::End,
    supervised::{Said, Speech, Supervised},
};

/// How often news go out.
const NEWS: Duration = Duration::from_millis(100);

/// Longest time a supervisor needs to end a run: 7 s of cleaning up, 2 s of grace, 6 s of killing.
const ENDING: Duration = Duration::from_millis(15_500);

/// How long a process that could not be ended may hold up the reading of what was said.
const READING: Duration = Duration::from_millis(500);

/// How a run went.
#[derive(Debug)]
pub(super) struct Followed {
    /// `None` where the supervisor died before its time.
    pub(super) end: Option<End>,
    /// Whether it was told to stop.
    pub(super) stopped: bool,
    pub(super) account: Account,
}

/// Follows the run to its end.
pub(super) async fn follow(
    mut run: Supervised,
    mut speech: Speech,
    mut account: Account,
    progress: &mpsc::Sender<Progress>,
    stop: &CancellationToken,
) -> Followed {
    let mut news = interval(NEWS);
    news.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut deadline: Option<Instant> = None;
    let mut silent = false;
    let end = loop {
        tokio::select! {
            end = run.ended() => break end,
            said = speech.next(), if !silent => silent = !hear(&mut account, said),
            _ = news.tick() => tell(&mut account, progress),
            () = stop.cancelled(), if deadline.is_none() => {
                run.stop();
                deadline = Some(Instant::now() + ENDING);
            }
            () = at(deadline) => {
                run.kill().await;
                break None;
            }
        }
    };
    speech.run_is_over();
    let rest = async {
        while !silent {
            silent = !hear(&mut account, speech.next().await);
        }
    };
    // A process that is left may hold the pipe open; what it still says is not waited for.
    let _left_over = timeout(READING, rest).await;
    tell(&mut account, progress);
    Followed {
        end,
        stopped: deadline.is_some(),
        account,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn hear(account: &mut Account, said: Option<Said>) -> bool {
    match said {
        Some(Said::Event(line)) => account.event(&line),
        Some(Said::Lines(lines)) => account.printed(lines),
        None => return false,
    }
    true
}

/// A slow reader gets the lines later, or a count of those that did not fit.
fn tell(account: &mut Account, progress: &mpsc::Sender<Progress>) {
    for piece in account.take_progress() {
        if let Err(TrySendError::Full(piece)) = progress.try_send(piece) {
            account.give_back(piece);
        }
    }
}
