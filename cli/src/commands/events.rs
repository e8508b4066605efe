//! `chiffon watch` without a request: all that happens in the fleet that runs. A cut line is taken up again for
//! ever, from the last event that came; how one connection is read is left to the client. What else listens to
//! the stream (`decision watch`) brings a [`Listener`].

use std::time::Duration;

use chiffon_common::{ErrorCode, Problem, api::EventView};
use tokio::time::{interval, sleep};

use super::{Context, only_lines};
use crate::{
    args::{Patience, Watch},
    client::{Block, Client, Events, Heard, WantedEvents},
    exit::Exit,
    failure::Failure,
    home::{Home, Running, read_token},
    logging, render,
    session::interrupted,
    terminal::{Format, Terminal},
};

/// The first pause before a cut line is taken up again, where the server has not said another; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often is looked whether anybody still reads: a closed pipe says nothing by itself.
const LOOK: Duration = Duration::from_secs(1);

/// What is made of what comes. The line it comes by is the watcher's.
pub(super) trait Listener {
    /// Which events are wanted.
    fn wanted(&self) -> WantedEvents;

    /// A line stands, for the first time or again. What came before it is not told by it.
    async fn connected(&mut self, client: &Client) -> Result<(), Failure>;

    /// An event, read and as it came. An error cuts the line.
    async fn heard(
        &mut self,
        client: &Client,
        event: &EventView,
        data: &str,
    ) -> Result<(), Failure>;
}

pub async fn events(context: &mut Context<'_>, args: &Watch) -> Result<Exit, Failure> {
    let listener = Everything {
        terminal: context.terminal,
        wanted: WantedEvents {
            project: args.project.clone(),
            types: args.types.clone(),
        },
    };
    listen(context, args.patience, args.after, listener).await
}

/// Listens for ever, or as long as there is patience.
pub(super) async fn listen(
    context: &mut Context<'_>,
    patience: Patience,
    after: Option<u64>,
    listener: impl Listener,
) -> Result<Exit, Failure> {
    only_lines(context.terminal)?;
    context.home.check()?;
    let settings = context.settings(&[])?;
    logging::begin(&settings, context.terminal, context.verbose, false);
    let timeout = patience.timeout.map(Duration::from_secs);
    let until = timeout.map(|most| tokio::time::Instant::now() + most);
    context.interrupt.set_deadline(until);
    let mut watcher = Watcher {
        home: context.home.clone(),
        terminal: context.terminal,
        listener,
        after: after.map(|number| number.to_string()),
        pause: FIRST_PAUSE,
    };
    tokio::select! {
        ended = watcher.watch() => ended,
        () = context.interrupt.wait() => match context.interrupt.is_late() {
            true => Err(too_late(timeout.unwrap_or_default())),
            false => Err(interrupted()),
        },
    }
}

fn too_late(timeout: Duration) -> Failure {
    let what = format!("Watched for {} s, as --timeout says.", timeout.as_secs());
    Failure::plain(Exit::Timeout, what, "")
}

fn not_running() -> Failure {
    let detail = "No Chiffon runs here, so nothing happens that could be watched.";
    let todo = "Start it with `chiffon up`. What was done stands in `chiffon request list` and `chiffon log`.";
    Problem::new(ErrorCode::NotRunning, detail, todo).into()
}

/// All that happens, told as it is.
struct Everything<'a> {
    terminal: &'a Terminal,
    wanted: WantedEvents,
}

impl Listener for Everything<'_> {
    fn wanted(&self) -> WantedEvents {
        self.wanted.clone()
    }

    async fn connected(&mut self, _: &Client) -> Result<(), Failure> {
        Ok(())
    }

    async fn heard(&mut self, _: &Client, event: &EventView, data: &str) -> Result<(), Failure> {
        match self.terminal.format {
            // As it came: it may hold what only a later version knows. Line ends are only between its parts.
            Format::Ndjson => self.terminal.data(&data.replace('\n', " ")),
            _ if event.kind == "reset" => {
                self.terminal.say(&render::reset(self.terminal.err, event));
            }
            _ => self.terminal.data(&render::event(self.terminal.out, event)),
        }
        Ok(())
    }
}

