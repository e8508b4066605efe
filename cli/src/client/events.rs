//! The event stream, one connection of it. Connecting again is left to the command that watches.

use std::{collections::VecDeque, time::Duration};

use reqwest::{Method, Response, header};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    Client, LIMIT,
    sse::{Block, Parser},
    with_query,
};
use crate::failure::Failure;

/// The server says something every 15 seconds; after three times of nothing there is nobody any more.
const SILENCE: Duration = Duration::from_secs(45);

/// A connection is taken up anew at the latest then: the client's own limit of a call would end it earlier.
const LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct WantedEvents {
    /// Only of this group.
    pub project: Option<String>,
    /// Only of these types, or of all that begin so.
    pub types: Vec<String>,
}

/// A connection to the stream.
pub struct Events {
    answer: Response,
    parser: Parser,
    ready: VecDeque<Block>,
    /// Until when the next sign of life has to come.
    until: Instant,
}

/// What a connection gives.
#[derive(Debug)]
pub enum Heard {
    /// A block.
    Block(Block),
    /// The connection has ended, for this reason.
    Cut(String),
}

impl Client {
    /// `GET /api/v1/events/stream`, from after this event or from now on.
    pub async fn events(
        &self,
        wanted: &WantedEvents,
        after: Option<&str>,
    ) -> Result<Events, Failure> {
        let mut query = Vec::new();
        if let Some(project) = &wanted.project {
            query.push(("project_id", project.clone()));
        }
        if !wanted.types.is_empty() {
            query.push(("type", wanted.types.join(",")));
        }
        let path = with_query("/api/v1/events/stream", &query);
        let mut call = self.call(Method::GET, &path).timeout(LASTS);
        call = call.header(header::ACCEPT, "text/event-stream");
        if let Some(after) = after {
            call = call.header("last-event-id", after);
        }
        let answer = match timeout(LIMIT, self.send(call)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(self.silent()),
        };
        Ok(Events {
            answer,
            parser: Parser::default(),
            ready: VecDeque::new(),
            until: Instant::now() + SILENCE,
        })
    }
}

impl Events {
    /// The next block, or why there is none any more. Cancel-safe: what has come stays.
    pub async fn next(&mut self) -> Heard {
        loop {
            if let Some(block) = self.ready.pop_front() {
                return Heard::Block(block);
            }
            let piece = match timeout_at(self.until, self.answer.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => return Heard::Cut("the server has ended it".to_owned()),
                Ok(Err(error)) => return Heard::Cut(super::root_cause(&error)),
                Err(_) => {
                    let seconds = SILENCE.as_secs();
                    return Heard::Cut(format!("no sign of life for {seconds} s"));
                }
            };
            self.until = Instant::now() + SILENCE;
            match self.parser.push(&piece) {
                Ok(blocks) => self.ready.extend(blocks),
                Err(error) => return Heard::Cut(error.to_string()),
            }
        }
    }
}
