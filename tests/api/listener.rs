//! A reader of the event stream (Server-Sent Events) that takes the bytes apart itself.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;
use tokio::time::timeout;

use super::{
    client::Reply,
    wire::{Wire, request},
    world::World,
};

/// Longest wait for an event; beyond the 15 seconds after which a reader is told where it stands.
const PATIENCE: Duration = Duration::from_secs(40);

/// One block of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub id: Option<u64>,
    pub event: Option<String>,
    pub data: Option<String>,
    pub retry: Option<String>,
}

impl Block {
    /// The object that the data is.
    #[track_caller]
    pub fn view(&self) -> Value {
        serde_json::from_str(self.data.as_deref().unwrap()).unwrap()
    }
}

/// The body of an answer in chunks, put together again.
#[derive(Debug, Default)]
struct Chunks {
    raw: Vec<u8>,
    /// Bytes of the chunk in hand that have not come.
    left: usize,
    ended: bool,
}

impl Chunks {
    /// The bytes of the body that can be told with these.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.raw.extend_from_slice(bytes);
        let mut body = Vec::new();
        loop {
            if self.left > 0 {
                let here = self.left.min(self.raw.len());
                body.extend(self.raw.drain(..here));
                self.left -= here;
                if self.left > 0 {
                    return body;
                }
            }
            // What ends the chunk before belongs to the line of the next.
            let begin = if self.raw.starts_with(b"\r\n") { 2 } else { 0 };
            let line = self.raw[begin..].windows(2).position(|two| two == b"\r\n");
            let Some(length) = line else {
                return body;
            };
            let line = String::from_utf8_lossy(&self.raw[begin..begin + length]).into_owned();
            self.raw.drain(..begin + length + 2);
            self.left = usize::from_str_radix(&line, 16).unwrap();
            if self.left == 0 {
                self.ended = true;
                return body;
            }
        }
    }
}

/// One reader.
pub struct Listener {
    wire: Wire,
    chunks: Chunks,
    text: Vec<u8>,
    blocks: VecDeque<Block>,
}

impl Listener {
    /// Opens the stream; the error is what came instead.
    pub async fn open(world: &World, query: &str, last: Option<&str>) -> Result<Self, Reply> {
        Self::over(Wire::open(world).await, world, query, last).await
    }

    /// The same over a connection that is there.
    pub async fn over(
        mut wire: Wire,
        world: &World,
        query: &str,
        last: Option<&str>,
    ) -> Result<Self, Reply> {
        let line = format!("GET /api/v1/events/stream{query} HTTP/1.1");
        let last = last.map(|last| format!("Last-Event-ID: {last}"));
        let more: Vec<_> = last.iter().map(String::as_str).collect();
        wire.write(request(world, &line, &more)).await;
        let (status, headers) = wire.head().await.expect("an answer");
        if status != 200 {
            let body = wire.some().await;
            return Err(Reply {
                status,
                headers,
                body,
            });
        }
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["transfer-encoding"], "chunked");
        Ok(Self {
            wire,
            chunks: Chunks::default(),
            text: Vec::new(),
            blocks: VecDeque::new(),
        })
    }

    /// Reads whatever comes next; how many bytes of the connection it was, nothing at the end.
    pub async fn read(&mut self) -> usize {
        let bytes = self.wire.some().await;
        self.text.extend(self.chunks.take(&bytes));
        while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<_> = self.text.drain(..end + 2).collect();
            self.blocks
                .extend(block_of(&String::from_utf8(block).unwrap()));
        }
        bytes.len()
    }

    /// A block that has come already.
    pub fn come(&mut self) -> Option<Block> {
        self.blocks.pop_front()
    }

    /// The next block; nothing at the end of the stream. Signs of life are none, and do not lengthen the wait.
    pub async fn block(&mut self) -> Option<Block> {
        let next = async {
            loop {
                if let Some(block) = self.come() {
                    return Some(block);
                }
                if self.chunks.ended || self.read().await == 0 {
                    return None;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a block in time")
    }

    /// The next block that has data.
    pub async fn event(&mut self) -> Option<Block> {
        let next = async {
            loop {
                let block = self.block().await?;
                if block.data.is_some() {
                    return Some(block);
                }
            }
        };
        timeout(PATIENCE, next).await.expect("an event in time")
    }

    /// Events up to one of this kind, which is the last of them.
    pub async fn until(&mut self, kind: &str) -> Vec<Block> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let event = event.unwrap_or_else(|| panic!("it ended before {kind}: {events:#?}"));
            let is_it = event.event.as_deref() == Some(kind);
            events.push(event);
            if is_it {
                return events;
            }
        }
    }

    /// Whether the stream ended as it should, and not in the middle.
    pub fn ended(&self) -> bool {
        self.chunks.ended && self.text.is_empty()
    }
}

/// Nothing where it was a comment only.
fn block_of(text: &str) -> Option<Block> {
    let field = |name: &str| {
        let mut of_name = text.lines().filter_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
        });
        let first = of_name.next();
        assert_eq!(of_name.next(), None, "{name} twice in {text:?}");
        first
    };
    let block = Block {
        id: field("id").map(|id| id.parse().unwrap()),
        event: field("event"),
        data: field("data"),
        retry: field("retry"),
    };
    let is_comment = block.id.is_none()
        && block.event.is_none()
        && block.data.is_none()
        && block.retry.is_none();
    (!is_comment).then_some(block)
}