struct Watcher<'a, L> {
    home: Home,
    terminal: &'a Terminal,
    listener: L,
    /// The last event that came.
    after: Option<String>,
    pause: Duration,
}

/// A line that stands.
struct Line {
    client: Client,
    events: Events,
}

impl<L: Listener> Watcher<'_, L> {
    async fn watch(&mut self) -> Result<Exit, Failure> {
        // Only the first time it is an error that nobody is there, or that what is wanted does not fit.
        let running = Running::of(&self.home).ok_or_else(not_running)?;
        let mut line = self.connect(&running).await?;
        let mut pause = self.pause;
        loop {
            match self.read(&mut line).await {
                Ended::Unread => return Ok(Exit::Ok),
                Ended::Cut(why, has_spoken) => {
                    if has_spoken {
                        pause = self.pause;
                    }
                    let why = render::one_line(&why, 200);
                    let words = format!("The line is cut ({why}); connecting again.");
                    self.terminal.say(&self.terminal.err.warn(&words));
                }
            }
            line = loop {
                sleep(jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                if self.terminal.reader_is_gone() {
                    return Ok(Exit::Ok);
                }
                // It may have come back elsewhere, with another token.
                if let Some(running) = Running::of(&self.home)
                    && let Ok(line) = self.connect(&running).await
                {
                    break line;
                }
            };
            self.terminal
                .say(&self.terminal.err.dim("Connected again."));
        }
    }

    async fn connect(&mut self, running: &Running) -> Result<Line, Failure> {
        let client = Client::new(running.address, read_token(&self.home)?)?;
        let wanted = self.listener.wanted();
        let events = client.events(&wanted, self.after.as_deref()).await?;
        // After the line stands, so that nothing falls between the two.
        self.listener.connected(&client).await?;
        Ok(Line { client, events })
    }

    /// One connection to its end, and whether it said anything.
    async fn read(&mut self, line: &mut Line) -> Ended {
        let mut look = interval(LOOK);
        let mut has_spoken = false;
        loop {
            let heard = tokio::select! {
                heard = line.events.next() => heard,
                _ = look.tick() => match self.terminal.reader_is_gone() {
                    true => return Ended::Unread,
                    false => continue,
                },
            };
            match heard {
                Heard::Block(block) => {
                    has_spoken = true;
                    if let Err(failure) = self.take(&line.client, block).await {
                        return Ended::Cut(failure.what, has_spoken);
                    }
                }
                Heard::Cut(why) => return Ended::Cut(why, has_spoken),
            }
            if self.terminal.is_closed() {
                return Ended::Unread;
            }
        }
    }

    async fn take(&mut self, client: &Client, block: Block) -> Result<(), Failure> {
        if let Some(milliseconds) = block.retry {
            self.pause = Duration::from_millis(milliseconds).min(LONGEST_PAUSE);
        }
        let Some(data) = block.data else {
            // It only moves the place.
            self.after = block.id.or(self.after.take());
            return Ok(());
        };
        match serde_json::from_str::<EventView>(&data) {
            Ok(event) => self.listener.heard(client, &event, &data).await?,
            Err(error) => {
                let why = render::one_line(&error.to_string(), 200);
                let words = format!("An event has another form than this program knows: {why}");
                self.terminal.say(&self.terminal.err.warn(&words));
            }
        }
        // Only what was told is behind us.
        self.after = block.id.or(self.after.take());
        Ok(())
    }
}

enum Ended {
    /// Nobody reads any more.
    Unread,
    /// The connection is gone, for this reason; whether it had said anything.
    Cut(String, bool),
}

/// Between the half and the whole, so that those who were cut together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [128];
    // Without chance there is only the same pause for all.
    let _drawn = getrandom::fill(&mut byte);
    let half = pause / 2;
    half + half * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lies_between_its_half_and_its_whole() {
        for pause in [FIRST_PAUSE, LONGEST_PAUSE] {
            for _ in 0..100 {
                let drawn = jittered(pause);
                assert!(pause / 2 <= drawn && drawn <= pause, "{drawn:?}");
            }
        }
    }
}
